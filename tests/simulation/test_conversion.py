"""Between ROOT and the HDF5 layout of the LHC Olympics."""

from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from hepfilter.errors import SourceError
from hepfilter.io.lhco import CANDIDATES, FIELDS, UNLABELLED, create_table, read_rows
from hepfilter.io.sources import expand_sources
from hepfilter.io.writing import Column, create_root
from hepfilter.simulation.conversion import lhco_to_root, root_to_lhco
from hepfilter.simulation.nano import event_columns


def _events(path: Path) -> ak.Array:
    with uproot.open({path: "Events"}) as tree:
        return tree.arrays()


@pytest.fixture(scope="module")
def table(sample_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lhco") / "sample.h5"
    assert root_to_lhco(expand_sources([str(sample_file)]), path) == 120
    return path


@pytest.fixture(scope="module")
def back(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lhco") / "back.root"
    assert lhco_to_root(table, path) == 120
    return path


def test_rows_hold_the_hardest_candidates_and_the_label(sample_file: Path, table: Path) -> None:
    events, rows = _events(sample_file), np.concatenate(list(read_rows(table)))
    assert rows.shape == (120, UNLABELLED + 1)
    assert np.array_equal(rows[:, -1] == 1.0, ak.to_numpy(events.HepFilterTruth_isSignal))
    candidates = rows[:, :-1].reshape(120, CANDIDATES, FIELDS)
    counts = np.minimum(ak.to_numpy(ak.num(events.PFCands_pt)), CANDIDATES)
    assert np.array_equal((candidates[:, :, 0] > 0).sum(axis=1), counts)
    assert np.all(np.diff(candidates[:, :, 0], axis=1) <= 0)
    for event in (0, 60, 119):
        for number, field in enumerate(("pt", "eta", "phi")):
            expected = events[f"PFCands_{field}"][event][: counts[event]].to_numpy()
            assert np.array_equal(candidates[event, : counts[event], number], expected)


def test_jets_are_found_again(sample_file: Path, back: Path) -> None:
    events, again = _events(sample_file), _events(back)
    assert set(again.fields) == set(events.fields)
    for field in ("AK10Jet_pt", "AK10Jet_mass", "AK10Jet_tau2", "FatJet_msoftdrop", "Jet_pt"):
        one, two = (ak.to_numpy(ak.flatten(array[field])) for array in (events, again))
        assert two == pytest.approx(one, rel=2e-3, abs=0.02), field
    assert ak.to_numpy(again.MET_pt) == pytest.approx(ak.to_numpy(events.MET_pt), abs=0.05)


def test_what_the_layout_does_not_know_is_not_made_up(back: Path) -> None:
    events = _events(back)
    for name in ("Electron", "Muon", "Photon", "Tau", "GenPart"):
        assert ak.sum(events[f"n{name}"]) == 0
    assert set(ak.flatten(events.Jet_btagDeepFlavB).tolist()) == {-1.0}
    assert set(ak.flatten(events.PFCands_pdgId).tolist()) == {0}
    assert events.HepFilterTruth_label.tolist() == [0] * 60 + [100] * 60
    assert set(events.genWeight.tolist()) == {1.0}
    assert len(set(events.event.tolist())) == 120
    with uproot.open(back) as file:
        assert file["Runs/genEventSumw"].array().tolist() == [120.0]
        assert file["LuminosityBlocks"].num_entries == 1


def test_a_black_box_has_no_label(tmp_path: Path, table: Path) -> None:
    rows = np.concatenate(list(read_rows(table)))[:5, :-1]
    with create_table(tmp_path / "box.h5", labelled=False) as box:
        box.append(rows)
    lhco_to_root(tmp_path / "box.h5", tmp_path / "box.root")
    events = _events(tmp_path / "box.root")
    assert events.HepFilterTruth_label.tolist() == [-1] * 5
    assert events.HepFilterTruth_isSignal.tolist() == [False] * 5


def test_candidates_are_weighted_sorted_and_cut(tmp_path: Path) -> None:
    names = ["PFCands_pt", "PFCands_eta", "PFCands_phi", "PFCands_puppiWeight"]
    many = CANDIDATES + 20
    pt = np.concatenate([[10.0, 40.0, 30.0], np.linspace(1, 2, many)])
    weight = np.concatenate([[1.0, 0.5, 0.0], np.ones(many)])
    columns = [pt, np.arange(len(pt)), np.zeros(len(pt)), weight]
    branches = [Column(name, "float32", counter="nPFCands") for name in names]
    with create_root(tmp_path / "a.root") as out, out.new_tree("Events", branches) as tree:
        tree.extend({name: (values, [3, many]) for name, values in zip(names, columns, strict=True)})
    root_to_lhco(expand_sources([str(tmp_path / "a.root")]), tmp_path / "a.h5")
    rows = np.concatenate(list(read_rows(tmp_path / "a.h5")))
    assert rows.shape == (2, UNLABELLED)
    assert rows[0, :9].tolist() == [20.0, 1.0, 0.0, 10.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    assert rows[1, 0] == 2.0
    assert rows[1, -3] == pytest.approx(np.sort(pt[3:])[20])


def test_files_without_candidates_or_with_and_without_labels_are_refused(tmp_path: Path, sample_file: Path) -> None:
    with create_root(tmp_path / "plain.root") as out, out.new_tree("Events", [Column("run", "uint32")]) as tree:
        tree.extend({"run": np.zeros(3)})
    with pytest.raises(SourceError, match=r"plain.root: no branch PFCands_pt; .*--particles"):
        root_to_lhco(expand_sources([str(tmp_path / "plain.root")]), tmp_path / "o.h5")
    with create_root(tmp_path / "real.root") as out:
        columns = [c for c in event_columns(particles=True) if c.name.startswith("PFCands")]
        with out.new_tree("Events", columns) as tree:
            tree.extend({column.name: ([1.0], [1]) for column in columns})
    with pytest.raises(SourceError, match="convert them apart"):
        root_to_lhco(expand_sources([str(sample_file), str(tmp_path / "real.root")]), tmp_path / "o.h5")
    assert not (tmp_path / "o.h5").exists()


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        (0, np.inf, "pt inf"),
        (0, np.nan, "pt nan"),
        (0, -5.0, "pt -5"),
        (1, np.nan, "eta nan"),
        (1, 5000.0, "eta 5000"),
        (2, np.inf, "phi inf"),
    ],
)
def test_a_candidate_that_cannot_be_is_named(tmp_path: Path, column: int, value: float, said: str) -> None:
    rows = np.zeros((4, UNLABELLED + 1), dtype=np.float32)
    rows[:, :3] = [300.0, 0.5, 1.0]
    rows[2, column] = value
    with create_table(tmp_path / "a.h5", labelled=True) as made:
        made.append(rows)
    with pytest.raises(SourceError, match=rf"a\.h5: event 2, candidate 0: .*{said}.* is no momentum of a particle"):
        lhco_to_root(tmp_path / "a.h5", tmp_path / "o.root")
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


def test_branches_of_another_form_are_named(tmp_path: Path) -> None:
    names = ["PFCands_pt", "PFCands_eta", "PFCands_phi"]
    flat = [Column(name, "float32") for name in names]
    with create_root(tmp_path / "scalar.root") as out, out.new_tree("Events", flat) as tree:
        tree.extend({name: np.ones(2) for name in names})
    with pytest.raises(SourceError, match=r"scalar\.root: PFCands_pt, .* are not lists of one length per event"):
        root_to_lhco(expand_sources([str(tmp_path / "scalar.root")]), tmp_path / "o.h5")
    columns = [Column(name, "float32", counter="nPFCands") for name in names]
    with create_root(tmp_path / "nan.root") as out, out.new_tree("Events", columns) as tree:
        tree.extend({name: ([1.0, np.nan if name == "PFCands_eta" else 1.0], [1, 1]) for name in names})
    with pytest.raises(SourceError, match=r"nan\.root: entry 1 has a candidate whose momentum is not finite"):
        root_to_lhco(expand_sources([str(tmp_path / "nan.root")]), tmp_path / "o.h5")
    assert not (tmp_path / "o.h5").exists()


@pytest.mark.parametrize(
    ("name", "counter"),
    [("PFCands_phi", "nOther"), ("PFCands_puppiWeight", "nOther"), ("HepFilterTruth_isSignal", "nPFCands")],
)
def test_a_branch_of_another_length_is_told_with_its_file(tmp_path: Path, name: str, counter: str) -> None:
    names = ["PFCands_pt", "PFCands_eta", "PFCands_phi"]
    columns = [Column(other, "float32", counter="nPFCands") for other in names if other != name]
    columns.append(Column(name, "float32", counter=counter))
    counts = {"nPFCands": [1, 1], "nOther": [2, 1]}
    with create_root(tmp_path / "a.root") as out, out.new_tree("Events", columns) as tree:
        tree.extend({c.name: (np.ones(sum(counts[str(c.counter)])), counts[str(c.counter)]) for c in columns})
    with pytest.raises(
        SourceError, match=rf"a\.root: .*{name}.* (not lists of one length per|not one value per) event"
    ):
        root_to_lhco(expand_sources([str(tmp_path / "a.root")]), tmp_path / "o.h5")
    assert [path.name for path in tmp_path.iterdir()] == ["a.root"]


def test_the_bounds_of_what_a_candidate_can_be(tmp_path: Path) -> None:
    rows = np.zeros((2, UNLABELLED + 1), dtype=np.float32)
    rows[:, :6] = [99_000.0, 19.5, 3.0, 300.0, -19.5, 100.0]  # phi is an angle, however often it goes round
    for place, value, said in ((3, 1e5, "pt 100000"), (4, -20.0, "eta -20"), (5, np.nan, "phi nan")):
        bad = rows.copy()
        bad[1, place] = value
        with create_table(tmp_path / "bad.h5", labelled=True) as made:
            made.append(bad)
        with pytest.raises(SourceError, match=rf"bad\.h5: event 1, candidate 1: .*{said}"):
            lhco_to_root(tmp_path / "bad.h5", tmp_path / "o.root")
    with create_table(tmp_path / "good.h5", labelled=True) as made:
        made.append(rows)
    assert lhco_to_root(tmp_path / "good.h5", tmp_path / "o.root") == 2
    phi = _events(tmp_path / "o.root").PFCands_phi[0].to_numpy()
    assert phi == pytest.approx([3.0, 100.0 - 32 * np.pi], abs=1e-5)
