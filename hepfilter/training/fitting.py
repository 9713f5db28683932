"""Fitting a network to labelled events: one cycle of the learning rate, early stop, the best epoch's weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import lightning
import numpy as np
import torch
import xxhash
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from hepfilter.config.model import ModelDefinition
from hepfilter.config.training import Fit
from hepfilter.graphs.labelled import LabelledEvents
from hepfilter.graphs.reading import Progress
from hepfilter.models.architectures import build_network
from hepfilter.models.device import choose_device
from hepfilter.models.network import GraphNetwork
from hepfilter.training.batches import (
    Batch,
    BatchOrder,
    EventBatches,
    load_batches,
    normalisation,
    training_weights,
)
from hepfilter.training.history import Epoch, Fitted, History
from hepfilter.training.learning_rate import find_learning_rate
from hepfilter.training.module import Classifier
from hepfilter.training.quiet import quiet_lightning
from hepfilter.training.resume import StateKeeper, TrainingState, read_state

_NO_MATTER: Final = {"devices", "nodes", "strategy", "workers"}
"""Options that a training may be resumed with others of."""


@dataclass(frozen=True)
class Surroundings:
    """What a fit has around it; the weights are the same with or without.

    state: a file, written after each epoch; with `resume` a training goes on from there, if it is there.    logs: a
    folder for TensorBoard.    progress: counts events.    told: hears of each epoch, counted from 1, and its losses.
    """

    state: Path | None = None
    resume: bool = False
    logs: Path | None = None
    progress: Progress = lambda *_: None
    told: Callable[[int, Epoch], None] = lambda *_: None

    def restored(self, origin: Mapping[str, Any]) -> TrainingState | None:
        """The state to go on from; TrainingError if it is damaged or of another origin."""
        if not self.resume or self.state is None or not self.state.exists():
            return None
        return read_state(self.state, origin=origin)


def fit(
    definition: ModelDefinition,
    training: LabelledEvents,
    validation: LabelledEvents,
    *,
    targets: tuple[NDArray[np.int64], NDArray[np.int64]],
    options: Fit,
    device: str = "auto",
    around: Surroundings = Surroundings(),
) -> Fitted:
    """Train a fresh network; the same data, options and number of threads give the same weights on a CPU.

    `targets` are the classes of the training and of the validation events, in the order of the definition's classes.
    On several devices there are several processes; all but the first end in here. TrainingError if a class has no event
    in one of the parts, or if the loss stops being finite.
    """
    parts = _weighted_parts(definition, (training, validation), targets, options)
    origin = _origin(definition, parts, options)
    restored = around.restored(origin)
    history = History(options, len(training), around.progress, around.told)
    if restored:
        history.epochs, history.weights = list(restored.epochs), dict(restored.best)
    with torch.random.fork_rng(), quiet_lightning():
        torch.manual_seed(options.seed)
        network = build_network(definition)
        network.set_normalisation(**normalisation(training, definition))
        rate = restored.learning_rate if restored else _learning_rate(network, parts[0], options, device)
        options = options.model_copy(update={"learning_rate": rate})
        keeper = StateKeeper(around.state, history, origin=origin, restored=restored)
        trainer = _trainer(options, device, callbacks=[history, keeper], logs=around.logs)
        loader, validation_loader = (_loader(part, options, trainer, n_done=len(history.epochs)) for part in parts)
        steps = options.epochs * len(loader)
        module = Classifier(network, options, steps=steps, first_epoch=len(history.epochs))
        if restored:
            module.load_state_dict(dict(restored.module))
        if not history.finished:
            trainer.fit(module, loader, validation_loader)
    if not trainer.is_global_zero:
        raise SystemExit(0)
    return history.fitted(network, rate)


@dataclass(frozen=True)
class _Part:
    """The training or the validation events as the fit sees them; `shuffled`: those of the training."""

    data: LabelledEvents
    targets: NDArray[np.int64]
    weights: NDArray[np.float64]
    shuffled: bool

    def batches(self, options: Fit) -> EventBatches:
        """With collections missing where the training says so: in what is shuffled."""
        return EventBatches(
            self.data,
            self.targets,
            self.weights,
            dropout=options.collection_dropout,
            observable=None if options.decorrelate is None else options.decorrelate.observable,
        )


def _weighted_parts(
    definition: ModelDefinition,
    data: tuple[LabelledEvents, LabelledEvents],
    targets: tuple[NDArray[np.int64], NDArray[np.int64]],
    options: Fit,
) -> tuple[_Part, _Part]:
    """Every class counts equally; the spectrum of the background is matched to that of signal, in either part."""
    weights = [training_weights(*both, definition.classes, options) for both in zip(data, targets, strict=True)]
    training, validation = (_Part(data[i], targets[i], weights[i], shuffled=i == 0) for i in range(2))
    return training, validation


def _origin(definition: ModelDefinition, parts: tuple[_Part, _Part], options: Fit) -> dict[str, Any]:
    """What a training was told, by which a state of it is known."""
    digest = xxhash.xxh3_128()
    for part in parts:
        for column in (part.targets, part.weights, part.data.split_hash):
            digest.update(np.ascontiguousarray(column).tobytes())
    told = {f"fit.{key}": value for key, value in options.model_dump(mode="json", exclude=_NO_MATTER).items()}
    return {"events": digest.hexdigest(), "definition": definition.model_dump(mode="json"), **told}


def _loader(part: _Part, options: Fit, trainer: lightning.Trainer, *, n_done: int) -> "DataLoader[Batch]":
    """The batches of this process, from the epoch on that comes after `n_done`."""
    order = BatchOrder(
        len(part.data),
        size=options.batch_size,
        seed=options.seed if part.shuffled else None,
        first_epoch=n_done,
        rank=trainer.global_rank,
        world=trainer.world_size,
    )
    pinned = isinstance(trainer.accelerator, lightning.pytorch.accelerators.CUDAAccelerator)
    return load_batches(part.batches(options), order, workers=options.workers, pinned=pinned)


def _learning_rate(network: GraphNetwork, part: _Part, options: Fit, device: str) -> float:
    """The rate of the options, or the one that is found with all events of the training, whatever this process has."""
    if options.learning_rate != "auto":
        return options.learning_rate
    order = BatchOrder(len(part.data), size=options.batch_size, seed=options.seed)
    batches = load_batches(part.batches(options), order, workers=0, pinned=False)
    return find_learning_rate(Classifier(network, options, steps=1), batches, device=choose_device(device))


def _trainer(options: Fit, device: str, *, callbacks: list[Callback], logs: Path | None) -> lightning.Trainer:
    """The trainer for the epochs that are left; the first callback is the history."""
    history = callbacks[0]
    assert isinstance(history, History)
    return lightning.Trainer(
        accelerator=choose_device(device).type,
        devices=options.devices,
        num_nodes=options.nodes,
        strategy=options.strategy,
        precision=options.precision,
        gradient_clip_val=options.gradient_clip,
        max_epochs=max(options.epochs - len(history.epochs), 1),
        callbacks=callbacks,
        logger=TensorBoardLogger(logs.parent, name=logs.name) if logs else False,
        use_distributed_sampler=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
