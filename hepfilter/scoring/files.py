"""The first pass over the inputs: of every event only what its graph needs is read, and a score is kept."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import awkward as ak
import numpy as np
import numpy.typing as npt

from hepfilter.events.record import Events
from hepfilter.io.events import EventTree, find_events
from hepfilter.io.reading import OpenFile, open_file
from hepfilter.io.sources import Source
from hepfilter.trigger.hashing import event_hash
from hepfilter.work.units import cut_units

Progress = Callable[[str, int, int], None]
"""Called as (stage, done, in all)."""

UNIT_ENTRIES = 20_000


class EventScorer(Protocol):
    """What turns event records into scores."""

    @property
    def collections(self) -> tuple[str, ...]:
        """The collections of the event record that the score depends on."""

    def score(self, record: ak.Array) -> npt.NDArray[np.float32]:
        """One finite score an event."""


@dataclass(frozen=True)
class ScoredFile:
    """One input with a score and a tie-breaking hash for each of its events, in the file's order.

    `weights` is None without weights; `problems` counts objects treated by rule; `absent` are collections that the
    model uses and the file lacks; `uuid` is the identity of file and tree; `empty` counts events without any object
    that the model looks at; `already_skimmed` says that the file came from a skim.
    """

    source: Source
    tree: str
    schema: str
    scores: npt.NDArray[np.float32]
    ties: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64] | None
    problems: Counter[str]
    absent: tuple[str, ...]
    warnings: tuple[str, ...]
    uuid: str
    empty: int
    already_skimmed: bool


def score_files(
    sources: Sequence[Source], scorer: EventScorer, *, schema: str | None = None, progress: Progress = lambda *_: None
) -> list[ScoredFile]:
    """Score every event of every source. Faults of a file are SourceError or SchemaError."""
    scored: list[ScoredFile] = []
    for index, source in enumerate(sources):
        done = sum(len(file.scores) for file in scored)
        with open_file(source) as file:
            found = find_events(file, tree=source.tree, schema=schema, wanted=scorer.collections)
            parts = []
            for unit in cut_units(index, found.basket_edges, target=UNIT_ENTRIES):
                events = found.read(unit.start, unit.stop)
                empty = _count_empty(events, scorer.collections)
                parts.append(_Part(scorer.score(events.record), _ties(events), events.weight, events.problems, empty))
                progress("scoring", done + unit.stop, done + found.tree.num_entries)
            scored.append(_join(source, file, found, parts, scorer.collections))
    return scored


@dataclass(frozen=True)
class _Part:
    """What is kept of a unit of events."""

    scores: npt.NDArray[np.float32]
    ties: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64] | None
    problems: dict[str, int]
    empty: int


def _count_empty(events: Events, collections: Sequence[str]) -> int:
    """Events without any object of these collections."""
    objects = np.zeros(len(events), np.int64)
    for name in collections:
        objects += ak.to_numpy(ak.num(events.record[name], axis=1))
    return int(np.count_nonzero(objects == 0))


def _ties(events: Events) -> npt.NDArray[np.float64]:
    """The number that decides among events of equal score."""
    identity = events.identity
    return event_hash(identity.run, identity.luminosity_block, identity.event, seed=1, purpose="ties")


def _join(
    source: Source, file: OpenFile, found: EventTree, parts: Sequence[_Part], wanted: Sequence[str]
) -> ScoredFile:
    """All parts of a file as one."""
    problems: Counter[str] = Counter()
    for part in parts:
        problems.update(part.problems)
    weighted = [part.weights for part in parts if part.weights is not None]
    return ScoredFile(
        source=source,
        tree=found.tree.name,
        schema=found.binding.schema.name,
        scores=np.concatenate([np.empty(0, np.float32), *(part.scores for part in parts)]),
        ties=np.concatenate([np.empty(0), *(part.ties for part in parts)]),
        weights=np.concatenate([np.empty(0), *weighted]) if found.binding.weight else None,
        problems=problems,
        absent=tuple(name for name in wanted if name in found.binding.absent),
        warnings=found.binding.warnings,
        uuid=f"{file.uuid}:{found.tree.name}",
        empty=sum(part.empty for part in parts),
        already_skimmed="HepFilter_interest" in found.tree.branch_names,
    )
