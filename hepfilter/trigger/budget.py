"""A budget shared by several paths: thresholds whose union, overlaps counted once, takes no more than is allowed.

The shares are proportionally fair (F. P. Kelly, Eur. Trans. Telecommun. 8 (1997) 33): Σ priority · ln(rate) is as large
as it can be, rates being those after the prescale. Without overlaps every path gets the budget in proportion to its
priority. With them a path whose events others take anyway costs less, and gets more.

The search has no random number in it. It begins with rates in proportion to the priorities, scaled until the union
fills the budget. Then one path, or two, or all but one or two, are made larger against the rest by a factor, and all
are scaled back to the budget; a change that raises the objective stays, and when none does the factor becomes smaller,
down to 2 %. That finds a maximum which no such change improves; it need not be the highest of all, as the union is not
convex. At the end all rates are scaled to the budget event by event, and each path, those of high priority first, takes
what still fits.

With negative weights a rate does not only grow as a threshold falls. The search then goes by the largest rate down to
each threshold, which does; the union at the end, and down to it, is the sum itself, and stays within the budget.
"""

from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hepfilter.statistics.counts import ScoreCounts

_FACTORS: Final = (0.5, 0.25, 0.1, 0.05, 0.02)
"""Logarithms of the factors by which rates are tried, one after the other."""
_BINS: Final = 400
_LEAST_GAIN: Final = 1e-5
_SCALINGS: Final = 100
_ROUNDING: Final = 1e-9
_NOTHING: Final = 1e-30
"""The rate, of the budget, of events on top without weight, or with no more than 0 in sum."""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class SharedBudget:
    """The problem, of N events and P paths.

    `values` [P, N] say how interesting each event is to each path, −inf where it is no candidate; `amounts` [N]
    what an event adds to a rate; `budget` > 0 is what the union may have, in the same unit. `accepted` [P] in (0, 1] is
    the share that the prescale lets through; `priorities` [P] > 0.
    """

    values: Values
    amounts: Values
    budget: float
    accepted: Values
    priorities: Values

    def rates(self, thresholds: Values) -> Values:
        """[P] the rate of each path, after its prescale."""
        rates: Values = self.accepted * (self._passed(thresholds) @ self.amounts)
        return rates

    def union(self, thresholds: Values) -> float:
        """The rate of the events that any path takes, by the probabilities that prescales leave."""
        return float((1 - self.missed(thresholds)) @ self.amounts)

    def missed(self, thresholds: Values) -> Values:
        """[N] the probability that no path takes an event."""
        missed: Values = np.where(self._passed(thresholds), 1 - self.accepted[:, None], 1.0).prod(axis=0)
        return missed

    def _passed(self, thresholds: Values) -> NDArray[np.bool_]:
        passed: NDArray[np.bool_] = (self.values >= thresholds[:, None]) & (self.values > -np.inf)
        return passed


@dataclass(frozen=True)
class _Search:
    """The problem with its events that can matter; `reach` [P, E] is for each the ln of a path's most rate down to it.

    +inf where the event is no candidate of the path, or alone too much of one. `most` [P]: the largest finite `reach`.
    """

    problem: SharedBudget
    reach: Values
    most: Values

    def scaled(self, rates: Values, width: float) -> Values:
        """ln rates [P], all shifted by the one number within ±`width` with which the union fills the budget.

        To a bin of `width` / 200. A path of which nothing is left stays at `most`.
        """
        place, amounts = self._entries(rates)
        bins = np.ceil(np.clip((place + width) / (2 * width), 0.0, 1.0 + 1.0 / _BINS) * _BINS).astype(np.int64)
        sums = np.cumsum(np.bincount(bins.ravel(), amounts.ravel(), _BINS + 2))[: _BINS + 1]
        within = np.maximum.accumulate(sums)
        shift = np.interp(self.problem.budget, within, np.linspace(-width, width, _BINS + 1))
        shifted: Values = np.minimum(rates + shift, self.most)
        return shifted

    def thresholds(self, rates: Values) -> Values:
        """The thresholds [P] for these ln rates, shifted as `scaled` does, but by the most that fits, to the event."""
        place, amounts = self._entries(rates)
        enters = np.isfinite(place)
        shift = ScoreCounts.of(-place[enters], amounts[enters]).lowest_within(self.problem.budget)
        if shift is None:
            return np.full(len(rates), np.inf)
        passed = self.reach - rates[:, None] <= -shift
        lowest: Values = np.where(passed, self.problem.values, np.inf).min(axis=1, initial=np.inf)
        return lowest

    def _entries(self, rates: Values) -> tuple[Values, Values]:
        """[C, E] or [E]: by what shift of all ln rates an event enters the union, and how much of it does.

        The paths without a prescale are one column, since the first of them takes an event whole.
        """
        first, others, shares = np.full(self.reach.shape[1], np.inf), [], []
        for reach, rate, accepted in zip(self.reach, rates, self.problem.accepted, strict=True):
            if accepted == 1:
                np.minimum(first, reach - rate, out=first)
            else:
                others.append(reach - rate)
                shares.append(accepted)
        if not others:
            return first, self.problem.amounts
        columns = np.vstack([first, *others])
        order = np.argsort(columns, axis=0, kind="stable")
        share = np.array([1.0, *shares])[order]
        missed = np.vstack([np.ones(columns.shape[1]), np.cumprod(1 - share, axis=0)[:-1]])
        return np.take_along_axis(columns, order, axis=0), share * missed * self.problem.amounts


