"""Simulated ROOT files, read by the same code as in a skim, as chunks of labelled nodes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from hepfilter.config.graph import GraphSpecification
from hepfilter.errors import TrainingError
from hepfilter.events.observables import COLLECTIONS as OBSERVED
from hepfilter.events.observables import observe
from hepfilter.graphs.nodes import FlatNodes, collect_nodes
from hepfilter.io.checksum import refuse_copy
from hepfilter.io.events import TRUTH_LABEL, EventTree, find_events
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source
from hepfilter.trigger.hashing import event_hash
from hepfilter.wording import counted

if TYPE_CHECKING:
    from hepfilter.events.shifts import EventShift

_ENTRIES: Final = 20_000
_LIGHTEST, _HEAVIEST = 1e-100, 1e100

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

    TrainingError if a file has no truth label, or a weight that is negative or faulty; DifferentInputsError if it is a
    copy of another; the errors of reading and of schemas pass through.
    """
    seen: dict[tuple[str, str], str] = {}
    for number, source in enumerate(sources):
        with open_file(source) as file:
            found = find_events(file, tree=source.tree, wanted={*specification.collections, *OBSERVED})
            tree = found.tree
            refuse_copy(file, tree.name, seen)
            if TRUTH_LABEL not in tree.branch_names:
                raise TrainingError(
                    f"{source.path}: tree {tree.name} has no branch {TRUTH_LABEL}; `hepfilter simulate` writes it"
                )
            for start in range(0, tree.num_entries, _ENTRIES):
                yield _read_chunk(found, specification, start, split_seed=split_seed, shift=shift)
                progress(f"reading file {number + 1}", min(start + _ENTRIES, tree.num_entries), tree.num_entries)


def refuse_faulty_weights(weights: NDArray[np.float64], problems: Mapping[str, int], where: str) -> None:
    """TrainingError, begun by `where`, if a generator weight is missing, not finite, or beyond what can be squared.

    A skim counts events of the first two by 0, and says so: `problems` are those of these events.
    """
    for fault, number in problems.items():
        if fault.startswith("weight") and number:
            raise TrainingError(f"{where}: {fault}, in {counted(number, 'event')}; simulate them anew")
    size = np.abs(weights)
    extreme = weights[(size > 0) & ((size < _LIGHTEST) | (size > _HEAVIEST))]
    if len(extreme):
        what = f"{counted(len(extreme), 'event')} with generator weights such as {extreme[0]:.3g}"
        raise TrainingError(f"{where}: {what}; scale all weights, to between {_LIGHTEST:g} and {_HEAVIEST:g}")


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
    refuse_faulty_weights(weights, events.problems, f"{tree.path}: tree {tree.name}")
    who = events.identity
    return LabelledNodes(
        np.asarray(labels, dtype=np.int32),
        weights,
        event_hash(who.run, who.luminosity_block, who.event, seed=split_seed, purpose="split"),
        observe(events.record),
        nodes=collect_nodes(events.record, specification),
    )
