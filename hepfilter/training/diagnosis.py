"""What a network does on test events that only its classes tell: confusion, reliability, importance."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from hepfilter.config.model import EventClass
from hepfilter.config.training import Fit
from hepfilter.errors import TrainingError
from hepfilter.evaluation.confusion import Confusion, confusion
from hepfilter.evaluation.importance import ImportanceStudy, importance
from hepfilter.evaluation.reliability import ClassReliability, class_reliabilities
from hepfilter.graphs.cache import CachedGraphs
from hepfilter.graphs.labelled import SplitData
from hepfilter.graphs.reading import Progress
from hepfilter.scoring.scorer import Scorer
from hepfilter.training.batches import training_weights
from hepfilter.training.classes import UNSEEN, TrainingClass, targets


@dataclass(frozen=True)
class ClassEvents:
    """One class of the configuration, and its events in each part. `trained`: it was not left out of the training."""

    name: str
    family: str
    is_signal: bool
    trained: bool
    training: int
    validation: int
    test: int


@dataclass(frozen=True)
class Diagnosis:
    """Of the test events.

    confusion: of all classes, those that were left out too; within a class events count by generator weight to the
    power of the fit's `weight_power`.    reliability, importance: of the classes that were trained on, with the weights
    of the fit; none where the test has too few events for them.
    """

    confusion: Confusion
    reliability: tuple[ClassReliability, ...]
    importance: ImportanceStudy | None


def class_events(parts: SplitData[CachedGraphs], classes: Sequence[TrainingClass]) -> tuple[ClassEvents, ...]:
    """The numbers of events of every class; what is left out is only tested on."""

    def count(data: CachedGraphs, one: TrainingClass) -> int:
        return int(np.isin(data.labels, list(one.labels)).sum())

    return tuple(
        ClassEvents(
            one.name,
            one.family,
            one.is_signal,
            trained=not one.excluded,
            training=0 if one.excluded else count(parts.training, one),
            validation=0 if one.excluded else count(parts.validation, one),
            test=count(parts.test, one),
        )
        for one in classes
    )


def diagnose(
    scorer: Scorer,
    test: CachedGraphs,
    logits: NDArray[np.float32],
    classes: Sequence[TrainingClass],
    options: Fit,
    *,
    progress: Progress = lambda *_: None,
) -> Diagnosis:
    """Of the events `test` and their `logits` [B, trained classes]; every event is of one of the `classes`."""
    definition = scorer.metadata.definition
    true = np.empty(len(test), np.int64)
    for number, one in enumerate(classes):
        true[np.isin(test.labels, list(one.labels))] = number
    raw = np.power(test.weights, options.weight_power)
    confused = confusion(
        true,
        logits.argmax(axis=1),
        raw,
        true_names=[one.name for one in classes],
        predicted_names=[one.name for one in definition.classes],
    )
    used = (targets(test.labels, classes) != UNSEEN) & (raw > 0)
    seen = test.select(used)
    wanted = targets(seen.labels, classes)
    weights = _weights(seen, wanted, definition.classes, options)
    if weights is None:
        return Diagnosis(confused, (), None)
    reliable = class_reliabilities(
        softmax(logits[used].astype(np.float64), axis=1),
        wanted,
        weights,
        names=[one.name for one in definition.classes],
        is_signal=[one.is_signal for one in definition.classes],
    )
    looked = importance(scorer.logits, seen, wanted, weights, definition, seed=options.seed, progress=progress)
    return Diagnosis(confused, reliable, looked)


def _weights(
    data: CachedGraphs, target: NDArray[np.int64], classes: Sequence[EventClass], options: Fit
) -> NDArray[np.float64] | None:
    """[B] as in the fit, for the classes that there are; None where the fit's own cannot be had."""
    numbers, position = np.unique(target, return_inverse=True)
    present = [classes[number] for number in numbers]
    if len({one.is_signal for one in present}) < 2:
        return None
    try:
        return training_weights(data, position, present, options)
    except TrainingError:
        return None  # no signal has background as hard: in the test there is less of it than in the training
