"""Reading simulated files, and the split by hash."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from hepfilter.config.graph import load_graph_specification
from hepfilter.config.training import Split
from hepfilter.errors import DifferentInputsError, SourceError, TrainingError
from hepfilter.events.observables import OBSERVABLES, observe
from hepfilter.graphs.build import build_padded
from hepfilter.graphs.labelled import LabelledGraphs, read_labelled, split_data
from hepfilter.graphs.reading import refuse_faulty_weights
from hepfilter.io.events import find_events
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source
from tests.training.simulated import CARDS, write_sample

OBJECTS = load_graph_specification("objects")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sample(tmp_path_factory.mktemp("sample") / "s.root", events_each=150)


def read(*paths: Path, seed: int = 1) -> LabelledGraphs:
    sources = [Source(str(path)) for path in paths]
    return read_labelled(sources, OBJECTS, split_seed=seed, progress=lambda *_: None)


def test_it_is_what_the_skim_would_read(sample: Path) -> None:
    found = read(sample)
    with open_file(Source(str(sample))) as file:
        events = find_events(file).read()
    expected = build_padded(events.record, OBJECTS)
    assert torch.equal(found.graphs.features, expected.features)
    assert torch.equal(found.graphs.momenta, expected.momenta)
    assert found.labels.tolist() == np.repeat(list(CARDS.values()), 150).tolist()
    assert np.array_equal(found.weights, events.weight)
    hardness = found.observable("hardness")
    assert np.array_equal(hardness, observe(events.record)[:, OBSERVABLES.index("hardness")])
    assert hardness[found.labels == 100].mean() > 2 * hardness[found.labels == 0].mean()


def test_chunks_do_not_matter(sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = read(sample)
    monkeypatch.setattr("hepfilter.graphs.reading._ENTRIES", 77)
    pieces = read(sample)
    assert torch.equal(whole.graphs.features, pieces.graphs.features)
    assert np.array_equal(whole.split_hash, pieces.split_hash)


def test_the_split_is_complete_fair_and_belongs_to_the_event(sample: Path, tmp_path: Path) -> None:
    split = Split(training=0.5, validation=0.2)
    parts = split_data(read(sample), split)
    sizes = np.array([len(parts.training), len(parts.validation), len(parts.test)])
    assert sizes.sum() == 600
    assert np.abs(sizes - [300, 120, 180]).max() < 45
    twice = split_data(read(sample, write_sample(tmp_path / "same.root", events_each=150)), split)
    assert np.array_equal(np.sort(twice.test.split_hash), np.sort(np.tile(parts.test.split_hash, 2)))
    assert not np.array_equal(read(sample, seed=2).split_hash, read(sample).split_hash)


def test_files_that_do_not_serve(sample: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"u\.root: tree Events has no branch HepFilterTruth_label"):
        read(write_sample(tmp_path / "u.root", events_each=5, truth=False))
    with pytest.raises(TrainingError, match="entry 0: negative generator weight"):
        read(write_sample(tmp_path / "n.root", events_each=5, weight_sign=-1.0))
    with pytest.raises(TrainingError, match=r"w\.root: tree Events: weight: non-finite, in 20 events"):
        read(write_sample(tmp_path / "w.root", events_each=5, weight_sign=float("nan")))
    with pytest.raises(TrainingError, match="no events"):
        read(write_sample(tmp_path / "e.root", events_each=0))
    with pytest.raises(SourceError, match=r"missing\.root"):
        read(tmp_path / "missing.root")


@pytest.mark.parametrize("weight", [1e300, 1.7e308, 1e-300, -1e101])
def test_weights_whose_squares_mean_nothing_are_refused(weight: float) -> None:
    refuse_faulty_weights(np.array([0.0, 1e-100, 1.0, -1.0, 1e100]), {"jet: too soft": 2}, "a.root")
    with pytest.raises(
        TrainingError, match=r"a\.root: 1 event with generator weights such as .*; scale all weights, to"
    ):
        refuse_faulty_weights(np.array([1.0, weight]), {}, "a.root")


def test_weights_are_looked_at_while_files_are_read(sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hepfilter.graphs.reading._HEAVIEST", 1.0)
    with pytest.raises(
        TrainingError, match=r"s\.root: tree Events: 300 events with generator weights such as 10; scale"
    ):
        read(sample)


def test_a_copy_of_a_file_does_not_count_twice(sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = Path(shutil.copy(sample, tmp_path / "copy.root"))
    with pytest.raises(DifferentInputsError, match=r"copy\.root: is a copy of .*s\.root, its events would count twice"):
        read(sample, copy)
    monkeypatch.setattr("hepfilter.io.checksum.has_uuid", lambda uuid: False)  # nothing tells whether it is a copy
    assert len(read(sample, copy)) == 1200
