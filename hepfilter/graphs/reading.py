"""Simulated ROOT files, read by the same code as in a skim, as chunks of labelled nodes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from hepfilter.config.graph import GraphSpecification
from hepfilter.errors import TrainingError
from hepfilter.events.observables import COLLECTIONS as OBSERVED
from hepfilter.events.observables import observe
from hepfilter.graphs.nodes import FlatNodes, collect_nodes
from hepfilter.io.events import TRUTH_LABEL, EventTree, find_events
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source
from hepfilter.trigger.hashing import event_hash
from hepfilter.wording import counted

if TYPE_CHECKING:
    from hepfilter.events.record import Events
    from hepfilter.events.shifts import EventShift

_ENTRIES: Final = 20_000

Progress = Callable[[str, int, int], None]
"""Called as (stage, done, in all)."""


@dataclass(frozen=True)
class EventColumns:
    """What is known of B simulated events beside their graphs; the columns of `graphs.labelled.LabelledEvents`."""

    labels: NDArray[np.int32]
    weights: NDArray[np.float64]
    split_hash: NDArray[np.float64]
    observables: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.labels)

    def columns(self) -> tuple[NDArray[Any], ...]:
        """All of them, in order, each [B] or [B, O]."""
        return self.labels, self.weights, self.split_hash, self.observables


@dataclass(frozen=True, kw_only=True)
class LabelledNodes(EventColumns):
    """The nodes of B simulated events."""

    nodes: FlatNodes


def read_chunks(
    sources: Sequence[Source],
    specification: GraphSpecification,
    *,
    split_seed: int,
    progress: Progress,
    shift: "EventShift | None" = None,
) -> Iterator[LabelledNodes]:
    """All events of simulated files, a bounded number at a time; what is read may be changed (`events.shifts`).

    TrainingError if a file has no truth label, or a weight that is negative or not finite; the errors of reading and of
    schemas pass through.
    """
    for number, source in enumerate(sources):
        with open_file(source) as file:
            found = find_events(file, tree=source.tree, wanted={*specification.collections, *OBSERVED})
            tree = found.tree
            if TRUTH_LABEL not in tree.branch_names:
                raise TrainingError(
                    f"{source.path}: tree {tree.name} has no branch {TRUTH_LABEL}; `hepfilter simulate` writes it"
                )
            for start in range(0, tree.num_entries, _ENTRIES):
                yield _read_chunk(found, specification, start, split_seed=split_seed, shift=shift)
                progress(f"reading file {number + 1}", min(start + _ENTRIES, tree.num_entries), tree.num_entries)


def refuse_faulty_weights(events: "Events", where: str) -> None:
    """TrainingError if a generator weight is missing or not finite: a skim counts such events by 0, and says so."""
    for fault, number in events.problems.items():
        if fault.startswith("weight") and number:
            raise TrainingError(f"{where}: {fault}, in {counted(number, 'event')}; simulate them anew")


def _read_chunk(
    found: EventTree, specification: GraphSpecification, start: int, *, split_seed: int, shift: "EventShift | None"
) -> LabelledNodes:
    """The entries from `start` on, at most `_ENTRIES` of them."""
    tree, stop = found.tree, min(start + _ENTRIES, found.tree.num_entries)
    events = found.read(start, stop, shift=shift)
    labels = tree.arrays((TRUTH_LABEL,), start, stop)[TRUTH_LABEL]
    weights = np.ones(len(events)) if events.weight is None else events.weight
    if bool((weights < 0).any()):
        entry = start + int(np.flatnonzero(weights < 0)[0])
        raise TrainingError(f"{tree.path}: tree {tree.name}, entry {entry}: negative generator weight; use LO samples")
    refuse_faulty_weights(events, f"{tree.path}: tree {tree.name}")
    who = events.identity
    return LabelledNodes(
        np.asarray(labels, dtype=np.int32),
        weights,
        event_hash(who.run, who.luminosity_block, who.event, seed=split_seed, purpose="split"),
        observe(events.record),
        nodes=collect_nodes(events.record, specification),
    )
