"""Copying chosen entries of source trees, whatever their branches hold, as baskets for the output.

The description of each branch is taken over from the sources; entries are copied as bytes. Baskets in which nothing was
chosen are never read.
"""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

import numpy as np

from hepfilter.errors import OutputError, SourceError, UnreadableEventsError
from hepfilter.io.baskets import BasketReader, Entries, LayoutPool, Selector, raw_entries, raw_lists
from hepfilter.io.container import PackedBasket
from hepfilter.io.copy_plan import Cluster, CopyPlan, Group, Index, Piece, branch_paths
from hepfilter.io.layout import Fill
from hepfilter.io.plain import decode
from hepfilter.io.reading import OpenTree, common_edges
from hepfilter.io.treewriter import pack_basket
from hepfilter.wording import counted

_BATCH_BYTES: Final = 16_000_000  # of compressed baskets that are held at a time
_OPEN_FILES: Final = 2  # sources that stay open: reading a tree's metadata takes long


@dataclass(frozen=True)
class ClusterBaskets:
    """The baskets of a cluster, with the index of each one's branch, and how many bytes of sources were read for it."""

    baskets: list[tuple[int, PackedBasket]]
    bytes_read: int


def cluster_baskets(plan: CopyPlan, group: Group) -> Iterator[ClusterBaskets]:
    """The baskets of a group of branches, cluster by cluster; faults are hepfilter's errors."""
    with Copier(plan) as copier:
        for cluster in plan.clusters:
            yield copier.copy(cluster, group)


class Copier:
    """Copies clusters of a plan, any group of branches at a time; the sources used last stay open."""

    def __init__(self, plan: CopyPlan) -> None:
        self._plan = plan
        self._branches = plan.branches
        self._open: OrderedDict[int, tuple[ExitStack, _OpenSource]] = OrderedDict()
        self._bytes_read = 0

    def __enter__(self) -> "Copier":
        return self

    def __exit__(self, *_: object) -> None:
        while self._open:
            self._close_oldest()

    def copy(self, cluster: Cluster, group: Group) -> ClusterBaskets:
        """The baskets of a cluster. UnreadableEventsError if a source cannot be read."""
        branches = self._branches[slice(*group)]
        gathered: list[list[Entries]] = [[] for _ in branches]
        for piece in cluster.pieces:
            self.gather(piece, group, gathered)
        baskets = []
        for index, (branch, pieces) in enumerate(zip(branches, gathered, strict=True), start=group[0]):
            if sum(entries.count for entries in pieces) != (cluster.count if pieces else 0):
                raise OutputError(
                    f"branch {branch.name}: not all of {counted(cluster.count, 'entry')} of a cluster were found"
                )
            if pieces:
                baskets.append((index, pack_basket(pieces, branch, self._plan.tree, self._plan.compression)))
        return ClusterBaskets(baskets, self.take_bytes_read())

    def gather(self, piece: Piece, group: Group, gathered: list[list[Entries]]) -> None:
        """Add the piece's entries to the list of each branch of the group. UnreadableEventsError if that cannot be."""
        with UnreadableEventsError.locate(piece.source, int(piece.entries[0]), int(piece.entries[-1]), whole=True):
            source = self._opened(piece.source)
            source.gather(piece.entries, group, gathered)

    def take_bytes_read(self) -> int:
        """Bytes read since the last call."""
        taken, self._bytes_read = self._bytes_read, 0
        for _, source in self._open.values():
            taken += source.take_bytes_read()
        return taken

    def _opened(self, number: int) -> "_OpenSource":
        if number not in self._open:
            if len(self._open) == _OPEN_FILES:
                self._close_oldest()
            with ExitStack() as stack:
                tree = stack.enter_context(self._plan.open(number)).tree(self._plan.tree)
                self._open[number] = stack.pop_all(), _OpenSource(number, tree, self._plan)
        self._open.move_to_end(number)
        return self._open[number][1]

    def _close_oldest(self) -> None:
        _, (stack, source) = self._open.popitem(last=False)
        self._bytes_read += source.take_bytes_read()
        stack.close()


@dataclass(frozen=True)
class _OpenGroup:
    """Of a source and a group of branches: a reader or a fill for each by its place, and the borders all share."""

    readers: list[tuple[int, BasketReader]]
    fills: list[tuple[int, Fill]]
    edges: Index


