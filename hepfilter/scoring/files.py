"""Scores of the events of one tree: read, build graphs, score."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import awkward as ak
import numpy as np
import numpy.typing as npt

from hepfilter.events.record import Events
from hepfilter.events.spectra import read_spectra
from hepfilter.io.events import EventTree


class EventScorer(Protocol):
    """What turns event records into scores."""

    @property
    def collections(self) -> tuple[str, ...]:
        """The collections of the event record that the score depends on."""

    @property
    def names(self) -> tuple[str, ...]:
        """What is said of every event, ``interest`` first."""

    def score_heads(self, record: ak.Array) -> Mapping[str, npt.NDArray[np.float32]]:
        """One finite number an event for each of the `names`."""


@dataclass(frozen=True)
class Scores:
    """What a model says of the chosen entries of a chunk, in order, by name.

    `problems` counts objects treated by rule in all of the chunk, `empty` chosen events without any object that the
    model looks at. `spectra` are the chosen events' values, by those names of `events.spectra.SPECTRA` whose objects
    the model knows.
    """

    scores: Mapping[str, npt.NDArray[np.float32]]
    problems: Counter[str]
    empty: int
    spectra: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict)


def score_entries(
    found: EventTree, scorer: EventScorer, start: int, stop: int, chosen: npt.NDArray[np.bool_]
) -> Scores:
    """Score those of the entries [start, stop) that are `chosen` (bool, one an entry).

    SourceError or SchemaError for faults of the file.
    """
    if not chosen.any():
        return Scores({name: np.empty(0, np.float32) for name in scorer.names}, Counter(), 0)
    events = found.read(start, stop)
    record = events.record if chosen.all() else events.record[chosen]
    empty = int(np.count_nonzero(~have_objects(events, scorer.collections)[chosen]))
    spectra = read_spectra(record, scorer.collections)
    return Scores(scorer.score_heads(record), Counter(events.problems), empty, spectra)


def have_objects(events: Events, collections: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which events have any object of the `collections`: [B]."""
    objects = np.zeros(len(events), np.int64)
    for name in collections:
        objects += ak.to_numpy(ak.num(events.record[name], axis=1))
    found: npt.NDArray[np.bool_] = objects > 0
    return found
