"""What all configuration has in common: strict models, safe reading, and errors that name the nearest key."""

import os
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from hepfilter.config.files import exists, is_file, is_folder
from hepfilter.config.shipped import shipped as shipped
from hepfilter.errors import ConfigError, nearest

ConfigModel = TypeVar("ConfigModel", bound="StrictModel")


_FastLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEEPEST = 100
_LONGEST_NUMBER = 100
_LONGEST_SHOWN = 200
_NUMBERS = {f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "timestamp")}
LARGEST_TEXT = 10**8
LONGEST_NAME = 100
"""Characters of a name in a configuration that becomes part of a file's name."""


class _PlainLoader(_FastLoader):  # type: ignore[misc, valid-type]
    """The safe loader without double keys, whose errors all say where."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """As the safe loader; a value that Python cannot hold (a date such as 2024-99-99) is an error of YAML.

        So is an overlong number: those of base 60 (``1:30:00``) take the square of their length.
        """
        if node.tag in _NUMBERS and len(node.value) > _LONGEST_NUMBER:
            what = f"a number of {len(node.value):,} characters is too long"
            raise yaml.constructor.ConstructorError(None, None, what, node.start_mark)
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, OverflowError) as error:
            raise yaml.constructor.ConstructorError(None, None, str(error), node.start_mark) from error

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse a key that stands twice, else as the safe loader."""
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} stands twice", key.start_mark)
            seen.add(key.value)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return mapping


class StrictModel(BaseModel):
    """A frozen model in which an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def find_config(kind: str, name: str | Path) -> Path:
    """The file for `name`: one that ships (``nanoaod``), or a path to one's own. ConfigError names the nearest."""
    known = shipped(kind)
    if str(name) in known:
        return known[str(name)]
    path = Path(name)
    if is_file(path):
        return path
    if exists(path):
        what = "a folder" if is_folder(path) else "no plain file"
        raise ConfigError(f"{name}: is {what}; give a file or the name of a built-in")
    hint = nearest(str(name), known) or f"; {_some_known(list(known))}"
    raise ConfigError(f"{name}: no such file and no built-in of configs/{kind}{hint}")


def _some_known(names: list[str]) -> str:
    """The names, or the first and the last of many."""
    if len(names) < 10:
        return f"known: {', '.join(names)}"
    return f"there are {len(names)}, from {names[0]} to {names[-1]}"


def read_text(path: Path, *, largest: int = LARGEST_TEXT, from_pipe: bool = False) -> str:
    """The text of a configuration file; ConfigError if it cannot be read or has more than `largest` bytes.

    A pipe can be read only once, so it is refused unless the caller says that it reads once.
    """
    if exists(path) and not (is_file(path) or (from_pipe and path.is_fifo())):
        raise ConfigError(f"{path}: is no plain file; write it to one and give that")
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size  # 0 of a pipe
            raw = b"" if size > largest else stream.read((size or largest) + 1)  # which is allocated at once
        if max(size, len(raw)) > largest:
            raise ConfigError(f"{path}: has more than {largest / 1e6:,.0f} MB, too much for such a file; give another")
        return raw.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is no UTF-8 text") from error
    except ValueError as error:  # NUL in the name
        raise ConfigError(f"{path}: cannot be read: {error}") from error


def load_plain(path: Path) -> Any:
    """What a YAML file holds, read with the safe loader; ConfigError if it is not valid."""
    return parse_plain(read_text(path), where=str(path))


def parse_plain(text: str, *, where: str) -> Any:
    """What a YAML text holds; ConfigError with line and column if it is not valid, whose message begins by `where`."""
    try:
        _refuse_tricks(text)
        return yaml.load(text, Loader=_PlainLoader)
    except yaml.MarkedYAMLError as error:
        raise ConfigError(f"{where}: not valid YAML: {_fault(error)}") from error
    except yaml.reader.ReaderError as error:
        character = chr(error.character)
        before = text.partition(character)[0]
        place = f"line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}"
        raise ConfigError(f"{where}: not valid YAML: {place}: the character {character!a} is not allowed") from error


