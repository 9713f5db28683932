"""The background p-value of a score among events alike in another observable: a table of quantiles over both.

What is cut on such a p-value takes the same share of background at every value of the observable, so that it neither
goes with it nor sculpts it, by construction (J. Dolen et al., Thinking outside the ROCs: designing decorrelated
taggers, JHEP 05 (2016) 156; here for the whole distribution and not one working point).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hepfilter.statistics.pvalues import PValueTable, pvalue_table
from hepfilter.statistics.reweighting import bounded_weights

LEVELS: Final = np.concatenate([np.arange(0.0, 3.0, 0.1), np.arange(3.0, 7.01, 0.25)])
"""−ln p of the quantiles in a table: 0 is the lowest value, ln 100 what a percent of background exceeds."""

_SLOPES: Final = (0.01, 100.0)
"""Bounds of −d ln p/d score where it is extrapolated, so that no score becomes infinite."""
_LEAST: Final = 128
"""Events near each knot, and no event counts for more than one part in this: enough for a table of p-values."""
_FEWEST: Final = 4
"""Knots without which nothing is conditional."""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class ConditionalQuantiles:
    """At K knots of an observable, rising, the scores [K, `LEVELS`], rising, that background exceeds with p = e^−level.

    Between knots the scores are those in between; outside they are those of the nearest knot.
    """

    knots: Values
    scores: Values


def conditional_quantiles(
    scores: NDArray[np.floating], observable: NDArray[np.floating], weights: NDArray[np.floating], *, most: int
) -> ConditionalQuantiles:
    """The table of background events with these scores [n], values of an observable [n] and weights [n] ≥ 0.

    There are `most` knots, as many events between each and the next, or fewer, so that there are 128 at least. An event
    counts for the two knots about it by its nearness, and for neither more than one part in 128, so that no heavy event
    stands for all of its like; where few events hold most of the weight near a knot, p is not that of the weights then.
    Where fewer than 10 effective events near a knot lie above a score, p is an extrapolation, as in `pvalue_table`.
    ValueError for too few events with weight, or different values of the observable, for four knots, or where one is
    not finite.
    """
    s, x, w = (np.asarray(column, np.float64)[np.asarray(weights) > 0] for column in (scores, observable, weights))
    if len(s) < _FEWEST * _LEAST:
        raise ValueError(f"{len(s)} background events with weight; at least {_FEWEST * _LEAST} are needed")
    if not bool(np.isfinite(s).all() and np.isfinite(x).all() and np.isfinite(w).all()):
        raise ValueError("a score, a weight or the observable of a background event is not finite")
    knots = _knots(x, most)
    if len(knots) < min(_FEWEST, most):
        raise ValueError(f"the observable of the {len(s)} background events has hardly any different values")
    rows = []
    for nearness in _nearness(x, knots):
        near = nearness > 0
        rows.append(_quantiles(pvalue_table(s[near], bounded_weights(nearness[near] * w[near], _LEAST))))
    return ConditionalQuantiles(knots, np.array(rows))


def _knots(x: Values, most: int) -> Values:
    """Quantiles of x [n]; fewer where many values are equal, so that there are events enough near each."""
    knots = np.unique(np.quantile(x, np.linspace(0, 1, min(most, 1 + len(x) // _LEAST))))
    while len(knots) > 1:
        counts = [np.count_nonzero(nearness) for nearness in _nearness(x, knots)]
        if min(counts) >= _LEAST:
            break
        knots = np.delete(knots, int(np.argmin(counts)))
    return knots


def _nearness(x: Values, knots: Values) -> Iterator[Values]:
    """For each knot [n], 1 at it, 0 from the next ones on, linear between; together 1 for every event."""
    place = np.interp(x, knots, np.arange(len(knots)))
    for knot in range(len(knots)):
        yield np.clip(1 - np.abs(place - knot), 0.0, None)


def _quantiles(table: PValueTable) -> Values:
    """[`LEVELS`] the scores of these p-values, rising; in the tail by its slope."""
    measured = np.interp(LEVELS, -np.log(table.pvalues), table.scores)
    beyond = LEVELS + np.log(table.tail.pvalue)
    slope = float(np.clip(table.tail.rate, *_SLOPES))
    quantiles: Values = np.where(beyond > 0, table.tail.start + beyond / slope, measured)
    return quantiles
