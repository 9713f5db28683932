"""A variational autoencoder of the kind that runs at the first trigger level: simple objects, few neurons.

57 numbers of 19 objects → 32 → 16 → 8 latent (E. Govorkova et al., Nature Mach. Intell. 4 (2022) 154). At the trigger
only the encoder runs, and the score is the mean squared latent vector, which grows as an event leaves the bulk of what
was seen in training.
"""

from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hepfilter.events.first_level import FIRST_LEVEL_OBJECTS

_INPUTS: Final = 3 * FIRST_LEVEL_OBJECTS
_LATENT: Final = 8
_KL_WEIGHT: Final = 0.3
_BATCH: Final = 512
_LEARNING_RATE: Final = 2e-3


class TriggerAutoencoder(nn.Module):
    """[B, 57] → latent mean and log variance [B, 8] each → [B, 57]. Inputs are brought to order one by `prepared`."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(_INPUTS))
        self.register_buffer("std", torch.ones(_INPUTS))
        self.encoder = nn.Sequential(nn.Linear(_INPUTS, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU())
        self.latent_mean, self.latent_log_variance = nn.Linear(16, _LATENT), nn.Linear(16, _LATENT)
        self.decoder = nn.Sequential(
            nn.Linear(_LATENT, 16), nn.ReLU(), nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, _INPUTS)
        )

    def prepared(self, objects: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs [B, 57] and where there is an object [B, 57], from pt, η, φ [B, 19, 3]: ln(1 + pt/GeV), η and φ, each
        shifted and scaled by mean and spread where there is an object, 0 where there is none."""
        there = (objects[:, :, :1] > 0).expand(-1, -1, 3).reshape(len(objects), _INPUTS)
        logarithmic = torch.cat([torch.log1p(objects[:, :, :1]), objects[:, :, 1:]], dim=2).reshape(
            len(objects), _INPUTS
        )
        return torch.where(there, (logarithmic - self.mean) / self.std, 0.0), there

    def normalise(self, objects: Tensor) -> None:
        """Set mean and spread to those of these events."""
        self.mean.zero_()
        self.std.fill_(1.0)
        values, there = self.prepared(objects)
        number = there.sum(0).clamp_min(1)
        self.mean.copy_(values.sum(0) / number)
        spread = (torch.where(there, values - self.mean, 0.0) ** 2).sum(0) / number
        self.std.copy_(torch.where(spread > 1e-6, spread.sqrt(), 1.0))

    def loss(self, objects: Tensor) -> Tensor:
        """Squared error over the objects that exist, and the divergence of the latent distribution from a unit normal
        (D. P. Kingma, M. Welling, arXiv:1312.6114)."""
        values, there = self.prepared(objects)
        hidden = self.encoder(values)
        mean, log_variance = self.latent_mean(hidden), self.latent_log_variance(hidden)
        drawn = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        error = torch.where(there, self.decoder(drawn) - values, 0.0).square().sum(1)
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
        total: Tensor = (error + _KL_WEIGHT * divergence).mean()
        return total

    @torch.inference_mode()
    def score(self, objects: NDArray[np.float32]) -> NDArray[np.float32]:
        """[B] mean squared latent vector of pt, η, φ [B, 19, 3]."""
        parts = [
            self.latent_mean(self.encoder(self.prepared(part)[0])).square().mean(1)
            for part in torch.from_numpy(objects).split(2**16)  # type: ignore[no-untyped-call]
        ]
        scores: NDArray[np.float32] = torch.cat(parts).numpy()
        return scores


def fit_autoencoder(
    objects: NDArray[np.float32], weights: NDArray[np.floating[Any]], *, seed: int, epochs: int = 20
) -> TriggerAutoencoder:
    """Trained on the CPU on background objects [B, 19, 3]; each batch is drawn by weight.

    The same events, seed and number of threads give the same weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = TriggerAutoencoder()
        data = torch.from_numpy(np.ascontiguousarray(objects))
        chance = torch.from_numpy(np.asarray(weights, np.float64))
        network.normalise(data[torch.multinomial(chance, min(len(data), 20_000), replacement=True)])
        steps = epochs * max(1, len(data) // _BATCH)
        optimizer = torch.optim.Adam(network.parameters(), lr=_LEARNING_RATE)
        cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, _LEARNING_RATE, total_steps=max(steps, 20))
        order = torch.multinomial(chance, steps * _BATCH, replacement=True)
        for batch in order.split(_BATCH):  # type: ignore[no-untyped-call]
            optimizer.zero_grad()
            network.loss(data[batch]).backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            cycle.step()
    return network.eval()
