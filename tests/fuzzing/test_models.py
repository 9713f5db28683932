"""Checkpoints and locks by chance: damage with a right digest over it, shapes and sizes that no model has."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
from hypothesis import given
from hypothesis import strategies as st

from hepfilter.config.graph import load_graph_specification
from hepfilter.models.architectures import build_network
from hepfilter.models.checkpoint import load, save
from hepfilter.models.metadata import TEXT_KEY, digest_of, model_hash, read_metadata
from hepfilter.scoring.calibration import fit_calibration, model_calibration
from hepfilter.trigger.lock import lock_text, read_trigger
from tests.fuzzing.harness import JSON, altered, damaged, examples, survives
from tests.graph_records import network
from tests.trigger.test_lock import trigger

_SIZES = {"BF16": 2, "F16": 2, "F8_E5M2": 1, "F8_E4M3": 1, "U16": 2, "U64": 8, "BOOL": 1, "F64": 8, "C64": 8, "F4": 0.5}


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A calibrated checkpoint."""
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    known = save(network(load_graph_specification("objects")), path, provenance={"seed": 3})
    scores = {"interest": np.random.default_rng(1).normal(size=2000).astype(np.float32)}
    calibration = fit_calibration(scores, np.ones(2000), model_hash=known.model_hash, background={"files": ["a.root"]})
    save(network(load_graph_specification("objects")), path, provenance={"seed": 3}, calibration=calibration.plain())
    return path.read_bytes()


def parts_of(raw: bytes) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """Header, what it says of the model, and the weights."""
    length = 8 + int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:length])
    content = json.loads(header["__metadata__"][TEXT_KEY])
    del content["digest"]
    return header, content, raw[length:]


def joined(header: dict[str, Any], content: Any, weights: bytes) -> bytes:
    """A checkpoint of these, with a right digest."""
    text = json.dumps({**content, "digest": digest_of(content)}) if isinstance(content, dict) else json.dumps(content)
    head = json.dumps({**header, "__metadata__": {TEXT_KEY: text}}).encode()
    return len(head).to_bytes(8, "little") + head + weights


def rehashed(raw: bytes, change: Callable[[dict[str, Any]], Any]) -> bytes:
    """The checkpoint with its definition changed, and the model hash of the new one; not calibrated."""
    header, content, weights = parts_of(raw)
    change(content["definition"])
    tensors = {name: value.numpy() for name, value in safetensors.torch.load(raw).items()}
    stated = model_hash(content["definition"], tensors)
    return joined(header, content | {"model_hash": stated, "calibration": None}, weights)


def used(path: Path) -> None:
    """All that commands do with a model before it scores."""
    model_calibration(read_metadata(path))
    load(path)


