"""Labelled events: what a training, and every test of a model, looks at; in memory, or in a cache on disk."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Generic, Protocol, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from hepfilter.config.graph import GraphSpecification
from hepfilter.config.training import Split
from hepfilter.errors import TrainingError
from hepfilter.events.observables import OBSERVABLES
from hepfilter.graphs.build import pad_nodes
from hepfilter.graphs.padded import PaddedGraphs
from hepfilter.graphs.reading import EventColumns, Progress, read_chunks
from hepfilter.io.sources import Source
from hepfilter.wording import counted

if TYPE_CHECKING:
    from hepfilter.events.shifts import EventShift


class LabelledEvents(Protocol):
    """B simulated events, wherever their graphs are: `LabelledGraphs` has them in memory, `cache.CachedGraphs` on disk.

    labels: [B] int32 truth labels.    weights: [B] float64 generator weights, ≥ 0; 1 without.
    split_hash: [B] float64 in [0, 1), the event's hash that decides which part of the data it belongs to.
    observables: [B, O] float32, the columns of `events.observables.OBSERVABLES`.
    """

    @property
    def labels(self) -> NDArray[np.int32]: ...  # noqa: D102  (the class says it)

    @property
    def weights(self) -> NDArray[np.float64]: ...  # noqa: D102

    @property
    def split_hash(self) -> NDArray[np.float64]: ...  # noqa: D102

    @property
    def observables(self) -> NDArray[np.float32]: ...  # noqa: D102

    def __len__(self) -> int: ...

    def select(self, events: NDArray[np.bool_]) -> Self:
        """The events where `events` is true."""

    def observable(self, name: str) -> NDArray[np.float32]:
        """[B] one column of the observables, by its name."""

    def padded(self, events: NDArray[np.int64], *, absent: NDArray[np.bool_] | None = None) -> PaddedGraphs:
        """The graphs at these positions, in this order.

        `absent` [b, C] takes collections, in the order of the specification, out of each event; C may be larger.
        """


Events = TypeVar("Events", bound=LabelledEvents)


@dataclass(frozen=True, kw_only=True)
class LabelledGraphs(EventColumns):
    """`LabelledEvents` in memory, with their `graphs` on the CPU."""

    graphs: PaddedGraphs

    def select(self, events: NDArray[np.bool_]) -> Self:
        """The events where `events` is true."""
        positions = torch.from_numpy(np.flatnonzero(events))
        return type(self)(*(column[events] for column in self.columns()), graphs=self.graphs.select(positions))

    def observable(self, name: str) -> NDArray[np.float32]:
        """[B] one column of the observables, by its name."""
        column: NDArray[np.float32] = self.observables[:, OBSERVABLES.index(name)]
        return column

    def padded(self, events: NDArray[np.int64], *, absent: NDArray[np.bool_] | None = None) -> PaddedGraphs:
        """The graphs at these positions, in this order; TrainingError with `absent`, for graphs are built already."""
        if absent is not None:
            raise TrainingError("collections can be taken out of events of a cache only; read the files into one")
        return self.graphs.select(torch.from_numpy(events))


@dataclass(frozen=True)
class SplitData(Generic[Events]):
    """The same events, divided by hash: the same event is always in the same part."""

    training: Events
    validation: Events
    test: Events


def read_labelled(
    sources: Sequence[Source],
    specification: GraphSpecification,
    *,
    split_seed: int,
    progress: Progress,
    shift: "EventShift | None" = None,
) -> LabelledGraphs:
    """All events of simulated files, as graphs in memory; what is read may be changed first (`events.shifts`).

    TrainingError if there is no event at all; else the errors of `graphs.reading.read_chunks`.
    """
    parts = [
        LabelledGraphs(*chunk.columns(), graphs=pad_nodes(chunk.nodes, specification, n_events=len(chunk)))
        for chunk in read_chunks(sources, specification, split_seed=split_seed, progress=progress, shift=shift)
    ]
    refuse_nothing(sources, sum(len(part) for part in parts))
    return concatenate(parts)


def refuse_nothing(sources: Sequence[Source], n_events: int) -> None:
    """TrainingError if the files hold no event."""
    if n_events == 0:
        files = counted(len(sources), "file")
        raise TrainingError(f"{sources[0].path}: no events in the {files} given; simulate some first")


def split_data(data: Events, split: Split) -> SplitData[Events]:
    """Training, validation and test, by the hash of each event."""
    edge = split.training + split.validation
    training, rest = data.split_hash < split.training, data.split_hash >= edge
    return SplitData(data.select(training), data.select(~training & ~rest), data.select(rest))


def concatenate(parts: Sequence[LabelledGraphs]) -> LabelledGraphs:
    """One after the other; needs at least one part."""
    graphs = [part.graphs for part in parts]
    joined = PaddedGraphs(*(torch.cat([getattr(g, field.name) for g in graphs]) for field in fields(PaddedGraphs)))
    columns = zip(*(part.columns() for part in parts), strict=True)
    return LabelledGraphs(*(np.concatenate(column) for column in columns), graphs=joined)
