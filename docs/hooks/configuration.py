"""Writes the reference of the YAML files from the models that validate them."""

import inspect
import re
import types
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from hepfilter.config import cluster, datasets, graph, menu, model, quantities, schema, training
from hepfilter.config.base import StrictModel

MARKER = re.compile(r"^<!-- configuration: (\w+) -->$", flags=re.MULTILINE)
ROOTS: Mapping[str, tuple[type[BaseModel], ...]] = {
    "schema": (schema.Schema,),
    "menu": (menu.Menu,),
    "training": (training.TrainingConfig,),
    "datasets": (datasets.Dataset,),
    "cluster": (cluster.Cluster,),
    "graph": (graph.GraphSpecification,),
    "architecture": (
        model.EdgeConvArchitecture,
        model.TransformerArchitecture,
        model.DeepSetsArchitecture,
        model.CustomArchitecture,
    ),
}
WORDS: Mapping[Any, str] = {
    str: "text",
    bool: "true or false",
    int: "whole number",
    float: "number",
    quantities.Share: "share: `1%`, `0.01`, `1/100`",
    quantities.Rate: "rate: `5 Hz`, `1.5 kHz`",
    schema.Names: "branch or branches",
    schema.Branch: "branch, scalar branches `[a, b]`, or `{first_of: […]}`",
    schema.Mass: "branch, or number of GeV",
    schema.Integer: "branch, or whole number",
    schema.FirstOf: "`{first_of: […]}`",
    datasets.DatasetFile: "file, wildcard or folder; in a list of its own: replicas",
}
BOUNDS = {"ge": "≥ {}", "gt": "> {}", "le": "≤ {}", "lt": "< {}", "multiple_of": "a multiple of {}"}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the tables of keys in the place of each marker."""
    return MARKER.sub(lambda found: "\n".join(reference(*ROOTS[found[1]])), markdown)


def reference(*roots: type[BaseModel]) -> Iterator[str]:
    """The lines of the models' tables, and of the tables of all models that stand in them, each once."""
    shown: list[type[BaseModel]] = []
    waiting = list(roots)
    while waiting:
        one = waiting.pop(0)
        if one not in shown:
            shown.append(one)
            yield from table(one, with_title=len(shown) > 1 or len(roots) > 1)
            inner = [part for field in one.model_fields.values() for part in models_in(field.annotation)]
            waiting += [part for part in inner if part not in WORDS]


def table(one: type[BaseModel], *, with_title: bool) -> Iterator[str]:
    """What a model is, and its keys."""
    if with_title:
        yield from ("", f"### {title(one)}")
    text = inspect.cleandoc(one.__doc__ or "").replace("``", "`")
    text = re.sub(r" \(`[a-z_.]+`\)", "", text)  # where in the code
    yield from ("", re.sub(r"\bNone\b", "`null`", text), "")
    yield from ("| key | value | if not given |", "|---|---|---|")
    for key, field in one.model_fields.items():
        yield f"| `{key}` | {value_of(field)} | {default_of(field)} |"
    yield ""


def title(one: type[BaseModel]) -> str:
    """A model's name in words: NodeCollection is a node collection."""
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", one.__name__)
    return text[0] + text[1:].lower()


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """All models in a type such as `dict[str, Model] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [part for argument in get_args(annotation) for part in models_in(argument)]


def value_of(field: FieldInfo) -> str:
    """What a field may be, in words, with its bounds."""
    annotation = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    return words(annotation).replace("|", "\\|")


def words(annotation: Any) -> str:
    """A type in words."""
    known = next((text for each, text in WORDS.items() if each == annotation), None)
    if known is not None:
        return known
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        limits = bounds(arguments[1:])
        return words(arguments[0]) + (f" {limits}" if limits else "")
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin in (Union, types.UnionType):
        ways = dict.fromkeys(words(each) for each in arguments if each is not type(None))
        return " or ".join(sorted(ways, key=lambda way: way.startswith("list")))
    if origin in (tuple, list):
        return f"list of {words(arguments[0])}"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"mapping of {words(arguments[0])} to {words(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return title(annotation).lower()
    return "path" if isinstance(annotation, type) and issubclass(annotation, PurePath) else "any"


def bounds(metadata: tuple[Any, ...]) -> str:
    """The limits of a number."""
    parts = [part for each in metadata for part in (getattr(each, "metadata", None) or [each])]
    limits = [(sign, getattr(part, sign, None)) for sign in BOUNDS for part in parts]
    return ", ".join(
        BOUNDS[sign].format(f"{limit:,g}") for sign, limit in limits if limit is not None and limit < 2**60
    )


def default_of(field: FieldInfo) -> str:
    """What stands for a key that is not given."""
    if field.is_required():
        return "must be given"
    default = field.default if field.default is not PydanticUndefined else field.default_factory()  # type: ignore
    if isinstance(default, StrictModel):
        return "its defaults"
    if default is None or (isinstance(default, tuple | Mapping) and not default):
        return "–"
    shown = "true" if default is True else "false" if default is False else default
    return f"`{', '.join(map(str, shown)) if isinstance(shown, tuple) else shown}`"
