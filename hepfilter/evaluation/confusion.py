"""Which class events are taken for: true class by predicted class."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepfilter.statistics.intervals import effective_number


@dataclass(frozen=True)
class Confusion:
    """How the events of T true classes are shared among P predicted ones.

    shares: [T][P], each row sums to 1; NaN in a row without weight.    n_events, n_effective: [T], raw and effective
    numbers of events behind each row.
    """

    true: tuple[str, ...]
    predicted: tuple[str, ...]
    shares: tuple[tuple[float, ...], ...]
    n_events: tuple[int, ...]
    n_effective: tuple[float, ...]


def confusion(
    true: NDArray[np.int64],
    predicted: NDArray[np.int64],
    weights: NDArray[np.float64],
    *,
    true_names: Sequence[str],
    predicted_names: Sequence[str],
) -> Confusion:
    """From B events: positions [B] among both names, and weights [B] ≥ 0; only those within a true class matter."""
    shape = len(true_names), len(predicted_names)
    flat = np.bincount(true * shape[1] + predicted, weights=weights, minlength=shape[0] * shape[1])
    sums = flat.reshape(shape)
    with np.errstate(invalid="ignore"):
        shares = sums / sums.sum(axis=1, keepdims=True)
    return Confusion(
        true=tuple(true_names),
        predicted=tuple(predicted_names),
        shares=tuple(tuple(map(float, row)) for row in shares),
        n_events=tuple(np.bincount(true, minlength=shape[0]).tolist()),
        n_effective=tuple(effective_number(weights[true == row]) for row in range(shape[0])),
    )
