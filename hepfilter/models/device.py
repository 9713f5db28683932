"""Where networks run."""

import torch

from hepfilter.errors import UsageError


def choose_device(name: str) -> torch.device:
    """By name: cpu, cuda, or auto (CUDA where there is one). UsageError if unknown or not there."""
    if name not in ("auto", "cpu", "cuda"):
        raise UsageError(f"device {name!r} is unknown; auto, cpu and cuda are there")
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("device cuda: torch finds none here; auto or cpu works")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
