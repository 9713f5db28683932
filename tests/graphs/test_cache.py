"""Graphs from a cache are those of the files, and a cache serves only what it was made of and for."""

import json
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
import torch

from hepfilter.config.graph import GraphSpecification, load_graph_specification
from hepfilter.errors import OutputError, TrainingError
from hepfilter.events.observables import OBSERVABLES
from hepfilter.graphs.build import build_padded, pad_nodes
from hepfilter.graphs.cache import HEADER, CachedGraphs, open_cache
from hepfilter.graphs.caching import _event_rows, _node_rows, cached_graphs, expand_events, open_events
from hepfilter.graphs.labelled import read_labelled
from hepfilter.graphs.nodes import collect_nodes
from hepfilter.graphs.padded import PaddedGraphs
from hepfilter.graphs.reading import LabelledNodes
from hepfilter.io.sources import Source
from tests.graph_records import random_record, small_particles
from tests.training.simulated import write_sample

OBJECTS = load_graph_specification("objects")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sample(tmp_path_factory.mktemp("sample") / "s.root", events_each=100)


def cached(sample: Path, folder: Path, *, seed: int = 1, seen: list[str] | None = None) -> CachedGraphs:
    stages = [] if seen is None else seen
    return cached_graphs(
        [Source(str(sample))], OBJECTS, folder, split_seed=seed, progress=lambda stage, *_: stages.append(stage)
    )


def all_of(data: CachedGraphs) -> PaddedGraphs:
    return data.padded(np.arange(len(data)))


def in_memory_cache(n_events: int, specification: GraphSpecification, seed: int = 0) -> CachedGraphs:
    """A cache of random events, without files."""
    nodes = collect_nodes(random_record(n_events, seed=seed), specification)
    columns = np.zeros(n_events, np.int32), np.ones(n_events), np.zeros(n_events)
    chunk = LabelledNodes(*columns, np.zeros((n_events, len(OBSERVABLES)), np.float32), nodes=nodes)
    rows = _event_rows(chunk)
    first = np.concatenate([[0], np.cumsum(rows["n_nodes"], dtype=np.int64)])
    return CachedGraphs(specification, _node_rows(nodes, specification), rows, first, np.arange(n_events))


