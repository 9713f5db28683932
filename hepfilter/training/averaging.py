"""The exponential moving average of a network's weights: smoother than the last step, and often better."""

from typing import Final

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

_WARM_UP: Final = 10.0


def moving_average(network: nn.Module, decay: float) -> AveragedModel:
    """The average of `network`, to be updated after each step: w̄ ← d w̄ + (1 − d) w, d = min(decay, (1 + n)/(10 + n)).

    The bound with the number n of updates lets it forget the random weights of the beginning. Buffers are copied.
    """

    def mixed(average: Tensor, current: Tensor, n_averaged: Tensor | int) -> Tensor:
        number = float(n_averaged)
        return average.lerp(current, 1 - min(decay, (1 + number) / (_WARM_UP + number)))

    average = AveragedModel(network, avg_fn=mixed)
    average.requires_grad_(False)
    return average