class _OpenSource:
    """One source's tree."""

    def __init__(self, number: int, tree: OpenTree, plan: CopyPlan) -> None:
        self._number = number
        self._tree = tree
        self._pool = LayoutPool()
        self._paths = plan.paths
        self._fills = plan.layout.fills
        self._known = {
            path: branch for top in tree.branches for path, branch in zip(branch_paths(top), top.walk(), strict=True)
        }
        self._groups: dict[Group, _OpenGroup] = {}

    def take_bytes_read(self) -> int:
        """Bytes read since the last call."""
        taken, self._tree.source.read = self._tree.source.read, 0
        return taken

    def gather(self, chosen: Index, group: Group, gathered: list[list[Entries]]) -> None:
        """Add the chosen entries to each branch's list, reading from border to border of the baskets."""
        if chosen[-1] >= self._tree.num_entries:
            what = f"tree {self._tree.name} has {counted(self._tree.num_entries, 'entry')}, it had more"
            raise SourceError(f"{self._tree.path}: {what}; the file changed while it was read")
        opened = self._opened(group)
        windows = np.searchsorted(opened.edges, chosen, side="right")
        for part in np.split(chosen, np.flatnonzero(np.diff(windows)) + 1):
            try:
                self._gather_window(opened, part, gathered)
            except SourceError as error:
                raise UnreadableEventsError(str(error), self._number, *self._window(int(part[0]))) from error

    def _opened(self, group: Group) -> _OpenGroup:
        if group not in self._groups:
            paths = list(enumerate(self._paths[slice(*group)]))
            branches = [(place, self._known[path]) for place, path in paths if path in self._known]
            self._groups[group] = _OpenGroup(
                [(place, self._tree.reader(branch, self._pool)) for place, branch in branches],
                [(place, self._fills[path[-1]]) for place, path in paths if path not in self._known],
                np.asarray(common_edges((branch for _, branch in branches), self._tree.num_entries)),
            )
        return self._groups[group]

    def _window(self, entry: int) -> tuple[int, int]:
        """First and last entry between two borders that all branches of the plan share, whatever the groups."""
        branches = [self._known[path] for path in self._paths if path in self._known]
        edges = np.asarray(common_edges(branches, self._tree.num_entries))
        stop = int(np.searchsorted(edges, entry, side="right"))
        return int(edges[stop - 1]), int(edges[stop]) - 1

    def _gather_window(self, group: _OpenGroup, chosen: Index, gathered: list[list[Entries]]) -> None:
        """The chosen entries between two borders that all branches of the group share."""
        parts: dict[bytes, list[tuple[int, Selector]]] = {}  # many branches share their borders
        batch: list[tuple[int, BasketReader, int, Selector]] = []
        pending = 0
        for place, reader in group.readers:
            key = reader.edges_key
            if key not in parts:
                parts[key] = _by_basket(reader.edges, chosen)
            for number, selector in parts[key]:
                batch.append((place, reader, number, selector))
                low, high = reader.span(number)
                pending += high - low
            if pending > _BATCH_BYTES:
                self._read(batch, gathered)
                batch, pending = [], 0
        self._read(batch, gathered)
        for place, fill in group.fills:
            gathered[place].append(self._filled(fill, chosen))

    def _read(self, batch: list[tuple[int, BasketReader, int, Selector]], gathered: list[list[Entries]]) -> None:
        """Fetch the baskets of a batch together, and take what is chosen of each."""
        blocks = self._tree.source.many([reader.span(number) for _, reader, number, _ in batch])
        for (place, reader, number, selector), raw in zip(batch, blocks, strict=True):
            gathered[place].append(selector.take(reader.parse(number, raw)))

    def _filled(self, fill: Fill, chosen: Index) -> Entries:
        """What stands for the chosen entries in a branch that this source lacks."""
        value = np.asarray(fill.value, fill.dtype)
        if fill.counter is None:
            return raw_entries(np.full(len(chosen), value))
        counts = np.zeros(len(chosen), np.int64)
        if fill.counter in self._tree.by_name:
            counter = self._tree.by_name[fill.counter]
            reader = self._tree.reader(counter, self._pool)
            parts = [selector.take(reader.read(number)) for number, selector in _by_basket(reader.edges, chosen)]
            counts = decode(counter, parts).values.astype(np.int64)
        return raw_lists(np.full(int(counts.sum()), value), counts)


def _by_basket(edges: Index, chosen: Index) -> list[tuple[int, Selector]]:
    """The baskets with chosen entries, and the positions of those in each."""
    if len(edges) < 2:
        return []
    numbers = np.searchsorted(edges, chosen, side="right") - 1
    parts = np.split(chosen, np.flatnonzero(np.diff(numbers)) + 1)
    firsts = [int(np.searchsorted(edges, part[0], side="right")) - 1 for part in parts]
    return [(number, Selector(part - edges[number])) for number, part in zip(firsts, parts, strict=True)]
