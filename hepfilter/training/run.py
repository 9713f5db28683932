"""A whole training: read, split, fit, save, and say on unseen events how good it is."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hepfilter import __version__
from hepfilter.config.graph import load_graph_specification
from hepfilter.config.model import ModelDefinition, load_architecture
from hepfilter.config.training import TrainingConfig
from hepfilter.errors import TrainingError
from hepfilter.evaluation.families import FamilyResult, family_results
from hepfilter.evaluation.sample import model_scores, scored_events
from hepfilter.graphs.cache import CachedGraphs
from hepfilter.graphs.caching import open_events
from hepfilter.graphs.labelled import Events, LabelledEvents, split_data
from hepfilter.graphs.reading import Progress
from hepfilter.io.sources import Source
from hepfilter.models.checkpoint import save
from hepfilter.scoring.scorer import Scorer
from hepfilter.training.classes import UNSEEN, TrainingClass, event_classes, processes, targets, training_classes
from hepfilter.training.density import fit_heads
from hepfilter.training.fitting import fit
from hepfilter.training.history import Epoch, Fitted


@dataclass(frozen=True)
class TrainingReport:
    """What a training gave. `events` counts those of training, validation and test (unseen families among the last).

    `families` holds the results of the test, in the physical mix and hardness-matched.
    """

    model: Path
    model_hash: str
    parameters: int
    events: Mapping[str, int]
    epochs: tuple[Epoch, ...]
    best_epoch: int
    families: tuple[FamilyResult, ...]
    seconds: float


def train(
    config: TrainingConfig,
    sources: Sequence[Source],
    output: Path,
    *,
    exclude: Sequence[str] = (),
    device: str = "auto",
    cache: Path | None = None,
    resume: bool = False,
    logs: Path | None = None,
    progress: Progress = lambda *_: None,
    told: Callable[[int, Epoch], None] = lambda *_: None,
) -> TrainingReport:
    """Train the network of `config` on simulated `sources`, write it to `output` and test it on events left aside.

    Families in `exclude` (beside the configuration's own) are not trained on, but tested. `cache` is a folder in which
    the events are kept as `graphs.cache` says (a source may be one, too). With `resume` a training to this output that
    was ended goes on where its last whole epoch ended. `logs` is a folder for TensorBoard; `told` hears of each epoch.
    On several devices all processes but the first end in here. TrainingError tells what is wrong with the data.
    """
    started = time.perf_counter()
    classes = training_classes(config, exclude=exclude)
    # before any file is read: a wrong name in the configuration is told at once
    definition = ModelDefinition(
        graph=load_graph_specification(config.graph),
        architecture=load_architecture(config.architecture),
        classes=event_classes(classes),
        heads=config.heads,
    )
    with open_events(sources, definition.graph, cache=cache, split_seed=config.split.seed, progress=progress) as data:
        return _train(
            config, classes, definition, data, output,
            device=device, resume=resume, logs=logs, progress=progress, told=told, started=started,
        )  # fmt: skip


def state_path(output: Path) -> Path:
    """Where the state of a training to `output` stands while it runs, and after it was ended."""
    return output.with_suffix(".resume.safetensors")


def _train(
    config: TrainingConfig,
    classes: Sequence[TrainingClass],
    definition: ModelDefinition,
    data: CachedGraphs,
    output: Path,
    *,
    device: str,
    resume: bool,
    logs: Path | None,
    progress: Progress,
    told: Callable[[int, Epoch], None],
    started: float,
) -> TrainingReport:
    """As `train`, with the events at hand."""
    _refuse_unknown_labels(data, classes)
    parts = split_data(data, config.split)
    trained = [_seen(part, classes) for part in (parts.training, parts.validation)]
    wanted = targets(trained[0].labels, classes), targets(trained[1].labels, classes)
    state = state_path(output)
    fitted = fit(
        definition, *trained, targets=wanted, options=config.fit, device=device, state=state, resume=resume, logs=logs,
        progress=progress, told=told,
    )  # fmt: skip
    fit_heads(
        fitted.network,
        *trained,
        targets=wanted,
        options=config.head_fit,
        weight_power=config.fit.weight_power,
        device=device,
        progress=progress,
    )
    provenance = _provenance(config, classes, trained, fitted)
    metadata = save(fitted.network, output, provenance=provenance)
    state.unlink(missing_ok=True)
    test = scored_events(parts.test, model_scores(Scorer(output, device="cpu"), parts.test), processes(classes))
    return TrainingReport(
        model=output,
        model_hash=metadata.model_hash,
        parameters=sum(parameter.numel() for parameter in fitted.network.parameters()),
        events={"training": len(trained[0]), "validation": len(trained[1]), "test": len(parts.test)},
        epochs=fitted.epochs,
        best_epoch=fitted.best,
        families=family_results(test),
        seconds=time.perf_counter() - started,
    )


def _seen(data: Events, classes: Sequence[TrainingClass]) -> Events:
    """The events that belong to a class of the training."""
    return data.select(targets(data.labels, classes) != UNSEEN)


def _refuse_unknown_labels(data: LabelledEvents, classes: Sequence[TrainingClass]) -> None:
    """TrainingError if the data hold a process that the configuration does not know."""
    known = sorted({label for c in classes for label in c.labels})
    unknown = np.setdiff1d(data.labels, known)
    if len(unknown):
        raise TrainingError(
            f"the data hold events of truth label {unknown[0]}, which no class of the configuration has; "
            f"known are {', '.join(str(label) for label in known)}"
        )


def _provenance(
    config: TrainingConfig, classes: Sequence[TrainingClass], trained: Sequence[LabelledEvents], fitted: Fitted
) -> dict[str, Any]:
    """How the weights came to be, as plain data."""
    return {
        "hepfilter": __version__,
        "training": config.model_dump(mode="json"),
        "excluded_families": sorted({c.family for c in classes if c.excluded}),
        "processes": [asdict(process) for process in processes(classes)],
        "training_events": len(trained[0]),
        "validation_events": len(trained[1]),
        "learning_rate": fitted.learning_rate,
        "best_epoch": fitted.best,
        "validation_loss": fitted.epochs[fitted.best].validation_loss,
    }
