"""Whether the devices that a fit is to be spread over are there: without them its processes wait for one another."""

import os
from typing import Final

import torch
from lightning.fabric.plugins.environments.lsf import LSFEnvironment
from lightning.fabric.plugins.environments.mpi import MPIEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment

from hepfilter.config.training import Fit
from hepfilter.errors import UsageError
from hepfilter.models.device import choose_device
from hepfilter.training.quiet import quiet_lightning
from hepfilter.wording import counted
from hepfilter.work.processes import cores

_LAUNCHERS: Final = (TorchElasticEnvironment, SLURMEnvironment, LSFEnvironment, MPIEnvironment)
"""In the order in which Lightning asks for them."""


def refuse_missing_devices(options: Fit, device: str) -> None:
    """UsageError if this machine has fewer devices than `options` ask of each, or nobody starts the other processes.

    On CPUs a device is a core that this process may use.
    """
    on_cuda = choose_device(device).type == "cuda"
    there = torch.cuda.device_count() if on_cuda else cores()
    if options.devices > there:
        have = counted(there, "CUDA device" if on_cuda else "CPU core")
        raise UsageError(f"fit.devices is {options.devices}, and {have} can be used here; ask for at most {there}")
    with quiet_lightning():
        launcher = next((known() for known in _LAUNCHERS if known.detect()), None)
    if launcher is not None:
        try:
            launcher.validate_settings(options.devices, options.nodes)
        except ValueError as error:
            asked = f"fit.devices {options.devices} on each of fit.nodes {options.nodes}"
            raise UsageError(f"{asked} is not what the processes were started for: {error}") from error
    elif options.nodes > 1 and "MASTER_ADDR" not in os.environ:
        raise UsageError(
            f"fit.nodes is {options.nodes}, but no launcher has started this process; start it on every node by "
            "torchrun or srun, or set fit.nodes to 1"
        )
