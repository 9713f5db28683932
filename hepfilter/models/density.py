"""Heads that say how unlike background, or unlike it in nature, an event is, from the frozen latent vector.

Every head first whitens the latent vector by mean and covariance of the background, so that no direction counts more
for its scale. Directions in which background hardly varies are whitened as if it varied by `_FLOOR` of the most: what
moves along them stands out, but rounding does not.
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import torch
from torch import Tensor, nn

_FLOOR: Final = 1e-3
_FARTHEST: Final = 100.0
"""Standard deviations at which whitened directions are cut: what overflows further on would be no finite score."""
_LARGEST_LOG_SCALE: Final = 2.0
_CENTRE_FROM_ZERO: Final = 0.1


class LatentHead(nn.Module):
    """Latent vectors [B, H] → scores [B]; centre [H] and whitening [H, H] are buffers, set by `prepare`."""

    centre: Tensor
    whitening: Tensor

    def __init__(self, latent_width: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(latent_width))
        # no torch.eye: on the device meta, on which `checkpoint` tries shapes, it imports a compiler for seconds
        self.register_buffer("whitening", torch.zeros(latent_width, latent_width).fill_diagonal_(1.0))

    def prepare(self, latent: Tensor, weights: Tensor, classes: Tensor) -> None:
        """Before training: latent [n, H], weights [n] and background class [n] (from 0) of background events."""
        centre, covariance = _moments(latent, weights, torch.zeros_like(classes), 1)
        self.centre.copy_(centre[0])
        self.whitening.copy_(_inverse_root(covariance))

    def settle(self, latent: Tensor, weights: Tensor) -> None:
        """After training, on the same events."""

    def forward(self, latent: Tensor) -> Tensor:
        """[B] scores: finite for finite latent vectors."""
        return self.score(self.whitened(latent))

    def whitened(self, latent: Tensor) -> Tensor:
        """[B, H] of mean 0 and unit covariance for background, within ±`_FARTHEST`."""
        return ((latent - self.centre) @ self.whitening).clamp(-_FARTHEST, _FARTHEST)

    @abstractmethod
    def score(self, whitened: Tensor) -> Tensor:
        """[B] of whitened vectors [B, H]."""

    def loss(self, *mixes: tuple[Tensor, Tensor]) -> Tensor:
        """What training makes small, of whitened vectors [n, H] and weights [n] of background in each mix of the head.

        By default there is one mix, and the loss is the mean score.
        """
        ((whitened, weights),) = mixes
        return (self.score(whitened) * weights).mean()


class Coupling(nn.Module):
    """y_b = x_b exp(s(x_a)) + t(x_a), y_a = x_a; `changed` says which of the components are b."""

    changed: Tensor

    def __init__(self, changed: Sequence[bool], width: int) -> None:
        super().__init__()
        self.register_buffer("changed", torch.tensor(changed), persistent=False)
        size = len(changed)
        self.net = nn.Sequential(nn.Linear(size, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.out = nn.Linear(width, 2 * size)
        nn.init.zeros_(self.out.weight)  # begins as the identity
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x [B, H] → (y [B, H], ln |dy/dx| [B])."""
        raw, shift = self.out(self.net(x.masked_fill(self.changed, 0.0))).chunk(2, dim=1)
        log_scale = _LARGEST_LOG_SCALE * torch.tanh(raw / _LARGEST_LOG_SCALE)
        log_scale, shift = (part.masked_fill(~self.changed, 0.0) for part in (log_scale, shift))
        return x * log_scale.exp() + shift, log_scale.sum(1)


