"""A whole training: read, split, fit, save, and say on unseen events how good it is."""

import glob
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hepfilter import __version__
from hepfilter.config.card import cards_of_label
from hepfilter.config.graph import load_graph_specification
from hepfilter.config.model import ModelDefinition, load_architecture
from hepfilter.config.training import TrainingConfig
from hepfilter.errors import OutputError, TrainingError
from hepfilter.evaluation.distributions import ScoreDistribution, score_distributions
from hepfilter.evaluation.families import FamilyResult, Summary, family_results, summaries
from hepfilter.evaluation.sample import BASELINES, model_outputs, named_scores, scored_events
from hepfilter.graphs.cache import CachedGraphs
from hepfilter.graphs.caching import open_events
from hepfilter.graphs.labelled import Events, LabelledEvents, split_data
from hepfilter.graphs.reading import Progress
from hepfilter.io.publishing import remove_unfinished
from hepfilter.io.sources import Source
from hepfilter.models.architectures import build_network
from hepfilter.models.checkpoint import save
from hepfilter.models.metadata import metrics_path
from hepfilter.scoring.scorer import Scorer
from hepfilter.shown import Shown
from hepfilter.training.classes import UNSEEN, TrainingClass, event_classes, processes, targets, training_classes
from hepfilter.training.density import fit_heads, refuse_weightless
from hepfilter.training.devices import refuse_missing_devices
from hepfilter.training.diagnosis import ClassEvents, Diagnosis, class_events, diagnose
from hepfilter.training.fitting import Surroundings, fit
from hepfilter.training.history import Epoch, Fitted
from hepfilter.wording import counted


@dataclass(frozen=True)
class TrainingReport(Shown):
    """What a training gave. `events` counts those of training, validation and test (unseen families among the last).

    `training` is its configuration as plain data. `families`, and their `summaries`, are the results of the test, in
    the physical mix and hardness-matched; `distributions` are of the model's own scores, `diagnosis` of its classes.
    `seconds` are those of this run alone where the training was `resumed`.
    """

    hepfilter: str
    model: Path
    model_hash: str
    parameters: int
    training: Mapping[str, Any]
    events: Mapping[str, int]
    classes: tuple[ClassEvents, ...]
    epochs: tuple[Epoch, ...]
    best_epoch: int
    learning_rate: float
    families: tuple[FamilyResult, ...]
    summaries: tuple[Summary, ...]
    distributions: tuple[ScoreDistribution, ...]
    diagnosis: Diagnosis
    seconds: float
    resumed: bool


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
    noted: Callable[[str], None] = lambda _: None,
) -> TrainingReport:
    """Train the network of `config` on simulated `sources`, write it to `output` and test it on events left aside.

    Families in `exclude` (beside the configuration's own) are not trained on, but tested. `cache` is a folder in which
    the events are kept as `graphs.cache` says (a source may be one, too); `noted` hears if it had to be made again.
    With `resume` a training to this output that was ended goes on where its last whole epoch ended. `logs` is a folder
    for TensorBoard; `told` hears of each epoch. Metrics of an earlier model at `output` (`metrics_path`) are removed
    before the new one appears. On several devices all processes but the first end in here. TrainingError tells what is
    wrong with the data, UsageError which devices are not there, CheckpointError which network cannot be built.
    """
    started = time.perf_counter()
    # before any file is read: a wrong name in the configuration is told at once
    refuse_missing_devices(config.fit, device)
    classes = training_classes(config, exclude=exclude)
    definition = ModelDefinition(
        graph=load_graph_specification(config.graph),
        architecture=load_architecture(config.architecture),
        classes=event_classes(classes),
        heads=config.heads,
    )
    with torch.random.fork_rng(devices=[]):
        build_network(definition)
    if logs is not None:
        _make_folder(logs)
    for path in (output, state_path(output), metrics_path(output)):
        remove_unfinished(path.parent, glob.escape(path.name))
    plan = _Plan(config, classes, definition, device)
    around = Surroundings(state_path(output), resume, logs, progress, told)
    with open_events(
        sources, definition.graph, cache=cache, split_seed=config.split.seed, progress=progress, noted=noted
    ) as data:
        return _train(plan, data, output, around, started=started)


def state_path(output: Path) -> Path:
    """Where the state of a training to `output` stands while it runs, and after it was ended."""
    return output.with_suffix(".resume.safetensors")


@dataclass(frozen=True)
class _Plan:
    """What is trained, and where; `classes` and `definition` follow from `config` and the families left out."""

    config: TrainingConfig
    classes: tuple[TrainingClass, ...]
    definition: ModelDefinition
    device: str


