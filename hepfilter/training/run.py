"""A whole training: read, split, fit, save, and say on unseen events how good it is."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepfilter import __version__
from hepfilter.config.graph import load_graph_specification
from hepfilter.config.model import ModelDefinition, load_architecture
from hepfilter.config.training import TrainingConfig
from hepfilter.errors import TrainingError
from hepfilter.evaluation.metrics import Separation, separation
from hepfilter.io.sources import Source
from hepfilter.models.checkpoint import save
from hepfilter.scoring.scorer import Scorer
from hepfilter.training.classes import UNSEEN, TrainingClass, event_classes, targets, training_classes
from hepfilter.training.data import (
    LabelledGraphs,
    Progress,
    read_labelled,
    scalar_transverse_energy,
    split_data,
)
from hepfilter.training.fitting import fit
from hepfilter.training.module import Epoch, Fitted


@dataclass(frozen=True)
class FamilyResult:
    """How well one signal family is told from all background of the test.

    `seen`: the network was trained on the family. `by_hardness` is the same for Σ pt alone, the simple thing to beat.
    """

    family: str
    seen: bool
    by_interest: Separation
    by_hardness: Separation


@dataclass(frozen=True)
class TrainingReport:
    """What a training gave. `events` counts those of training, validation and test (unseen families among the last).

    `families` holds the results in the physical mix (generator weights), `as_generated` with every event counting the
    same: there hard background is as frequent as soft.
    """

    model: Path
    model_hash: str
    parameters: int
    events: Mapping[str, int]
    epochs: tuple[Epoch, ...]
    best_epoch: int
    families: tuple[FamilyResult, ...]
    as_generated: tuple[FamilyResult, ...]
    seconds: float


def train(
    config: TrainingConfig,
    sources: Sequence[Source],
    output: Path,
    *,
    exclude: Sequence[str] = (),
    device: str = "auto",
    progress: Progress = lambda *_: None,
) -> TrainingReport:
    """Train the network of `config` on simulated `sources`, write it to `output` and test it on events left aside.

    Families in `exclude` (beside the configuration's own) are not trained on, but tested. TrainingError tells what is
    wrong with the data.
    """
    started = time.perf_counter()
    classes = training_classes(config, exclude=exclude)
    graph = load_graph_specification(config.graph)
    data = read_labelled(sources, graph, split_seed=config.split.seed, progress=progress)
    _refuse_unknown_labels(data, classes)
    parts = split_data(data, config.split)
    trained = [_seen(part, classes) for part in (parts.training, parts.validation)]
    definition = ModelDefinition(
        graph=graph, architecture=load_architecture(config.architecture), classes=event_classes(classes)
    )
    fitted = fit(
        definition,
        *trained,
        targets=(targets(trained[0].labels, classes), targets(trained[1].labels, classes)),
        options=config.fit,
        device=device,
        progress=progress,
    )
    provenance = _provenance(config, sorted({c.family for c in classes if c.excluded}), trained, fitted)
    metadata = save(fitted.network, output, provenance=provenance)
    scores = _test_scores(Scorer(output, device="cpu"), parts.test)
    return TrainingReport(
        model=output,
        model_hash=metadata.model_hash,
        parameters=sum(parameter.numel() for parameter in fitted.network.parameters()),
        events={"training": len(trained[0]), "validation": len(trained[1]), "test": len(parts.test)},
        epochs=fitted.epochs,
        best_epoch=fitted.best,
        families=family_results(scores, parts.test, classes, weighted=True),
        as_generated=family_results(scores, parts.test, classes, weighted=False),
        seconds=time.perf_counter() - started,
    )


def _test_scores(scorer: Scorer, test: LabelledGraphs) -> dict[str, NDArray[np.float32]]:
    """The score of the network and the simple thing to beat, for every event."""
    return {"interest": scorer.score_graphs(test.graphs), "hardness": scalar_transverse_energy(test.graphs).numpy()}


def family_results(
    scores: Mapping[str, NDArray[np.float32]], test: LabelledGraphs, classes: Sequence[TrainingClass], *, weighted: bool
) -> tuple[FamilyResult, ...]:
    """One result per signal family, in the order of the classes; background are all background events of the test."""
    background = _having(test, [c for c in classes if not c.is_signal])
    results = []
    for family in dict.fromkeys(c.family for c in classes if c.is_signal):
        members = [c for c in classes if c.family == family]
        signal = _having(test, members)
        by_score = {
            name: separation(
                values[signal],
                values[background],
                signal_weights=test.weights[signal] if weighted else None,
                background_weights=test.weights[background] if weighted else None,
            )
            for name, values in scores.items()
        }
        seen = not members[0].excluded
        results.append(FamilyResult(family, seen, by_score["interest"], by_score["hardness"]))
    return tuple(results)


def _having(data: LabelledGraphs, classes: Sequence[TrainingClass]) -> NDArray[np.bool_]:
    """[B] true for the events of these classes."""
    return np.isin(data.labels, [label for c in classes for label in c.labels])


def _seen(data: LabelledGraphs, classes: Sequence[TrainingClass]) -> LabelledGraphs:
    """The events that belong to a class of the training."""
    return data.select(targets(data.labels, classes) != UNSEEN)


def _refuse_unknown_labels(data: LabelledGraphs, classes: Sequence[TrainingClass]) -> None:
    """TrainingError if the data hold a process that the configuration does not know."""
    known = sorted({label for c in classes for label in c.labels})
    unknown = np.setdiff1d(data.labels, known)
    if len(unknown):
        raise TrainingError(
            f"the data hold events of truth label {unknown[0]}, which no class of the configuration has; "
            f"known are {', '.join(str(label) for label in known)}"
        )


def _provenance(
    config: TrainingConfig, excluded: Sequence[str], trained: Sequence[LabelledGraphs], fitted: Fitted
) -> dict[str, Any]:
    """How the weights came to be, as plain data."""
    return {
        "hepfilter": __version__,
        "training": config.model_dump(mode="json"),
        "excluded_families": list(excluded),
        "training_events": len(trained[0]),
        "validation_events": len(trained[1]),
        "best_epoch": fitted.best,
        "validation_loss": fitted.epochs[fitted.best].validation_loss,
    }
