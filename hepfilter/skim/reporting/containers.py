"""What is told of a run, as plain data: pictures are made of it elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hepfilter.skim.parts import Part
from hepfilter.skim.report import CutflowStep, SkimReport
from hepfilter.skim.summary import RunSummary
from hepfilter.statistics.histograms import Histogram
from hepfilter.trigger.rates import RateTable

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Shares:
    """Shares of events with their intervals (68 %), arrays [n]; NaN and [0, 1] where there are no `events` [n]."""

    value: Values
    lower: Values
    upper: Values
    events: NDArray[np.int64]


@dataclass(frozen=True)
class ScanRow:
    """What a threshold takes of a sample, for each of K thresholds: arrays [K].

    kind: ``all``, ``dataset`` or ``signal``.    total: the weight of all its events, in `Scan.unit`, None of signals.
    events, weight: those at or above the threshold.    share: weight / total, with its interval.
    """

    name: str
    kind: str
    total: float | None
    events: NDArray[np.int64]
    weight: Values
    share: Shares


@dataclass(frozen=True)
class Scan:
    """What any threshold of a score would take. `thresholds` [K] rise; at `marks`, by name, the run's own stand.

    exact: the threshold among them that is the run's own, to the event; the others are edges of the stored histogram.
    """

    score: str
    unit: str
    thresholds: Values
    rows: tuple[ScanRow, ...]
    marks: Mapping[str, float]
    exact: float | None


@dataclass(frozen=True)
class ReferenceScores:
    """What the scores of a run are compared with: `shares` [n] of the reference in bins between `edges` [n + 1].

    source: what the reference is, in words.
    """

    source: str
    edges: Values
    shares: Values


@dataclass(frozen=True)
class TurnOn:
    """Of the control stream's events, the share that passes a path before its prescale, in bins of `variable`."""

    path: str
    variable: str
    edges: Values
    share: Shares


@dataclass(frozen=True)
class Shape:
    """The spectrum of the events that a `selection` took, and how far it is from that of all events.

    divergence: Jensen–Shannon, in bits; expected, expected_95: mean and 95 % quantile of random selections of as many
    effective events. All are NaN where there is no spectrum of all, or no event.
    """

    selection: str
    spectrum: Histogram
    divergence: float
    expected: float
    expected_95: float
    n_effective: float


@dataclass(frozen=True)
class Sculpted:
    """One observable of `events.spectra.SPECTRA`: of all events that passed the cuts, and after each selection."""

    observable: str
    before: Histogram
    after: tuple[Shape, ...]


@dataclass(frozen=True)
class TopEvent:
    """One of the most interesting events: where it stands, who it is, and what is known of it.

    identity: run, luminosity block, event; None where the output has none.    paths: those that took it, after
    prescales.    observables: GeV; empty where the output's objects cannot be read.
    """

    path: str
    entry: int
    identity: tuple[int, int, int] | None
    scores: Mapping[str, float]
    paths: tuple[str, ...]
    observables: Mapping[str, float]


@dataclass(frozen=True)
class SkimStory:
    """All that is told of the skims of one recipe: `parts` has one of each, with its books where they are there.

    summary: the sum of theirs, None where none has one; `without_summary` counts those that have none.
    rates: of each skim that has them.    why_no_turn_on, why_no_shapes, why_no_top: in words, where there are none.
    n_control: events of the control stream that are shown.
    """

    parts: tuple[Part, ...]
    cutflow: tuple[CutflowStep, ...]
    cutflows: Mapping[str, tuple[CutflowStep, ...]]
    summary: RunSummary | None
    without_summary: int
    rates: tuple[RateTable, ...]
    scans: tuple[Scan, ...] = ()
    references: Mapping[str, ReferenceScores] = field(default_factory=dict)
    why_no_reference: str = ""
    turn_ons: tuple[TurnOn, ...] = ()
    why_no_turn_on: str = ""
    n_control: int = 0
    sculpted: tuple[Sculpted, ...] = ()
    why_no_shapes: str = ""
    top: tuple[TopEvent, ...] = ()
    why_no_top: str = ""


@dataclass(frozen=True)
class OutputFacts:
    """One of the outputs that were read: its size in bytes, UUID, and checksum of what is in it."""

    path: str
    events: int
    size: int
    uuid: str
    checksum: str


@dataclass(frozen=True)
class RunReport:
    """What is told of a run: its outputs, those that were not found, and the skims that wrote them, by recipe.

    run: what the run itself said, if it has just ended.
    """

    outputs: tuple[OutputFacts, ...]
    missing: tuple[str, ...]
    stories: tuple[SkimStory, ...]
    run: SkimReport | None = None