def test_graphs_are_those_of_the_file_bit_for_bit(
    sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = read_labelled([Source(str(sample))], OBJECTS, split_seed=1, progress=lambda *_: None)
    monkeypatch.setattr("hepfilter.graphs.reading._ENTRIES", 77)
    found = cached(sample, tmp_path / "c")
    for name in ("features", "momenta", "mask"):
        assert torch.equal(getattr(all_of(found), name), getattr(expected.graphs, name))
    for name in ("labels", "weights", "split_hash", "observables"):
        assert np.array_equal(getattr(found, name), getattr(expected, name))
        assert getattr(found, name).dtype == getattr(expected, name).dtype
    assert np.array_equal(cached(sample, tmp_path / "c").observable("met"), expected.observable("met"))


@pytest.mark.parametrize("specification", [OBJECTS, small_particles()], ids=lambda s: s.name)
def test_any_events_in_any_order(specification: GraphSpecification) -> None:
    """Events without nodes among them; PDG codes are kept where a feature needs them."""
    data, whole = in_memory_cache(60, specification), build_padded(random_record(60), specification)
    chosen = np.random.default_rng(1).permutation(60)[:25]
    mask = np.arange(60) % 3 > 0
    for found, events in (
        (data.padded(chosen), chosen),
        (data.select(mask).padded(np.arange(10)[::-1]), np.flatnonzero(mask)[:10][::-1]),
    ):
        for name in ("features", "momenta", "mask"):
            assert torch.equal(getattr(found, name), getattr(whole, name)[torch.from_numpy(events.copy())])


def test_a_collection_that_is_taken_out_is_as_if_the_file_had_none() -> None:
    record = random_record(50)
    names = list(OBJECTS.collections)
    absent = np.zeros((50, 8), np.bool_)
    absent[::2, names.index("muon")] = absent[::2, names.index("met")] = True
    absent[0] = True
    found = in_memory_cache(50, OBJECTS).padded(np.arange(50), absent=absent)
    left = {name: limits for name, limits in OBJECTS.collections.items() if name not in ("muon", "met")}
    nodes = collect_nodes(record, OBJECTS)
    without = collect_nodes(record, OBJECTS.model_copy(update={"collections": left, "max_nodes": 99}))
    assert int(found.mask[0].sum()) == 0
    assert torch.equal(found.mask, torch.arange(16) < found.node_counts.unsqueeze(1))  # no place stays empty
    for event in range(1, 50):
        source, n_nodes = (without, int(found.mask[event].sum())) if event % 2 == 0 else (nodes, None)
        pt = source.pt[source.event == event][np.argsort(source.position[source.event == event])]
        assert found.momenta[event, found.mask[event], 0].tolist() == pt[:n_nodes].tolist()
    whole = pad_nodes(nodes, OBJECTS, n_events=50)
    share = OBJECTS.feature_names.index("ln_pt_fraction")
    assert torch.equal(found.features[1::2], whole.features[1::2])
    hard = found.mask.sum(1) > 0
    assert torch.allclose((found.features[..., share].exp() * found.mask).sum(1)[hard], torch.ones(int(hard.sum())))


def test_it_is_used_again_until_something_differs(sample: Path, tmp_path: Path) -> None:
    seen: list[str] = []
    first = cached(sample, tmp_path / "c", seen=seen)
    assert len(seen) == 1
    assert cached(sample, tmp_path / "c", seen=seen).labels.tolist() == first.labels.tolist()
    assert len(seen) == 1
    other = write_sample(tmp_path / "other.root", events_each=50)
    assert len(cached(other, tmp_path / "c", seen=seen)) == 200
    assert len(seen) == 2
    assert len(first.labels) == 400  # what is mapped already stays
    cached(other, tmp_path / "c", seed=2, seen=seen)
    assert len(seen) == 3


def test_a_cache_is_a_source_by_itself(sample: Path, tmp_path: Path) -> None:
    cached(sample, tmp_path / "c")

    def opened(*inputs: Path) -> int:
        sources = expand_events([str(path) for path in inputs])
        with open_events(sources, OBJECTS, cache=None, split_seed=1, progress=lambda *_: None) as data:
            return len(data.labels)

    assert opened(tmp_path / "c") == opened(sample) == 400
    with pytest.raises(TrainingError, match="is a cache, which serves alone"):
        opened(tmp_path / "c", sample)


def test_what_it_does_not_serve(sample: Path, tmp_path: Path) -> None:
    folder = tmp_path / "c"
    cached(sample, folder)
    met = OBJECTS.model_copy(update={"max_nodes": 8})
    with pytest.raises(
        TrainingError, match=r"c: its graph: max_nodes is 16, the training's 8; remove it, and make it again"
    ):
        open_cache(folder, met, split_seed=1)
    with pytest.raises(TrainingError, match="its split_seed is 1, the training's 2"):
        open_cache(folder, OBJECTS, split_seed=2)
    with pytest.raises(TrainingError, match="is no cache"):
        open_cache(tmp_path, OBJECTS, split_seed=1)
    header = json.loads((folder / HEADER).read_text())
    (folder / HEADER).write_text(json.dumps(header | {"format_version": 99}))
    with pytest.raises(TrainingError, match="format_version is 99"):
        open_cache(folder, OBJECTS, split_seed=1)
    (folder / HEADER).write_text(json.dumps(header))
    raw, nodes = (folder / "nodes.npy").read_bytes(), np.load(folder / "nodes.npy")
    (folder / "nodes.npy").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(TrainingError, match=r"nodes\.npy: cannot be read"):
        open_cache(folder, OBJECTS, split_seed=1)
    np.save(folder / "nodes.npy", np.load(folder / "events.npy")[["label"]])
    with pytest.raises(TrainingError, match="holds something else"):
        open_cache(folder, OBJECTS, split_seed=1)
    np.save(folder / "nodes.npy", nodes[:-1])
    with pytest.raises(TrainingError, match="do not belong together"):
        open_cache(folder, OBJECTS, split_seed=1)
    (folder / "nodes.npy").write_bytes(raw[:-9] + bytes([raw[-9] ^ 1]) + raw[-8:])
    with pytest.raises(TrainingError, match="c: is damaged, its checksum is another; remove it, and make it again"):
        open_cache(folder, OBJECTS, split_seed=1)
    (folder / "nodes.npy").write_bytes(raw)
    open_cache(folder, OBJECTS, split_seed=1)
    del header["checksum"]
    (folder / HEADER).write_text(json.dumps(header))
    with pytest.raises(TrainingError, match=r"c: has no checksum, .*; remove it, and make it again"):
        open_cache(folder, OBJECTS, split_seed=1)
    (folder / HEADER).write_text("{")
    with pytest.raises(TrainingError, match=r"header\.json: not valid JSON.*; remove it, and make it again"):
        open_cache(folder, OBJECTS, split_seed=1)


@pytest.mark.parametrize(
    ("name", "fault"),
    [("nodes.npy", "is damaged"), ("events.npy", "is damaged"), (HEADER, "not valid JSON"), (None, "has no checksum")],
)
def test_a_damaged_cache_is_made_again_where_the_files_are_at_hand(
    sample: Path, tmp_path: Path, name: str | None, fault: str
) -> None:
    folder, notes = tmp_path / "c", []
    expected = all_of(cached(sample, folder)).features
    header = json.loads((folder / HEADER).read_text())
    if name is None:
        (folder / HEADER).write_text(json.dumps({key: value for key, value in header.items() if key != "checksum"}))
    else:
        raw = (folder / name).read_bytes()
        (folder / name).write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]) if name != HEADER else raw[:50])
    with pytest.raises(TrainingError, match=fault), opened([Source(str(folder))], None, notes):
        pass
    assert notes == []  # a cache that is the only source stays refused
    for _ in range(2):
        with opened([Source(str(sample))], folder, notes) as data:
            assert torch.equal(all_of(data).features, expected)
    assert len(notes) == 1  # the second time it is sound
    assert fault in notes[0]
    assert notes[0].endswith("; it is made again from the files")
    assert notes[0].count("\n") == 0
    assert json.loads((folder / HEADER).read_text()) == header


