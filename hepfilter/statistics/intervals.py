"""Efficiencies with intervals, from counts or from weighted events."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

ONE_SIGMA: Final = 0.6826894921370859
"""The probability content of ±1σ."""


@dataclass(frozen=True)
class Efficiency:
    """A share with its interval: 0 ≤ lower ≤ value ≤ upper ≤ 1.

    `n_effective` is the number of trials behind it (not whole for weighted events). With no trials the value is NaN and
    the interval is all of [0, 1]: nothing is known.
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
    tail, failed = (1 - coverage) / 2, total - passed
    lower = float(beta.ppf(tail, passed, failed + 1)) if passed > 0 else 0.0
    upper = float(beta.ppf(1 - tail, passed + 1, failed)) if failed > 0 else 1.0
    return lower, upper


def effective_number(weights: NDArray[np.floating]) -> float:
    """(Σw)² / Σw²: the number of unweighted events with the same relative precision (L. Kish, Survey Sampling, 1965).

    0 for no events or weights that are all 0; NaN if a weight is.
    """
    values = np.asarray(weights, dtype=np.float64)
    squares = float(np.sum(values * values))
    return float(np.sum(values)) ** 2 / squares if squares != 0 else 0.0


def efficiency(
    passed: NDArray[np.bool_], weights: NDArray[np.floating] | None = None, *, coverage: float = ONE_SIGMA
) -> Efficiency:
    """The share of events that passed, with the Clopper–Pearson interval.

    With `weights` (one per event, ≥ 0) the share is weighted, and the interval is that of the effective number of
    events: an approximation, good as long as weights do not differ much between events that pass and that fail.
    ValueError for a negative or NaN weight.
    """
    if weights is None:
        total, selected = float(len(passed)), float(np.count_nonzero(passed))
    else:
        if not bool(np.all(np.asarray(weights) >= 0)):
            raise ValueError("a weight is negative or NaN; an efficiency has no meaning then")
        total = effective_number(weights)
        sum_of_weights = float(np.sum(weights, dtype=np.float64))
        selected = total * float(np.sum(weights[passed], dtype=np.float64)) / sum_of_weights if total else 0.0
        selected = min(selected, total)
    if total == 0:
        return Efficiency(float("nan"), 0.0, 1.0, 0.0)
    value = selected / total
    lower, upper = clopper_pearson(selected, total, coverage=coverage)
    return Efficiency(value, min(lower, value), max(upper, value), total)
