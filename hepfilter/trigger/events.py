"""What a trigger decides on: of each event who it is, what the model says of it, and which conditions it fulfils."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from hepfilter.trigger.hashing import Integers

Mask = NDArray[np.bool_]

P_VALUES: Final = ("pvalue", "combined")
"""The columns in which less is more interesting."""

_STEP: Final = 2.0**-20
_SMALLEST: Final = float(np.finfo(np.float32).smallest_subnormal)


@dataclass(frozen=True)
class TriggerEvents:
    """B events: `run`, `luminosity_block`, `event` [B] integers, `weights` [B] of the generator, 1 for data.

    `hertz` [B] is what each adds to a rate in Hz (data: 1 / livetime; simulation: σ × luminosity × its share of the
    weights of its dataset), None where that is not known. `scores` are [B] by the scorer's names; `when` [B] by path
    says whether its condition is true, for every path, also where it has none; `blind` [B] which lie in a blind region.
    ValueError if one has another length.
    """

    run: Integers
    luminosity_block: Integers
    event: Integers
    weights: NDArray[np.float64]
    hertz: NDArray[np.float64] | None
    scores: Mapping[str, NDArray[np.float32]]
    when: Mapping[str, Mask]
    blind: Mask

    def __post_init__(self) -> None:
        columns: dict[str, NDArray[Any] | None] = {**vars(self), **self.scores, **self.when}
        for name, column in columns.items():
            if isinstance(column, np.ndarray) and column.shape != (len(self),):
                raise ValueError(f"{name} has the shape {column.shape}, and there are {len(self)} events")

    def __len__(self) -> int:
        return len(self.event)

    def __getitem__(self, chosen: slice | NDArray[Any]) -> Self:
        """The events of a slice, a mask or positions, in that order."""
        return type(self)(
            run=self.run[chosen],
            luminosity_block=self.luminosity_block[chosen],
            event=self.event[chosen],
            weights=self.weights[chosen],
            hertz=None if self.hertz is None else self.hertz[chosen],
            scores={name: values[chosen] for name, values in self.scores.items()},
            when={name: passed[chosen] for name, passed in self.when.items()},
            blind=self.blind[chosen],
        )


def interesting(column: str, values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """[B] what a threshold is set on, larger is more interesting: the score itself, −ln p for the columns `P_VALUES`.

    Logarithms differ between processors in their last bits, so they are rounded to multiples of 2⁻²⁰: a p-value has 12
    significant bits, so that neighbours stay apart, and a threshold taken from one event is that event's everywhere. A
    p-value that float32 rounded to 0 counts as the smallest above 0. NaN stays NaN.
    """
    doubles = np.asarray(values, np.float64)
    if column not in P_VALUES:
        return doubles
    rounded: NDArray[np.float64] = np.rint(-np.log(np.maximum(doubles, _SMALLEST)) / _STEP) * _STEP + 0.0
    return rounded


def told_threshold(column: str, threshold: float) -> str:
    """What a column must be at a threshold on `interesting` of it: ``interest ≥ 3.3730``, ``combined ≤ 0.01``."""
    if column in P_VALUES:
        return f"{column} ≤ {math.exp(-threshold):.4g}"
    return f"{column} ≥ {threshold:.4f}"
