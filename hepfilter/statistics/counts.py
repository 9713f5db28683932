"""The distribution of a score, gathered in pieces: every distinct value with the weight that lies there.

Scores are rounded to a grid, and p-values to a few bits, so that millions of events have few distinct values and
nothing need be approximated. Beyond `MOST_VALUES` of them, values are rounded down to multiples of a step.
"""

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

MOST_VALUES: Final = 2**20
"""Distinct values kept; a score on its grid of 2⁻¹⁰ has 20,480 of them between -10 and 10."""

_FINEST: Final = 2.0**-20
_ROUNDING: Final = 1e-9

Values = NDArray[np.float64]


@dataclass(frozen=True)
class ScoreCounts:
    """The distinct `values` [L], rising, with the Σw `weights` [L] of the events there.

    `step` is 0 while the values are those of the events. Else it is the power of two to whose multiples they were
    rounded down: sums above a multiple of it are still exact, only the choice of thresholds has become coarser.
    The same events give the same values and step however they were divided and in whatever order they came; the sums
    agree to the rounding of float64, and exactly for weights of 1.
    """

    values: Values
    weights: Values
    step: float = 0.0

    @classmethod
    def of(cls, values: NDArray[np.floating[Any]], weights: NDArray[np.floating[Any]] | None = None) -> Self:
        """The distribution of events with these values [n] and weights [n], 1 if not given; of none it is empty.

        ValueError if a value or weight is not finite.
        """
        w = np.ones(len(values)) if weights is None else np.asarray(weights, np.float64)
        if not bool(np.isfinite(values).all() and np.isfinite(w).all()):
            raise ValueError("a value or weight is not finite")
        return cls._gathered(np.asarray(values, np.float64), w, 0.0)

    @classmethod
    def _gathered(cls, values: Values, weights: Values, step: float) -> Self:
        """Equal values become one; then the step is doubled as often as there are still too many of them."""
        rounded = values if step == 0 else np.floor(values / step) * step
        distinct, level = np.unique(rounded, return_inverse=True)
        summed = np.bincount(level, weights, len(distinct)).astype(np.float64)
        if len(distinct) <= MOST_VALUES:
            return cls(distinct, summed, step)
        return cls._gathered(distinct, summed, max(2 * step, _FINEST))

    def merge(self, other: "ScoreCounts") -> "ScoreCounts":
        """The distribution of the events of both."""
        values = np.concatenate([self.values, other.values])
        weights = np.concatenate([self.weights, other.weights])
        return self._gathered(values, weights, max(self.step, other.step))

    def add(self, values: NDArray[np.floating[Any]], weights: NDArray[np.floating[Any]] | None = None) -> "ScoreCounts":
        """The distribution with further events, as `of` takes them."""
        return self.merge(self.of(values, weights))

    @property
    def total(self) -> float:
        """Σw of all events."""
        return float(self.weights.sum())

    def most_above(self, thresholds: NDArray[np.floating[Any]]) -> Values:
        """The largest Σw of the events at or above each threshold [n], or any higher one; without negative weights Σw.

        Thresholds are rounded down to a multiple of `step`.
        """
        t = np.asarray(thresholds, np.float64)
        first = np.searchsorted(self.values, t if self.step == 0 else np.floor(t / self.step) * self.step)
        most: Values = np.append(self._most_above(), 0.0)[first]
        return most

    def lowest_within(self, budget: float) -> float | None:
        """The lowest value at or above which no more than `budget` of weight lies, nor at or above any higher one.

        None if the highest has more. Events of equal value are above it together, or none of them is. With negative
        weights the sum may fall below the budget again further down: to stop where it first rises above it gives the
        budget on average (A. Wald, Ann. Math. Statist. 15 (1944) 283).
        """
        fits = np.flatnonzero(self._most_above() <= budget * (1 + _ROUNDING))
        return float(self.values[fits[0]]) if len(fits) else None

    def _most_above(self) -> Values:
        """[L] the largest Σw at or above each value, or any higher one."""
        sums: Values = np.maximum.accumulate(np.cumsum(self.weights[::-1]))[::-1]
        return sums

    def quantile(self, shares: NDArray[np.floating[Any]]) -> Values:
        """[n] the lowest values with at least these shares of the weight at or below them. ValueError if Σw ≤ 0.

        Exact if `step` is 0, else too low by less than `step`.
        """
        if not self.total > 0:
            raise ValueError("no events, or weights that add up to no more than 0: no quantile")
        summed = np.cumsum(self.weights)
        wanted = np.asarray(shares) * summed[-1] * (1 - _ROUNDING)
        levels = np.searchsorted(np.maximum.accumulate(summed), wanted)
        quantiles: Values = self.values[np.minimum(levels, len(self.values) - 1)]
        return quantiles
