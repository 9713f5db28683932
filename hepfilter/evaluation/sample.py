"""What is evaluated: scored events whose truth is known, and which signal families the model has seen."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hepfilter.config.base import shipped
from hepfilter.config.card import KIND, load_cards
from hepfilter.errors import TrainingError
from hepfilter.events.observables import OBSERVABLES
from hepfilter.graphs.labelled import LabelledEvents
from hepfilter.models.metadata import Origin, Process
from hepfilter.scoring.calibration import COMBINED, PVALUE
from hepfilter.scoring.scorer import Scorer

BASELINES: Final = ("ht", "multiplicity", "met", "hardness")
"""Observables that stand beside the scores of every model: the simple things to beat."""


_EVENTS: Final = 20_000

Scores = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class SignalFamily:
    """Signals that look alike. `seen`: the model was trained on at least one of the processes of the family."""

    name: str
    seen: bool
    labels: frozenset[int]


@dataclass(frozen=True)
class ScoredEvents:
    """B events with their scores.

    labels: [B] truth labels.    weights: [B] generator weights, ≥ 0.    observables: [B, O], see `events.observables`.
    background: [B] bool.    scores: name → [B], larger is more interesting.    families: those of the signals.
    """

    labels: NDArray[np.int32]
    weights: NDArray[np.float64]
    observables: NDArray[np.float32]
    background: NDArray[np.bool_]
    scores: Mapping[str, Scores]
    families: tuple[SignalFamily, ...]

    def observable(self, name: str) -> NDArray[np.float32]:
        """[B] one column of the observables, by its name."""
        column: NDArray[np.float32] = self.observables[:, OBSERVABLES.index(name)]
        return column

    def signal(self, family: SignalFamily) -> NDArray[np.bool_]:
        """[B] true for the events of this family."""
        return np.isin(self.labels, list(family.labels))


def scored_events(data: LabelledEvents, scores: Mapping[str, Scores], processes: Iterable[Process]) -> ScoredEvents:
    """The events with the scores of a model, and the baselines beside them; families in the order of the processes.

    TrainingError if a label is unknown.
    """
    processes = tuple(processes)
    unknown = np.setdiff1d(data.labels, [process.label for process in processes])
    if len(unknown):
        raise TrainingError(
            f"the data hold events of truth label {unknown[0]}, which no card that ships and no process of the model's "
            "training has; give their card with --card"
        )
    there = set(np.unique(data.labels).tolist())
    present = [process for process in processes if process.label in there]
    background = np.isin(data.labels, [process.label for process in present if not process.is_signal])
    named = {**scores, **{name: data.observable(name) for name in BASELINES}}
    return ScoredEvents(data.labels, data.weights, data.observables, background, named, signal_families(present))


def signal_families(processes: Iterable[Process]) -> tuple[SignalFamily, ...]:
    """The families of the signals among the processes, in their order."""
    signals = [process for process in processes if process.is_signal]
    return tuple(
        SignalFamily(
            name,
            any(process.trained for process in signals if process.family == name),
            frozenset(process.label for process in signals if process.family == name),
        )
        for name in dict.fromkeys(process.family for process in signals)
    )


def model_outputs(scorer: Scorer, data: LabelledEvents) -> NDArray[np.float32]:
    """[B, classes + heads] of a model, see `Scorer.outputs`; a bounded number of graphs is in memory at a time."""
    positions = [np.arange(start, min(start + _EVENTS, len(data))) for start in range(0, max(len(data), 1), _EVENTS)]
    return np.concatenate([scorer.outputs(data.padded(chunk)) for chunk in positions])


def model_scores(scorer: Scorer, data: LabelledEvents) -> dict[str, Scores]:
    """As `named_scores`, of these events."""
    return named_scores(scorer, model_outputs(scorer, data))


def named_scores(scorer: Scorer, outputs: NDArray[np.float32]) -> dict[str, Scores]:
    """The scores of every head of a model, by name, from its outputs.

    For a calibrated model with several, ``combined`` is −ln of their combined p-value: larger is more interesting.
    """
    scores: dict[str, Scores] = {**scorer.heads_of(outputs)}
    scores.pop(PVALUE, None)
    return scores | ({COMBINED: -np.log(scores[COMBINED])} if COMBINED in scores else {})


def known_processes(origin: Origin, cards: Iterable[str] = ()) -> tuple[Process, ...]:
    """The meaning of every truth label, of all cards that ship and of `cards` (one's own), sorted by label.

    Which of them were trained on is what the `origin` of a model says; one that says nothing was trained on none.
    ConfigError for a card that cannot be read.
    """
    stated = {process.label: process for process in origin.processes}
    found: dict[int, Process] = {}
    trained = {_base(card) for named in origin.training.classes.values() for card in named}
    for name in (*shipped(KIND), *cards):
        for card in load_cards(name):
            seen = _base(card.name) in trained and card.family not in origin.excluded_families
            seen |= card.label in found and found[card.label].trained
            found[card.label] = Process(card.label, card.family, card.is_signal, seen)
    return tuple(process for _, process in sorted({**found, **stated}.items()))


def _base(card: str) -> str:
    """The name of a card without slice or mass."""
    return card.split("@")[0]
