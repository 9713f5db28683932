"""Injection scans: would N signal events among the background show, and does nothing show where none is?

The background is divided at random into two halves. One is the data, to which N signal events are added; the other
says what to expect: it gives the threshold, one of its own scores, above which a fixed share of it lies, and the number
of events there. This is drawn again and again. Weighted background keeps its weights; an injected event then weighs as
much as the mean background event, so that N is a number among as many events as the half holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hepfilter.evaluation.metrics import BackgroundScores
from hepfilter.evaluation.sample import ScoredEvents
from hepfilter.statistics.significance import on_off_p_value

INJECTED: Final = (0, 10, 30, 100, 300, 1000)
SHARES: Final = (1e-2, 1e-3)
"""Shares of the background above the threshold."""
DRAWS: Final = 100

Scores = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Spread:
    """A quantity over the draws: mean, standard deviation and the central 68 %."""

    mean: float
    deviation: float
    lower: float
    median: float
    upper: float


@dataclass(frozen=True)
class InjectionPoint:
    """`n_signal` events injected: the significance in σ, and the excess in events (of mean weight) above threshold."""

    n_signal: int
    significance: Spread
    excess: Spread


@dataclass(frozen=True)
class InjectionScan:
    """One family and one score: what shows in the top `share` of `n_background` events, over `n_draws` draws.

    `largest_without` is the largest significance that a draw without signal gave.
    """

    family: str
    score: str
    share: float
    n_background: int
    n_draws: int
    largest_without: float
    points: tuple[InjectionPoint, ...]


@dataclass(frozen=True)
class _Draws:
    """[D] divisions: the threshold, and above it Σw and Σw² of data (on) and expectation (off), the mean weight of all
    background being 1; `ratio` is the number of events in the data over that in the expectation.
    """

    threshold: NDArray[np.float64]
    w_on: NDArray[np.float64]
    v_on: NDArray[np.float64]
    w_off: NDArray[np.float64]
    v_off: NDArray[np.float64]
    ratio: float


def injection_scans(
    events: ScoredEvents, scores: Sequence[str], *, n_draws: int = DRAWS, seed: int = 0
) -> tuple[InjectionScan, ...]:
    """For each score, share and family; none where a half holds fewer than ten (effective) events above threshold."""
    scans = []
    for score in scores:
        values, weights = events.scores[score], events.weights[events.background]
        for share in SHARES:
            rng = np.random.default_rng(seed)
            draws = _divide(values[events.background], weights, share, n_draws, rng)
            if draws is None:
                continue
            without = _significance(draws, np.zeros(n_draws))
            for family in events.families:
                points = _points(values[events.signal(family)], draws, rng)
                n_background, largest = len(weights) // 2, float(without.max())
                scans.append(InjectionScan(family.name, score, share, n_background, n_draws, largest, points))
    return tuple(scans)


def _divide(
    background: Scores, weights: NDArray[np.float64], share: float, n_draws: int, rng: np.random.Generator
) -> _Draws | None:
    """Data and expectation, each one half at random, `n_draws` times; None if ever too few lie above the threshold."""
    if not weights.any():
        return None
    scaled, half = weights / weights.mean(), len(weights) // 2
    rows = []
    for _ in range(n_draws):
        order = rng.permutation(len(background))
        data, expectation = order[:half], order[half:]
        threshold = BackgroundScores(background[expectation], weights[expectation]).threshold(share)
        if threshold is None:
            return None
        on, off = (scaled[part][background[part] >= threshold] for part in (data, expectation))
        rows.append((threshold, on.sum(), (on * on).sum(), off.sum(), (off * off).sum()))
    threshold, w_on, v_on, w_off, v_off = np.array(rows, np.float64).T
    return _Draws(threshold, w_on, v_on, w_off, v_off, ratio=half / (len(background) - half))


def _points(signal: Scores, draws: _Draws, rng: np.random.Generator) -> tuple[InjectionPoint, ...]:
    """For each number of `INJECTED` that there are signal events for."""
    passing = np.count_nonzero(signal[None, :] >= draws.threshold[:, None], axis=1)
    points = []
    for n_signal in INJECTED:
        if n_signal > len(signal):
            break
        injected = rng.hypergeometric(passing, len(signal) - passing, n_signal).astype(np.float64)
        excess = draws.w_on + injected - draws.ratio * draws.w_off
        points.append(InjectionPoint(n_signal, _spread(_significance(draws, injected)), _spread(excess)))
    return tuple(points)


def _significance(draws: _Draws, injected: NDArray[np.float64]) -> NDArray[np.float64]:
    """[D] with so many signal events above the threshold."""
    on = draws.w_on + injected, draws.v_on + injected
    return on_off_p_value(*on, draws.w_off, draws.v_off, ratio=draws.ratio, ends_with_off=True)[1]


def _spread(values: NDArray[np.float64]) -> Spread:
    return Spread(float(values.mean()), float(values.std()), *map(float, np.quantile(values, [0.16, 0.5, 0.84])))
