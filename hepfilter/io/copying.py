"""Copying chosen entries of source trees, whatever their branches hold, as baskets for the output.

The description of each branch is taken over from the sources; entries are copied as bytes. Baskets in which nothing was
chosen are never read. The plan says beforehand which entries make a cluster of the output, so that any group of
branches can be copied apart from all others, in a process of its own.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from hepfilter.errors import OutputError, SourceError
from hepfilter.io.baskets import BasketReader, Entries, LayoutPool, Selector, raw_entries, raw_lists
from hepfilter.io.compression import Compression
from hepfilter.io.container import PackedBasket
from hepfilter.io.layout import Fill, TreeLayout
from hepfilter.io.plain import decode
from hepfilter.io.reading import OpenTree, common_edges, open_file
from hepfilter.io.sources import Source
from hepfilter.io.treewriter import TreeWriter, pack_basket
from hepfilter.io.ttree import Branch
from hepfilter.wording import counted

Index = npt.NDArray[np.int64]
_BATCH_BYTES = 16_000_000  # of compressed baskets that are held at a time
_BYTES_PER_WORKER = 10_000_000  # of compressed baskets: each worker takes a while to begin


@dataclass(frozen=True)
class Piece:
    """Chosen entries (int64, rising) of a source, by its number."""

    source: int
    entries: Index


@dataclass(frozen=True)
class Cluster:
    """The entries of one cluster of the output file with number `output`."""

    output: int
    pieces: tuple[Piece, ...]

    @property
    def count(self) -> int:
        """Entries in the cluster."""
        return sum(len(piece.entries) for piece in self.pieces)


@dataclass(frozen=True)
class CopyPlan:
    """What is copied: of the tree `tree` of these sources, in these clusters."""

    sources: tuple[Source, ...]
    tree: str
    layout: TreeLayout
    clusters: tuple[Cluster, ...]
    compression: Compression | None

    @property
    def branches(self) -> list[Branch]:
        """All branches of the output, those below others too, in the order of their indices."""
        return [branch for top in self.layout.branches for branch in top.walk()]


@dataclass(frozen=True)
class ClusterBaskets:
    """The baskets of a cluster, with the index of each one's branch, and how many bytes of sources were read for it."""

    baskets: list[tuple[int, PackedBasket]]
    bytes_read: int


def plan_clusters(pieces: Sequence[tuple[int, Piece, float]]) -> tuple[Cluster, ...]:
    """Cut chosen entries into clusters of about TreeWriter.CLUSTER_BYTES.

    `pieces` are (output, piece, bytes of one entry), outputs rising.
    """
    clusters: list[Cluster] = []
    gathered: list[Piece] = []
    current, room = 0, float(TreeWriter.CLUSTER_BYTES)

    def close() -> None:
        nonlocal room
        if gathered:
            clusters.append(Cluster(current, tuple(gathered)))
            gathered.clear()
        room = float(TreeWriter.CLUSTER_BYTES)

    for output, piece, entry_bytes in pieces:
        if output != current:
            close()
            current = output
        entries = piece.entries
        while len(entries):
            fitting = max(1, int(room / max(entry_bytes, 1.0)))
            gathered.append(Piece(piece.source, entries[:fitting]))
            room -= min(fitting, len(entries)) * entry_bytes
            entries = entries[fitting:]
            if room < entry_bytes:
                close()
    close()
    return tuple(clusters)


def useful_workers(workers: int, payload: float) -> int:
    """How many of `workers` processes are worth their start for `payload` bytes of compressed baskets; at least 1."""
    return min(workers, 1 + int(payload / _BYTES_PER_WORKER))


def cut_groups(plan: CopyPlan, count: int) -> list[tuple[int, int]]:
    """Ranges of branch indices, `count` at most, of about as many bytes each."""
    weights = np.cumsum([2000 + branch.source_bytes[0] for branch in plan.branches])
    borders = [int(np.searchsorted(weights, weights[-1] * k / count)) for k in range(count)] if len(weights) else [0]
    return [(low, high) for low, high in pairwise([*borders, len(weights)]) if low < high]


def cluster_baskets(plan: CopyPlan, group: tuple[int, int]) -> Iterator[ClusterBaskets]:
    """The baskets of the branches with indices [low, high), cluster by cluster; faults are hepfilter's errors."""
    branches = plan.branches[slice(*group)]
    with Copier(plan, group) as copier:
        for cluster in plan.clusters:
            gathered: list[list[Entries]] = [[] for _ in branches]
            for piece in cluster.pieces:
                copier.gather(piece, gathered)
            baskets = []
            for index, (branch, pieces) in enumerate(zip(branches, gathered, strict=True), start=group[0]):
                if sum(entries.count for entries in pieces) != (cluster.count if pieces else 0):
                    raise OutputError(
                        f"branch {branch.name}: not all of {counted(cluster.count, 'entry')} of a cluster were found"
                    )
                if pieces:
                    baskets.append((index, pack_basket(pieces, branch, plan.tree, plan.compression)))
            yield ClusterBaskets(baskets, copier.take_bytes_read())


