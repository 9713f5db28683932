"""Whether class probabilities are what they promise: of events given 0.3 for a class, 30 % should be of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hepfilter.statistics.intervals import Efficiency, efficiency

ANY_SIGNAL: Final = "any signal"
_EDGES: Final = np.array([0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 1])


@dataclass(frozen=True)
class ReliabilityBin:
    """Events whose probability of a class lies in one bin.

    `predicted` is their mean probability, `observed` the share of them that is of the class, `share` what part of all
    events they are, all weighted; `n_events` is a raw number.
    """

    predicted: float
    observed: Efficiency
    share: float
    n_events: int


@dataclass(frozen=True)
class ClassReliability:
    """The probability of one class; bins without weight are left out.

    `error` is the mean distance of `observed` from `predicted` (expected calibration error: C. Guo et al.,
    arXiv:1706.04599), `by_chance` what perfect probabilities would give with as many events: √(2p(1 − p)/πn) in a bin
    of mean p and n effective events. NaN without events.
    """

    name: str
    bins: tuple[ReliabilityBin, ...]
    error: float
    by_chance: float


def class_reliabilities(
    probabilities: NDArray[np.floating],
    targets: NDArray[np.int64],
    weights: NDArray[np.float64],
    *,
    names: Sequence[str],
    is_signal: Sequence[bool],
) -> tuple[ClassReliability, ...]:
    """For any signal together, then for each class.

    Of B events: `probabilities` [B, C] that sum to 1, true classes `targets` [B], weights [B] ≥ 0 with which the
    probabilities are to be true.
    """
    signal = np.asarray(is_signal, np.bool_)
    together = class_reliability(ANY_SIGNAL, probabilities[:, signal].sum(axis=1), signal[targets], weights)
    return (
        together,
        *(
            class_reliability(name, probabilities[:, number], targets == number, weights)
            for number, name in enumerate(names)
        ),
    )


def class_reliability(
    name: str, probability: NDArray[np.floating], is_of_class: NDArray[np.bool_], weights: NDArray[np.float64]
) -> ClassReliability:
    """Of B events: the probability [B] of a class, and whether each is of it [B]."""
    places = np.clip(np.searchsorted(_EDGES, probability, side="right") - 1, 0, len(_EDGES) - 2)
    total = float(weights.sum())
    bins = []
    for place in range(len(_EDGES) - 1):
        inside = places == place
        weight = float(weights[inside].sum())
        if weight > 0:
            mean = float(probability[inside] @ weights[inside]) / weight
            observed = efficiency(is_of_class[inside], weights[inside])
            bins.append(ReliabilityBin(mean, observed, weight / total, int(np.count_nonzero(inside))))
    distance = sum(b.share * abs(b.observed.value - b.predicted) for b in bins)
    chance = sum(b.share * _by_chance(b.predicted, b.observed.n_effective) for b in bins)
    return ClassReliability(name, tuple(bins), *(map(float, (distance, chance)) if bins else (float("nan"),) * 2))


def _by_chance(share: float, n_effective: float) -> float:
    """The mean distance of a binomial share from its expectation, in the normal approximation."""
    return float(np.sqrt(max(2 * share * (1 - share), 0.0) / np.pi / n_effective))
