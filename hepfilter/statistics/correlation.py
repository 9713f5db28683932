"""Whether two quantities of weighted events know of each other: linearly, in rank, in any way."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

MOST_EVENTS: Final = 1500
"""Events that the distance correlation is computed of: its cost grows as their square."""

Values = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Correlation:
    """Pearson's and Spearman's coefficients, in [-1, 1], and the distance correlation, in [0, 1]; NaN of a constant."""

    pearson: float
    spearman: float
    distance: float


def correlation(x: Values, y: Values, weights: Values | None = None) -> Correlation:
    """All three of [n] values, with weights ≥ 0; NaN with fewer than two events."""
    w = np.ones(len(x)) if weights is None else np.asarray(weights, np.float64)
    return Correlation(pearson(x, y, w), pearson(midranks(x, w), midranks(y, w), w), distance_correlation(x, y, w))


def pearson(x: Values, y: Values, weights: Values) -> float:
    """The weighted linear correlation."""
    if len(x) < 2 or not weights.sum() > 0:
        return float("nan")
    covariance = np.cov(np.asarray(x, np.float64), np.asarray(y, np.float64), aweights=weights, ddof=0)
    norm = float(np.sqrt(covariance[0, 0] * covariance[1, 1]))
    return float(covariance[0, 1]) / norm if norm > 0 else float("nan")


def midranks(values: Values, weights: Values) -> NDArray[np.float64]:
    """[n] the weight below each value, and half of that at it."""
    levels, level = np.unique(values, return_inverse=True)
    at = np.bincount(level, weights=weights, minlength=len(levels))
    ranks: NDArray[np.float64] = (np.cumsum(at) - at / 2)[level]
    return ranks


def distance_correlation(x: Values, y: Values, weights: Values) -> float:
    """0 only of independent quantities (G. J. Székely, M. L. Rizzo, N. K. Bakirov, Ann. Statist. 35 (2007) 2769).

    Computed of at most `MOST_EVENTS` events, picked at equal steps of the summed weight; so many independent
    events of normal distribution give about 0.07, n of them about 2.7/√n.
    """
    if len(x) < 2 or not weights.sum() > 0:
        return float("nan")
    events, counts = np.unique(_equal_steps(weights), return_counts=True)
    share = counts / counts.sum()
    first, second = (_centred(np.asarray(values[events], np.float64), share) for values in (x, y))
    both, own_x, own_y = (float(share @ (a * b) @ share) for a, b in ((first, second), (first, first), (second,) * 2))
    norm = np.sqrt(own_x * own_y)
    return float(np.sqrt(max(both, 0.0) / norm)) if norm > 0 else float("nan")


def _equal_steps(weights: Values) -> NDArray[np.int64]:
    """Positions of the events at equal steps of the summed weight; heavy ones more than once."""
    summed = np.cumsum(weights, dtype=np.float64)
    n_steps = min(len(weights), MOST_EVENTS)
    steps = (np.arange(n_steps) + 0.5) / n_steps * summed[-1]
    positions: NDArray[np.int64] = np.searchsorted(summed, steps, side="right").astype(np.int64)
    return positions


def _centred(values: NDArray[np.float64], share: NDArray[np.float64]) -> NDArray[np.float64]:
    """[n, n] distances, with the means of rows and columns taken away."""
    distances = np.abs(values[:, None] - values[None, :])
    means = distances @ share
    centred: NDArray[np.float64] = distances - means[:, None] - means[None, :] + share @ means
    return centred