def _train(plan: _Plan, data: CachedGraphs, output: Path, around: Surroundings, *, started: float) -> TrainingReport:
    """As `train`, with the events at hand."""
    _refuse_unknown_labels(data, plan.classes)
    parts = split_data(data, plan.config.split)
    if len(parts.test) == 0:
        raise TrainingError(
            f"the split leaves none of {counted(len(data), 'event')} to test on; simulate more, or make split.training "
            "and split.validation smaller"
        )
    trained = (_seen(parts.training, plan.classes), _seen(parts.validation, plan.classes))
    resumed = around.resume and state_path(output).exists()
    fitted = _fitted(plan, trained, around)
    _remove(metrics_path(output))
    metadata = save(fitted.network, output, provenance=_provenance(plan, trained, fitted))
    tested = _tested(Scorer(output, device="cpu"), parts.test, plan, around.progress)
    _remove(state_path(output))
    return TrainingReport(
        hepfilter=__version__,
        model=output,
        model_hash=metadata.model_hash,
        parameters=sum(parameter.numel() for parameter in fitted.network.parameters()),
        training=plan.config.model_dump(mode="json"),
        events={"training": len(trained[0]), "validation": len(trained[1]), "test": len(parts.test)},
        classes=class_events(parts, plan.classes),
        epochs=fitted.epochs,
        best_epoch=fitted.best,
        learning_rate=fitted.learning_rate,
        families=tested.families,
        summaries=summaries(tested.families),
        distributions=tested.distributions,
        diagnosis=tested.diagnosis,
        seconds=time.perf_counter() - started,
        resumed=resumed,
    )


@dataclass(frozen=True)
class _Tested:
    """What the test gave."""

    families: tuple[FamilyResult, ...]
    distributions: tuple[ScoreDistribution, ...]
    diagnosis: Diagnosis


def _tested(scorer: Scorer, test: CachedGraphs, plan: _Plan, progress: Progress) -> _Tested:
    """The model on the events that were left aside."""
    outputs = model_outputs(scorer, test)
    events = scored_events(test, named_scores(scorer, outputs), processes(plan.classes))
    own = tuple(name for name in events.scores if name not in BASELINES)
    logits = outputs[:, : len(plan.definition.classes)]
    return _Tested(
        family_results(events),
        score_distributions(events, own),
        diagnose(scorer, test, logits, plan.classes, plan.config.fit, progress=progress),
    )


def _fitted(plan: _Plan, trained: tuple[CachedGraphs, CachedGraphs], around: Surroundings) -> Fitted:
    """The network, and after it its heads, fitted to the training and validation events."""
    options = plan.config.fit
    wanted = targets(trained[0].labels, plan.classes), targets(trained[1].labels, plan.classes)
    for part in zip(trained, wanted, strict=True):
        refuse_weightless(plan.definition, *part)
    fitted = fit(plan.definition, *trained, targets=wanted, options=options, device=plan.device, around=around)
    fit_heads(
        fitted.network,
        *trained,
        targets=wanted,
        options=plan.config.head_fit,
        fit=options,
        device=plan.device,
        progress=around.progress,
    )
    return fitted


def _make_folder(logs: Path) -> None:
    """OutputError if there can be no such folder."""
    try:
        logs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{logs}: cannot be a folder for logs: {error.strerror}; give another") from error


def _remove(path: Path) -> None:
    """OutputError if the file cannot be removed; it need not be there."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot be removed: {error.strerror}") from error


def _seen(data: Events, classes: Sequence[TrainingClass]) -> Events:
    """The events that belong to a class of the training."""
    return data.select(targets(data.labels, classes) != UNSEEN)


def _refuse_unknown_labels(data: LabelledEvents, classes: Sequence[TrainingClass]) -> None:
    """TrainingError if the data hold a process that the configuration does not know."""
    known = sorted({label for c in classes for label in c.labels})
    unknown = np.setdiff1d(data.labels, known)
    if len(unknown):
        cards = ", ".join(cards_of_label(int(unknown[0])))
        raise TrainingError(
            f"the data hold events of truth label {unknown[0]}{f' ({cards})' if cards else ''}, which no class of the "
            f"configuration has; known are {', '.join(str(label) for label in known)}"
        )


def _provenance(plan: _Plan, trained: Sequence[LabelledEvents], fitted: Fitted) -> dict[str, Any]:
    """How the weights came to be, as plain data."""
    return {
        "hepfilter": __version__,
        "training": plan.config.model_dump(mode="json"),
        "excluded_families": sorted({c.family for c in plan.classes if c.excluded}),
        "processes": [asdict(process) for process in processes(plan.classes)],
        "training_events": len(trained[0]),
        "validation_events": len(trained[1]),
        "learning_rate": fitted.learning_rate,
        "best_epoch": fitted.best,
        "validation_loss": fitted.epochs[fitted.best].validation_loss,
    }
