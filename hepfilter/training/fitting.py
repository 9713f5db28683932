"""Fitting a network to labelled graphs: one cycle of the learning rate, early stop, the best epoch's weights."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import EarlyStopping
from numpy.typing import NDArray

from hepfilter.config.model import ModelDefinition
from hepfilter.config.training import Fit
from hepfilter.models.checkpoint import build_network
from hepfilter.models.device import choose_device
from hepfilter.training.batches import WeightedBatches, balanced_weights, normalisation
from hepfilter.training.data import LabelledGraphs, Progress
from hepfilter.training.module import VALIDATION_LOSS, BestEpoch, Classifier, Fitted


def fit(
    definition: ModelDefinition,
    training: LabelledGraphs,
    validation: LabelledGraphs,
    *,
    targets: tuple[NDArray[np.int64], NDArray[np.int64]],
    options: Fit,
    device: str = "auto",
    progress: Progress = lambda *_: None,
) -> Fitted:
    """Train a fresh network; the same data, options and number of threads give the same weights on a CPU.

    `targets` are the classes of the training and of the validation events, in the order of the definition's classes.
    TrainingError if a class has no event in one of them, or if the loss stops being finite.
    """
    names = [event_class.name for event_class in definition.classes]
    batches = [
        WeightedBatches(
            data.graphs,
            target,
            balanced_weights(data, target, names, options.weight_power),
            size=options.batch_size,
            seed=seed,
        )
        for data, target, seed in ((training, targets[0], options.seed), (validation, targets[1], None))
    ]
    with torch.random.fork_rng(), _quiet_lightning():
        torch.manual_seed(options.seed)
        network = build_network(definition)
        network.set_normalisation(**normalisation(training.graphs, definition))
        module = Classifier(network, options, steps=options.epochs * len(batches[0]))
        keeper = BestEpoch(progress)
        stopper = EarlyStopping(VALIDATION_LOSS, patience=options.patience, check_finite=True)
        trainer = lightning.Trainer(
            accelerator=choose_device(device).type,
            devices=1,
            max_epochs=options.epochs,
            callbacks=[stopper, keeper],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        trainer.fit(module, batches[0], batches[1])
    return keeper.fitted(network)


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Lightning announces accelerators and tips; the results speak for themselves."""
    logger = logging.getLogger("lightning.pytorch")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\.")
            yield
    finally:
        logger.setLevel(before)
