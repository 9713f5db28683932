"""Trainings in processes of their own: killed and resumed, on two devices, and without the libraries of ROOT files."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hepfilter.config.graph import load_graph_specification
from hepfilter.config.training import Fit, TrainingConfig
from hepfilter.errors import TrainingError
from hepfilter.graphs.caching import cached_graphs
from hepfilter.graphs.reading import Progress
from hepfilter.io.sources import Source
from hepfilter.training.history import Epoch
from hepfilter.training.resume import TrainingState, read_state, write_state
from hepfilter.training.run import TrainingReport, train
from tests.training.simulated import CONFIG, write_sample

ROOT = Path(__file__).parents[2]
KILLED = """
import os, signal, sys
from pathlib import Path
from hepfilter.io.sources import Source
from hepfilter.training.run import train
from tests.training.test_processes import CONFIGURATIONS

def kill(stage, done, total):
    if stage == "epoch 3" and done == total:
        os.kill(os.getpid(), signal.SIGKILL)

train(CONFIGURATIONS[sys.argv[3]], [Source(sys.argv[1])], Path(sys.argv[2]), device="cpu", progress=kill)
"""
SHARED = """
import json, sys
for name in ("awkward", "uproot"):
    sys.modules[name] = None
from dataclasses import asdict
from pathlib import Path
from hepfilter.io.sources import Source
from hepfilter.training.run import train
from tests.training.test_processes import CONFIGURATIONS, shared_by_two

config = shared_by_two(CONFIGURATIONS[sys.argv[3]])
report = train(config, [Source(sys.argv[1])], Path(sys.argv[2]), device="cpu")
print(json.dumps([asdict(epoch) for epoch in report.epochs]))
"""


def with_fit(**update: object) -> TrainingConfig:
    """Dropout, an average and clipping: all that has a state."""
    options = {"epochs": 4, "batch_size": 128, "ema": 0.9, "collection_dropout": 0.1, "gradient_clip": 1.0}
    return CONFIG.model_copy(update={"fit": Fit.model_validate(options | update)})


def shared_by_two(config: TrainingConfig, **update: object) -> TrainingConfig:
    """Two epochs without dropout, in half batches; or as the update says."""
    short = {"batch_size": 64, "devices": 2, "epochs": 2, "collection_dropout": 0.0} | update
    return config.model_copy(update={"fit": config.fit.model_copy(update=short)})


FULL = with_fit()
CONFIGURATIONS = {"layer": FULL, "batch": FULL.model_copy(update={"architecture": "edgeconv-batch-norm"})}
"""By the norm: that of batches has running averages beside its weights."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("processes")
    sample = write_sample(folder / "s.root", events_each=200)
    objects = load_graph_specification("objects")
    cached_graphs([Source(str(sample))], objects, folder / "c", split_seed=1, progress=lambda *_: None)
    return folder / "c"


def trained(
    cache: Path, output: Path, config: TrainingConfig = FULL, *, resume: bool = False,
    progress: Progress = lambda *_: None,
) -> TrainingReport:  # fmt: skip
    return train(config, [Source(str(cache))], output, device="cpu", resume=resume, progress=progress)


def run_code(code: str, *arguments: Path | str, rank: int | None = None, port: int = 0) -> "subprocess.Popen[str]":
    """Start Python on this code, with as many threads as here; of two processes, the one of this rank."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(torch.get_num_threads())}
    if rank is not None:
        names = {"RANK": rank, "LOCAL_RANK": rank, "GROUP_RANK": 0, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2}
        names |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "test"}
        environment |= {name: str(value) for name, value in names.items()}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("norm", CONFIGURATIONS)
def test_a_killed_training_goes_on_to_the_same_weights(norm: str, cache: Path, tmp_path: Path) -> None:
    config = CONFIGURATIONS[norm]
    output, whole = tmp_path / "killed.safetensors", tmp_path / "whole.safetensors"
    killed = run_code(KILLED, cache, output, norm)
    expected = trained(cache, whole, config)
    _, messages = killed.communicate(timeout=120)
    assert killed.returncode == -9, messages
    state = tmp_path / "killed.resume.safetensors"
    assert [path.name for path in tmp_path.glob("killed*")] == [state.name]
    with pytest.raises(TrainingError, match=r"killed\.resume\.safetensors: was left by .* other fit\.seed"):
        other = config.model_copy(update={"fit": config.fit.model_copy(update={"seed": 2})})
        trained(cache, output, other, resume=True)
    stages: list[str] = []
    beside = config.model_copy(update={"fit": config.fit.model_copy(update={"workers": 1})})
    report = trained(cache, output, beside, resume=True, progress=lambda stage, *_: stages.append(stage))
    assert {stage for stage in stages if stage.startswith("epoch")} == {"epoch 3", "epoch 4"}
    assert report.epochs == expected.epochs
    assert report.model_hash == expected.model_hash
    assert not state.exists()


def test_a_state_that_is_damaged_and_one_that_is_not_there(cache: Path, tmp_path: Path) -> None:
    config = with_fit(epochs=1)
    begun = trained(cache, tmp_path / "m.safetensors", config, resume=True)
    assert len(begun.epochs) == 1
    state = tmp_path / "m.resume.safetensors"
    origin: dict[str, str] = {"fit.seed": "1"}
    epochs, tensors = (Epoch(1.0, 1.0),), [{"w": torch.ones(3)} for _ in range(2)]
    write_state(state, TrainingState(origin, 1e-3, epochs, *tensors, {"0.step": torch.ones(())}, [], {}))
    assert read_state(state, origin=origin).best["w"].tolist() == [1, 1, 1]
    sound = state.read_bytes()
    state.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    with pytest.raises(TrainingError, match=r"m\.resume\.safetensors: is no state of a training, or is damaged"):
        read_state(state, origin=origin)
    (tmp_path / "m.resume.safetensors").write_bytes(b"half")
    with pytest.raises(TrainingError, match=r"m\.resume\.safetensors: is no state of a training"):
        trained(cache, tmp_path / "m.safetensors", config, resume=True)


@pytest.mark.parametrize(("norm", "rounding"), [("layer", 2e-3), ("batch", 0.05)])
def test_two_processes_are_one_with_the_double_batch(norm: str, rounding: float, cache: Path, tmp_path: Path) -> None:
    """Up to rounding, and the weight of the last batch, which may have an event less in one of the processes.

    With batch norm each process goes by its own half of the batch. They have neither uproot nor awkward, which a
    training from a cache does not need.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    output, config = tmp_path / "two.safetensors", CONFIGURATIONS[norm]
    processes = [run_code(SHARED, cache, output, norm, rank=rank, port=port) for rank in (0, 1)]
    alone = trained(cache, tmp_path / "one.safetensors", shared_by_two(config, batch_size=128, devices=1))
    (printed, messages), (helper, _) = (process.communicate(timeout=120) for process in processes)
    assert [process.returncode for process in processes] == [0, 0], messages
    assert helper == ""
    for found, expected in zip(json.loads(printed.splitlines()[-1]), alone.epochs, strict=True):
        assert found["training_loss"] == pytest.approx(expected.training_loss, rel=rounding)
        assert found["validation_loss"] == pytest.approx(expected.validation_loss, rel=rounding)
