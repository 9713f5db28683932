"""Reading JSON strictly: a key that stands twice is an error, where Python's own reader takes the last one."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from hepfilter.errors import ConfigError

DEEPEST: Final = 100
"""Levels of lists and mappings; far more than anything of ours has, far less than Python recurses."""


def load_json(path: Path) -> Any:
    """What a JSON file holds, as plain data.

    ConfigError in one line if it cannot be read, is not valid, has a key twice or is nested too deeply.
    """
    from hepfilter.config.base import read_text

    text = read_text(path)
    try:
        return parse_json(text)
    except ValueError as error:
        raise ConfigError(f"{path}: not valid JSON: {error}") from error


def parse_json(text: str | bytes) -> Any:
    """What a JSON text (bytes: in UTF-8) holds, as plain data.

    ValueError if it is not valid, has a key twice or is nested too deeply: what comes back can be written as JSON again
    or compared without an end of the stack.
    """
    try:
        data = json.loads(text if isinstance(text, str) else text.decode("utf-8"), object_pairs_hook=_without_doubles)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    _refuse_depth(data)
    return data


def _refuse_depth(data: Any) -> None:
    level = _containers([data])
    for _ in range(DEEPEST):
        level = _containers(value for one in level for value in (one.values() if isinstance(one, dict) else one))
    if level:
        raise ValueError("nested too deeply")


def _containers(values: Iterable[Any]) -> list[Any]:
    return [value for value in values if isinstance(value, dict | list)]


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for key, value in pairs:
        if key in data:
            raise ValueError(f"key {key!r} stands twice")
        data[key] = value
    return data