@examples(60)
@given(data=st.data())
def test_damaged_checkpoints(raw: bytes, tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "m.safetensors"
    header_end = 8 + int.from_bytes(raw[:8], "little")
    head = data.draw(st.booleans())
    path.write_bytes(data.draw(damaged(raw[:header_end])) + raw[header_end:] if head else data.draw(damaged(raw)))
    survives(lambda: used(path))


@examples(80)
@given(data=st.data())
def test_what_a_checkpoint_says_of_itself(raw: bytes, tmp_path: Path, data: st.DataObject) -> None:
    header, content, weights = parts_of(raw)
    path = tmp_path / "m.safetensors"
    path.write_bytes(joined(header, data.draw(altered(content) | JSON), weights))
    survives(lambda: used(path))


@examples(60)
@given(data=st.data())
def test_what_a_definition_says(raw: bytes, tmp_path: Path, data: st.DataObject) -> None:
    def change(definition: dict[str, Any]) -> None:
        other = data.draw(altered(dict(definition)))
        definition.clear()
        definition.update(other if isinstance(other, dict) else {})

    path = tmp_path / "m.safetensors"
    path.write_bytes(rehashed(raw, change))
    survives(lambda: used(path))


@examples(60)
@given(data=st.data())
def test_what_a_calibration_says(raw: bytes, tmp_path: Path, data: st.DataObject) -> None:
    header, content, weights = parts_of(raw)
    stated = {name: value for name, value in content["calibration"].items() if name != "hash"}
    changed = data.draw(altered(stated))
    if isinstance(changed, dict):
        changed = {**changed, "hash": digest_of(changed)}
    path = tmp_path / "m.safetensors"
    path.write_bytes(joined(header, content | {"calibration": changed}, weights))
    survives(lambda: used(path))


@examples(60)
@given(data=st.data())
def test_lists_of_tensors(raw: bytes, tmp_path: Path, data: st.DataObject) -> None:
    header, content, weights = parts_of(raw)
    del header["__metadata__"]
    changed = data.draw(altered(header))
    path = tmp_path / "m.safetensors"
    path.write_bytes(joined(changed if isinstance(changed, dict) else {}, content, weights))
    survives(lambda: used(path))


@pytest.mark.parametrize("kind", _SIZES)
def test_weights_of_types_that_no_model_has(raw: bytes, kind: str, tmp_path: Path) -> None:
    header, content, weights = parts_of(raw)
    entry = header["head.weight"]
    start, stop = entry["data_offsets"]
    entry |= {"dtype": kind, "shape": [int((stop - start) / _SIZES[kind])]}
    path = tmp_path / "m.safetensors"
    path.write_bytes(joined(header, content, weights))
    assert survives(lambda: used(path)) is not None


@pytest.mark.parametrize("length", [0, 1, 2**24 + 1, 2**31, 2**60, 2**64 - 1])
def test_lengths_that_no_header_has(raw: bytes, length: int, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(length.to_bytes(8, "little") + raw[8:])
    message = survives(lambda: used(path))
    assert message is not None and "is no checkpoint or is cut short" in message


_LARGE = {
    "kind": "transformer", "width": 1024, "layers": 24, "heads": 4, "class_layers": 8, "pair_width": 256,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda definition: definition["architecture"].update(width=10**9), "less than or equal to 512"),
        (lambda definition: definition["architecture"].update(layers=10**6), "less than or equal to 12"),
        (lambda definition: definition.update(heads=_flows(20)), "does not fit its architecture"),
        (lambda definition: definition.update(heads=_flows(10**4)), "at most 64 items"),
        (lambda definition: definition.update(classes=_classes(10**4)), "at most 1000 items"),
        (lambda definition: definition["graph"].update(max_nodes=10**9), "less than or equal to 1024"),
        (lambda definition: definition.update(heads=[{"kind": "svdd", "name": "values"}]), "rename it"),
        (lambda definition: definition.update(heads=[{"kind": "svdd", "name": "a" * 300}]), "at most 100 characters"),
        (lambda definition: definition.update(architecture={"kind": "custom", "name": "os:system"}), "entry point"),
        (lambda definition: definition.update(architecture={"kind": "custom", "name": "\x1b[2J"}), "entry point"),
    ],
)
def test_definitions_of_absurd_size(raw: bytes, change: Any, said: str, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(rehashed(raw, change))
    message = survives(lambda: used(path))
    assert message is not None and said in message


def test_a_small_file_makes_no_large_network(raw: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def build(definition: Any) -> Any:
        built = build_network(definition)
        made.append({value.device.type for value in built.state_dict().values()})
        return built

    monkeypatch.setattr("hepfilter.models.checkpoint.build_network", build)
    path = tmp_path / "m.safetensors"
    path.write_bytes(rehashed(raw, lambda definition: definition.update(architecture=_LARGE)))
    message = survives(lambda: load(path))
    assert message is not None and "does not fit its architecture" in message
    assert made == [{"meta"}]


def _flows(count: int) -> list[dict[str, Any]]:
    return [{"kind": "flow", "name": f"h{n}", "couplings": 32, "width": 1024} for n in range(count)]


def _classes(count: int) -> list[dict[str, Any]]:
    return [{"name": f"c{n}", "is_signal": bool(n)} for n in range(count)]


@examples(80)
@given(data=st.data())
def test_locks_of_any_content(tmp_path: Path, data: st.DataObject) -> None:
    plain = json.loads(lock_text(trigger()))
    del plain["digest"]
    changed = data.draw(altered(plain) | JSON)
    if isinstance(changed, dict):
        changed = {**changed, "digest": digest_of(changed)}
    path = tmp_path / "x.lock"
    path.write_text(json.dumps(changed))
    survives(lambda: read_trigger(path))


@examples(40)
@given(data=st.data())
def test_damaged_locks(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "x.lock"
    path.write_bytes(data.draw(damaged(lock_text(trigger()).encode())))
    survives(lambda: read_trigger(path))
