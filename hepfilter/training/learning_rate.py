"""Finding a learning rate: the range test of L. N. Smith, arXiv:1506.01186."""

import copy
from collections.abc import Iterable, Iterator
from typing import Any, Final

import numpy as np
import torch

from hepfilter.errors import TrainingError
from hepfilter.training.batches import Batch
from hepfilter.training.module import Classifier

_RATES: Final = np.geomspace(1e-5, 1.0, 100)
_SMOOTHING: Final = 0.9
_DIVERGED: Final = 3.0
_MARGIN: Final = 10.0


def find_learning_rate(module: Classifier, batches: Iterable[Batch], *, device: torch.device) -> float:
    """A tenth of the rate at which the smoothed loss is lowest while the rate grows step by step from 1e-5 to 1.

    `module` and torch's generators stay as they are; the same batches give the same rate. It ends early where the loss
    is three times the lowest. TrainingError if the loss is not finite from the beginning.
    """
    with torch.random.fork_rng():
        torch.manual_seed(0)
        losses = _losses_while_rising(copy.deepcopy(module).to(device).train(), batches, device)
    if not losses:
        raise TrainingError("the loss is not finite at any learning rate; look at the data")
    return float(f"{_RATES[int(np.argmin(losses))] / _MARGIN:.3g}")


def _losses_while_rising(module: Classifier, batches: Iterable[Batch], device: torch.device) -> list[float]:
    """The smoothed loss at each rate, as far as it is finite and not much above the lowest."""
    optimizer = torch.optim.AdamW([p for p in module.parameters() if p.requires_grad], lr=_RATES[0])
    smoothed: list[float] = []
    mean = 0.0
    for number, (rate, batch) in enumerate(zip(_RATES, _endless(batches), strict=False), start=1):
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss: Any = module._loss(batch.on(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        mean = _SMOOTHING * mean + (1 - _SMOOTHING) * loss.item()
        smoothed.append(mean / (1 - _SMOOTHING**number))
        if not np.isfinite(mean) or smoothed[-1] > _DIVERGED * min(smoothed):
            smoothed.pop()
            break
    return smoothed


def _endless(batches: Iterable[Batch]) -> Iterator[Batch]:
    """The batches, again and again."""
    while True:
        yield from batches
