"""Saving, loading, and files that are not what they should be."""

import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from hepfilter.config.graph import load_graph_specification
from hepfilter.errors import CheckpointError, OutputError
from hepfilter.graphs.build import build_padded
from hepfilter.models import metadata as metadata_module
from hepfilter.models.checkpoint import load, save
from hepfilter.models.metadata import digest_of, find_checkpoint, parse_metadata, read_metadata
from tests.graph_records import network, random_record


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "some-model.safetensors"
    save(network(load_graph_specification("objects")), path, provenance={"seed": 3, "text": "trained on Ω"})
    return path


def rewritten(file: Path, target: Path, change: Any) -> Path:
    """A sound safetensors file whose metadata `change` was applied to, with a right digest."""
    raw = file.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    content = json.loads(header["__metadata__"]["hepfilter"])
    del content["digest"]
    change(content)
    header["__metadata__"]["hepfilter"] = json.dumps(content | {"digest": digest_of(content)})
    text = json.dumps(header).encode()
    target.write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + length :])
    return target


def test_round_trip(file: Path) -> None:
    before, loaded = network(load_graph_specification("objects")), load(file)
    assert loaded.metadata.definition == before.definition
    assert list(loaded.metadata.definition.graph.collections) == list(before.definition.graph.collections)
    assert loaded.metadata.provenance == {"seed": 3, "text": "trained on Ω"}
    assert loaded.metadata.calibration is None
    assert loaded.metadata == read_metadata(file)
    assert loaded.metadata.name == "some-model"
    graphs = build_padded(random_record(20), before.definition.graph)
    with torch.inference_mode():
        assert torch.equal(loaded.network.forward_padded(graphs), before.forward_padded(graphs))


