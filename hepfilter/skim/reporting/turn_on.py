"""Turn-on curves: the efficiency of each path, measured in the control stream, which takes events whatever they are."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hepfilter.skim.reporting.containers import Shares, TurnOn, Values
from hepfilter.skim.reporting.shown import LEADING_PT, ShownEvents
from hepfilter.statistics.intervals import WeightSums, weight_powers, weighted_shares

LEAST_EVENTS: Final = 50
"""Control events below which no curve is drawn."""
_MOST_BINS, _EVENTS_PER_BIN = 12, 25
_VARIABLES: Final = ("interest", "ht", LEADING_PT, "met")


def turn_ons(events: ShownEvents, paths: Sequence[str]) -> tuple[TurnOn, ...]:
    """The curves of `paths` in the score, HT, leading pt and MET, of those that `events` have.

    Each control event counts with its weight over its probability of getting there, so that the events of all bins are
    those of the input. Nothing with fewer than `LEAST_EVENTS` of them.
    """
    sample = events[events.control & (events.control_probability > 0)]
    if len(sample) < LEAST_EVENTS:
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
    """The weighted share that passed, in each bin, with the interval of `statistics.intervals.weighted_shares`."""
    count = len(edges) - 1
    places = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, count - 1)
    above, every = (
        WeightSums(*(np.bincount(places[chosen], p[chosen], count).astype(np.float64) for p in weight_powers(weights)))
        for chosen in (passed, slice(None))
    )
    return shares_of(above, every, np.bincount(places, minlength=count))


def shares_of(above: WeightSums, every: WeightSums, events: NDArray[np.int64]) -> Shares:
    """Shares of sums of weights, all arrays [n]."""
    found = weighted_shares(above, every)
    return Shares(found.value, found.lower, found.upper, events)


def _edges(values: Values) -> Values:
    """Bins of about equally many events, the topmost divided further: there curves rise."""
    bins = int(np.clip(len(values) // _EVENTS_PER_BIN, 2, _MOST_BINS))
    tail = 1 - np.array([0.5, 0.25]) / bins
    edges = np.unique(np.quantile(values, np.sort([*np.linspace(0, 1, bins + 1), *tail])))
    return edges if len(edges) > 1 else np.array([edges[0], edges[0] + 1.0])
