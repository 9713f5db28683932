"""Reweighting events to another spectrum of an observable: what is left of a difference when hardness is taken away."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hepfilter.statistics.intervals import effective_number

BINS_PER_DECADE: Final = 20
"""Logarithmic bins, each 12 % wide."""
MIN_EVENTS: Final = 10
"""Source events that a bin must have to be used; and no event counts for more than one part in this of its bin."""

Values = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class MatchedSpectrum:
    """Source events weighted so that their spectrum is the target's, as far as there are source events.

    weights:     [n] float64 of the source events, of sum 1; 0 in bins that are not used; all 0 if none is.
    in_reach:    [m] bool: the target's events in bins that are used; to be compared with the source, only they count.
    coverage:    share of the target (by weight) in reach; NaN without target.
    n_effective: effective number of source events.
    bounded:     share of the source events of weight whose weight within their bin was cut to the bound.
    """

    weights: NDArray[np.float64]
    in_reach: NDArray[np.bool_]
    coverage: float
    n_effective: float
    bounded: float


def match_spectrum(
    source: Values,
    target: Values,
    *,
    source_weights: Values | None = None,
    target_weights: Values | None = None,
) -> MatchedSpectrum:
    """Weight the events of `source` [n] to the spectrum of `target` [m]: values of one observable, finite.

    Bins are logarithmic, `BINS_PER_DECADE` of them; values ≤ 0 share one. Within a bin, source events keep their
    weights relative to one another up to a bound: a weight is cut where it would be more than one in `MIN_EVENTS` of
    the bin's sum, so that each bin has at least that effective number. Bins with fewer source events of positive weight
    are not used: nothing is known of the source there, and the target's events in them are out of reach.
    """
    w_source = np.ones(len(source)) if source_weights is None else np.asarray(source_weights, np.float64)
    w_target = np.ones(len(target)) if target_weights is None else np.asarray(target_weights, np.float64)
    bins, place = np.unique(np.concatenate([_log_bin(source), _log_bin(target)]), return_inverse=True)
    source_bin, target_bin = place[: len(source)], place[len(source) :]
    wanted = np.bincount(target_bin, weights=w_target, minlength=len(bins))
    used = (np.bincount(source_bin[w_source > 0], minlength=len(bins)) >= MIN_EVENTS) & (wanted > 0)
    bounded, weights = np.zeros(len(source), np.bool_), np.zeros(len(source))
    for number in np.flatnonzero(used):
        events = np.flatnonzero(source_bin == number)
        cut = bounded_weights(w_source[events], MIN_EVENTS)
        bounded[events] = cut < w_source[events]
        weights[events] = cut * (wanted[number] / cut.sum())
    total, reached = float(wanted.sum()), float(wanted[used].sum())
    in_use = weights > 0
    return MatchedSpectrum(
        weights=weights / reached if reached > 0 else weights,
        in_reach=used[target_bin],
        coverage=reached / total if total > 0 else float("nan"),
        n_effective=effective_number(weights),
        bounded=float(bounded[in_use].mean()) if in_use.any() else 0.0,
    )


def _log_bin(values: Values) -> NDArray[np.int64]:
    """[n] the number of each value's bin; all values ≤ 0 in one of their own."""
    positive = values > 0
    bins = np.full(len(values), np.iinfo(np.int64).min)
    bins[positive] = np.floor(np.log10(np.asarray(values[positive], np.float64)) * BINS_PER_DECADE).astype(np.int64)
    return bins


def bounded_weights(weights: NDArray[np.float64], parts: int) -> NDArray[np.float64]:
    """Weights ≥ 0 [n] cut at the c for which c = Σ min(w, c) / `parts`; unchanged where none is larger than that.

    No event then counts for more than one part in `parts`, and their effective number is at least that. ValueError for
    fewer positive weights.
    """
    descending = np.sort(weights)[::-1]
    if len(weights) < parts or not descending[parts - 1] > 0:
        raise ValueError(f"needs {parts} positive weights")
    limits = np.array([descending[cut:].sum() / (parts - cut) for cut in range(parts)])
    n_cut = int(np.argmax(descending[:parts] <= limits * (1 + 1e-12)))
    return weights if n_cut == 0 else np.minimum(weights, limits[n_cut])
