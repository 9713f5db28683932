"""Training data: simulated ROOT files, read by the same code as in a skim, as graphs in memory."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Final, Self

import awkward as ak
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hepfilter.config.graph import GraphSpecification
from hepfilter.config.training import Split
from hepfilter.errors import TrainingError
from hepfilter.graphs.build import build_padded
from hepfilter.graphs.padded import PaddedGraphs
from hepfilter.io.events import EventTree, find_events
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source
from hepfilter.trigger.hashing import event_hash

TRUTH_LABEL: Final = "HepFilterTruth_label"
_ENTRIES: Final = 20_000

Progress = Callable[[str, int, int], None]
"""Called as (stage, done, in all)."""


@dataclass(frozen=True)
class LabelledGraphs:
    """B simulated events.

    graphs: on the CPU.    labels: [B] int32 truth labels.    weights: [B] float64 generator weights, ≥ 0; 1 without.
    split_hash: [B] float64 in [0, 1), the event's hash that decides which part of the data it belongs to.
    """

    graphs: PaddedGraphs
    labels: NDArray[np.int32]
    weights: NDArray[np.float64]
    split_hash: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, events: NDArray[np.bool_]) -> Self:
        """The events where `events` is true."""
        positions = torch.from_numpy(np.flatnonzero(events))
        return type(self)(
            self.graphs.select(positions), self.labels[events], self.weights[events], self.split_hash[events]
        )


@dataclass(frozen=True)
class SplitData:
    """The same events, divided by hash: the same event is always in the same part."""

    training: LabelledGraphs
    validation: LabelledGraphs
    test: LabelledGraphs


def read_labelled(
    sources: Sequence[Source], specification: GraphSpecification, *, split_seed: int, progress: Progress
) -> LabelledGraphs:
    """All events of simulated files, as graphs.

    TrainingError if a file has no truth label or a negative weight, or if there is no event at all; the errors of
    reading and of schemas pass through.
    """
    parts = list(_parts(sources, specification, split_seed=split_seed, progress=progress))
    if sum(len(part) for part in parts) == 0:
        raise TrainingError(f"{sources[0].path}: no events in the {len(sources)} files given; simulate some first")
    return concatenate(parts)


def split_data(data: LabelledGraphs, split: Split) -> SplitData:
    """Training, validation and test, by the hash of each event."""
    edge = split.training + split.validation
    training, rest = data.split_hash < split.training, data.split_hash >= edge
    return SplitData(data.select(training), data.select(~training & ~rest), data.select(rest))


def concatenate(parts: Sequence[LabelledGraphs]) -> LabelledGraphs:
    """One after the other; needs at least one part."""
    graphs = [part.graphs for part in parts]
    joined = PaddedGraphs(*(torch.cat([getattr(g, field.name) for g in graphs]) for field in fields(PaddedGraphs)))
    columns = (np.concatenate([getattr(p, name) for p in parts]) for name in ("labels", "weights", "split_hash"))
    return LabelledGraphs(joined, *columns)


def scalar_transverse_energy(graphs: PaddedGraphs) -> Tensor:
    """[B] Σ pt of all nodes in GeV, missing momentum included: the simple hardness that a score must beat."""
    return graphs.momenta[..., 0].sum(1)


def _parts(
    sources: Sequence[Source], specification: GraphSpecification, *, split_seed: int, progress: Progress
) -> Iterator[LabelledGraphs]:
    """Chunk by chunk."""
    for number, source in enumerate(sources):
        with open_file(source) as file:
            found = find_events(file, tree=source.tree, wanted=tuple(specification.collections))
            tree = found.tree
            if TRUTH_LABEL not in tree.branch_names:
                raise TrainingError(
                    f"{source.path}: tree {tree.name} has no branch {TRUTH_LABEL}; `hepfilter simulate` writes it"
                )
            for start in range(0, tree.num_entries, _ENTRIES):
                yield _read_chunk(found, specification, start, split_seed=split_seed)
                progress(f"reading file {number + 1}", min(start + _ENTRIES, tree.num_entries), tree.num_entries)


def _read_chunk(found: EventTree, specification: GraphSpecification, start: int, *, split_seed: int) -> LabelledGraphs:
    """The entries from `start` on, at most `_ENTRIES` of them."""
    tree, stop = found.tree, min(start + _ENTRIES, found.tree.num_entries)
    events = found.read(start, stop)
    labels = tree.arrays((TRUTH_LABEL,), start, stop)[TRUTH_LABEL]
    weights = np.ones(len(events)) if events.weight is None else events.weight
    if bool((weights < 0).any()):
        entry = start + int(np.flatnonzero(weights < 0)[0])
        raise TrainingError(f"{tree.path}: tree {tree.name}, entry {entry}: negative generator weight; use LO samples")
    who = events.identity
    return LabelledGraphs(
        build_padded(events.record, specification),
        np.asarray(ak.to_numpy(labels), dtype=np.int32),
        weights,
        event_hash(who.run, who.luminosity_block, who.event, seed=split_seed, purpose="split"),
    )
