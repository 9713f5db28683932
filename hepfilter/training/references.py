"""What events in the signal region would look like without signal, told from the sidebands of a resonant mass.

Two ways. `cwola` takes sideband events as they are (classification without labels, J. H. Collins, K. Howe, B. Nachman,
Phys. Rev. Lett. 121 (2018) 241803): right where the features do not depend on the mass. `template` moves each sideband
event into the signal region first, along the dependence of its features on the mass that the sidebands show: each
feature keeps its quantile, and quantiles are interpolated in the mass (A. L. Read, NIM A 425 (1999) 357).
"""

from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hepfilter.errors import TrainingError, UsageError

Method = Literal["cwola", "template"]
METHODS: Final[tuple[Method, ...]] = get_args(Method)
MIN_EVENTS: Final = 100
"""Events that the signal region and each sideband must have."""
_QUANTILES: Final = np.linspace(0, 1, 2001)
_BISECTIONS: Final = 20
Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class MassWindow:
    """A signal region and the sidebands that touch it, in GeV: [lower, low), [low, high), [high, upper).

    UsageError unless lower < low < high < upper.
    """

    low: float
    high: float
    lower: float
    upper: float

    def __post_init__(self) -> None:
        if not self.lower < self.low < self.high < self.upper:
            raise UsageError(
                f"the signal region {self.low:g} to {self.high:g} GeV must lie inside {self.lower:g} to {self.upper:g} "
                "GeV with a sideband on either side"
            )

    def region(self, mass: Floats) -> NDArray[np.bool_]:
        """[B] true in the signal region."""
        return (mass >= self.low) & (mass < self.high)

    def sidebands(self, mass: Floats) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """[B] true in the lower, and in the upper sideband."""
        return (mass >= self.lower) & (mass < self.low), (mass >= self.high) & (mass < self.upper)


@dataclass(frozen=True)
class References:
    """R sideband events that stand for the background in the signal region.

    features: [R, F].    weights: [R], so that their mean mass is that of the signal region: what depends on the mass
    linearly then agrees.    origin: [R] their place among all events.
    """

    features: NDArray[np.float64]
    weights: NDArray[np.float64]
    origin: NDArray[np.int64]


def references(features: Floats, mass: Floats, window: MassWindow, *, method: Method, seed: int) -> References:
    """From the features [B, F] and masses [B] of all events.

    TrainingError if the signal region or a sideband has fewer than `MIN_EVENTS` events.
    """
    region, (below, above) = window.region(mass), window.sidebands(mass)
    for name, events in (("signal region", region), ("lower sideband", below), ("upper sideband", above)):
        if events.sum() < MIN_EVENTS:
            raise TrainingError(
                f"the {name} has {events.sum()} events, {MIN_EVENTS} are needed; widen it or give more data"
            )
    origin = np.flatnonzero(below | above)
    weights = _balanced(mass[origin], below[origin], float(np.mean(mass[region])))
    taken = np.asarray(features[origin], np.float64)
    if method == "template":
        targets = np.random.default_rng(seed).choice(mass[region], len(origin))
        taken = _moved(taken, mass[origin], below[origin], targets)
    return References(taken, weights, origin)


def _balanced(mass: Floats, below: NDArray[np.bool_], wanted: float) -> NDArray[np.float64]:
    """[R] weights of mean 1, one for each sideband, with which the mean mass is the wanted one."""
    low, high = float(np.mean(mass[below])), float(np.mean(mass[~below]))
    share = (high - wanted) / (high - low)  # of the lower sideband; within (0, 1), as the wanted mass lies between
    weights = np.where(below, share / np.count_nonzero(below), (1 - share) / np.count_nonzero(~below))
    scaled: NDArray[np.float64] = weights * len(mass)
    return scaled


def _moved(
    features: NDArray[np.float64], mass: Floats, below: NDArray[np.bool_], targets: Floats
) -> NDArray[np.float64]:
    """[R, F] features of events of `mass`, as they would be at the masses `targets`.

    The quantile q of each feature is linear in the mass, x_q(m), through its values in both sidebands at their mean
    masses: x_q(m) → x_q(m'). So bounds and values that many events share stay what they are; how features depend on one
    another, in ranks, stays that of the event's own mass.
    """
    low, high = float(np.mean(mass[below])), float(np.mean(mass[~below]))
    here, there = ((np.asarray(values, np.float64) - low) / (high - low) for values in (mass, targets))
    moved = np.empty_like(features)
    for column in range(features.shape[1]):
        values = features[:, column]
        at_low, at_high = (np.quantile(values[side], _QUANTILES) for side in (below, ~below))
        quantile = _solved(values, here, at_low, at_high)
        moved[:, column] = values + (there - here) * np.interp(quantile, _QUANTILES, at_high - at_low)
    return moved


def _solved(values: Floats, place: Floats, at_low: Floats, at_high: Floats) -> NDArray[np.float64]:
    """[R] the quantile that each value is at its place between the sidebands (0 and 1), by bisection."""
    lower, upper = np.zeros(len(values)), np.ones(len(values))
    for _ in range(_BISECTIONS):
        middle = (lower + upper) / 2
        low, high = (np.interp(middle, _QUANTILES, column) for column in (at_low, at_high))
        is_below = low + place * (high - low) < values
        lower, upper = np.where(is_below, middle, lower), np.where(is_below, upper, middle)
    return (lower + upper) / 2
