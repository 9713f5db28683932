"""The Lightning module and the callback that keeps the best epoch."""

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from hepfilter.config.training import Fit
from hepfilter.errors import TrainingError
from hepfilter.models.edgeconv import EdgeConvNet
from hepfilter.training.batches import Batch
from hepfilter.training.data import Progress

VALIDATION_LOSS: Final = "validation_loss"


@dataclass(frozen=True)
class Epoch:
    """The mean losses of one epoch, per event."""

    training_loss: float
    validation_loss: float


@dataclass(frozen=True)
class Fitted:
    """The network with the weights of epoch `best` (counted from 0), and the history of all epochs that were run."""

    network: EdgeConvNet
    epochs: tuple[Epoch, ...]
    best: int


class Classifier(lightning.LightningModule):
    """Weighted cross-entropy over the classes."""

    def __init__(self, network: EdgeConvNet, options: Fit, *, steps: int) -> None:
        super().__init__()
        self.network, self._options, self._steps = network, options, steps

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """The mean loss of one batch."""
        loss = self._loss(batch)
        self.log("training_loss", loss, on_step=False, on_epoch=True, batch_size=len(batch[1]))
        return loss

    def validation_step(self, batch: Batch, _: int) -> None:
        """Logs the mean loss."""
        self.log(VALIDATION_LOSS, self._loss(batch), batch_size=len(batch[1]))

    def configure_optimizers(self) -> Any:
        """AdamW; the learning rate rises and falls once over all steps."""
        optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=self._options.learning_rate, weight_decay=self._options.weight_decay
        )
        cycle = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=self._options.learning_rate, total_steps=max(self._steps + 1, 20), pct_start=0.2
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}

    def _loss(self, batch: Batch) -> Tensor:
        """Bucket by bucket: the same loss as at once, without computing on empty places."""
        graphs, targets, weights = batch
        total = weights.new_zeros(())
        for n_nodes, events in graphs.buckets():
            logits = self.network.forward_padded(graphs.select(events).cropped(n_nodes))
            losses = torch.nn.functional.cross_entropy(logits, targets[events], reduction="none")
            total = total + (losses * weights[events]).sum()
        return total / len(targets)


class BestEpoch(Callback):
    """Keeps the weights of the epoch with the lowest validation loss, and tells how far the training is."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._weights: Mapping[str, Tensor] = {}
        self._epochs: list[Epoch] = []
        self._best = -1

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Progress in batches."""
        self._progress(f"epoch {trainer.current_epoch + 1}", batch_idx + 1, trainer.num_training_batches)

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        """After training and validation of an epoch."""
        losses = (float(trainer.callback_metrics[name]) for name in ("training_loss", VALIDATION_LOSS))
        self._epochs.append(Epoch(*losses))
        if self._best < 0 or self._epochs[-1].validation_loss < self._epochs[self._best].validation_loss:
            self._best = len(self._epochs) - 1
            self._weights = copy.deepcopy({name: value.cpu() for name, value in module.network.state_dict().items()})

    def fitted(self, network: EdgeConvNet) -> Fitted:
        """The network with the best weights; TrainingError if no epoch gave a finite loss."""
        if self._best < 0 or not math.isfinite(self._epochs[self._best].validation_loss):
            raise TrainingError("the loss is not finite from the first epoch on; lower fit.learning_rate")
        network.cpu().load_state_dict(self._weights)
        return Fitted(network.eval(), tuple(self._epochs), self._best)
