"""Luminosity masks: the certification JSON of CMS ("golden JSON") that says which luminosity blocks are good.

The format, that of the tools of CMS and of coffea: ``{"297050": [[12, 137], [193, 776]], …}``, for each run its ranges,
both ends included.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepfilter.errors import ConfigError
from hepfilter.io.identity_set import Integers, Words, pack_blocks

_LARGEST = 2**32 - 1


@dataclass(frozen=True, eq=False)
class LumiMask:
    """The good luminosity blocks as sorted ranges that do not overlap: run · 2³² + block of their first and last."""

    first: Words
    last: Words

    @property
    def runs(self) -> NDArray[np.uint32]:
        """The runs with at least one good block, sorted."""
        return np.unique(self.first >> np.uint64(32)).astype(np.uint32)

    def passes(self, run: Integers, luminosity_block: Integers) -> NDArray[np.bool_]:
        """Which events lie in a good luminosity block, one entry an event; integers of any width.

        SourceError if a number is negative or above 32 bits.
        """
        blocks = pack_blocks(run, luminosity_block)
        if not len(self.first):
            return np.zeros(len(blocks), bool)
        begun = np.searchsorted(self.first, blocks, side="right")
        return (begun > 0) & (blocks <= self.last[begun - 1])


def load_lumi_mask(path: Path | str) -> LumiMask:
    """The mask in a local file; ranges that overlap or touch are merged.

    ConfigError if it cannot be read or is no such mask: it names run and range, and what would work.
    """
    from hepfilter.config.strict_json import load_json

    if "://" in str(path):
        raise ConfigError(f"{path}: a luminosity mask is read from a local file; download it and give its path")
    data = load_json(Path(path))
    if not isinstance(data, dict):
        raise ConfigError(f'{path}: is no luminosity mask; it needs {{"RUN": [[FIRST, LAST], …], …}}')
    ranges = sorted((_run(path, key), first, last) for key in data for first, last in _merged(path, key, data[key]))
    runs, first, last = np.array(ranges, np.uint64).reshape(-1, 3).T
    return LumiMask(pack_blocks(runs, first), pack_blocks(runs, last))


def _run(path: Path | str, key: str) -> int:
    """The run number that a key spells, in the one way that it can be spelled."""
    if key.isascii() and key.isdigit() and len(key) <= 10 and str(int(key)) == key and int(key) <= _LARGEST:
        return int(key)
    raise ConfigError(f"{path}: {key[:40]!r} is no run number; runs are plain integers from 0 to {_LARGEST}")


def _merged(path: Path | str, key: str, ranges: Any) -> Iterator[tuple[int, int]]:
    """The ranges of a run, sorted, those that overlap or touch merged."""
    if not isinstance(ranges, list):
        raise ConfigError(f"{path}: run {key}: needs a list of ranges [[FIRST, LAST], …], not {_short(ranges)}")
    current: tuple[int, int] | None = None
    for first, last in sorted(_checked(path, key, one) for one in ranges):
        if current is not None and first <= current[1] + 1:
            current = current[0], max(current[1], last)
            continue
        if current is not None:
            yield current
        current = first, last
    if current is not None:
        yield current


def _checked(path: Path | str, key: str, one: Any) -> tuple[int, int]:
    """One range as it stands in the file."""
    # bool is an int in Python, and true is no luminosity block
    if not (isinstance(one, list) and len(one) == 2 and all(type(end) is int for end in one)):
        raise ConfigError(f"{path}: run {key}: a range is [FIRST, LAST] in integers, not {_short(one)}")
    first, last = one
    if not 0 <= min(one) <= max(one) <= _LARGEST:
        raise ConfigError(f"{path}: run {key}: {_short(one)} lies outside 0 to {_LARGEST}")
    if first > last:
        raise ConfigError(f"{path}: run {key}: {_short(one)} is reversed; a range is [FIRST, LAST]")
    return first, last


def _short(data: Any) -> str:
    """Plain data for a message of one line."""
    import json

    text = json.dumps(data)
    return text if len(text) <= 60 else text[:57] + "…"
