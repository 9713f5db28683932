"""Terms of the loss beside the cross-entropy: what draws classes together, and what keeps a score off an observable."""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn

from hepfilter.config.model import EventClass
from hepfilter.config.training import Fit
from hepfilter.models.interest import interest_of
from hepfilter.training.batches import Batch

_MOST_EVENTS: Final = 4096
"""Distances of all pairs are taken of so many events at most, the first of a batch."""


class FurtherTerms(nn.Module):
    """What `Fit.contrastive` and `Fit.decorrelate` add to the loss; its own weights are thrown away after training."""

    def __init__(self, options: Fit, classes: Sequence[EventClass], latent_width: int) -> None:
        super().__init__()
        self._contrastive, self._decorrelate, self._classes = options.contrastive, options.decorrelate, classes
        if self._contrastive is not None:
            hidden = nn.Sequential(nn.Linear(latent_width, latent_width), nn.ReLU())
            self.projection = nn.Sequential(hidden, nn.Linear(latent_width, self._contrastive.width))

    def forward(self, latent: Tensor, logits: Tensor, batch: Batch) -> Tensor:
        """The sum of the terms for latent [b, H] and logits [b, classes] of a batch; 0 without any."""
        targets, weights = batch.targets, batch.weights
        total = logits.new_zeros(())
        if (contrastive := self._contrastive) is not None:
            term = supervised_contrastive(
                self.projection(latent), targets, weights, temperature=contrastive.temperature
            )
            total = total + contrastive.weight * term
        if (decorrelate := self._decorrelate) is not None:
            is_signal = torch.tensor([c.is_signal for c in self._classes], device=targets.device)
            kept = ~is_signal[targets]
            scores = interest_of(logits, self._classes)
            term = squared_distance_correlation(scores[kept], batch.observed[kept], weights[kept])
            total = total + decorrelate.weight * term
        return total


def supervised_contrastive(projected: Tensor, targets: Tensor, weights: Tensor, *, temperature: float) -> Tensor:
    """The weighted mean over events of L_out: P. Khosla et al., arXiv:2004.11362, eq. 2.

    projected [b, W] (any length; normalised here), targets [b] int64, weights [b]. An event without another one of its
    class contributes 0.
    """
    unit = torch.nn.functional.normalize(projected.float(), dim=1)
    alone = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    similarity = (unit @ unit.t() / temperature).masked_fill(alone, -torch.inf)
    log_share = (similarity - similarity.logsumexp(1, keepdim=True)).masked_fill(alone, 0.0)
    same = (targets.unsqueeze(1) == targets.unsqueeze(0)) & ~alone
    losses = -(log_share * same).sum(1) / same.sum(1).clamp_min(1)
    return (losses * weights).sum() / len(targets)


def squared_distance_correlation(x: Tensor, y: Tensor, weights: Tensor) -> Tensor:
    """dCorr²(x, y) in [0, 1] of weighted events: G. Kasieczka, D. Shih, arXiv:2001.05310.

    x, y, weights [n]; 0 only if they are independent (G. J. Székely, M. L. Rizzo, N. K. Bakirov, Ann. Statist. 35
    (2007) 2769), where one of them does not vary, or for fewer than two events.
    """
    if len(x) < 2:
        return x.new_zeros(())
    x, y, weights = (values[:_MOST_EVENTS].float() for values in (x, y, weights))
    share = weights / weights.sum().clamp_min(torch.finfo(torch.float32).tiny)
    a, b = (_centred_distances(values, share) for values in (x, y))
    pairs = share.unsqueeze(1) * share.unsqueeze(0)
    both, own_x, own_y = ((pairs * one * other).sum() for one, other in ((a, b), (a, a), (b, b)))
    return both / (own_x * own_y).clamp_min(1e-12).sqrt()


def _centred_distances(values: Tensor, share: Tensor) -> Tensor:
    """[n, n] |v_i − v_j| without the weighted means of its rows and columns."""
    distances = (values.unsqueeze(1) - values.unsqueeze(0)).abs()
    mean = distances @ share
    return distances - mean.unsqueeze(0) - mean.unsqueeze(1) + mean @ share
