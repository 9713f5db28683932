"""Efficiencies with intervals, from counts or from weighted events."""

from dataclasses import dataclass
from typing import Final, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

Moved = TypeVar("Moved", float, NDArray[np.float64])

ONE_SIGMA: Final = 0.6826894921370859
"""The probability content of ±1σ."""


@dataclass(frozen=True)
class Efficiency:
    """A share with its interval, lower ≤ value ≤ upper; in [0, 1], unless weights are negative.

    `n_effective` is the number of trials behind it. With none the value is NaN and the interval is all of [0, 1]:
    nothing is known.
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


@dataclass(frozen=True)
class WeightSums:
    """Sums over events, arrays of one shape: Σw `signed`, Σ|w| of those with w < 0 `negative`, and Σw² `squares`."""

    signed: NDArray[np.float64]
    negative: NDArray[np.float64]
    squares: NDArray[np.float64]

    @classmethod
    def of(cls, weights: NDArray[np.floating]) -> Self:
        """Those of weights [n], of shape []."""
        return cls(*(np.asarray(part.sum()) for part in weight_powers(weights)))

    @property
    def unsigned(self) -> NDArray[np.float64]:
        """Σ|w|; without negative weights Σw to the last bit."""
        return self.signed + 2 * self.negative


def weight_powers(weights: NDArray[np.floating]) -> tuple[NDArray[np.float64], ...]:
    """What `WeightSums` has the sums of, each [n]."""
    w = np.asarray(weights, np.float64)
    return w, np.maximum(-w, 0.0), w**2


@dataclass(frozen=True)
class WeightedShares:
    """Shares with their intervals, lower ≤ value ≤ upper, and the `trials` behind them: arrays of one shape."""

    value: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    trials: NDArray[np.float64]


def weighted_shares(passed: WeightSums, every: WeightSums, *, coverage: float = ONE_SIGMA) -> WeightedShares:
    """The shares Σ_passed w / Σw with their intervals, for weights of either sign.

    Without negative weights the interval is that of Clopper and Pearson with `binomial_trials_of`. With them it is that
    of the share of Σ|w|, moved to the share of Σw, which may lie below 0 or above 1, and stretched by the ratio of the
    two shares' standard deviations. That is exact for equal weights, and an approximation otherwise: the variances are
    those of the delta method, for Σw well above 0. Where Σw is not above 0 the value is NaN and the interval [0, 1].
    """
    total, size, squares = every.signed, every.unsigned, every.squares
    above, known = np.minimum(passed.squares, squares), total > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        q = np.where(size > 0, np.clip(passed.unsigned / size, 0.0, 1.0), 0.0)
        p = np.where(known, np.where(q < 1, passed.signed / total, 1.0), np.nan)
        variance, plain = (((1 - x) ** 2 * above + x**2 * (squares - above)) / y**2 for x, y in ((p, total), (q, size)))
        stretch = np.sqrt(np.where(plain > 0, variance / plain, (size / total) ** 2))
        trials = binomial_trials_of(q, above, size, squares)
        ends = clopper_pearson_of(q * trials, trials, coverage=coverage)
        lower, upper = moved_interval(q, *ends, to=p, stretch=stretch)
        return WeightedShares(
            value=p,
            lower=np.where(known, lower, 0.0),
            upper=np.where(known, upper, 1.0),
            trials=np.where(known, trials / stretch**2, 0.0),
        )


def moved_interval(value: Moved, lower: Moved, upper: Moved, *, to: Moved, stretch: Moved) -> tuple[Moved, Moved]:
    """The ends of the interval of `value` as those of another value, with both arms `stretch` times as long."""
    return to - np.maximum(value - lower, 0.0) * stretch, to + np.maximum(upper - value, 0.0) * stretch


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

    With `weights` (one per event) share and interval are those of `weighted_shares`: the events that pass count by
    their own weights, be they all light or all heavy. With few effective events on either side that is an
    approximation. ValueError for a weight that is not finite.
    """
    w = np.ones(len(passed)) if weights is None else np.asarray(weights, np.float64)
    if not np.isfinite(w).all():
        raise ValueError("a weight is not finite; an efficiency has no meaning then")
    found = weighted_shares(WeightSums.of(w[passed]), WeightSums.of(w), coverage=coverage)
    return Efficiency(*(float(part) for part in (found.value, found.lower, found.upper, found.trials)))
