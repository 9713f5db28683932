"""The Lightning module: what is minimised, by which steps, and whose weights are validated."""

from typing import Any, Final

import lightning
import numpy as np
import torch
from torch import Tensor

from hepfilter.config.training import Fit
from hepfilter.graphs.padded import PaddedGraphs
from hepfilter.models.network import GraphNetwork
from hepfilter.training.averaging import moving_average
from hepfilter.training.batches import Batch
from hepfilter.training.objectives import FurtherTerms

TRAINING_LOSS: Final = "training_loss"
VALIDATION_LOSS: Final = "validation_loss"


class Classifier(lightning.LightningModule):
    """Weighted cross-entropy over the classes, and the further terms that the options ask for.

    `steps` are those of the whole training, `first_epoch` is where this process goes on with it.
    """

    def __init__(self, network: GraphNetwork, options: Fit, *, steps: int, first_epoch: int = 0) -> None:
        super().__init__()
        self.network, self._options, self._steps, self._first_epoch = network, options, steps, first_epoch
        network.heads.requires_grad_(False)  # they are fitted when the network is done
        self.average = None if options.ema is None else moving_average(network, options.ema)
        self.further = FurtherTerms(options, network.definition.classes, network.latent_width)

    @property
    def kept(self) -> GraphNetwork:
        """The network that is validated and kept: the average where there is one."""
        if self.average is None:
            return self.network
        network = self.average.module
        assert isinstance(network, GraphNetwork)
        return network

    @property
    def learning_rate(self) -> float:
        """The highest of the cycle."""
        assert self._options.learning_rate != "auto"  # `fitting` has found it
        return self._options.learning_rate

    @property
    def epoch(self) -> int:
        """The number of the epoch in the whole training, from 0."""
        return int(self._first_epoch + self.current_epoch)

    def on_train_epoch_start(self) -> None:
        """Dropout follows from seed, epoch and process alone: a training that is resumed needs no other state."""
        words = np.random.SeedSequence([self._options.seed, self.epoch, self.global_rank]).generate_state(2)
        torch.manual_seed(int(words[0]) << 31 | int(words[1]) >> 1)

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """The mean loss of one batch."""
        loss = self._loss(batch)
        self._log(TRAINING_LOSS, loss, batch)
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """After each step the average follows."""
        if self.average is not None:
            self.average.update_parameters(self.network)

    def validation_step(self, batch: Batch, _: int) -> None:
        """The mean loss of one batch, by the network that is kept."""
        self._log(VALIDATION_LOSS, self._loss(batch, self.kept), batch)

    def configure_optimizers(self) -> Any:
        """AdamW; the learning rate rises and falls once over all steps."""
        rate = self.learning_rate
        weights = [parameter for parameter in self.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(weights, lr=rate, weight_decay=self._options.weight_decay)
        cycle = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=rate, total_steps=max(self._steps + 1, 20), pct_start=0.2
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}

    def _log(self, name: str, loss: Tensor, batch: Batch) -> None:
        """For the mean over the events of an epoch, on all devices; `history.History` takes it from there."""
        self.log(name, loss, on_step=False, on_epoch=True, sync_dist=True, logger=False, batch_size=len(batch.targets))

    def _loss(self, batch: Batch, network: GraphNetwork | None = None) -> Tensor:
        """Of the network that learns, or another."""
        network = network or self.network
        latent = _latent(network, batch.graphs)
        logits = network.classify(latent)
        losses = torch.nn.functional.cross_entropy(logits, batch.targets, reduction="none")
        further: Tensor = self.further(latent, logits, batch)
        return (losses * batch.weights).sum() / len(batch.targets) + further


def _latent(network: GraphNetwork, graphs: PaddedGraphs) -> Tensor:
    """[b, H] of all events, by buckets where that is the same as at once: not computing on empty places."""
    if network.training and network.uses_batch_statistics:
        return network.embed_padded(graphs.cropped(max(1, int(graphs.node_counts.max()))))
    buckets = list(graphs.buckets())
    parts = [network.embed_padded(graphs.select(events).cropped(n_nodes)) for n_nodes, events in buckets]
    return torch.cat(parts)[torch.cat([events for _, events in buckets]).argsort()]