class Flow(LatentHead):
    """−ln p by affine couplings: L. Dinh, J. Sohl-Dickstein, S. Bengio, Density estimation using Real NVP (1605.08803).

    Couplings come in pairs that change one half of the components and then the other; halves of the next pair go by the
    next binary digit of the components' numbers, so that in the end all depend on all.
    """

    def __init__(self, latent_width: int, *, couplings: int, width: int) -> None:
        super().__init__(latent_width)
        digits = max(1, (latent_width - 1).bit_length())
        halves = [
            [bool(i >> (n // 2 % digits) & 1) == bool(n % 2) for i in range(latent_width)] for n in range(couplings)
        ]
        self.couplings = nn.ModuleList(Coupling(half, width) for half in halves)

    def score(self, whitened: Tensor) -> Tensor:
        """−ln p of the whitened vectors."""
        y, log_volume = whitened, whitened.new_zeros(len(whitened))
        for coupling in self.couplings:
            y, more = coupling(y)
            log_volume = log_volume + more
        return 0.5 * (y.square().sum(1) + y.shape[1] * math.log(2 * math.pi)) - log_volume


class Svdd(LatentHead):
    """|φ(x) − c|² over its mean for background: L. Ruff et al., Deep One-Class Classification, ICML (2018) 4393.

    As there, φ has no biases and no bounded activations, and c is the mean of φ for background before training, with no
    component near 0: else φ could become constant.
    """

    centre_of_sphere: Tensor
    mean_distance: Tensor

    def __init__(self, latent_width: int, *, width: int, layers: int) -> None:
        super().__init__(latent_width)
        sizes = [latent_width, *[width] * layers]
        linear = [nn.Linear(a, b, bias=False) for a, b in pairwise(sizes)]
        self.net = nn.Sequential(*(part for layer in linear for part in (layer, nn.LeakyReLU(0.1))))[:-1]
        self.register_buffer("centre_of_sphere", torch.ones(width))
        self.register_buffer("mean_distance", torch.ones(()))

    def prepare(self, latent: Tensor, weights: Tensor, classes: Tensor) -> None:
        """As the base class says; sets the centre c."""
        super().prepare(latent, weights, classes)
        mean = (self.net(self.whitened(latent)) * weights.unsqueeze(1)).sum(0) / weights.sum()
        sign = torch.where(mean < 0, -1.0, 1.0)
        self.centre_of_sphere.copy_(torch.where(mean.abs() < _CENTRE_FROM_ZERO, _CENTRE_FROM_ZERO * sign, mean))

    def settle(self, latent: Tensor, weights: Tensor) -> None:
        """The mean distance becomes 1: scores are rounded to a grid that does not know their scale."""
        mean = (self.forward(latent) * weights).sum() / weights.sum()
        self.mean_distance.mul_(mean.clamp_min(torch.finfo(torch.float32).tiny))

    def score(self, whitened: Tensor) -> Tensor:
        """Squared distance from the centre, 1 on average."""
        distance: Tensor = (self.net(whitened) - self.centre_of_sphere).square().sum(1)
        return distance / self.mean_distance


class Mahalanobis(LatentHead):
    """½ d² from the nearest class centre, by the covariance within classes: K. Lee et al., arXiv:1807.03888."""

    class_centres: Tensor

    def __init__(self, latent_width: int, n_classes: int) -> None:
        super().__init__(latent_width)
        self.register_buffer("class_centres", torch.zeros(n_classes, latent_width))

    def prepare(self, latent: Tensor, weights: Tensor, classes: Tensor) -> None:
        """As the base class says; sets the centres. Every class must have events."""
        centres, covariance = _moments(latent, weights, classes, len(self.class_centres))
        self.centre.copy_(centres.mean(0))
        self.whitening.copy_(_inverse_root(covariance))
        self.class_centres.copy_(self.whitened(centres.to(latent.dtype)))

    def score(self, whitened: Tensor) -> Tensor:
        """Half the squared distance."""
        return 0.5 * (whitened.unsqueeze(1) - self.class_centres).square().sum(2).amin(1)


class Ratio(LatentHead):
    """ln of a ratio of two densities, by a classifier that tells them apart: K. Cranmer et al., arXiv:1506.02169."""

    def __init__(self, latent_width: int, *, width: int, layers: int) -> None:
        super().__init__(latent_width)
        sizes = [latent_width, *[width] * layers]
        hidden = (part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), nn.ReLU()))
        out = nn.Linear(width, 1)
        nn.init.zeros_(out.weight)  # begins as equal densities
        nn.init.zeros_(out.bias)
        self.net = nn.Sequential(*hidden, out)

    def score(self, whitened: Tensor) -> Tensor:
        """ln of the density of the first mix over that of the second."""
        log_ratio: Tensor = self.net(whitened).squeeze(1)
        return log_ratio

    def loss(self, *mixes: tuple[Tensor, Tensor]) -> Tensor:
        """The cross-entropy of telling the second mix from the first."""
        (above, above_weights), (below, below_weights) = mixes
        softplus = nn.functional.softplus
        loss: Tensor = (softplus(-self.score(above)) * above_weights).mean()
        return loss + (softplus(self.score(below)) * below_weights).mean()


def _moments(latent: Tensor, weights: Tensor, classes: Tensor, n_classes: int) -> tuple[Tensor, Tensor]:
    """Weighted means [C, H] of the classes and covariance [H, H] about them, in float64."""
    x, w = latent.double(), weights.double().unsqueeze(1)
    member = nn.functional.one_hot(classes, n_classes).double() * w
    centres = (member.t() @ x) / member.sum(0).unsqueeze(1)
    away = x - centres[classes]
    return centres, (away * w).t() @ away / w.sum()


def _inverse_root(covariance: Tensor) -> Tensor:
    """[H, H] that turns vectors of this covariance into such of unit covariance, in float32; the floor is as above."""
    variances, directions = torch.linalg.eigh(covariance)
    most = variances[-1].clamp_min(torch.finfo(torch.float32).tiny)
    inverse: Tensor = (directions / variances.clamp_min(_FLOOR**2 * most).sqrt()).float()
    return inverse