def _fault(error: yaml.MarkedYAMLError) -> str:
    """Line, column and reason of an error in one line, without the name that the loader gives to a text."""
    mark: Any = error.problem_mark or error.context_mark
    reason = ", ".join(part for part in (error.context, error.problem) if part)
    return f"line {mark.line + 1}, column {mark.column + 1}: {' '.join(reason.split())}"


def _refuse_tricks(text: str) -> None:
    """Refuse aliases (a few lines of which can stand for any number of nodes), tags (values that are not what they look
    like), and what nests too deeply."""
    depth = 0
    for event in yaml.parse(text, Loader=_FastLoader):
        mark: Any = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "aliases (*name) are not allowed", mark)
        if getattr(event, "tag", None) is not None:
            raise yaml.composer.ComposerError(None, None, "tags (!name) are not allowed", mark)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise yaml.composer.ComposerError(None, None, "nested too deeply", mark)


def load_yaml(path: Path, model: type[ConfigModel]) -> ConfigModel:
    """Read `path` with the safe loader and validate it; ConfigError tells file, key and what would work."""
    return validate(load_plain(path), model, where=str(path))


def validate(data: Any, model: type[ConfigModel], *, where: str) -> ConfigModel:
    """Validate plain data against `model`; `where` begins the one-line message of the ConfigError."""
    if not isinstance(data, dict):
        what = "is empty" if data is None else f"holds {type(data).__name__}"
        raise ConfigError(f"{where}: {what}; it needs a mapping with the keys {', '.join(model.model_fields)}")
    try:
        return model.model_validate(data)
    except ValidationError as error:
        # a misspelt key is also a missing one: the spelling is what helps
        details = sorted(error.errors(), key=lambda detail: detail["type"] != "extra_forbidden")
        raise ConfigError(f"{where}: {_explain(details[0], model)}") from error


def _explain(detail: ErrorDetails, model: type[StrictModel]) -> str:
    """One validation error in one line: the key's path, the reason, and for an unknown key the nearest known one."""
    location = [str(part) for part in detail["loc"]]
    key = ".".join(location)
    if detail["type"] == "extra_forbidden":
        known = _known_keys(model, location[:-1])
        return f"unknown key {key!r}{nearest(location[-1], known) or '; known: ' + ', '.join(sorted(known))}"
    if detail["type"] == "missing":
        return f"key {key!r} is missing"
    if detail["type"] in ("union_tag_invalid", "union_tag_not_found"):
        return _explain_kind(detail, location)
    if detail["type"] == "value_error":  # our own words say what was wrong
        reason = detail["msg"].removeprefix("Value error, ")
        return f"key {key!r}: {reason}" if key else reason
    given = repr(detail["input"])
    shown = given if len(given) <= _LONGEST_SHOWN else f"{given[:_LONGEST_SHOWN]}…"
    return f"key {key!r}: {detail['msg']} (got {shown})"


def _explain_kind(detail: ErrorDetails, location: list[str]) -> str:
    """That the key which says what a mapping is of several kinds is missing, or says none of them."""
    context = detail["ctx"]
    key = ".".join([*location, context["discriminator"].strip("'")])
    if "tag" not in context:
        return f"key {key!r} is missing"
    known = [name.strip("'") for name in context["expected_tags"].split(", ")]
    return f"key {key!r}: {context['tag']!r} is none of {', '.join(known)}{nearest(context['tag'], known)}"


def _known_keys(model: type[BaseModel], path: list[str]) -> set[str]:
    """The keys of the nested model that `path` leads to; of all that may be meant where that is not plain.

    Where a mapping is of several kinds, the path has its kind too.
    """
    models: list[type[BaseModel]] = [model]
    for part in path:
        of_kind = [one for one in models if "kind" in one.model_fields and one.model_fields["kind"].default == part]
        holders = [one.model_fields[part].annotation for one in models if part in one.model_fields]
        models = of_kind or [nested for holder in holders for nested in _nested_models(holder)] or models
    return {key for one in models for key in one.model_fields}


def _nested_models(annotation: Any) -> list[type[BaseModel]]:
    """All pydantic models in a type such as ``dict[str, Model] | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in getattr(annotation, "__args__", ()) for model in _nested_models(argument)]
