"""Who each event is and what it weighs: the branches that a schema names for it, without the event record."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepfilter.config.schema import Schema, spelling
from hepfilter.errors import SchemaError
from hepfilter.events.expressions import Column
from hepfilter.events.identity import Identity

_LARGEST_HALF = 2**32 - 1


@dataclass(frozen=True)
class Books:
    """The branches of an event's identity (run, luminosity block if any, event) and of its weight, None for neither."""

    identity: tuple[str, ...] | None
    weight: str | None

    @property
    def branches(self) -> tuple[str, ...]:
        """All branches that are read."""
        return (*(self.identity or ()), *([self.weight] if self.weight else []))

    def read_identity(self, columns: Mapping[str, Column], *, file: str, first_entry: int, count: int) -> Identity:
        """The identities of `count` events, by (file name, entry) where there are no branches for it.

        SchemaError if a branch holds no integers, or a run or luminosity block none of 32 bits.
        """
        if self.identity is None:
            return Identity.from_entries(file, first_entry, count)
        *named, event = self.identity
        run, *block = (_half_word(columns[name], name) for name in named)
        luminosity_block = block[0] if block else np.zeros(count, np.uint32)
        return Identity(run, luminosity_block, _integers(columns[event], event).astype(np.uint64))

    def read_weight(self, columns: Mapping[str, Column]) -> tuple[NDArray[np.float64] | None, dict[str, int]]:
        """(weights, of a list the first; None without a branch, how many were set to 0 for which fault)."""
        if self.weight is None:
            return None, {}
        column = columns[self.weight]
        there, first = _first(column)
        finite = np.isfinite(first)
        faults = {"weight: none in the list": ~there, "weight: non-finite": ~finite}
        counts = {reason: int(np.count_nonzero(fault)) for reason, fault in faults.items()}
        return np.where(finite, first, 0), {reason: count for reason, count in counts.items() if count}


def find_books(schema: Schema | None, branch_names: Collection[str]) -> Books:
    """The branches that the tree has of those that the schema names."""
    if schema is None:
        return Books(None, None)
    names = frozenset(branch_names)
    spelt = [spelling(name, names) for name in (schema.identity.names() if schema.identity else ())]
    identity = tuple(name for name in spelt if name is not None)
    whole = bool(identity) and len(identity) == len(spelt)
    return Books(identity if whole else None, spelling(schema.weight, names) if schema.weight else None)


def _integers(column: Column, branch: str) -> NDArray[Any]:
    """One integer an event."""
    if column.offsets is not None or column.values.dtype.kind not in "iu":
        what = "a list an event" if column.offsets is not None else str(column.values.dtype)
        raise SchemaError(f"branch {branch}: holds {what}; an identity needs integers, one an event")
    return column.values


def _half_word(column: Column, branch: str) -> NDArray[np.uint32]:
    """One integer of 32 bits an event."""
    values = _integers(column, branch)
    outside = (values < 0) | (values > _LARGEST_HALF)
    if outside.any():
        raise SchemaError(f"branch {branch}: holds {values[outside][0]}; runs and luminosity blocks have 32 bits")
    return values.astype(np.uint32)


def _first(column: Column) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """(whether there is a number, the number or 0): of each list the first."""
    if column.offsets is None:
        return np.ones(len(column.values), bool), column.values.astype(np.float64)
    there = np.diff(column.offsets) > 0
    first = np.zeros(len(there), np.float64)
    first[there] = column.values[column.offsets[:-1][there]]
    return there, first
