"""How well a score separates signal from background: AUC, and signal efficiency at fixed background efficiency."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hepfilter.statistics.intervals import Efficiency, effective_number, efficiency

BACKGROUND_EFFICIENCIES: Final = (1e-2, 1e-3)
MIN_BACKGROUND_ABOVE: Final = 10
"""Background events that must pass a threshold before anything is said of it: raw ones, and effective ones too."""

Scores = NDArray[np.floating]


@dataclass(frozen=True)
class WorkingPoint:
    """One threshold: events with ``score >= threshold`` pass.

    `target` is the background efficiency asked for, `background` the one reached: the largest not above the target that
    the sample allows. `n_background_above` counts raw events, `n_effective_above` is their effective number.
    """

    target: float
    threshold: float
    background: Efficiency
    n_background_above: int
    n_effective_above: float
    signal: Efficiency


@dataclass(frozen=True)
class Separation:
    """One signal against the background. A working point is None where too few background events lie above it.

    `n_signal` and `n_background` are raw numbers of events; `auc` is NaN where either is zero.
    """

    n_signal: int
    n_background: int
    auc: float
    working_points: Mapping[float, WorkingPoint | None]


def roc_auc(
    signal: Scores,
    background: Scores,
    *,
    signal_weights: Scores | None = None,
    background_weights: Scores | None = None,
) -> float:
    """The probability that a signal event scores above a background event, ties counting half.

    Weighted if weights are given. (J. A. Hanley, B. J. McNeil, Radiology 143 (1982) 29.) NaN if either has no events or
    no weight. ValueError if a score is NaN.
    """
    s_weights, b_weights = _weights(signal_weights, signal), _weights(background_weights, background)
    scores = np.concatenate([_finite_order(signal), _finite_order(background)])
    levels, level = np.unique(scores, return_inverse=True)
    s_sum = np.bincount(level[: len(signal)], weights=s_weights, minlength=len(levels))
    b_sum = np.bincount(level[len(signal) :], weights=b_weights, minlength=len(levels))
    norm = float(s_sum.sum() * b_sum.sum())
    below = np.cumsum(b_sum) - b_sum
    return float(np.sum(s_sum * (below + 0.5 * b_sum))) / norm if norm > 0 else float("nan")


def threshold_at(background: Scores, target: float, *, weights: Scores | None = None) -> float | None:
    """The lowest score t of the background for which the (weighted) share of background with score ≥ t is ≤ `target`.

    Events of equal score pass together. None if fewer than `MIN_BACKGROUND_ABOVE` events would pass, or fewer effective
    ones: a few events of large weight are not many, however many of small weight stand beside them.
    """
    order = np.argsort(-_finite_order(background), kind="stable")
    scores = background[order]
    share = np.cumsum(_weights(weights, background)[order])
    if len(scores) == 0 or share[-1] <= 0:
        return None
    last_of_level = np.append(scores[1:] != scores[:-1], True)
    allowed = np.flatnonzero(last_of_level & (share <= target * share[-1] * (1 + 1e-12)))
    if len(allowed) == 0:
        return None
    passing = _weights(weights, background)[order][: allowed[-1] + 1]
    if min(len(passing), effective_number(passing)) < MIN_BACKGROUND_ABOVE - 1e-9:
        return None
    return float(scores[allowed[-1]])


def working_point(
    signal: Scores,
    background: Scores,
    *,
    target: float,
    signal_weights: Scores | None = None,
    background_weights: Scores | None = None,
) -> WorkingPoint | None:
    """Signal efficiency at the background efficiency `target`; None where the background sample is too small to say."""
    threshold = threshold_at(background, target, weights=background_weights)
    if threshold is None:
        return None
    above = background >= threshold
    return WorkingPoint(
        target=target,
        threshold=threshold,
        background=efficiency(above, background_weights),
        n_background_above=int(np.count_nonzero(above)),
        n_effective_above=effective_number(_weights(background_weights, background)[above]),
        signal=efficiency(signal >= threshold, signal_weights),
    )


def separation(
    signal: Scores,
    background: Scores,
    *,
    signal_weights: Scores | None = None,
    background_weights: Scores | None = None,
    targets: Sequence[float] = BACKGROUND_EFFICIENCIES,
) -> Separation:
    """AUC and the working points at `targets`."""
    weights = {"signal_weights": signal_weights, "background_weights": background_weights}
    return Separation(
        n_signal=len(signal),
        n_background=len(background),
        auc=roc_auc(signal, background, **weights),
        working_points={target: working_point(signal, background, target=target, **weights) for target in targets},
    )


def _weights(weights: Scores | None, scores: Scores) -> NDArray[np.float64]:
    return np.ones(len(scores)) if weights is None else np.asarray(weights, dtype=np.float64)


def _finite_order(scores: Scores) -> Scores:
    """The scores, if they can be ordered."""
    if bool(np.isnan(scores).any()):
        raise ValueError("a score is NaN and has no place in any order")
    return scores
