"""Linear layers with batch norm (S. Ioffe, C. Szegedy, arXiv:1502.03167) over what exists in padded graphs.

    y = γ (W x − m) / √(v + ε) + β

In training m and v are mean and variance of W x over all rows of the batch that are there, and their running averages
are kept; else they are those averages, with which it is one linear layer: no score depends on the batch.
"""

from typing import Final

import torch
from torch import Tensor, nn

_EPSILON: Final = 1e-5
_MOMENTUM: Final = 0.1
"""The weight of one more batch in the running averages, as in the paper's implementations."""


class NormedLinear(nn.Module):
    """[..., n_in] → [..., n_out]; `scale` is γ, `shift` is β, `mean` and `variance` are the running averages."""

    mean: Tensor
    variance: Tensor

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.Linear(n_in, n_out, bias=False).weight.detach())
        self.scale, self.shift = nn.Parameter(torch.ones(n_out)), nn.Parameter(torch.zeros(n_out))
        self.register_buffer("mean", torch.zeros(n_out))
        self.register_buffer("variance", torch.ones(n_out))

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight [n_out, n_in] and bias [n_out] of the one linear layer that this is outside of training."""
        factor = self.scale * (self.variance + _EPSILON).rsqrt()
        return self.weight * factor.unsqueeze(1), self.shift - self.mean * factor

    def forward(self, x: Tensor, there: Tensor | None = None) -> Tensor:
        """As the class says; in training over the rows where `there` [...] is true, or all."""
        if not self.training:
            return nn.functional.linear(x, *self.folded())
        return self.normalised(nn.functional.linear(x, self.weight), there)

    def normalised(self, raw: Tensor, there: Tensor | None) -> Tensor:
        """[..., n_out] float32: W x of a training batch, normalised; what is not `there` [...] must be finite, and
        gives β."""
        raw = raw.float()
        count = raw.new_tensor(raw.numel() / raw.shape[-1]) if there is None else there.sum().to(raw.dtype)
        absent, rows = None if there is None else ~there.unsqueeze(-1), tuple(range(raw.ndim - 1))
        mean = _filled(raw, absent).sum(rows) / count.clamp_min(1)
        centred = _filled(raw - mean, absent)
        variance = centred.square().sum(rows) / count.clamp_min(1)
        with torch.no_grad():  # a batch without rows tells nothing
            weight = _MOMENTUM * (count > 0)
            self.mean.lerp_(mean, weight)
            self.variance.lerp_(variance, weight)
        return centred * (self.scale * (variance + _EPSILON).rsqrt()) + self.shift


def _filled(x: Tensor, absent: Tensor | None) -> Tensor:
    """Zeros for what is absent."""
    return x if absent is None else x.masked_fill(absent, 0.0)
