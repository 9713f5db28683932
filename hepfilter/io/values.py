"""Values of entries, whatever tree they stand in: flat numbers, and how many of them each list has."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Index = npt.NDArray[np.int64]
CHARACTER = "char"
"""The number of a C++ char, in memory an int8."""


@dataclass(frozen=True)
class Form:
    """What an entry of a branch or field holds: numbers of a type (numpy's name, or `CHARACTER`).

    They stand in `depth` lists one inside the other, `length` at each place. A text is a list of characters more.
    """

    number: str
    depth: int = 0
    length: int = 1
    is_text: bool = False

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the numbers in memory."""
        return np.dtype("int8" if self.number == CHARACTER else self.number)

    @property
    def levels(self) -> int:
        """How many lists stand one inside the other, a text counted as one."""
        return self.depth + self.is_text


@dataclass(frozen=True, eq=False)
class Values:
    """The numbers of consecutive entries, flat, `length` for each innermost item.

    `counts` (int64) are the lengths of the lists of each level, the outermost first.
    """

    numbers: npt.NDArray[Any]
    counts: tuple[Index, ...] = ()
    length: int = 1

    def ends(self, entries: int) -> list[Index]:
        """Of each level and of the numbers at the end: where the items of each of `entries` entries end."""
        ends = [np.arange(1, entries + 1)]
        for counts in self.counts:
            sums = np.append(0, np.cumsum(counts))
            ends.append(sums[ends[-1]])
        return [*ends[1:], ends[-1] * self.length]

    def different(self, other: "Values", entries: int) -> Index:
        """Which of `entries` entries are not the same in `other`, to the last bit."""
        mine, theirs = [*self.counts, _bits(self.numbers)], [*other.counts, _bits(other.numbers)]
        if all(map(np.array_equal, mine, theirs)):
            return np.empty(0, np.int64)
        old, new = ([np.append(0, ends) for ends in values.ends(entries)] for values in (self, other))
        found = [
            entry
            for entry in range(entries)
            if any(
                not np.array_equal(a[i[entry] : i[entry + 1]], b[j[entry] : j[entry + 1]])
                for a, b, i, j in zip(mine, theirs, old, new, strict=True)
            )
        ]
        return np.array(found, np.int64)


def join_values(pieces: Sequence[Values]) -> Values:
    """Values of entries one after the other; all of one form, and at least one."""
    counts = tuple(np.concatenate(level) for level in zip(*(piece.counts for piece in pieces), strict=True))
    return Values(np.concatenate([piece.numbers for piece in pieces]), counts, pieces[0].length)


def _bits(numbers: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The numbers as integers of their size, so that NaN is NaN and zeros have a sign."""
    return np.ascontiguousarray(numbers).view(f"u{numbers.itemsize}")
