"""The main job, on files made here; test_real_files.py has the real ones."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import uproot

from hepfilter.errors import ConfigError, HepfilterError, OutputError, SchemaError, SourceError, UsageError
from hepfilter.io.writing import Column, create_root
from hepfilter.skim.pipeline import skim
from hepfilter.skim.recipe import Recipe
from tests.io.copies import copy
from tests.io.test_copying import assert_same_tree
from tests.nano import make_nano


def read_ids(path: Path) -> list[int]:
    with uproot.open({path: "Events"}) as tree:
        return tree["event"].array(library="np").tolist()


def test_the_best_share_is_written_with_score_and_books(tmp_path, untrained_model):
    source = make_nano(tmp_path / "in.root", 200)
    report = skim([str(source)], tmp_path / "out.root", Recipe(keep=Fraction(1, 10), model=str(untrained_model)))
    assert (report.read, report.passed, report.written) == (200, 20, 20)
    assert [(step.events, step.weight) for step in report.cutflow()] == [(200, 100.0), (20, 10.0)]
    with uproot.open(source) as old, uproot.open(tmp_path / "out.root") as new:
        kept = np.isin(old["Events/event"].array(library="np"), new["Events/event"].array(library="np"))
        assert kept.sum() == 20
        assert_same_tree(
            old["Events"], new["Events"], kept, added=["HepFilter_interest", "HepFilter_passed", "HepFilter_entry"]
        )
        for books in ("Runs", "LuminosityBlocks"):
            assert_same_tree(old[books], new[books], np.ones(old[books].num_entries, bool), added=[])
        interest = new["Events/HepFilter_interest"].array(library="np")
        assert interest.dtype == np.float32
        assert interest.min() == np.float32(report.threshold)
        assert new["Events/HepFilter_passed"].typename == "bool"
        assert new["Events/HepFilter_passed"].array(library="np").all()
        provenance = json.loads(str(new["HepFilter_provenance"]))
        assert provenance["outputs"][0]["events"] == 20
        assert provenance["model_hash"] == report.model_hash
        assert [step["events"] for step in provenance["inputs"][0]["cutflow"]] == [200, 20]


def test_the_choice_is_the_same_however_events_are_split(tmp_path, untrained_model, monkeypatch):
    whole = make_nano(tmp_path / "whole.root", 300, basket=100)
    parts = []
    with uproot.open(whole) as file:
        for i, (start, stop) in enumerate([(0, 7), (7, 190), (190, 300)]):
            parts.append(tmp_path / f"part{i}.root")
            copy([whole], parts[-1], [np.isin(np.arange(300), np.arange(start, stop))])
        assert file["Events"].num_entries == 300
    results = set()
    for unit in (1000, 64, 13):
        monkeypatch.setattr("hepfilter.skim.file_reading.UNIT_ENTRIES", unit)
        for inputs in ([whole], parts):
            out = tmp_path / "out.root"
            skim(
                [str(path) for path in inputs],
                out,
                Recipe(keep=Fraction(1, 20), model=str(untrained_model)),
                force=True,
            )
            with uproot.open({out: "Events"}) as tree:
                results.add(
                    (tuple(tree["event"].array().tolist()), tree["HepFilter_interest"].array(library="np").tobytes())
                )
    assert len(results) == 1


def test_unphysical_input_is_counted_and_never_reaches_a_score(tmp_path, untrained_model):
    bad = np.array([np.nan, np.inf, -np.inf, -50.0, 0.0, 1e30], np.float32)
    plant = dict.fromkeys(("Jet_pt", "Muon_eta", "Electron_phi", "MET_pt", "Jet_mass"), bad)
    source = make_nano(tmp_path / "in.root", 100, plant=plant)
    report = skim([str(source)], tmp_path / "out.root", Recipe(keep=Fraction(1), model=str(untrained_model)))
    assert report.written == 100
    with uproot.open({tmp_path / "out.root": "Events"}) as tree:
        assert np.isfinite(tree["HepFilter_interest"].array(library="np")).all()
        kept = tree["MET_pt"].array(library="np")[:6]
        assert kept.tobytes() == bad.tobytes()  # what the source says is written as it says it
    for collection in ("jet", "muon", "electron", "met"):
        assert any(problem.startswith(f"{collection}: ") for problem in report.problems), collection


@pytest.mark.parametrize("keep", [Fraction(1, 10), Fraction(1)])
def test_an_empty_tree_gives_the_full_schema(tmp_path, untrained_model, keep):
    source = make_nano(tmp_path / "in.root", 0)
    report = skim([str(source)], tmp_path / "out.root", Recipe(keep=keep, model=str(untrained_model)))
    assert (report.read, report.written, report.threshold) == (0, 0, None)
    with uproot.open(source) as old, uproot.open(tmp_path / "out.root") as new:
        assert new["Events"].keys() == [
            *old["Events"].keys(),
            "HepFilter_interest",
            "HepFilter_passed",
            "HepFilter_entry",
        ]
        assert new["Runs"].num_entries == 1


def test_a_skim_can_be_skimmed_again(tmp_path, untrained_model):
    source = make_nano(tmp_path / "in.root", 200)
    skim([str(source)], tmp_path / "once.root", Recipe(keep=Fraction(1, 2), model=str(untrained_model)))
    skim(
        [str(tmp_path / "once.root")], tmp_path / "twice.root", Recipe(keep=Fraction(1, 10), model=str(untrained_model))
    )
    skim([str(source)], tmp_path / "direct.root", Recipe(keep=Fraction(1, 20), model=str(untrained_model)))
    assert read_ids(tmp_path / "twice.root") == read_ids(tmp_path / "direct.root")
    twice, cut = (
        skim([str(tmp_path / "once.root")], tmp_path / name, recipe).warnings
        for name, recipe in (
            ("again.root", Recipe(keep=Fraction(1, 10), model=str(untrained_model))),
            ("cut.root", Recipe(where="nJet >= 0")),
        )
    )
    assert "HepFilter_interest" not in str(twice)
    assert "HepFilter_interest left out as no model decides" in str(cut)


def bad_inputs(folder: Path) -> dict[str, tuple[str, type[HepfilterError], str]]:
    """What may be wrong with an input: path, the error, and what its one line must say."""
    good = make_nano(folder / "good.root", 100)
    (folder / "text.root").write_text("no ROOT file at all, but longer than a header")
    (folder / "half.root").write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    (folder / "stub.root").write_bytes(b"root")
    with create_root(folder / "other.root") as out, out.new_tree("Other", [Column("x", "int32")]) as tree:
        tree.extend({"x": np.arange(3)})
    make_nano(folder / "missing.root", 10, drop=("Jet_eta",))
    damaged = bytearray(good.read_bytes())
    with uproot.open({good: "Events"}) as tree:
        branch = tree["Jet_pt"]
        damaged[branch.member("fBasketSeek")[0] + branch.member("fBasketBytes")[0] - 60] ^= 0xFF
    (folder / "damaged.root").write_bytes(damaged)
    return {
        "missing file": ("god.root", SourceError, r"god\.root: no such file.*good\.root"),
        "no ROOT file": ("text.root", SourceError, r"text\.root: is no ROOT file"),
        "too short": ("stub.root", SourceError, r"stub\.root: is no ROOT file"),
        "cut in half": (
            "half.root",
            SourceError,
            r"half\.root: is cut short: its header says [\d,]+ bytes, the file has [\d,]+",
        ),
        "no Events": (
            "other.root",
            SourceError,
            r"other\.root: no tree Events or .*; objects in the file: Other \(TTree\)",
        ),
        "no such tree": ("good.root:Evnts", SourceError, r"good\.root: no tree Evnts.*Events \(TTree\)"),
        "missing branch": ("missing.root", SchemaError, r"missing\.root: tree Events.*Jet_eta"),
        "damaged basket": (
            "damaged.root",
            SourceError,
            r"damaged\.root: tree Events, branch Jet_pt, entries 0 to 49 cannot be read",
        ),
    }


def test_bad_input_is_one_line_and_leaves_no_output(tmp_path, untrained_model, subtests):
    monkey = tmp_path / "inputs"
    monkey.mkdir()
    for what, (name, error, message) in bad_inputs(monkey).items():
        with subtests.test(what):
            with pytest.raises(error, match=message) as caught:
                skim(
                    [str(monkey / name)],
                    tmp_path / "out.root",
                    Recipe(keep=Fraction(1, 10), model=str(untrained_model)),
                )
            assert "\n" not in str(caught.value)
            assert caught.value.exit_code == 1
            assert list(tmp_path.iterdir()) == [monkey]


def test_inputs_that_do_not_belong_together_are_refused_or_noted(tmp_path, untrained_model):
    one, other = make_nano(tmp_path / "a.root", 20), make_nano(tmp_path / "b.root", 20, seed=2)
    (tmp_path / "copy.root").write_bytes(one.read_bytes())
    recipe = Recipe(keep=Fraction(1, 2), model=str(untrained_model))
    with pytest.raises(SourceError, match=r"copy\.root: is a copy of .*a\.root, its events would count twice"):
        skim([str(one), str(tmp_path / "copy.root")], tmp_path / "out.root", recipe)
    report = skim([str(one), str(other)], tmp_path / "out.root", recipe)
    assert any(note.startswith("20 events with run, luminosityBlock and event of another") for note in report.warnings)
    with create_root(tmp_path / "two.root") as out:
        for name in ("Events", "Other"):
            with out.new_tree(name, [Column("Muon_pt", "float32", counter="nMuon")]) as tree:
                tree.extend({"Muon_pt": (np.ones(3), [1, 1, 1])})
    with pytest.raises((SourceError, SchemaError)):
        skim([str(one), f"{tmp_path / 'two.root'}:Other"], tmp_path / "o.root", recipe)
    assert not (tmp_path / "o.root").exists()


def test_events_without_objects_and_absent_collections_are_noted(tmp_path, untrained_model):
    with (
        create_root(tmp_path / "mu.root") as out,
        out.new_tree("Events", [Column(f"Muon_{f}", "float32", counter="nMuon") for f in ("pt", "eta", "phi")]) as tree,
    ):
        tree.extend({f"Muon_{f}": (np.full(3, v), [1, 0, 2]) for f, v in (("pt", 30.0), ("eta", 0.5), ("phi", 0.1))})
    report = skim(
        [str(tmp_path / "mu.root")], tmp_path / "out.root", Recipe(keep=Fraction(1), model=str(untrained_model))
    )
    assert any(note.startswith("no met, electron, photon, jet in the file") for note in report.warnings)
    assert any(note.startswith("1 event without any object") for note in report.warnings)


def test_a_user_schema_reads_flat_columns(tmp_path, untrained_model):
    with (
        create_root(tmp_path / "flat.root") as out,
        out.new_tree("ntuple", [Column(n, "float64") for n in ("E1", "x1", "y1", "z1")]) as tree,
    ):
        tree.extend(
            {name: np.random.default_rng(i).normal(50, 9, 30) for i, name in enumerate(("E1", "x1", "y1", "z1"))}
        )
    schema = tmp_path / "mine.yaml"
    schema.write_text(
        "name: mine\ntitle: flat\ntree: ntuple\ndetect: [x1]\ncollections:\n"
        "  muon:\n    alternatives:\n      - {px: [x1], py: [y1], pz: [z1], energy: [E1]}\n"
    )
    recipe = Recipe(keep=Fraction(1, 3), model=str(untrained_model), schema=str(schema))
    report = skim([str(tmp_path / "flat.root")], tmp_path / "out.root", recipe)
    assert report.written == 10
    assert any("identified by file name and entry" in note for note in report.warnings)
    schema.write_text(schema.read_text().replace("title", "titel"))
    with pytest.raises(ConfigError, match=r"mine\.yaml: unknown key 'titel'; nearest: title"):
        skim([str(tmp_path / "flat.root")], tmp_path / "out2.root", recipe)
    schema.write_text(schema.read_text().replace("titel", "title").replace("detect", "detct"))
    with pytest.raises(ConfigError, match=r"mine\.yaml: unknown key 'detct'; nearest: detect"):
        skim([str(tmp_path / "flat.root")], tmp_path / "out2.root", recipe)


def test_outputs_are_guarded(tmp_path, untrained_model):
    source = make_nano(tmp_path / "in.root", 20)
    (tmp_path / "there.root").write_text("precious")
    recipe = Recipe(keep=Fraction(1, 2), model=str(untrained_model))
    for output, error, message in [
        (source, UsageError, "is one of the inputs"),
        (tmp_path / "there.root", OutputError, "exists; give another name"),
        (tmp_path / "no" / "out.root", OutputError, "there is no folder"),
    ]:
        with pytest.raises(error, match=message):
            skim([str(source)], output, recipe)
    assert (tmp_path / "there.root").read_text() == "precious"
    skim([str(source)], tmp_path / "there.root", recipe, force=True)
    assert len(read_ids(tmp_path / "there.root")) == 10
