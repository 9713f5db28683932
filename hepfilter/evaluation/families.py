"""Every signal family against the background, in two measures, and what that comes to on average.

- physical: background events count by their generator weights, as in nature, where almost all are soft.
- matched: background is weighted to the signal's own spectrum of hardness (`statistics.reweighting`), its processes
  mixed as in nature at each hardness; thresholds are taken there. Only here it shows what a score adds to hardness.

Signal events count the same in both: the weights of the points of a mass scan only say which cross-section was assumed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np

from hepfilter.evaluation.metrics import BACKGROUND_EFFICIENCIES, BackgroundScores, Separation, separation
from hepfilter.evaluation.sample import ScoredEvents, SignalFamily
from hepfilter.statistics.intervals import effective_number
from hepfilter.statistics.reweighting import match_spectrum

Measure = Literal["physical", "matched"]
MEASURES: Final[tuple[Measure, ...]] = get_args(Measure)


@dataclass(frozen=True)
class Comparison:
    """One signal against the background in one measure.

    by_score: score → its separation.    coverage: share of the signal events that have background to be compared with
    (1 in the physical mix).    n_effective_background: effective number of background events.
    """

    by_score: Mapping[str, Separation]
    coverage: float
    n_effective_background: float


@dataclass(frozen=True)
class FamilyResult:
    """One signal family. `seen`: the model was trained on it."""

    family: str
    seen: bool
    physical: Comparison
    matched: Comparison

    def comparison(self, measure: Measure) -> Comparison:
        """In one of the two measures."""
        return self.physical if measure == "physical" else self.matched


@dataclass(frozen=True)
class Summary:
    """The signal efficiencies of one score at one background efficiency over all families that were seen, or not.

    `n_families` counts those with a working point; `worst_family` has the lowest efficiency, `worst`.
    """

    score: str
    measure: Measure
    target: float
    seen: bool
    n_families: int
    mean: float
    median: float
    worst_family: str
    worst: float


def family_results(events: ScoredEvents) -> tuple[FamilyResult, ...]:
    """One result for each signal family, in their order, for every score."""
    weights = events.weights[events.background]
    ordered = {name: BackgroundScores(values[events.background], weights) for name, values in events.scores.items()}
    n_effective = effective_number(weights)
    results = []
    for family in events.families:
        signal = events.signal(family)
        by_score = {name: separation(values[signal], ordered[name]) for name, values in events.scores.items()}
        physical = Comparison(by_score, 1.0, n_effective)
        results.append(FamilyResult(family.name, family.seen, physical, _matched(events, family)))
    return tuple(results)


def _matched(events: ScoredEvents, family: SignalFamily) -> Comparison:
    """Against the background with the family's own spectrum of hardness."""
    hardness = events.observable("hardness")
    signal, background = np.flatnonzero(events.signal(family)), np.flatnonzero(events.background)
    match = match_spectrum(hardness[background], hardness[signal], source_weights=events.weights[background])
    used = match.weights > 0
    by_score = {
        name: separation(
            values[signal[match.in_reach]], BackgroundScores(values[background[used]], match.weights[used])
        )
        for name, values in events.scores.items()
    }
    return Comparison(by_score, match.coverage, match.n_effective)


def summaries(results: tuple[FamilyResult, ...]) -> tuple[Summary, ...]:
    """Mean, median and worst for every score, measure and target, seen and unseen apart; those with a working point."""
    if not results:
        return ()
    return tuple(
        summary
        for measure in MEASURES
        for score in results[0].physical.by_score
        for target in BACKGROUND_EFFICIENCIES
        for seen in (True, False)
        for summary in _summary(results, score, measure, target, seen)
    )


def _summary(
    results: tuple[FamilyResult, ...], score: str, measure: Measure, target: float, seen: bool
) -> Iterator[Summary]:
    """One, or none where no family has a working point."""
    found = {}
    for result in results:
        point = result.comparison(measure).by_score[score].working_points[target]
        if result.seen == seen and point is not None and point.signal.n_effective > 0:
            found[result.family] = point.signal.value
    if found:
        values = list(found.values())
        worst = min(found, key=lambda family: found[family])
        mean, median = float(np.mean(values)), float(np.median(values))
        yield Summary(score, measure, target, seen, len(found), mean, median, worst, found[worst])
