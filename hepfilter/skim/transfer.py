"""Carrying the kept events over into an output, with the columns that a skim adds: from TTrees and from RNTuples.

Each copies, or makes the one of the other.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hepfilter.io.checksum import FileFacts
from hepfilter.io.converting import Chosen
from hepfilter.io.copy_plan import Cluster, Piece
from hepfilter.io.copying import ClusterBaskets
from hepfilter.io.ntuple import NTupleLayout
from hepfilter.io.output import SkimOutput
from hepfilter.io.sources import Source
from hepfilter.io.tree_values import ClusterValues
from hepfilter.skim.added import AddedValues
from hepfilter.skim.cluster_copy import ClusterCopy

Written = Callable[[int], None]
"""Told of the events that have been written, as it goes on."""


class TreeTransfer:
    """From TTrees into a TTree."""

    def __init__(self, copy: ClusterCopy, values: Sequence[AddedValues]) -> None:
        self._copy, self._values = copy, values
        self.bytes_read = 0

    def write(self, out: SkimOutput, number: int, written: Written) -> None:
        """Write the clusters of output `number`."""
        with out.new_events(self._copy.plan.layout, self._values[0].columns) as events:

            def write(cluster: Cluster, groups: Sequence[ClusterBaskets]) -> None:
                baskets = [basket for group in groups for basket in group.baskets]
                events.write_cluster(cluster.count, baskets, _columns(self._values, cluster.pieces))
                self.bytes_read += sum(group.bytes_read for group in groups)
                written(cluster.count)

            self._copy.run(number, write)


class ImportTransfer:
    """From TTrees into an RNTuple."""

    def __init__(self, copy: ClusterCopy, values: Sequence[AddedValues]) -> None:
        self._copy, self._values = copy, values
        self.bytes_read = 0

    def write(self, out: SkimOutput, number: int, written: Written) -> None:
        """Write the clusters of output `number`."""
        with out.imported_events(self._copy.plan, self._values[0].columns) as events:

            def write(cluster: Cluster, groups: Sequence[ClusterValues]) -> None:
                values = {name: own for group in groups for name, own in group.values.items()}
                events.write_cluster(cluster, values, _columns(self._values, cluster.pieces))
                self.bytes_read += sum(group.bytes_read for group in groups)
                written(cluster.count)

            self._copy.run(number, write)


class NTupleTransfer:
    """From RNTuples, one input after the other; into a TTree with `exports`."""

    def __init__(
        self,
        sources: Sequence[Source],
        facts: Sequence[FileFacts],
        name: str,
        layout: NTupleLayout,
        pieces: Sequence[tuple[int, Piece]],
        values: Sequence[AddedValues],
        *,
        exports: bool = False,
    ) -> None:
        self._sources, self._facts = sources, facts
        self._name, self._layout, self._exports = name, layout, exports
        self._pieces = pieces
        self._values = values
        self.bytes_read = 0

    def write(self, out: SkimOutput, number: int, written: Written) -> None:
        """Write the events of output `number`, in one go."""
        chosen = [self._chosen(piece) for output, piece in self._pieces if output == number]
        write = out.export_ntuple if self._exports else out.copy_ntuple
        self.bytes_read += write(self._name, self._layout, chosen, self._values[0].columns)
        written(sum(len(part.entries) for part in chosen))

    def _chosen(self, piece: Piece) -> Chosen:
        added = self._values[piece.source].of(piece.entries)
        return Chosen(self._sources[piece.source], piece.entries, added, piece.source, self._facts[piece.source])


def _columns(values: Sequence[AddedValues], pieces: Sequence[Piece]) -> dict[str, npt.NDArray[Any]]:
    """The values of the added columns for the events of these pieces."""
    parts = [values[piece.source].of(piece.entries) for piece in pieces]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
