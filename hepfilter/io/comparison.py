"""Whether the entries of a tree are, byte by byte, those of the trees that they come from.

Read window by window, as copying does, so that memory stays flat; any group of branches can be compared apart from all
others, in a process of its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hepfilter.errors import SourceError
from hepfilter.io.baskets import Entries, Layout
from hepfilter.io.copy_plan import CopyPlan, Piece
from hepfilter.io.copying import Copier
from hepfilter.io.sources import Source
from hepfilter.io.treewriter import TreeWriter

Index = npt.NDArray[np.int64]
Form = tuple[tuple[int, int | Layout], ...]
"""Of pieces of a branch: entries, and what tells their sizes, their width or a layout."""


@dataclass(frozen=True)
class Match:
    """Where entries of an output come from, one item an entry (int64 each).

    `positions` (rising) are the entries of the output, `sources` the numbers of their sources, `entries` those there.
    """

    positions: Index
    sources: Index
    entries: Index

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, chosen: "slice | npt.NDArray[np.int64] | npt.NDArray[np.bool_]") -> "Match":
        """Some of them."""
        return Match(self.positions[chosen], self.sources[chosen], self.entries[chosen])


@dataclass(frozen=True)
class ComparisonPlan:
    """What is compared: `branches` says of which tree and branches of which sources, its clusters are not used.

    `entry_bytes` is about what an entry takes, unpacked.
    """

    output: Source
    branches: CopyPlan
    match: Match
    entry_bytes: float

    def windows(self) -> list[Match]:
        """The entries in portions of about TreeWriter.CLUSTER_BYTES."""
        count = max(1, int(TreeWriter.CLUSTER_BYTES / max(self.entry_bytes, 1.0)))
        return [self.match[start : start + count] for start in range(0, len(self.match), count)]


@dataclass(frozen=True)
class EntryDifference:
    """`count` entries of a branch differ; the first is entry `position` of the output, `entry` of source `source`."""

    branch: str
    count: int
    position: int
    source: int
    entry: int


@dataclass(frozen=True)
class Compared:
    """The result for a window and a group of branches; `unreadable` holds errors of the output and of sources."""

    entries: int
    differences: tuple[EntryDifference, ...] = ()
    unreadable: tuple[str, ...] = ()


def compare_entries(plan: ComparisonPlan, group: tuple[int, int]) -> Iterator[Compared]:
    """The differences of the branches with indices [low, high), window by window.

    What cannot be read is told, and all else compared.
    """
    theirs = CopyPlan((plan.output,), plan.branches.tree, plan.branches.layout, (), None)
    with Copier(plan.branches) as source, Copier(theirs) as output:
        for window in plan.windows():
            try:
                yield Compared(len(window), tuple(_compare_window(window, plan, group, source, output)))
            except SourceError as error:
                yield _search(plan, window, group, error)


def _search(plan: ComparisonPlan, window: Match, group: tuple[int, int], error: SourceError) -> Compared:
    """The same for a window in which something cannot be read: halved until it is a single branch."""
    low, high = group
    if high - low == 1:
        return Compared(len(window), (), (str(error),))
    found = []
    for half in ((low, (low + high) // 2), ((low + high) // 2, high)):
        found += list(compare_entries(ComparisonPlan(plan.output, plan.branches, window, plan.entry_bytes), half))
    differences = tuple(difference for one in found for difference in one.differences)
    return Compared(len(window), differences, tuple(fault for one in found for fault in one.unreadable))


def _compare_window(
    window: Match, plan: ComparisonPlan, group: tuple[int, int], source: Copier, output: Copier
) -> Iterator[EntryDifference]:
    """The branches of a group that differ in a window."""
    order = _source_order(window)
    in_order = len(order) == len(window) and bool((np.diff(order) == 1).all())
    wanted = window[order]
    branches = plan.branches.branches[slice(*group)]
    expected: list[list[Entries]] = [[] for _ in branches]
    found: list[list[Entries]] = [[] for _ in branches]
    for run in np.split(np.arange(len(wanted)), np.flatnonzero(np.diff(wanted.sources)) + 1):
        source.gather(Piece(int(wanted.sources[run[0]]), wanted.entries[run]), group, expected)
    output.gather(Piece(0, window.positions), group, found)
    agreeing: dict[tuple[Form, Form], bool] = {}
    for branch, old, new in zip(branches, expected, found, strict=True):
        differing = _differing(old, new if in_order else [_reorder(new, order)] if new else [], agreeing)
        if len(differing):
            first = wanted[differing[:1]]
            where = int(first.positions[0]), int(first.sources[0]), int(first.entries[0])
            yield EntryDifference(branch.name, len(differing), *where)


def _source_order(window: Match) -> Index:
    """The window's entries in the order of sources and of the entries there; of doubled ones the first alone."""
    order = np.lexsort((window.entries, window.sources))
    sources, entries = window.sources[order], window.entries[order]
    repeated = np.zeros(len(order), bool)
    repeated[1:] = (np.diff(sources) == 0) & (np.diff(entries) == 0)
    return order[~repeated]


