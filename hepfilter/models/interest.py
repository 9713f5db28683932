"""From class logits to the score."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hepfilter.config.model import EventClass


def interest(logits: NDArray[np.float32], classes: Sequence[EventClass]) -> NDArray[np.float32]:
    """log(Σ_signals π p / Σ_backgrounds π p) for [n, classes] logits: float32 log-odds, unbounded; n = 0 gives none.

    The priors π are those of the classes, normalised within signals and within backgrounds, so that 0 means "as likely
    one of the signals as one of the backgrounds". Computed in float64, row by row. NaN logits give NaN.
    """
    shifted = logits.astype(np.float64) + np.log([event_class.prior for event_class in classes])
    is_signal = np.array([event_class.is_signal for event_class in classes])
    total = np.log([sum(c.prior for c in classes if c.is_signal), sum(c.prior for c in classes if not c.is_signal)])
    signal = np.logaddexp.reduce(shifted[:, is_signal], axis=1) - total[0]
    background = np.logaddexp.reduce(shifted[:, ~is_signal], axis=1) - total[1]
    difference: NDArray[np.float32] = (signal - background).astype(np.float32)
    return difference


def interest_of(logits: Tensor, classes: Sequence[EventClass]) -> Tensor:
    """[B] as `interest` of logits [B, classes], but in float32, with gradients, on their device."""
    shifted = logits + logits.new_tensor([c.prior for c in classes]).log()
    parts = []
    for is_signal in (True, False):
        places = [place for place, c in enumerate(classes) if c.is_signal == is_signal]
        total = math.log(sum(classes[place].prior for place in places))
        parts.append(torch.logsumexp(shifted[:, places], 1) - total)
    return parts[0] - parts[1]
