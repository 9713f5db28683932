"""Decisions: which paths an event passes, whether it is kept, and with what probability that came about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepfilter.config.menu import CONTROL_STREAM, Control, Menu
from hepfilter.trigger.events import Mask, TriggerEvents, interesting
from hepfilter.trigger.prescales import accepted_share, control_probability, in_control, prescaled


@dataclass(frozen=True)
class ResolvedPath:
    """A path whose threshold is known: an event passes at ``interesting(column, …) >= threshold``.

    Both are None for a path without a score.
    """

    name: str
    column: str | None = None
    threshold: float | None = None
    prescale: float = 1.0
    stream: str = "physics"
    blind: bool = False

    def __post_init__(self) -> None:
        if (self.column is None) != (self.threshold is None):
            raise ValueError(f"path {self.name}: a column needs a threshold, and a threshold a column")


def resolved_paths(menu: Menu, thresholds: Mapping[str, float]) -> tuple[ResolvedPath, ...]:
    """The paths of a menu, in its order; `thresholds` has that of each path with a score, by name."""
    return tuple(
        ResolvedPath(
            name=name,
            column=path.column,
            threshold=thresholds.get(name),
            prescale=path.prescale,
            stream=path.stream,
            blind=path.blind,
        )
        for name, path in menu.paths.items()
    )


@dataclass(frozen=True)
class Decisions:
    """What a menu decides of B events by P paths, in the order of `paths`.

    `raw` and `passed` [B, P]: whether an event passes a path before and after its prescale; `control` [B]: whether it
    is in the control stream; `probability` [B]: that an event of these raw bits survives at all, 0 if it cannot.
    `streams` [B] by name: which events go where; the control stream is one of them if there is one.
    """

    paths: tuple[str, ...]
    raw: Mask
    passed: Mask
    control: Mask
    probability: NDArray[np.float64]
    streams: Mapping[str, Mask]

    @property
    def kept(self) -> Mask:
        """[B] whether an event survives: by a path after its prescale, or by the control stream."""
        kept: Mask = self.passed.any(axis=1) | self.control
        return kept

    @property
    def weight(self) -> NDArray[np.float64]:
        """[B] 1 / probability of the kept events, 0 of all others.

        Sums with these weights are unbiased for all events that can survive (D. G. Horvitz, D. J. Thompson, J. Am.
        Stat. Assoc. 47 (1952) 663); the variance is Σ (1 − p) / p over all of them, as events are independent.
        """
        kept = self.kept
        return np.divide(1.0, self.probability, out=np.zeros(len(kept)), where=kept)


def raw_bits(events: TriggerEvents, paths: Sequence[ResolvedPath]) -> Mask:
    """[B, P] which events pass which path before its prescale; KeyError for a path or score that `events` lack."""
    bits = np.empty((len(events), len(paths)), bool)
    for position, path in enumerate(paths):
        bits[:, position] = events.when[path.name]
        if path.column is not None and path.threshold is not None:
            bits[:, position] &= interesting(path.column, events.scores[path.column]) >= path.threshold
    return bits


def decide(events: TriggerEvents, paths: Sequence[ResolvedPath], *, control: Control | None, seed: int) -> Decisions:
    """The decisions of a menu; those of an event depend on nothing but itself, its paths and `seed`.

    With the probability q of the control stream and prescales d an event survives with 1 − (1 − q) Π (1 − 1/d), the
    product taken over the paths that it passes before prescales.
    """
    raw = raw_bits(events, paths)
    passed = np.empty_like(raw)
    streams: dict[str, Mask] = {}
    probability = control_probability(events, control)
    controlled = in_control(events, probability, seed=seed)
    for position, path in enumerate(paths):
        bits = raw[:, position]
        passed[:, position] = prescaled(events, bits, path=path.name, prescale=path.prescale, seed=seed)
        streams[path.stream] = streams.get(path.stream, False) | passed[:, position]
        probability += np.where(bits, accepted_share(path.prescale), 0.0) * (1.0 - probability)
    if control is not None:
        streams[CONTROL_STREAM] = controlled
    return Decisions(tuple(path.name for path in paths), raw, passed, controlled, probability, streams)
