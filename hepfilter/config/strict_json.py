"""Reading JSON strictly: a key that stands twice is an error, where Python's own reader takes the last one."""

import json
from pathlib import Path
from typing import Any

from hepfilter.errors import ConfigError


def load_json(path: Path) -> Any:
    """What a JSON file holds, as plain data.

    ConfigError in one line if it cannot be read, is not valid, has a key twice or is nested too deeply.
    """
    from hepfilter.config.base import read_text

    text = read_text(path)
    try:
        return json.loads(text, object_pairs_hook=_without_doubles)
    except RecursionError as error:
        raise ConfigError(f"{path}: not valid JSON: nested too deeply") from error
    except ValueError as error:
        raise ConfigError(f"{path}: not valid JSON: {error}") from error


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        keys = [key for key, _ in pairs]
        double = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key {double!r} stands twice")
    return data
