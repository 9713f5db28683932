"""Efficiencies with intervals, from counts or from weighted events."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

ONE_SIGMA: Final = 0.6826894921370859
"""The probability content of ±1σ."""


@dataclass(frozen=True)
class Efficiency:
    """A share with its interval: 0 ≤ lower ≤ value ≤ upper ≤ 1.

    `n_effective` is the number of trials behind it (`binomial_trials` for weighted events). With no trials the value is
    NaN and the interval is all of [0, 1]: nothing is known.
    """

    value: float
    lower: float
    upper: float
    n_effective: float


def clopper_pearson(passed: float, total: float, *, coverage: float = ONE_SIGMA) -> tuple[float, float]:
    """The central interval of a binomial share: C. J. Clopper, E. S. Pearson, Biometrika 26 (1934) 404.

    It covers at least `coverage`, for any true share. Counts need not be whole (effective numbers of weighted events).
    `total` = 0 gives (0, 1); a NaN count gives (NaN, NaN); ValueError unless 0 ≤ passed ≤ total and 0 < coverage < 1.
    """
    if np.isnan(passed) or np.isnan(total):
        return float("nan"), float("nan")
    if not 0 <= passed <= total or not 0 < coverage < 1:
        raise ValueError(f"needs 0 <= passed <= total and 0 < coverage < 1, not {passed}, {total}, {coverage}")
    lower, upper = clopper_pearson_of(np.array([passed]), np.array([total]), coverage=coverage)
    return float(lower[0]), float(upper[0])


def clopper_pearson_of(
    passed: NDArray[np.floating], total: NDArray[np.floating], *, coverage: float = ONE_SIGMA
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """[n] lower and upper ends of `clopper_pearson` for many shares, 0 ≤ passed ≤ total."""
    tail, failed = (1 - coverage) / 2, total - passed
    from scipy.stats import beta  # half a second, and most commands state no interval

    lower = np.where(passed > 0, beta.ppf(tail, np.maximum(passed, np.finfo(float).tiny), failed + 1), 0.0)
    upper = np.where(failed > 0, beta.ppf(1 - tail, passed + 1, np.maximum(failed, np.finfo(float).tiny)), 1.0)
    return lower, upper


def effective_number(weights: NDArray[np.floating]) -> float:
    """(Σw)² / Σw²: the number of unweighted events with the same relative precision (L. Kish, Survey Sampling, 1965).

    0 for no events or weights that are all 0; NaN if a weight is.
    """
    values = np.asarray(weights, dtype=np.float64)
    squares = float(np.sum(values * values))
    return float(np.sum(values)) ** 2 / squares if squares != 0 else 0.0


def binomial_trials(
    shares: NDArray[np.floating], squares: NDArray[np.floating], weights: NDArray[np.floating]
) -> NDArray[np.float64]:
    """[n] numbers of trials with which binomial shares have the variances of weighted ones.

    `squares` [n] are the Σw² of the events that pass; `weights` those of all events, some of them > 0. The variance is
    ((1 − p)² Σ_passed w² + p² Σ_failed w²) / (Σw)²; where it is 0, as where none or all pass, `effective_number`.
    """
    total, everything = np.sum(weights), np.sum(np.square(weights))
    return binomial_trials_of(shares, squares, np.asarray(total), np.asarray(everything))


def binomial_trials_of(
    shares: NDArray[np.floating],
    squares: NDArray[np.floating],
    totals: NDArray[np.floating],
    total_squares: NDArray[np.floating],
) -> NDArray[np.float64]:
    """`binomial_trials` of shares [...] of several samples, with the Σw `totals` and Σw² of all their events.

    The arrays are broadcast to the shape of `shares`. Of a sample without weight it is 0.
    """
    p, total, everything, above = np.broadcast_arrays(np.asarray(shares, np.float64), totals, total_squares, squares)
    with np.errstate(invalid="ignore", divide="ignore"):
        variances = ((1 - p) ** 2 * above + p**2 * (everything - above)) / total**2
        trials: NDArray[np.float64] = np.where(everything > 0, total**2 / everything, 0.0)
    known = (p > 0) & (p < 1) & (variances > 0)
    np.divide(p * (1 - p), variances, out=trials, where=known)
    return trials


def efficiency(
    passed: NDArray[np.bool_], weights: NDArray[np.floating] | None = None, *, coverage: float = ONE_SIGMA
) -> Efficiency:
    """The share of events that passed, with the Clopper–Pearson interval.

    With `weights` (one per event, ≥ 0) the share is weighted, and the interval is that of `binomial_trials`, to which
    the events that pass count by their own weights, be they all light or all heavy. With few effective events on either
    side that is an approximation.
    ValueError for a negative or NaN weight.
    """
    if weights is None:
        value, total = float(np.mean(passed)) if len(passed) else float("nan"), float(len(passed))
    else:
        if not bool(np.all(np.asarray(weights) >= 0)):
            raise ValueError("a weight is negative or NaN; an efficiency has no meaning then")
        value, total = _weighted_share(passed, np.asarray(weights, np.float64))
    if total == 0:
        return Efficiency(float("nan"), 0.0, 1.0, 0.0)
    lower, upper = clopper_pearson(value * total, total, coverage=coverage)
    return Efficiency(value, min(lower, value), max(upper, value), total)


def _weighted_share(passed: NDArray[np.bool_], weights: NDArray[np.float64]) -> tuple[float, float]:
    """The share, and the number of trials behind it; NaN and 0 without weight."""
    total = float(weights.sum())
    if not total > 0:
        return float("nan"), 0.0
    value = min(float(weights[passed].sum()) / total, 1.0)
    squares = np.array([np.square(weights[passed]).sum()])
    return value, float(binomial_trials(np.array([value]), squares, weights)[0])
