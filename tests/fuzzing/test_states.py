"""What runs leave for themselves to go on with: blocks, states of trainings, findings. Forged ones are told as well."""

import hashlib
import json
from pathlib import Path
from typing import Any

import cramjam
import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from hepfilter.simulation.store import BlockStore
from hepfilter.skim.packing import unpack_head, unpack_units
from hepfilter.training.history import Epoch
from hepfilter.training.resume import _DIGEST, _KEY, TrainingState, _digest, read_state, write_state
from tests.fuzzing.harness import JSON, altered, damaged, examples, survives
from tests.simulation.test_store import TASK, _block

ORIGIN = {"fit.seed": "1"}


@examples(60)
@given(data=st.data())
def test_blocks_with_a_right_digest(tmp_path: Path, data: st.DataObject) -> None:
    store = BlockStore(tmp_path)
    store.save(TASK, _block())
    path = store.path(TASK)
    plain = bytes(cramjam.zstd.decompress(path.read_bytes()[16:]))
    inside = data.draw(st.booleans())
    stored = (
        bytes(cramjam.zstd.compress(data.draw(damaged(plain)))) if inside else data.draw(damaged(path.read_bytes()))
    )
    path.write_bytes(hashlib.blake2b(stored, digest_size=16).digest() + stored)
    survives(lambda: store.load(TASK))


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """What a state says, and its tensors."""
    path = tmp_path_factory.mktemp("state") / "s.safetensors"
    tensors = [{"w": torch.ones(3)} for _ in range(2)]
    epochs = (Epoch(1.0, 1.0),)
    write_state(path, TrainingState(ORIGIN, 1e-3, epochs, *tensors, {"0.step": torch.ones(())}, [{"lr": 1.0}], {}))
    with safetensors.safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()[_KEY]), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


@examples(60)
@given(data=st.data())
def test_states_with_a_right_digest(
    state: tuple[dict[str, Any], dict[str, torch.Tensor]], tmp_path: Path, data: st.DataObject
) -> None:
    plain, tensors = state
    tensors = {data.draw(st.sampled_from([name, "other", "a.b"])): value for name, value in tensors.items()}
    text = json.dumps(data.draw(altered(plain) | JSON))
    path = tmp_path / "s.safetensors"
    told = {_KEY: text, _DIGEST: _digest(text, tensors)}
    path.write_bytes(safetensors.torch.save(tensors, metadata=told))
    survives(lambda: read_state(path, origin=ORIGIN))


@examples(60)
@given(data=st.data())
def test_findings_of_any_content(data: st.DataObject) -> None:
    names = st.sampled_from(["stated", "rows/a", "0/chosen", "0/sections", "0/found", "0/everyone/run", "x"])
    arrays = {name: np.zeros(2) for name in data.draw(st.lists(names, max_size=4))}
    facts = data.draw(JSON | st.fixed_dictionaries({"units": JSON | st.lists(JSON, max_size=2), "source": JSON}))
    raw = safetensors.numpy.save(arrays, {"hepfilter": json.dumps(facts)})
    content = data.draw(st.sampled_from([raw, data.draw(damaged(raw)), b"", b"\xff" * 40]))
    for unpack in (unpack_head, unpack_units):
        survives(lambda unpack=unpack: unpack(content))