def test_the_same_network_gives_the_same_bytes(file: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.safetensors"
    save(network(load_graph_specification("objects")), again, provenance={"seed": 3, "text": "trained on Ω"})
    assert again.read_bytes() == file.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["again.safetensors"]


def test_other_tools_read_it(file: Path) -> None:
    tensors = safetensors.torch.load_file(file)
    assert set(tensors) == set(network(load_graph_specification("objects")).state_dict())


def test_the_hash_covers_what_a_score_depends_on_and_nothing_else(file: Path, tmp_path: Path) -> None:
    graph = load_graph_specification("objects")
    original = read_metadata(file).model_hash

    def hash_of(changed: Any, **more: Any) -> str:
        return save(changed, tmp_path / "x.safetensors", provenance={}, **more).model_hash

    assert hash_of(network(graph)) == original
    assert hash_of(network(graph), calibration={"quantiles": [0.0, 1.0]}) == original
    others = [network(graph, seed=4), network(graph, width=24)]
    nudged = network(graph)
    nudged.feature_mean[0] += 1e-6
    cut = network(graph.model_copy(update={"max_nodes": 12}))
    reordered = network(graph.model_copy(update={"collections": dict(reversed(graph.collections.items()))}))
    prior = network(graph)
    heavier = prior.definition.classes[0].model_copy(update={"prior": 2.0})
    prior.definition = prior.definition.model_copy(update={"classes": (heavier, *prior.definition.classes[1:])})
    hashes = {hash_of(changed) for changed in (*others, nudged, cut, reordered, prior)}
    assert len(hashes | {original}) == 7


def test_calibration_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save(network(load_graph_specification("objects")), path, provenance={}, calibration={"grid": [1.5, 2.5]})
    assert load(path).metadata.calibration == {"grid": [1.5, 2.5]}


def test_changed_weights_are_noticed(file: Path, tmp_path: Path) -> None:
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(raw)
    read_metadata(bad)
    with pytest.raises(CheckpointError, match="model hash"):
        load(bad)


def test_changed_provenance_is_noticed(file: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(file.read_bytes().replace(b"trained", b"trainee"))
    for read in (read_metadata, load):
        with pytest.raises(CheckpointError, match="metadata were changed"):
            read(bad)


def test_weights_cut_short_are_noticed_from_the_header_alone(file: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.safetensors"
    for raw in (file.read_bytes()[:-4], file.read_bytes() + b"more"):
        bad.write_bytes(raw)
        with pytest.raises(CheckpointError, match="cut short or overlong"):
            read_metadata(bad)


def test_a_newer_format_is_named(file: Path, tmp_path: Path) -> None:
    bad = rewritten(file, tmp_path / "new.safetensors", lambda content: content.update(format_version=2, surprise=1))
    for read in (read_metadata, load):
        with pytest.raises(CheckpointError, match=r"new\.safetensors: has format version 2.*up to 1; install a newer"):
            read(bad)


def test_an_older_format_is_migrated(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def to_2(content: dict[str, Any]) -> dict[str, Any]:
        return content | {"format_version": 2, "provenance": {"migrated": True}}

    monkeypatch.setattr(metadata_module, "FORMAT_VERSION", 2)
    monkeypatch.setattr(metadata_module, "MIGRATIONS", {1: to_2})
    assert load(file).metadata.provenance == {"migrated": True}
    monkeypatch.setattr(metadata_module, "MIGRATIONS", {})
    with pytest.raises(CheckpointError, match="unknown format version 1"):
        load(file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.update(extra=1), "unknown key 'extra'"),
        (lambda content: content.pop("model_hash"), "'model_hash' is missing"),
        (lambda content: content["definition"].pop("graph"), "'graph' is missing"),
        (lambda content: content["definition"]["architecture"].update(width=24), "model hash"),
        (lambda content: content.update(format_version="1"), "unknown format version '1'"),
    ],
)
def test_metadata_that_do_not_fit(file: Path, tmp_path: Path, change: Any, message: str) -> None:
    bad = rewritten(file, tmp_path / "bad.safetensors", change)
    with pytest.raises(CheckpointError, match=message) as caught:
        load(bad)
    assert "\n" not in str(caught.value)


def test_weights_that_are_not_finite_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When they are saved, and when others have saved them."""
    broken = network(load_graph_specification("objects"))
    with torch.no_grad():
        broken.head.bias[0] = torch.nan
    path = tmp_path / "nan.safetensors"
    with pytest.raises(CheckpointError, match=r"nan\.safetensors: its tensor head\.bias is not finite"):
        save(broken, path, provenance={})
    assert not path.exists()
    with monkeypatch.context() as patched:
        patched.setattr("hepfilter.models.checkpoint._refuse_not_finite", lambda *_: None)
        save(broken, path, provenance={})
    with pytest.raises(CheckpointError, match=r"nan\.safetensors: its tensor head\.bias is not finite"):
        load(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no checkpoint or is cut short"),
        (b"root\x00\x00\xf5\x2c" + b"\0" * 500, "no checkpoint or is cut short"),
        (b"PK\x03\x04" + b"\0" * 500, "no checkpoint or is cut short"),
        ((2**40).to_bytes(8, "little") + b"{}", "no checkpoint or is cut short"),
        ((4).to_bytes(8, "little") + b"[[[[", "not JSON"),
        ((2).to_bytes(8, "little") + b"[]", "not JSON"),
        ((100_000).to_bytes(8, "little") + b"[" * 100_000, "not JSON"),
        ((2).to_bytes(8, "little") + b"{}", "none of hepfilter"),
    ],
)
def test_other_files(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "other.bin"
    path.write_bytes(content)
    for read in (read_metadata, load):
        with pytest.raises(CheckpointError, match=message):
            read(path)


def test_safetensors_of_others(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    safetensors.torch.save_file({"x": torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match="none of hepfilter"):
        load(path)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_is_always_a_checkpoint_error(file: Path, data: st.DataObject) -> None:
    """Any byte of prefix, header or weights changed, or the file cut anywhere: an error of ours in one line."""
    raw = bytearray(file.read_bytes())
    header_end = 8 + int.from_bytes(raw[:8], "little")
    if data.draw(st.booleans()):
        raw = raw[: data.draw(st.integers(0, len(raw) - 1))]
    else:
        position = data.draw(st.one_of(st.integers(0, header_end - 1), st.integers(0, len(raw) - 1)))
        raw[position] ^= data.draw(st.integers(1, 255))
    bad = file.with_name("damaged.safetensors")
    bad.write_bytes(raw)
    # The only bytes that do not matter: the blanks that pad the header.
    if raw[:header_end].rstrip(b" \t\n\r") == file.read_bytes()[:header_end].rstrip(b" ") and len(raw) > header_end:
        assume(raw[header_end:] != file.read_bytes()[header_end:])
    with pytest.raises(CheckpointError, match=r"damaged\.safetensors") as caught:
        load(bad)
    assert "\n" not in str(caught.value)


def test_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = tmp_path / "interest-objects.safetensors"
    monkeypatch.setattr(metadata_module, "pretrained_models", lambda: {"interest-objects": shipped})
    assert find_checkpoint("interest-objects") == shipped
    with pytest.raises(CheckpointError, match=r"interest-object: no such file.*nearest: interest-objects"):
        find_checkpoint("interest-object")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        save(network(load_graph_specification("objects")), tmp_path / "no" / "m.safetensors", provenance={})


def test_metadata_need_no_torch(file: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from hepfilter.models.metadata import read_metadata; "
        f"print(read_metadata({str(file)!r}).model_hash); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == parse_metadata(file.read_bytes(), file).model_hash