def share_budget(problem: SharedBudget) -> Values:
    """The thresholds [P]: values of events; +inf for a path of which not even the highest candidates fit."""
    search = _search(problem)
    if not search.problem.amounts.any():
        return np.full(len(problem.values), np.inf)
    rates = _proportional(search)
    for factor in _FACTORS:
        rates = _improved(search, rates, factor)
    thresholds = search.thresholds(rates)
    for path in np.argsort(-problem.priorities, kind="stable"):
        thresholds[path] = _widened(search.problem, thresholds, int(path))
    return thresholds


def _search(problem: SharedBudget) -> _Search:
    """The problem without the events, and without the candidates, that alone would take a path beyond the budget."""
    reach = np.full(problem.values.shape, np.inf)
    for values, accepted, row in zip(problem.values, problem.accepted, reach, strict=True):
        candidates = values > -np.inf
        counts = ScoreCounts.of(values[candidates], problem.amounts[candidates])
        most = accepted * counts.most_above(values[candidates])
        row[candidates] = np.log(np.maximum(most, _NOTHING * problem.budget))
    fits = reach <= np.log(problem.budget) + _ROUNDING
    used = fits.any(axis=0)
    reach, values = np.where(fits, reach, np.inf)[:, used], np.where(fits, problem.values, -np.inf)[:, used]
    smaller = SharedBudget(values, problem.amounts[used], problem.budget, problem.accepted, problem.priorities)
    return _Search(smaller, reach, np.where(fits[:, used], reach, -np.inf).max(axis=1, initial=-np.inf))


def _proportional(search: _Search) -> Values:
    """ln rates in proportion to the priorities, filling the budget; paths that have fewer candidates have them all."""
    priorities = search.problem.priorities
    rates = np.minimum(np.log(search.problem.budget * priorities / priorities.sum()), search.most)
    for _ in range(_SCALINGS):
        before, rates = rates, search.scaled(rates, 1.0)
        if np.allclose(before, rates, rtol=0, atol=1e-3):
            break
    return search.scaled(rates, _FACTORS[-1])


def _improved(search: _Search, rates: Values, factor: float) -> Values:
    """ln rates after all changes by `factor` that raise the objective, by more than one event more for all would."""
    priorities, amounts = search.problem.priorities, search.problem.amounts
    rates = search.scaled(rates, factor)
    one_event = float(amounts @ amounts) / float(np.abs(amounts).sum())
    least, improving = float(priorities.sum()) * max(one_event / search.problem.budget, _LEAST_GAIN), True
    while improving:
        improving = False
        for larger in _changes(len(rates)):
            changed = search.scaled(rates + factor * larger, factor)
            if float(priorities @ changed) > float(priorities @ rates) + least:
                rates, improving = changed, True
    return rates


def _changes(n_paths: int) -> list[NDArray[np.bool_]]:
    """[P] masks: one path, two, or all but one or two; each once."""
    few = [np.isin(np.arange(n_paths), chosen) for size in (1, 2) for chosen in combinations(range(n_paths), size)]
    distinct = {mask.tobytes(): mask for chosen in few for mask in (chosen, ~chosen)}
    return [mask for mask in distinct.values() if 0 < np.count_nonzero(mask) < n_paths]


def _widened(problem: SharedBudget, thresholds: Values, path: int) -> float:
    """The lowest threshold of one path that the budget allows, with those of all others as they are."""
    without = thresholds.copy()
    without[path] = np.inf
    missed, candidates = problem.missed(without), problem.values[path] > -np.inf
    added = problem.accepted[path] * problem.amounts * missed
    left = problem.budget - float((1 - missed) @ problem.amounts)
    counts = ScoreCounts.of(problem.values[path][candidates], added[candidates])
    lowest = counts.lowest_within(left + _ROUNDING * problem.budget)
    return float(thresholds[path]) if lowest is None else min(lowest, float(thresholds[path]))
