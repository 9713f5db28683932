"""Carrying the kept events over into an output, with the columns that a skim adds: from TTrees and from RNTuples."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hepfilter.io.copying import ClusterBaskets, CopyPlan, Piece
from hepfilter.io.ntuple import NTupleLayout
from hepfilter.io.output import SkimOutput
from hepfilter.io.sources import Source
from hepfilter.io.writing import Column
from hepfilter.skim.added import ENTRY, INTEREST, PASSED


@dataclass(frozen=True)
class AddedValues:
    """For the added columns of one input's kept events: their entries (rising), and scores where a model decided."""

    entries: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32] | None

    def columns(self) -> list[Column]:
        """The columns that there are values for."""
        return [PASSED, ENTRY] if self.scores is None else [INTEREST, PASSED, ENTRY]

    def of(self, entries: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[Any]]:
        """The values for some of the entries."""
        values: dict[str, npt.NDArray[Any]] = {PASSED.name: np.ones(len(entries), bool), ENTRY.name: entries}
        if self.scores is not None:
            values[INTEREST.name] = self.scores[np.searchsorted(self.entries, entries)]
        return values


class TreeTransfer:
    """From TTrees: each stream yields the baskets of a group of branches, cluster by cluster."""

    def __init__(
        self, plan: CopyPlan, streams: Sequence[Iterator[ClusterBaskets]], values: Sequence[AddedValues]
    ) -> None:
        self._plan = plan
        self._streams = streams
        self._values = values
        self.bytes_read = 0

    def write(self, out: SkimOutput, number: int) -> Iterator[int]:
        """Write the clusters of output `number`; the events of each."""
        with out.new_events(self._plan.layout, self._values[0].columns()) as events:
            for cluster in (cluster for cluster in self._plan.clusters if cluster.output == number):
                copied = [next(stream) for stream in self._streams]
                baskets = [basket for group in copied for basket in group.baskets]
                parts = [self._values[piece.source].of(piece.entries) for piece in cluster.pieces]
                columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
                events.write_cluster(cluster.count, baskets, columns)
                self.bytes_read += sum(group.bytes_read for group in copied)
                yield cluster.count


class NTupleTransfer:
    """From RNTuples, one input after the other."""

    def __init__(
        self,
        sources: Sequence[Source],
        name: str,
        layout: NTupleLayout,
        pieces: Sequence[tuple[int, Piece]],
        values: Sequence[AddedValues],
    ) -> None:
        self._sources, self._name, self._layout = sources, name, layout
        self._pieces = pieces
        self._values = values
        self.bytes_read = 0

    def write(self, out: SkimOutput, number: int) -> Iterator[int]:
        """Write the events of output `number`, in one go; how many they are."""
        pieces = [piece for output, piece in self._pieces if output == number]
        own = [(self._sources[piece.source], piece.entries) for piece in pieces]
        added = [self._values[piece.source].of(piece.entries) for piece in pieces]
        columns = self._values[0].columns()
        self.bytes_read += out.copy_ntuple(self._name, self._layout, own, columns=columns, added=added)
        yield sum(len(piece.entries) for piece in pieces)