def _differing(expected: Sequence[Entries], found: Sequence[Entries], agreeing: dict[tuple[Form, Form], bool]) -> Index:
    """Which entries differ; `agreeing` remembers of pairs of forms, which many branches share, whether sizes agree."""
    key = _form(expected), _form(found)
    if key not in agreeing:
        agreeing[key] = bool(np.array_equal(_sizes(expected), _sizes(found)))
    if agreeing[key] and _same_bytes(expected, found):
        moved = _moved(expected, found)
        return np.flatnonzero(moved)
    old, new = _sizes(expected), _sizes(found)
    count = min(len(old), len(new))
    different = old[:count] != new[:count]
    first, second = _joined(expected), _joined(found)
    starts = [np.append(0, np.cumsum(sizes)) for sizes in (old, new)]
    for entry in np.flatnonzero(~different):
        low, other = starts[0][entry], starts[1][entry]
        different[entry] = first[low : low + old[entry]] != second[other : other + old[entry]]
    return np.flatnonzero(np.append(different, np.ones(max(len(old), len(new)) - count, bool)))


def _form(pieces: Sequence[Entries]) -> Form:
    """What two branches' pieces share if their entries have the same sizes; it keeps the layouts, equal if the same."""
    return tuple((p.count, p.width if p.layout is None else p.layout) for p in pieces)


def _same_bytes(expected: Sequence[Entries], found: Sequence[Entries]) -> bool:
    if len(expected) == len(found) == 1:
        return bool(np.array_equal(expected[0].data, found[0].data))
    return _joined(expected) == _joined(found)


def _moved(expected: Sequence[Entries], found: Sequence[Entries]) -> npt.NDArray[np.bool_]:
    """Which entries have references inside that are counted from another place than in the source."""
    if all(piece.origins is None for piece in expected):
        return np.zeros(0, bool)
    old, new = (
        np.concatenate([np.full(p.count, -1) if p.origins is None else p.origins for p in pieces])
        for pieces in (expected, found)
    )
    moved: npt.NDArray[np.bool_] = (old >= 0) & (old != new)
    return moved


def _joined(pieces: Sequence[Entries]) -> bytes:
    return b"".join([piece.data.tobytes() for piece in pieces])


def _sizes(pieces: Sequence[Entries]) -> Index:
    """Bytes of each entry."""
    sizes = [np.full(p.count, p.width) if p.layout is None else p.layout.sizes for p in pieces]
    return np.concatenate([np.empty(0, np.int64), *sizes])


def _reorder(pieces: Sequence[Entries], index: Index) -> Entries:
    """The entries at `index`, in that order."""
    old = _sizes(pieces)
    sizes = old[index]
    positions = np.append(0, np.cumsum(sizes))
    shift = (np.cumsum(old) - old)[index] - positions[:-1]
    data = np.frombuffer(_joined(pieces), np.uint8)[np.arange(positions[-1]) + np.repeat(shift, sizes)]
    origins = None
    if any(piece.origins is not None for piece in pieces):
        known = [np.full(p.count, -1, np.int32) if p.origins is None else p.origins for p in pieces]
        origins = np.concatenate(known)[index]
    return Entries(data, len(index), Layout(positions.astype(np.int32)), origins)
