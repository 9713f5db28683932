"""What is copied: chosen entries of sources, cut into clusters of the output and groups of branches.

The plan says beforehand which entries make a cluster of the output, so that any group of branches of any cluster can be
copied apart from all others, wherever there is a worker.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from hepfilter.io.checksum import FileFacts, open_unchanged
from hepfilter.io.compression import Compression
from hepfilter.io.layout import TreeLayout
from hepfilter.io.reading import OpenFile
from hepfilter.io.sources import Source
from hepfilter.io.treewriter import TreeWriter
from hepfilter.io.ttree import Branch

Index = npt.NDArray[np.int64]
Group = tuple[int, int]
"""The branches with indices [low, high)."""
_BYTES_PER_WORKER = 10_000_000  # of compressed baskets: each worker takes a while to begin
_BYTES_PER_TASK = 20_000_000  # of compressed baskets of a source: opening it costs about as much as reading 10 MB


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
    """What is copied: of the tree `tree` of these sources, in these clusters.

    `facts` are those that the sources had when the plan was made, where that is known of all.
    """

    sources: tuple[Source, ...]
    tree: str
    layout: TreeLayout
    clusters: tuple[Cluster, ...]
    compression: Compression | None
    facts: tuple[FileFacts, ...] = ()

    @property
    def branches(self) -> list[Branch]:
        """All branches of the output, those below others too, in the order of their indices."""
        return [branch for top in self.layout.branches for branch in top.walk()]

    @property
    def paths(self) -> list[tuple[str, ...]]:
        """The names that lead to each of them."""
        return [path for top in self.layout.branches for path in branch_paths(top)]

    def open(self, number: int) -> AbstractContextManager[OpenFile]:
        """Open a source; SourceError if it is not the file any more that it was."""
        return open_unchanged(self.sources[number], self.facts[number] if self.facts else None)


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


def cut_groups(plan: CopyPlan, count: int) -> list[Group]:
    """Ranges of branch indices, `count` at most, of about as many bytes each."""
    weights = np.cumsum([2000 + branch.source_bytes[0] for branch in plan.branches])
    borders = [int(np.searchsorted(weights, weights[-1] * k / count)) for k in range(count)] if len(weights) else [0]
    return [(low, high) for low, high in pairwise([*borders, len(weights)]) if low < high]


def count_groups(plan: CopyPlan, entry_bytes: Sequence[float], tasks: int) -> list[int]:
    """In how many groups to copy the branches of each cluster, so that none takes long, and `tasks` go on at a time.

    `entry_bytes` are the mean bytes of an entry of each source, in the file.
    """
    needed = -(-tasks // max(len(plan.clusters), 1))
    counts = []
    for cluster in plan.clusters:
        payload = sum(entry_bytes[p.source] * (int(p.entries[-1] - p.entries[0]) + 1) for p in cluster.pieces)
        short = int(payload / (_BYTES_PER_TASK * len(cluster.pieces)))
        counts.append(max(1, short, useful_workers(needed, payload)))
    return counts


def branch_paths(top: Branch, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The names that lead to each branch, in the order of `walk`."""
    own = (*above, top.name)
    yield own
    for child in top.children:
        yield from branch_paths(child, own)
