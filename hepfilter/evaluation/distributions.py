"""How the scores of background and of each signal family are distributed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hepfilter.evaluation.sample import ScoredEvents

_BINS: Final = 50


@dataclass(frozen=True)
class ScoreDistribution:
    """One score in [n] equal bins between `edges` [n + 1]: the share of the events in each.

    `background` is in the physical mix, 0 without weight; the events of a family of signals count the same.
    """

    score: str
    edges: tuple[float, ...]
    background: tuple[float, ...]
    families: Mapping[str, tuple[float, ...]]


def score_distributions(events: ScoredEvents, scores: tuple[str, ...]) -> tuple[ScoreDistribution, ...]:
    """For each of `scores`; the bins span the events' scores but the last 0.01 % on either side, which are put in the
    outermost bins.
    """
    found = []
    for score in scores:
        values = events.scores[score]
        low, high = (float(edge) for edge in np.quantile(values, [1e-4, 1 - 1e-4]))
        edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
        background = _shares(values[events.background], edges, events.weights[events.background])
        families = {family.name: _shares(values[events.signal(family)], edges, None) for family in events.families}
        found.append(ScoreDistribution(score, tuple(map(float, edges)), background, families))
    return tuple(found)


def _shares(
    values: NDArray[np.floating[Any]], edges: NDArray[np.float64], weights: NDArray[np.float64] | None
) -> tuple[float, ...]:
    contents = np.histogram(np.clip(values, edges[0], edges[-1]), edges, weights=weights)[0]
    return tuple(map(float, contents / (contents.sum() or 1.0)))
