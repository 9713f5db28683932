"""Chance that can be repeated: prescales, and the control stream.

Whether an event survives is a matter of its event hash, so of nothing but seed, path and identity: the same whatever
the order, the splitting, the machine, or the rest of the menu.
"""

import numpy as np
from numpy.typing import NDArray

from hepfilter.config.menu import Control
from hepfilter.trigger.events import Mask, TriggerEvents, interesting
from hepfilter.trigger.hashing import event_hash


def accepted_share(prescale: float) -> float:
    """Of the events that pass a path, the share that its prescale lets through: 1 / prescale, and 0 for 0."""
    return 1.0 / prescale if prescale else 0.0


def prescaled(events: TriggerEvents, raw: Mask, *, path: str, prescale: float, seed: int) -> Mask:
    """[B] which of the `raw` events pass the prescale of a path too: u < 1 / prescale.

    Nested: what passes a prescale passes every smaller one of the same path. Independent of every other path.
    """
    if prescale == 1:
        return raw.copy()
    return _chosen(events, np.where(raw, accepted_share(prescale), 0.0), purpose="prescale", path=path, seed=seed)


def control_probability(events: TriggerEvents, control: Control | None) -> NDArray[np.float64]:
    """[B] the probability with which each event enters the control stream; 0 without one."""
    if control is None:
        return np.zeros(len(events))
    levels = np.array([control.probability, *(step.probability for step in control.rising)])
    if control.score is None:
        return np.full(len(events), levels[0])
    values = interesting(control.score, events.scores[control.score])
    return levels[np.searchsorted([step.above for step in control.rising], values, side="right")]


def in_control(events: TriggerEvents, probability: NDArray[np.float64], *, seed: int) -> Mask:
    """[B] which events enter the control stream, by their probabilities."""
    return _chosen(events, probability, purpose="control", path="", seed=seed)


def _chosen(
    events: TriggerEvents, probability: NDArray[np.float64], *, purpose: str, path: str, seed: int
) -> Mask:  # fmt: skip
    """[B] u < probability; no hash is taken of events that cannot pass."""
    chosen = probability > 0
    identity = (events.run[chosen], events.luminosity_block[chosen], events.event[chosen])
    chosen[chosen] = event_hash(*identity, seed=seed, purpose=purpose, path=path) < probability[chosen]
    return chosen
