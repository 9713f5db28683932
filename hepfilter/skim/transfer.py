"""Carrying the kept events over into an output, with the columns that a skim adds: from TTrees and from RNTuples.

Each copies, or makes the one of the other.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hepfilter.io.converting import Chosen
from hepfilter.io.copying import Cluster, CopyPlan, Piece
from hepfilter.io.ntuple import NTupleLayout
from hepfilter.io.output import SkimOutput
from hepfilter.io.sources import Source
from hepfilter.skim.added import AddedValues


class _ByClusters:
    """From TTrees: each stream yields what a group of branches holds, cluster by cluster."""

    def __init__(self, plan: CopyPlan, streams: Sequence[Iterator[Any]], values: Sequence[AddedValues]) -> None:
        self._plan = plan
        self._streams = streams
        self._values = values
        self.bytes_read = 0

    def _groups(self, number: int) -> Iterator[tuple[Cluster, list[Any], dict[str, npt.NDArray[Any]]]]:
        """The clusters of output `number`, with what each stream holds of them and the values of added columns."""
        for cluster in (cluster for cluster in self._plan.clusters if cluster.output == number):
            groups = [next(stream) for stream in self._streams]
            yield cluster, groups, _columns(self._values, cluster.pieces)
            self.bytes_read += sum(group.bytes_read for group in groups)


class TreeTransfer(_ByClusters):
    """From TTrees into a TTree, by streams of `ClusterBaskets`."""

    def write(self, out: SkimOutput, number: int) -> Iterator[int]:
        """Write the clusters of output `number`; the events of each."""
        with out.new_events(self._plan.layout, self._values[0].columns) as events:
            for cluster, groups, columns in self._groups(number):
                events.write_cluster(cluster.count, [basket for group in groups for basket in group.baskets], columns)
                yield cluster.count


class ImportTransfer(_ByClusters):
    """From TTrees into an RNTuple, by streams of `ClusterValues`."""

    def write(self, out: SkimOutput, number: int) -> Iterator[int]:
        """Write the clusters of output `number`; the events of each."""
        with out.imported_events(self._plan, self._values[0].columns) as events:
            for cluster, groups, columns in self._groups(number):
                values = {name: own for group in groups for name, own in group.values.items()}
                events.write_cluster(cluster, values, columns)
                yield cluster.count


class NTupleTransfer:
    """From RNTuples, one input after the other; into a TTree with `exports`."""

    def __init__(
        self,
        sources: Sequence[Source],
        name: str,
        layout: NTupleLayout,
        pieces: Sequence[tuple[int, Piece]],
        values: Sequence[AddedValues],
        *,
        exports: bool = False,
    ) -> None:
        self._sources, self._name, self._layout, self._exports = sources, name, layout, exports
        self._pieces = pieces
        self._values = values
        self.bytes_read = 0

    def write(self, out: SkimOutput, number: int) -> Iterator[int]:
        """Write the events of output `number`, in one go; how many they are."""
        pieces = [piece for output, piece in self._pieces if output == number]
        own = [(self._sources[piece.source], piece.entries) for piece in pieces]
        added = [self._values[piece.source].of(piece.entries) for piece in pieces]
        columns = self._values[0].columns
        if self._exports:
            chosen = [Chosen(*pair, values) for pair, values in zip(own, added, strict=True)]
            self.bytes_read += out.export_ntuple(self._name, self._layout, chosen, columns)
            yield sum(len(piece.entries) for piece in pieces)
            return
        self.bytes_read += out.copy_ntuple(self._name, self._layout, own, columns=columns, added=added)
        yield sum(len(piece.entries) for piece in pieces)


def _columns(values: Sequence[AddedValues], pieces: Sequence[Piece]) -> dict[str, npt.NDArray[Any]]:
    """The values of the added columns for the events of these pieces."""
    parts = [values[piece.source].of(piece.entries) for piece in pieces]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
