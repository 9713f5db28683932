"""Turn-on curves: the efficiency of each path, measured in the control stream, which takes events whatever they are."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hepfilter.skim.reporting.containers import Shares, TurnOn, Values
from hepfilter.skim.reporting.shown import LEADING_PT, ShownEvents
from hepfilter.statistics.intervals import binomial_trials_of, clopper_pearson_of

LEAST_EVENTS: Final = 50
"""Control events below which no curve is drawn."""
_MOST_BINS, _EVENTS_PER_BIN = 12, 25
_VARIABLES: Final = ("interest", "ht", LEADING_PT, "met")


def turn_ons(events: ShownEvents, paths: Sequence[str]) -> tuple[TurnOn, ...]:
    """The curves of `paths` in the score, HT, leading pt and MET, of those that `events` have.

    Each control event counts with its weight over its probability of getting there, so that the events of all bins are
    those of the input. Nothing with fewer than `LEAST_EVENTS` of them, or with negative weights.
    """
    sample = events[events.control & (events.control_probability > 0)]
    if len(sample) < LEAST_EVENTS or (sample.weights < 0).any():
        return ()
    weights = sample.weights / sample.control_probability
    found = []
    for variable in _VARIABLES:
        values = sample.scores.get(variable) if variable == "interest" else sample.observables.get(variable)
        if values is None:
            continue
        edges = _edges(np.asarray(values, np.float64))
        for path in (path for path in paths if path in sample.raw):
            found.append(TurnOn(path, variable, edges, shares(values, sample.raw[path], weights, edges)))
    return tuple(found)


def shares(values: NDArray[np.floating], passed: NDArray[np.bool_], weights: Values, edges: Values) -> Shares:
    """The weighted share that passed, in each bin, with the interval of `statistics.intervals.efficiency`."""
    count = len(edges) - 1
    places = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, count - 1)
    powers = (weights, weights**2)
    total, squares = (np.bincount(places, part, count).astype(np.float64) for part in powers)
    above, above_squares = (np.bincount(places[passed], w[passed], count).astype(np.float64) for w in powers)
    return shares_of(above, above_squares, total, squares, np.bincount(places, minlength=count))


def shares_of(
    above: Values, above_squares: Values, total: Values, squares: Values, events: NDArray[np.int64]
) -> Shares:
    """Shares of sums of weights, with the sums of their squares: all arrays [n]."""
    with np.errstate(invalid="ignore", divide="ignore"):
        value = np.clip(above / total, 0.0, 1.0)
    known = np.nan_to_num(value)
    trials = binomial_trials_of(known, np.minimum(above_squares, squares), total, squares)
    lower, upper = clopper_pearson_of(known * trials, trials)
    return Shares(value, np.minimum(lower, known), np.maximum(upper, known), events)


def _edges(values: Values) -> Values:
    """Bins of about equally many events, the topmost divided further: there curves rise."""
    bins = int(np.clip(len(values) // _EVENTS_PER_BIN, 2, _MOST_BINS))
    tail = 1 - np.array([0.5, 0.25]) / bins
    edges = np.unique(np.quantile(values, np.sort([*np.linspace(0, 1, bins + 1), *tail])))
    return edges if len(edges) > 1 else np.array([edges[0], edges[0] + 1.0])
