"""Whether the entries of a converted tree have the values of those that they come from, to the last bit."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np

from hepfilter.errors import SourceError
from hepfilter.io.comparison import Compared, EntryDifference, Index, Match
from hepfilter.io.copy_plan import CopyPlan, Piece
from hepfilter.io.ntuple import OpenNTuple
from hepfilter.io.rntuple.plain import read_values
from hepfilter.io.tree_values import TreeValues
from hepfilter.io.values import Values


class Reader(Protocol):
    """Reads entries (rising) of a source, by its number, in branches or fields of these names."""

    def read(self, source: int, entries: Index, names: Sequence[str]) -> dict[str, Values]:
        """Their values by name; SourceError if they cannot be read."""


class NTupleReader:
    """Reads RNTuples, which `opened` gives by the source's number."""

    def __init__(self, opened: Callable[[int], OpenNTuple]) -> None:
        self._opened = opened

    def read(self, source: int, entries: Index, names: Sequence[str]) -> dict[str, Values]:
        """Their values by name."""
        return read_values(self._opened(source).ntuple, names, entries)


class TreeReader:
    """Reads TTrees of a plan, whose branches have forms. A context manager."""

    def __init__(self, plan: CopyPlan) -> None:
        self._plan = plan
        self._known: dict[tuple[str, ...], TreeValues] = {}

    def __enter__(self) -> "TreeReader":
        return self

    def __exit__(self, *_: object) -> None:
        for values in self._known.values():
            values.__exit__()

    def read(self, source: int, entries: Index, names: Sequence[str]) -> dict[str, Values]:
        """Their values by name."""
        key = tuple(names)
        if key not in self._known:
            plan = CopyPlan(self._plan.sources, self._plan.tree, self._plan.layout.keep(names), (), None)
            self._known[key] = TreeValues(plan)
        return self._known[key].read([Piece(source, entries)])


def compare_values(
    output: Reader, sources: Reader, match: Match, names: Sequence[str], *, counters: frozenset[str], window: int
) -> Iterator[Compared]:
    """How entries of `output` differ from those that they come from in these branches, `window` entries at a time.

    Of `counters` the numbers alone must agree, not their type. What cannot be read is told, and all else compared.
    """
    for start in range(0, len(match), window):
        part = match[start : start + window]
        breaks = np.flatnonzero((np.diff(part.sources) != 0) | (np.diff(part.entries) <= 0)) + 1
        for run in np.split(np.arange(len(part)), breaks):
            yield _compare_run(output, sources, part[run], names, counters)


def _compare_run(
    output: Reader, sources: Reader, run: Match, names: Sequence[str], counters: frozenset[str]
) -> Compared:
    """Entries of one source in its order; what cannot be read is halved until it is a single branch."""
    try:
        expected = sources.read(int(run.sources[0]), run.entries, names)
        found = output.read(0, run.positions, names)
    except SourceError as error:
        if len(names) == 1:
            return Compared(len(run), (), (str(error),))
        middle = len(names) // 2
        halves = [_compare_run(output, sources, run, part, counters) for part in (names[:middle], names[middle:])]
        differences = tuple(one for half in halves for one in half.differences)
        return Compared(len(run), differences, tuple(fault for half in halves for fault in half.unreadable))
    return Compared(len(run), tuple(_differences(expected, found, run, names, counters)))


def _differences(
    expected: dict[str, Values], found: dict[str, Values], run: Match, names: Sequence[str], counters: frozenset[str]
) -> Iterator[EntryDifference]:
    for name in names:
        pair = expected[name], found[name]
        old, new = (_as_counts(own) for own in pair) if name in counters else pair
        wrong = old.different(new, len(run))
        if len(wrong):
            first = run[wrong[:1]]
            where = int(first.positions[0]), int(first.sources[0]), int(first.entries[0])
            yield EntryDifference(name, len(wrong), *where)


def _as_counts(values: Values) -> Values:
    return Values(values.numbers.astype(np.int64))
