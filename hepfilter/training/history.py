"""What came of each epoch: the losses, which one was best and its weights, and when it is enough."""

import copy
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from lightning.pytorch.callbacks import Callback
from torch import Tensor

from hepfilter.config.training import Fit
from hepfilter.errors import TrainingError
from hepfilter.graphs.reading import Progress
from hepfilter.models.network import GraphNetwork
from hepfilter.training.module import TRAINING_LOSS, VALIDATION_LOSS


@dataclass(frozen=True)
class Epoch:
    """The mean losses of one epoch, per event, and the learning rate after its last step.

    None where a training goes on from a state that did not tell.
    """

    training_loss: float
    validation_loss: float
    learning_rate: float | None = None


@dataclass(frozen=True)
class Fitted:
    """The network with the weights of epoch `best` (counted from 0), and the history of all epochs that were run.

    `learning_rate` is the highest of the cycle, given or found.
    """

    network: GraphNetwork
    epochs: tuple[Epoch, ...]
    best: int
    learning_rate: float


class History(Callback):
    """Keeps the weights of the epoch with the lowest validation loss, stops early, and tells how far the training is.

    `epochs` and `weights`, those of the best, may be those that an earlier run has left. After each epoch `told` is
    called with its number, counted from 1, and its losses.
    """

    def __init__(
        self,
        options: Fit,
        n_events: int,
        progress: Progress,
        told: Callable[[int, Epoch], None] = lambda *_: None,
    ) -> None:
        self._options, self._n_events, self._progress, self._told = options, n_events, progress, told
        self.epochs: list[Epoch] = []
        self.weights: dict[str, Tensor] = {}

    @property
    def best(self) -> int:
        """The epoch with the lowest finite loss, the first of equal ones; -1 if there is none."""
        finite = [number for number, epoch in enumerate(self.epochs) if math.isfinite(epoch.validation_loss)]
        return min(finite, key=lambda number: self.epochs[number].validation_loss, default=-1)

    @property
    def finished(self) -> bool:
        """After the last epoch, after `patience` epochs that were not better, or when the loss is not finite."""
        if not self.epochs:
            return False
        n_epochs = len(self.epochs)
        stale = n_epochs - 1 - self.best >= self._options.patience
        return n_epochs >= self._options.epochs or stale or not math.isfinite(self.epochs[-1].validation_loss)

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Progress in events."""
        if trainer.is_global_zero:
            done = (batch_idx + 1) * self._options.batch_size * trainer.world_size
            self._progress(f"epoch {module.epoch + 1}", min(done, self._n_events), self._n_events)

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        """After training and validation of an epoch."""
        training, validation = (float(trainer.callback_metrics[name]) for name in (TRAINING_LOSS, VALIDATION_LOSS))
        rate = float(trainer.optimizers[0].param_groups[0]["lr"])
        self.epochs.append(Epoch(training, validation, rate))
        if self.best == len(self.epochs) - 1:
            self.weights = copy.deepcopy({name: value.cpu() for name, value in module.kept.state_dict().items()})
        for logger in trainer.loggers:
            logger.log_metrics(asdict(self.epochs[-1]), step=len(self.epochs))
        if trainer.is_global_zero:
            self._told(len(self.epochs), self.epochs[-1])
        trainer.should_stop = self.finished

    def fitted(self, network: GraphNetwork, learning_rate: float) -> Fitted:
        """The network with the best weights; TrainingError if no epoch gave a finite loss."""
        if self.best < 0:
            raise TrainingError("the loss is not finite from the first epoch on; lower fit.learning_rate")
        network.cpu().load_state_dict(self.weights)
        return Fitted(network.eval(), tuple(self.epochs), self.best, learning_rate)
