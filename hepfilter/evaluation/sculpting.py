"""Whether a selection by score shapes what a search would look at, and what a score goes by."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hepfilter.evaluation.families import Measure
from hepfilter.evaluation.metrics import BackgroundScores
from hepfilter.evaluation.sample import BASELINES, ScoredEvents
from hepfilter.statistics.correlation import Correlation, correlation
from hepfilter.statistics.divergence import jensen_shannon, random_divergence
from hepfilter.statistics.intervals import effective_number
from hepfilter.statistics.reweighting import match_spectrum

SPECTRA: Final = ("dijet_mass", "ht")
SHARES: Final = (0.2, 0.05, 0.01, 0.001)
"""Shares of the background that pass."""
CORRELATED: Final = ("ht", "hardness", "multiplicity")
_BINS: Final = 30


@dataclass(frozen=True)
class PassingSpectrum:
    """The spectrum of the background that passes at one share.

    contents: share of the passing events in each bin.    divergence: Jensen–Shannon, in bits, from all background;
    expected, expected_95: mean and 95 % quantile of a random selection of as many effective events.
    """

    share: float
    n_events: int
    n_effective: float
    contents: tuple[float, ...]
    divergence: float
    expected: float
    expected_95: float


@dataclass(frozen=True)
class Sculpting:
    """One observable under selections by one score, background in the physical mix.

    edges: [n + 1] of logarithmic bins in GeV; events without (0) are in the first.    contents: share of all background
    events in each.    passing: one for each share with at least ten (raw and effective) events.
    """

    score: str
    observable: str
    edges: tuple[float, ...]
    contents: tuple[float, ...]
    passing: tuple[PassingSpectrum, ...]


@dataclass(frozen=True)
class ScoreCorrelation:
    """How a score of background events goes with an observable: in the physical mix, or where hardness is distributed
    as in all signal families together, each counting equally.
    """

    score: str
    observable: str
    measure: Measure
    correlation: Correlation


def sculpting(events: ScoredEvents) -> tuple[Sculpting, ...]:
    """For each score of the model and HT, and each of `SPECTRA`."""
    weights = events.weights[events.background]
    ordered = {
        name: BackgroundScores(values[events.background], weights)
        for name, values in events.scores.items()
        if name not in BASELINES or name == "ht"
    }
    return tuple(
        _sculpting(events, observable, score, background)
        for score, background in ordered.items()
        for observable in SPECTRA
    )


def _sculpting(events: ScoredEvents, observable: str, score: str, background: BackgroundScores) -> Sculpting:
    """One score and one observable."""
    values, weights = events.observable(observable)[events.background], events.weights[events.background]
    scores = events.scores[score][events.background]
    edges = _edges(values)
    everything = _histogram(values, weights, edges)
    passing = []
    for share in SHARES:
        threshold = background.threshold(share)
        if threshold is None:
            continue
        above = scores >= threshold
        n_effective = effective_number(weights[above])
        contents = _histogram(values[above], weights[above], edges)
        expected = random_divergence(everything, n_effective)
        found = jensen_shannon(contents, everything)
        count = int(np.count_nonzero(above))
        passing.append(PassingSpectrum(share, count, n_effective, _plain(contents), found, *expected))
    return Sculpting(score, observable, _plain(edges), _plain(everything), tuple(passing))


def correlations(events: ScoredEvents) -> tuple[ScoreCorrelation, ...]:
    """For every score, every observable of `CORRELATED` and both measures."""
    background = np.flatnonzero(events.background)
    hardness, weights = events.observable("hardness"), events.weights[background]
    share = np.zeros(len(events.labels))
    for family in events.families:
        signal = events.signal(family)
        share[signal] = 1 / np.count_nonzero(signal)
    signals = np.flatnonzero(share)
    match = match_spectrum(
        hardness[background], hardness[signals], source_weights=weights, target_weights=share[signals]
    )
    by_measure: dict[Measure, NDArray[np.float64]] = {"physical": weights, "matched": match.weights}
    return tuple(
        ScoreCorrelation(
            score, name, measure, correlation(values[background], events.observable(name)[background], measured)
        )
        for measure, measured in by_measure.items()
        for score, values in events.scores.items()
        for name in CORRELATED
    )


def _edges(values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Logarithmic bins over the positive values; without any, over one decade."""
    positive = values[values > 0]
    low, high = (float(positive.min()), float(positive.max())) if len(positive) else (1.0, 10.0)
    return np.geomspace(low, max(high, low * 1.01), _BINS + 1)


def _histogram(
    values: NDArray[np.floating[Any]], weights: NDArray[np.float64], edges: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The share of the weight in each bin, 0 without any."""
    contents = np.histogram(np.clip(values, edges[0], edges[-1]), edges, weights=weights)[0]
    shares: NDArray[np.float64] = contents / (contents.sum() or 1.0)
    return shares


def _plain(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(map(float, values))
