"""What a fit cannot be spread over is told before it starts."""

import warnings
from pathlib import Path

import pytest

from hepfilter.config.training import Fit
from hepfilter.errors import UsageError
from hepfilter.training.devices import refuse_missing_devices

ENVIRONMENT = ("MASTER_ADDR", "TORCHELASTIC_RUN_ID", "WORLD_SIZE", "SLURM_NTASKS", "SLURM_JOB_NAME", "LSB_JOBID")
TORCHRUN = {"TORCHELASTIC_RUN_ID": "test", "WORLD_SIZE": "4", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two cores, two CUDA devices where asked for, and nothing that a launcher sets."""
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("hepfilter.training.devices.cores", lambda: 2)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)


def refused(device: str = "cpu", **options: object) -> str:
    """The message, or nothing."""
    try:
        refuse_missing_devices(Fit.model_validate(options), device)
    except UsageError as error:
        return str(error)
    return ""


def test_more_devices_than_there_are() -> None:
    assert refused(devices=2) == refused("auto") == ""
    assert refused(devices=3) == "fit.devices is 3, and 2 CPU cores can be used here; ask for at most 2"
    assert refused("auto", devices=2) == "fit.devices is 2, and 1 CUDA device can be used here; ask for at most 1"
    assert "tpu" in refused("tpu")


def test_a_batch_system_beside_it_is_not_announced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    srun = tmp_path / "srun"
    srun.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert refused() == ""


def test_more_nodes_than_were_started(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused(nodes=2).startswith("fit.nodes is 2, but no launcher has started this process; start it on every")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")  # what Lightning itself asks for where there is no launcher
    assert refused(nodes=2) == ""


def test_what_a_launcher_has_started(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    assert refused(nodes=2, devices=2) == ""
    message = refused(nodes=1, devices=2)
    assert message.startswith("fit.devices 2 on each of fit.nodes 1 is not what the processes were started for: ")
    assert "\n" not in message