def opened(sources: list[Source], cache: Path | None, notes: list[str]) -> AbstractContextManager[CachedGraphs]:
    return open_events(sources, OBJECTS, cache=cache, split_seed=1, progress=lambda *_: None, noted=notes.append)


def test_nothing_is_left_of_what_fails(sample: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    with pytest.raises(OutputError, match=r"holds thesis\.tex, which belongs to no cache"):
        cached(sample, tmp_path / "full")
    with pytest.raises(OutputError, match="cannot be a folder"):
        cached(sample, tmp_path / "no" / "where")
    with pytest.raises(TrainingError, match="no branch HepFilterTruth_label"):
        cached(write_sample(tmp_path / "u.root", events_each=5, truth=False), tmp_path / "c")
    with pytest.raises(TrainingError, match="no events"):
        cached(write_sample(tmp_path / "e.root", events_each=0), tmp_path / "c")
    assert list((tmp_path / "c").iterdir()) == []


@pytest.mark.parametrize("charge", [np.nan, 0.5, 128.0])
def test_a_charge_that_is_none(charge: float) -> None:
    nodes = collect_nodes(random_record(20), OBJECTS)
    nodes.charge[3] = charge
    with pytest.raises(TrainingError, match="has the charge"):
        _node_rows(nodes, OBJECTS)
