"""Where networks run."""

import os

import torch

from hepfilter.errors import UsageError
from hepfilter.work.processes import WORKER


def choose_device(name: str) -> torch.device:
    """By name: cpu, cuda, or auto (CUDA where there is one). UsageError if unknown or not there.

    Of several CUDA devices a worker takes that of its number, the next after the last being the first again: each has
    one of its own where there are enough, else several share one.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise UsageError(f"device {name!r} is unknown; auto, cpu and cuda are there")
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("device cuda: torch finds none here; auto or cpu works")
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    worker, devices = os.environ.get(WORKER), torch.cuda.device_count()
    return torch.device("cuda") if worker is None or devices < 2 else torch.device("cuda", int(worker) % devices)
