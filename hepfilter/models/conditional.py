"""A head that compares an event with background as hard as it is, and so does not go by hardness."""

from typing import Final

import torch
from torch import Tensor, nn

from hepfilter.graphs.padded import PaddedGraphs
from hepfilter.statistics.conditional import LEVELS, ConditionalQuantiles

_FLAT: Final = 1e-6
"""Least difference by which it is divided; float32 has no smaller ones between scores."""


class Conditional(nn.Module):
    """−ln p: p is the share of background of an event's own hardness that is at least as interesting.

    The quantiles (`statistics.conditional`) are buffers, over ln(1 + hardness / GeV); `settle` sets them.
    """

    levels: Tensor
    knots: Tensor
    scores: Tensor

    def __init__(self, knots: int) -> None:
        super().__init__()
        levels = torch.tensor(LEVELS.tolist(), dtype=torch.float32)
        self.register_buffer("levels", levels, persistent=False)
        self.register_buffer("knots", torch.zeros(knots))
        self.register_buffer("scores", torch.zeros(knots, len(levels)))

    @property
    def is_sound(self) -> bool:
        """Whether knots and scores rise."""
        return bool((self.knots.diff() >= 0).all() and (self.scores.diff(dim=1) >= 0).all())

    def settle(self, table: ConditionalQuantiles) -> None:
        """Take a table of as many knots as there are places, or fewer: the last one fills the rest."""
        places = torch.arange(len(self.knots)).clamp_max(len(table.knots) - 1)
        self.knots.copy_(torch.from_numpy(table.knots)[places])
        self.scores.copy_(torch.from_numpy(table.scores)[places])

    def forward(self, interest: Tensor, hardness: Tensor) -> Tensor:
        """interest [B], hardness [B] GeV → [B] ≥ 0, finite for finite interest; linear beyond the last level."""
        x = torch.log1p(hardness).clamp(self.knots[0], self.knots[-1])
        right = torch.searchsorted(self.knots, x, right=True).clamp(1, len(self.knots) - 1)
        width = (self.knots[right] - self.knots[right - 1]).clamp_min(_FLAT)
        share = ((x - self.knots[right - 1]) / width).unsqueeze(1)
        rising = torch.lerp(self.scores[right - 1], self.scores[right], share)
        above = (rising <= interest.unsqueeze(1)).sum(1).clamp(1, len(self.levels) - 1)
        low, high = (rising.gather(1, place.unsqueeze(1)).squeeze(1) for place in (above - 1, above))
        step = ((interest - low) / (high - low).clamp_min(_FLAT)).clamp_min(0.0)
        return torch.lerp(self.levels[above - 1], self.levels[above], step)


def hardness_of(graphs: PaddedGraphs) -> Tensor:
    """[B] GeV: Σ pt of the nodes, which is how hard an event is as far as its graph shows."""
    return graphs.momenta[:, :, 0].sum(1)
