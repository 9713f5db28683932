"""Matched hardness: background weighted so that an observable alone does not tell it from signal."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepfilter.config.training import Reweight
from hepfilter.errors import TrainingError, nearest
from hepfilter.events.observables import OBSERVABLES
from hepfilter.graphs.labelled import LabelledEvents

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SpectrumMatch:
    """Factors for the weights of background events, one for each bin of an observable.

    edges: [n - 1] float64 inner edges, rising; the outer bins are open.    factors: [n] float64.
    """

    observable: str
    edges: Floats
    factors: Floats

    def apply(self, data: LabelledEvents, weights: Floats, is_signal: NDArray[np.bool_]) -> Floats:
        """The weights [B] with those of background multiplied."""
        factors = self.factors[np.searchsorted(self.edges, data.observable(self.observable), side="right")]
        return np.where(is_signal, weights, weights * factors)


def match_signals(
    options: Reweight, data: LabelledEvents, weights: Floats, is_signal: NDArray[np.bool_]
) -> SpectrumMatch:
    """The factors by which weighted background [B] gets the spectrum of weighted signal in `options.bins` bins.

    Bins have equal weights of both together, fewer where values are equal. A factor is signal over background in its
    bin, bounded to [1 / max_factor, max_factor], times what keeps the total weight of background. A bin without
    background has nothing to weight. TrainingError for an observable that is not known.
    """
    if options.observable not in OBSERVABLES:
        close = nearest(options.observable, OBSERVABLES) or f"; known: {', '.join(OBSERVABLES)}"
        raise TrainingError(f"fit.reweight: no observable {options.observable!r}{close}")
    values = np.asarray(data.observable(options.observable), np.float64)
    edges = _quantiles(values, weights, options.bins)
    place = np.searchsorted(edges, values, side="right")
    signal, background = (
        np.bincount(place[which], weights=weights[which], minlength=len(edges) + 1) for which in (is_signal, ~is_signal)
    )
    there = background > 0
    ratio = np.divide(signal * (background.sum() / signal.sum()), background, out=np.ones(len(there)), where=there)
    bounded = np.clip(ratio, 1 / options.max_factor, options.max_factor)
    return SpectrumMatch(options.observable, edges, bounded * (background.sum() / (bounded * background).sum()))


def _quantiles(values: Floats, weights: Floats, bins: int) -> Floats:
    """The inner edges of `bins` bins of equal weight; those that are equal once."""
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weights[order])
    cuts = np.searchsorted(below, below[-1] * np.arange(1, bins) / bins)
    return np.unique(values[order][cuts])
