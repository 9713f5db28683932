"""Which truth labels make which class, from a training's configuration and the simulation cards that it names."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepfilter.config.card import load_cards
from hepfilter.config.groups import FamilyGroups
from hepfilter.config.model import EventClass
from hepfilter.config.training import TrainingConfig
from hepfilter.errors import TrainingError, nearest
from hepfilter.models.metadata import Process

UNSEEN = -1
"""The target of an event that belongs to no class of the training."""


@dataclass(frozen=True)
class TrainingClass:
    """One class: its truth labels, the family of its processes, and whether it is left out of the training."""

    name: str
    family: str
    is_signal: bool
    labels: frozenset[int]
    prior: float
    excluded: bool


def training_classes(config: TrainingConfig, *, exclude: Sequence[str] = ()) -> tuple[TrainingClass, ...]:
    """The classes of `config`, in its order; families in `exclude` or in the configuration's own are left out.

    TrainingError if a class mixes families or signal and background, if two classes share a truth label, if a family to
    leave out is unknown, or if no signal or no background is left.
    """
    left_out = {*config.exclude, *exclude}
    classes = tuple(_class(name, cards, config, left_out) for name, cards in config.classes.items())
    families = sorted({c.family for c in classes})
    for family in sorted(left_out - set(families)):
        raise TrainingError(f"{config.name}: no family {family!r} to leave out{nearest(family, families)}")
    labels = [label for c in classes for label in c.labels]
    for label in labels:
        if labels.count(label) > 1:
            raise TrainingError(
                f"{config.name}: two classes have the truth label {label}; their cards belong in one class"
            )
    for is_signal, kind in ((True, "signal"), (False, "background")):
        if not any(c.is_signal == is_signal and not c.excluded for c in classes):
            raise TrainingError(f"{config.name}: no {kind} class is left to train on; exclude fewer families")
    return classes


def families_of_groups(config: TrainingConfig, names: Sequence[str], groups: FamilyGroups) -> tuple[str, ...]:
    """The families of `config` that are in the groups `names`: what to leave out so that whole groups are unseen.

    ConfigError for an unknown group, TrainingError for one of which the configuration has no family.
    """
    families = {card.family for cards in config.classes.values() for name in cards for card in load_cards(name)}
    found: list[str] = []
    for name in names:
        members = [family for family in groups.families(name) if family in families]
        if not members:
            there = ", ".join(groups.grouped(sorted(families)))
            raise TrainingError(f"{config.name}: no class of it is in the group {name}; its classes are in {there}")
        found += members
    return tuple(found)


def event_classes(classes: Sequence[TrainingClass]) -> tuple[EventClass, ...]:
    """The classes that the network has an output for: those that are not left out."""
    return tuple(EventClass(name=c.name, is_signal=c.is_signal, prior=c.prior) for c in classes if not c.excluded)


def processes(classes: Sequence[TrainingClass]) -> tuple[Process, ...]:
    """The meaning of each truth label, and whether it is trained on, in the order of the classes."""
    return tuple(
        Process(label, c.family, c.is_signal, trained=not c.excluded) for c in classes for label in sorted(c.labels)
    )


def targets(labels: NDArray[np.int32], classes: Sequence[TrainingClass]) -> NDArray[np.int64]:
    """The network's output that is right for each truth label; `UNSEEN` where the label belongs to none."""
    result = np.full(len(labels), UNSEEN, dtype=np.int64)
    for position, trained in enumerate(c for c in classes if not c.excluded):
        result[np.isin(labels, list(trained.labels))] = position
    return result


def _class(name: str, cards: Sequence[str], config: TrainingConfig, left_out: set[str]) -> TrainingClass:
    """One class from its cards."""
    loaded = [card for name in cards for card in load_cards(name)]
    kinds = {(card.family, card.is_signal) for card in loaded}
    if len(kinds) != 1:
        found = ", ".join(
            f"{card.name} ({card.family}, {'signal' if card.is_signal else 'background'})" for card in loaded
        )
        raise TrainingError(
            f"{config.name}: class {name} must have cards of one family and kind, not {found or 'none'}"
        )
    family, is_signal = kinds.pop()
    return TrainingClass(
        name=name,
        family=family,
        is_signal=is_signal,
        labels=frozenset(card.label for card in loaded),
        prior=config.priors.get(name, 1.0),
        excluded=family in left_out,
    )
