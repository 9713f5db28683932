"""What the first pass finds: of a file when it is opened, of a unit of its entries, and of both joined. Plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from hepfilter.events.identity import Identity
from hepfilter.io.checksum import FileFacts, has_uuid
from hepfilter.io.shapes import TableShape
from hepfilter.io.sources import Source
from hepfilter.skim.conditions import Mask
from hepfilter.skim.lumi_sections import Sections
from hepfilter.statistics.histograms import Histogram
from hepfilter.trigger.drift import ProblemCounts
from hepfilter.trigger.selection import ties

Index = npt.NDArray[np.int64]
Weights = npt.NDArray[np.float64] | None
Scores = Mapping[str, npt.NDArray[np.float32]] | None
"""What a model says of events, by name, ``interest`` among it; None where there is no model."""
Spectra = Mapping[str, Histogram]
"""Of events by weight, by the names of `events.spectra.SPECTRA`, in its bins."""


@dataclass
class Flow:
    """Events and their sum of weights after each cut, in the order of the cuts; the first is all that were read."""

    events: dict[str, int] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)

    def count(self, step: str, events: int, weight: float | None) -> None:
        """Add to a step."""
        self.events[step] = self.events.get(step, 0) + events
        if weight is not None:
            self.weights[step] = self.weights.get(step, 0.0) + weight


@dataclass(frozen=True)
class FileHead:
    """What opening an input tells.

    `source` is the input by the address that could be read, `stamp` the size and time of change of a local file (ns),
    `units` the entry ranges that it is read in. `steps` are the names of its cutflow, in order; events are `weighted`,
    and `identified`, or not; `asked` names the conditions that units tell of. `stated` are the luminosity sections that
    its books tell of and that pass the luminosity mask; `rows` holds for other trees the entries that the mask leaves,
    `others` how many all have. `shapes` are those of all trees, by name, `classes` what is described, `histograms`
    those at the top. `entry_bytes` are the mean bytes of an entry, unpacked and in the file, `head_bytes` those read to
    find all this. `made_from` has, for each skim that the file comes from, its outputs and its inputs' checksums.
    `head_problems` counts objects treated by rule in all of the file, None where units tell of theirs. `score_facts`
    say what gives the scores.
    """

    source: Source
    facts: FileFacts
    stamp: tuple[int, int] | None
    made_from: tuple[tuple[str, frozenset[str]], ...]
    tree: str
    schema: str
    schema_checksum: str | None
    num_entries: int
    units: tuple[tuple[int, int], ...]
    steps: tuple[str, ...]
    identity_branches: tuple[str, ...]
    weighted: bool
    identified: bool
    asked: tuple[str, ...]
    stated: Sections
    rows: Mapping[str, Index]
    others: Mapping[str, int]
    shapes: Mapping[str, TableShape]
    classes: frozenset[tuple[str, int]]
    histograms: tuple[str, ...]
    entry_bytes: tuple[float, float]
    head_bytes: int
    head_problems: Mapping[str, int] | None
    absent: tuple[str, ...]
    warnings: tuple[str, ...]
    score_facts: Mapping[str, Any] | None

    @property
    def has_no_uuid(self) -> bool:
        """Whether the file has no identity of its own, as old files and some writers leave it."""
        return not has_uuid(self.facts.uuid)


@dataclass(frozen=True)
class BadInput:
    """The entries [start, stop) of an input that cannot be read, None for one that cannot be opened; and why."""

    path: str
    dataset: str | None
    start: int | None
    stop: int | None
    reason: str


@dataclass(frozen=True)
class Everyone:
    """All events of a unit, where duplicates are to go: who they are, what they weigh, how many cuts each passed."""

    identity: Identity
    weights: Weights
    levels: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class UnitRead:
    """What was found in the entries [start, stop) of an input.

    `chosen` (int64, rising) are the entries that passed its cuts; `weights`, `scores` and `identity` are theirs, None
    where there are none, and `conditions` by name which of them fulfil what was asked for. `sections` are the
    luminosity sections of the events that pass the luminosity mask, `found` the places of its events in the event list.
    `problems` counts objects treated by rule. `everyone` is None unless duplicates are to go: they are not, yet.
    `spectra` are those of the chosen events that no menu blinds, none where duplicates are to go.
    """

    start: int
    stop: int
    chosen: Index
    weights: Weights
    scores: Scores
    conditions: Mapping[str, Mask]
    identity: Identity | None
    sections: Sections
    found: Index
    flow: Flow
    problems: Mapping[str, int]
    empty: int
    bytes_read: int
    everyone: Everyone | None
    spectra: Spectra = field(default_factory=dict)


@dataclass(frozen=True)
class SurveyedFile(FileHead):
    """What the first pass found in one input: what its head says, and of all its units together what `UnitRead` says.

    `sections` are those with events or without. `problem_counts` are the problems unit by unit.
    """

    chosen: Index
    weights: Weights
    scores: Scores
    conditions: Mapping[str, Mask]
    identity: Identity | None
    sections: Sections
    flow: Flow
    problems: Mapping[str, int]
    problem_counts: tuple[ProblemCounts, ...]
    empty: int
    bytes_read: int
    spectra: Spectra

    @property
    def dataset_name(self) -> str:
        """The dataset that the file is of, empty if it is of none."""
        return self.source.dataset or ""

    @property
    def event_weights(self) -> npt.NDArray[np.float64]:
        """The weights of the chosen events, 1 each where there are none."""
        return np.ones(len(self.chosen)) if self.weights is None else self.weights

    @property
    def total_weight(self) -> float:
        """The weights of all events that were read."""
        return self.flow.weights.get("read", float(self.flow.events.get("read", 0)))

    @property
    def ties(self) -> npt.NDArray[np.float64]:
        """The number that decides among chosen events of equal score, in [0, 1)."""
        assert self.identity is not None
        return ties(self.identity)
