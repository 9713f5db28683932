"""Finding the schema of a tree: by name, or from the branches that the tree has."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from hepfilter.config.base import find_config, load_yaml, shipped
from hepfilter.config.schema import Schema, spelling
from hepfilter.errors import ConfigError, SchemaError, nearest

KIND = "schemas"


def schema_names() -> tuple[str, ...]:
    """Names of the schemas that ship, sorted."""
    return tuple(shipped(KIND))


def load_schema(name: str | Path) -> Schema:
    """The schema that ships under `name`, or the one in the file `name`, with what it extends filled in.

    ConfigError names the nearest schema, or the key that is wrong.
    """
    return _load_shipped(str(name)) if str(name) in schema_names() else _load(find_config(KIND, name))


@cache
def _load_shipped(name: str) -> Schema:
    """What ships does not change while a program runs; a file of the user's may."""
    return _load(find_config(KIND, name))


def _load(path: Path) -> Schema:
    schema = load_yaml(path, Schema)
    if schema.extends is None:
        return schema
    if schema.extends not in schema_names():
        known = ", ".join(schema_names())
        raise ConfigError(f"{path}: extends {schema.extends}, which is no schema that ships ({known})")
    return schema.completed_by(load_schema(schema.extends))


def tree_candidates() -> tuple[str, ...]:
    """The names that the tree of events has in the schemas that ship, each once."""
    return tuple(dict.fromkeys(tree for name in schema_names() for tree in load_schema(name).trees))


def detect_schema(branch_names: Iterable[str], tree_name: str, *, file: str = "") -> Schema:
    """The schema that ships and fits these branches; of several the most specific, that is the longest `detect`,
    of equally long ones the first by name.

    The tree's name does not decide, it serves the message: SchemaError names the schema that comes nearest (it lacks
    least; of those it has a tree of this name, or a branch with a similar name) and the branch that it lacks first.
    """
    names = frozenset(branch_names)
    schemas = [load_schema(name) for name in schema_names()]
    lacking = {schema.name: _lacking(schema, names) for schema in schemas}
    fitting = [schema for schema in schemas if not lacking[schema.name]]
    if fitting:
        return max(fitting, key=lambda schema: len(schema.detect))
    closest = min(schemas, key=lambda schema: _distance(schema, lacking[schema.name], tree_name, names))
    options = lacking[closest.name][0]
    close = nearest(options[0], sorted(names))
    where = f"{file}: tree {tree_name}" if file else f"tree {tree_name}"
    raise SchemaError(
        f"{where}: no schema fits its branches; the nearest, {closest.name}, needs {' or '.join(options)}{close}; "
        "describe the branches in a YAML file and give it with --schema"
    )


def _distance(
    schema: Schema, lacking: list[tuple[str, ...]], tree_name: str, names: frozenset[str]
) -> tuple[int, bool, bool]:
    """How far a schema is from fitting, for the message."""
    other_tree = tree_name.lower() not in (tree.lower() for tree in schema.trees)
    return len(lacking), other_tree, not nearest(lacking[0][0], names)


def _lacking(schema: Schema, names: frozenset[str]) -> list[tuple[str, ...]]:
    """The entries of `detect` that these branches do not meet, each as the names that would."""
    entries = [(entry,) if isinstance(entry, str) else entry for entry in schema.detect]
    return [entry for entry in entries if not any(spelling(name, names) for name in entry)]