class Copier:
    """Gathers entries of a group of branches; the source that was used last stays open."""

    def __init__(self, plan: CopyPlan, group: tuple[int, int]) -> None:
        self._plan = plan
        paths = [path for top in plan.layout.branches for path in _paths(top)]
        self._paths = paths[slice(*group)]
        self._open: _OpenSource | None = None
        self._number = -1
        self._stack = ExitStack()
        self._bytes_read = 0

    def __enter__(self) -> "Copier":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def gather(self, piece: Piece, gathered: list[list[Entries]]) -> None:
        """Add the piece's entries to each branch's list."""
        if piece.source != self._number or self._open is None:
            self._stack.close()
            self._count_bytes()
            file = self._stack.enter_context(open_file(self._plan.sources[piece.source]))
            self._open = _OpenSource(file.tree(self._plan.tree), self._paths, self._plan.layout)
            self._number = piece.source
        self._open.gather(piece.entries, gathered)

    def take_bytes_read(self) -> int:
        """Bytes read since the last call."""
        self._count_bytes()
        taken, self._bytes_read = self._bytes_read, 0
        return taken

    def _count_bytes(self) -> None:
        if self._open is not None:
            self._bytes_read += self._open.tree.source.read
            self._open.tree.source.read = 0


class _OpenSource:
    """One source's tree, with a reader or a fill for each branch of the group."""

    def __init__(self, tree: OpenTree, paths: Sequence[tuple[str, ...]], layout: TreeLayout) -> None:
        self.tree = tree
        pool = LayoutPool()
        known = {path: branch for top in tree.branches for path, branch in zip(_paths(top), top.walk(), strict=True)}
        branches = [(index, known[path]) for index, path in enumerate(paths) if path in known]
        self._readers = [(index, tree.reader(branch, pool)) for index, branch in branches]
        self._fills = [(index, layout.fills[path[-1]]) for index, path in enumerate(paths) if path not in known]
        self._edges = np.asarray(common_edges((branch for _, branch in branches), tree.num_entries))
        self._pool = pool

    def gather(self, chosen: Index, gathered: list[list[Entries]]) -> None:
        """Add the chosen entries to each branch's list, reading from border to border of the baskets."""
        if chosen[-1] >= self.tree.num_entries:
            what = f"tree {self.tree.name} has {counted(self.tree.num_entries, 'entry')}, it had more"
            raise SourceError(f"{self.tree.path}: {what}; the file changed while it was read")
        windows = np.searchsorted(self._edges, chosen, side="right")
        for part in np.split(chosen, np.flatnonzero(np.diff(windows)) + 1):
            self._gather_window(part, gathered)
        for index, fill in self._fills:
            gathered[index].append(self._filled(fill, chosen))

    def _gather_window(self, chosen: Index, gathered: list[list[Entries]]) -> None:
        """The chosen entries between two borders that all branches share."""
        parts: dict[bytes, list[tuple[int, Selector]]] = {}  # many branches share their borders
        batch: list[tuple[int, BasketReader, int, Selector]] = []
        pending = 0
        for index, reader in self._readers:
            key = reader.edges_key
            if key not in parts:
                parts[key] = _by_basket(reader.edges, chosen)
            for number, selector in parts[key]:
                batch.append((index, reader, number, selector))
                low, high = reader.span(number)
                pending += high - low
            if pending > _BATCH_BYTES:
                self._read(batch, gathered)
                batch, pending = [], 0
        self._read(batch, gathered)

    def _read(self, batch: list[tuple[int, BasketReader, int, Selector]], gathered: list[list[Entries]]) -> None:
        """Fetch the baskets of a batch together, and take what is chosen of each."""
        blocks = self.tree.source.many([reader.span(number) for _, reader, number, _ in batch])
        for (index, reader, number, selector), raw in zip(batch, blocks, strict=True):
            gathered[index].append(selector.take(reader.parse(number, raw)))

    def _filled(self, fill: Fill, chosen: Index) -> Entries:
        """What stands for the chosen entries in a branch that this source lacks."""
        value = np.asarray(fill.value, fill.dtype)
        if fill.counter is None:
            return raw_entries(np.full(len(chosen), value))
        counts = np.zeros(len(chosen), np.int64)
        if fill.counter in self.tree.by_name:
            counter = self.tree.by_name[fill.counter]
            reader = self.tree.reader(counter, self._pool)
            parts = [selector.take(reader.read(number)) for number, selector in _by_basket(reader.edges, chosen)]
            counts = decode(counter, parts).values.astype(np.int64)
        return raw_lists(np.full(int(counts.sum()), value), counts)


def _paths(top: Branch, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The names that lead to each branch, in the order of `walk`."""
    own = (*above, top.name)
    yield own
    for child in top.children:
        yield from _paths(child, own)


def _by_basket(edges: Index, chosen: Index) -> list[tuple[int, Selector]]:
    """The baskets with chosen entries, and the positions of those in each."""
    if len(edges) < 2:
        return []
    numbers = np.searchsorted(edges, chosen, side="right") - 1
    parts = np.split(chosen, np.flatnonzero(np.diff(numbers)) + 1)
    firsts = [int(np.searchsorted(edges, part[0], side="right")) - 1 for part in parts]
    return [(number, Selector(part - edges[number])) for number, part in zip(firsts, parts, strict=True)]
