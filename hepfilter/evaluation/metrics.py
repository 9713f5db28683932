"""How well a score separates signal from background: ROC, AUC, and signal efficiency at fixed background efficiency."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hepfilter.statistics.intervals import Efficiency, effective_number, efficiency

BACKGROUND_EFFICIENCIES: Final = (1e-2, 1e-3, 1e-4)
MIN_BACKGROUND_ABOVE: Final = 10
"""Background events that must pass a threshold before anything is said of it: raw ones, and effective ones too."""

_ROC_TARGETS: Final = tuple(float(target) for target in np.logspace(-5, 0, 51))

Scores = NDArray[np.floating]


@dataclass(frozen=True)
class Improvement:
    """The significance improvement ε_S/√ε_B with its 68 % interval, 0 ≤ lower ≤ value ≤ upper."""

    value: float
    lower: float
    upper: float


@dataclass(frozen=True)
class WorkingPoint:
    """One threshold: events with ``score >= threshold`` pass.

    `target` is the background efficiency asked for, `background` the one reached: the largest not above the target that
    the sample allows. `n_background_above` counts raw events, `n_effective_above` is their effective number. `sic` is
    the significance improvement at the background efficiency reached; its interval joins those of both efficiencies.
    """

    target: float
    threshold: float
    background: Efficiency
    n_background_above: int
    n_effective_above: float
    signal: Efficiency
    sic: Improvement


@dataclass(frozen=True)
class RocCurve:
    """Signal efficiency against the background efficiency reached, ascending in both; only where
    `MIN_BACKGROUND_ABOVE` background events pass.
    """

    background: tuple[float, ...]
    signal: tuple[float, ...]


@dataclass(frozen=True)
class Separation:
    """One signal against the background. A working point is None where too few background events lie above it.

    `n_signal` and `n_background` are raw numbers of events; `auc` is NaN where either has no weight.
    """

    n_signal: int
    n_background: int
    auc: float
    working_points: Mapping[float, WorkingPoint | None]
    roc: RocCurve


class BackgroundScores:
    """The scores of the background, put in order once for all signals that are compared with it.

    `weights` are ≥ 0, one an event; all 1 if None. ValueError if a score is NaN.
    """

    def __init__(self, scores: Scores, weights: Scores | None = None) -> None:
        order = np.argsort(_finite_order(scores), kind="stable")
        self.n_events = len(scores)
        self._weights = _weights(weights, scores)
        self._scores, self._given, self._weighted = scores[order], scores, weights is not None
        self._below = np.concatenate([[0.0], np.cumsum(self._weights[order])])
        squares = np.cumsum(np.square(self._weights[order])[::-1])[::-1]
        descending = np.cumsum(self._weights[order][::-1])[::-1]  # summed from the top: exact where it matters
        first_of_level = np.append(True, self._scores[1:] != self._scores[:-1])[: len(scores)]
        self._levels = np.flatnonzero(first_of_level)
        self._above = descending[self._levels]
        with np.errstate(divide="ignore", invalid="ignore"):
            n_effective = np.nan_to_num(self._above**2 / squares[self._levels])
        passing = np.minimum(self.n_events - self._levels, n_effective)
        self._known = np.logical_and.accumulate(passing >= MIN_BACKGROUND_ABOVE - 1e-9)

    @property
    def total(self) -> float:
        """The summed weight."""
        return float(self._below[-1])

    def threshold(self, target: float) -> float | None:
        """As `threshold_at`."""
        if not self.total > 0:
            return None
        allowed = np.flatnonzero(self._above <= target * self.total * (1 + 1e-12))
        if len(allowed) == 0:
            return None
        lowest = allowed[0]
        return float(self._scores[self._levels[lowest]]) if self._known[lowest] else None

    def efficiency(self, threshold: float) -> Efficiency:
        """The share with ``score >= threshold``."""
        return efficiency(self._given >= threshold, self._weights if self._weighted else None)

    def share_above(self, threshold: float) -> float:
        """The value of `efficiency` alone."""
        return 1 - float(self._below[np.searchsorted(self._scores, threshold)]) / self.total

    def weights_above(self, threshold: float) -> NDArray[np.float64]:
        """The weights of the events that pass."""
        return self._weights[self._given >= threshold]

    def auc(self, signal: Scores, signal_weights: Scores | None) -> float:
        """As `roc_auc`."""
        weights = _weights(signal_weights, signal)
        norm = float(weights.sum()) * self.total
        below, up_to = (self._below[np.searchsorted(self._scores, signal, side=side)] for side in ("left", "right"))
        return float(weights @ (below + up_to)) / 2 / norm if norm > 0 else float("nan")


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
    return BackgroundScores(background, background_weights).auc(_finite_order(signal), signal_weights)


def threshold_at(background: Scores, target: float, *, weights: Scores | None = None) -> float | None:
    """The lowest score t of the background for which the (weighted) share of background with score ≥ t is ≤ `target`.

    Events of equal score pass together. None if fewer than `MIN_BACKGROUND_ABOVE` events would pass, or fewer effective
    ones: a few events of large weight are not many, however many of small weight stand beside them. None, too, where
    that is so of a lower score: light events above the last heavy ones say nothing of heavy ones that may be missing.
    """
    return BackgroundScores(background, weights).threshold(target)


def working_point(
    signal: Scores, background: BackgroundScores, *, target: float, signal_weights: Scores | None = None
) -> WorkingPoint | None:
    """Signal efficiency at the background efficiency `target`; None where the background sample is too small to say."""
    threshold = background.threshold(target)
    if threshold is None:
        return None
    above = background.weights_above(threshold)
    passed, background_efficiency = efficiency(signal >= threshold, signal_weights), background.efficiency(threshold)
    return WorkingPoint(
        target=target,
        threshold=threshold,
        background=background_efficiency,
        n_background_above=len(above),
        n_effective_above=effective_number(above),
        signal=passed,
        sic=improvement(passed, background_efficiency),
    )


def improvement(signal: Efficiency, background: Efficiency) -> Improvement:
    """ε_S/√ε_B; the distances to the ends of both intervals are added in quadrature. NaN without background passing."""
    if not background.value > 0:
        return Improvement(*(float("nan"),) * 3)
    root = np.sqrt(background.value)
    value = signal.value / root
    down, up = (abs(end - signal.value) / root for end in (signal.lower, signal.upper))
    low, high = (abs(signal.value / np.sqrt(end) - value) for end in (background.upper, background.lower))
    return Improvement(float(value), max(0.0, float(value - np.hypot(down, low))), float(value + np.hypot(up, high)))


def roc_curve(signal: Scores, background: BackgroundScores, *, signal_weights: Scores | None = None) -> RocCurve:
    """Ten points a decade of background efficiency, from 1e-5 on; the last point is (1, 1)."""
    found = [background.threshold(target) for target in _ROC_TARGETS[:-1]]
    thresholds = sorted({threshold for threshold in found if threshold is not None}, reverse=True)
    weights = _weights(signal_weights, signal)
    order = np.argsort(signal)
    below = np.concatenate([[0.0], np.cumsum(weights[order])])
    if not (below[-1] > 0 and background.total > 0):
        return RocCurve((), ())
    passed = 1 - below[np.searchsorted(signal[order], thresholds)] / below[-1]
    return RocCurve((*map(background.share_above, thresholds), 1.0), (*map(float, passed), 1.0))


def separation(
    signal: Scores,
    background: BackgroundScores,
    *,
    signal_weights: Scores | None = None,
    targets: Sequence[float] = BACKGROUND_EFFICIENCIES,
) -> Separation:
    """AUC, ROC curve and the working points at `targets`. ValueError if a score is NaN."""
    return Separation(
        n_signal=len(signal),
        n_background=background.n_events,
        auc=background.auc(_finite_order(signal), signal_weights),
        working_points={
            target: working_point(signal, background, target=target, signal_weights=signal_weights)
            for target in targets
        },
        roc=roc_curve(signal, background, signal_weights=signal_weights),
    )


def _weights(weights: Scores | None, scores: Scores) -> NDArray[np.float64]:
    return np.ones(len(scores)) if weights is None else np.asarray(weights, dtype=np.float64)


def _finite_order(scores: Scores) -> Scores:
    """The scores, if they can be ordered."""
    if bool(np.isnan(scores).any()):
        raise ValueError("a score is NaN and has no place in any order")
    return scores
