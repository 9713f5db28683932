"""What an inspection finds."""

from pathlib import Path

import numpy as np
import pytest
import uproot

from hepfilter.errors import ConfigError, SourceError
from hepfilter.io.sources import Source
from hepfilter.io.writing import Column, create_root
from hepfilter.skim.inspection import TreeSummary, fit_model, inspect_file
from tests.io.rntuples import make_ntuple
from tests.nano import make_nano

MEANS = {"jet": 5, "muon": 2, "electron": 2, "photon": 1, "met": 1}


def test_a_nanoaod_file(tmp_path: Path) -> None:
    path = make_nano(tmp_path / "a.root", 300)
    found = inspect_file(Source(str(path)), sample=200)
    assert [(tree.name, tree.kind, tree.entries) for tree in found.trees] == [
        ("Events", "TTree", 300),
        ("Runs", "TTree", 1),
        ("LuminosityBlocks", "TTree", 1),
    ]
    assert (found.reason, found.tree, found.schema, found.entries, found.events_read) == (
        None,
        "Events",
        "nanoaod",
        300,
        200,
    )
    assert found.identity == ("run", "luminosityBlock", "event")
    assert found.weight == "genWeight"
    assert found.bookkeeping == ("Runs", "LuminosityBlocks")
    assert found.absent == ("fatjet", "tau", "particle")
    for collection in found.collections:
        assert collection.in_file == pytest.approx(MEANS[collection.name], abs=0.5)
        assert collection.in_record is not None
        assert 0 < collection.in_record <= collection.in_file
    assert {c.name: c.missing for c in found.collections}["jet"] == ("Jet_btagDeepFlavB",)
    assert found.problems == {}
    assert found.warnings == ()


def test_problems_of_the_sample_are_counted(tmp_path: Path) -> None:
    plant = {"Jet_pt": np.array([np.nan, -3], np.float32), "MET_pt": np.array([np.inf], np.float32)}
    found = inspect_file(Source(str(make_nano(tmp_path / "a.root", 60, plant=plant))))
    assert found.problems == {"jet: non-finite kinematics": 1, "jet: pt <= 0": 1, "met: non-finite kinematics": 1}


def test_an_empty_tree(tmp_path: Path) -> None:
    found = inspect_file(Source(str(make_nano(tmp_path / "a.root", 0))))
    assert (found.reason, found.schema, found.entries, found.events_read) == (None, "nanoaod", 0, 0)
    assert {(c.in_file, c.in_record) for c in found.collections} == {(None, None)}


def test_a_file_that_no_schema_fits_still_lists_its_trees(tmp_path: Path) -> None:
    with create_root(tmp_path / "a.root") as out, out.new_tree("Events", [Column("x", "float32")]) as tree:
        tree.extend({"x": np.zeros(4, np.float32)})
    found = inspect_file(Source(str(tmp_path / "a.root")))
    assert found.trees == (TreeSummary("Events", "TTree", 4, 1),)
    assert found.schema is None
    assert found.reason is not None
    assert "no schema fits its branches" in found.reason
    assert not fit_model(found, "m", ["jet", "met"]).can_score


def test_a_wrong_schema_and_a_missing_file_are_errors(tmp_path: Path) -> None:
    path = make_nano(tmp_path / "a.root", 2)
    with pytest.raises(ConfigError, match="nearest: nanoaod"):
        inspect_file(Source(str(path)), schema="nanoaodd")
    with pytest.raises(SourceError, match=r"b\.root"):
        inspect_file(Source(str(tmp_path / "b.root")))


def test_what_a_model_can_score(tmp_path: Path) -> None:
    found = inspect_file(Source(str(make_nano(tmp_path / "a.root", 2))))
    fit = fit_model(found, "m", ["met", "jet", "tau"])
    assert (fit.can_score, fit.empty, fit.used) == (True, ("tau",), ("met", "jet", "tau"))
    assert not fit_model(found, "m", ["particle"]).can_score


SCHEMAS = {
    "nanoaod": (
        "nano_dimuon", "nano_dimuon_rntuple", "nano_dy", "nano_dy_rntuple", "nano_dy_empty", "nano_dy_empty_rntuple",
        "nano_dy_SpecialTree", "nano_tree", "nano_tt_v12", "nano_tt_v15", "nanoAOD_2015_CMS_Open_Data_ttbar",
        "Run2012B_SingleMu_1000", "run2012_dimuon_100k", "missing_luminosityBlock",
    ),
    "pfnano": ("pfnano", "pfnano_rntuple"),
    "cms_pf_flat": ("cms_run2015d_pf",),
    "scouting_nano": ("scouting_nano",),
    "physlite": ("PHYSLITE_example", "physlite_rntuple"),
    "delphes": ("delphes",),
    "treemaker": ("treemaker",),
}  # fmt: skip


@pytest.mark.parametrize(("name", "schema"), [(name, schema) for schema, names in SCHEMAS.items() for name in names])
def test_real_files_and_their_schemas(shared_data: Path, name: str, schema: str) -> None:
    found = inspect_file(Source(str(shared_data / f"{name}.root")), sample=5)
    assert (found.reason, found.schema) == (None, schema)
    assert all(tree.entries is not None and tree.branches for tree in found.trees)
    main = next(tree for tree in found.trees if tree.name == found.tree)
    assert main.kind == ("RNTuple" if name.endswith("_rntuple") else "TTree")
    assert main.entries == found.entries
    assert bool(found.events_read) == ("empty" not in name)
    assert {collection.name for collection in found.collections} & {"muon", "jet"}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("bad_delphes.root", "objects in the file: none; it holds no tree"),
        ("uproot-HZZ.root", "objects in the file: events (TTree); name another as FILE.root:TREE, with a --schema"),
        ("uproot-Zmumu.root", "objects in the file: events (TTree); name another as FILE.root:TREE, with a --schema"),
    ],
)
def test_real_files_without_a_schema(shared_data: Path, name: str, reason: str) -> None:
    found = inspect_file(Source(str(shared_data / name)))
    assert found.reason is not None
    assert "no tree Events or " in found.reason
    assert reason in found.reason
    assert "\n" not in found.reason
    assert bool(found.trees) == (name != "bad_delphes.root")
    assert found.collections == ()


@pytest.mark.parametrize("name", ["nano_dy", "nano_dimuon"])
def test_a_real_ntuple_shows_what_the_tree_of_the_same_events_shows(shared_data: Path, name: str) -> None:
    tree, ntuple = (inspect_file(Source(str(shared_data / f"{name}{kind}.root"))) for kind in ("", "_rntuple"))
    assert ntuple.collections == tree.collections
    assert (ntuple.identity, ntuple.weight, ntuple.problems) == (tree.identity, tree.weight, tree.problems)
    with uproot.open(shared_data / f"{name}_rntuple.root") as file:
        fields = len(file["Events"].keys(recursive=False))
    assert ntuple.trees == (TreeSummary("Events", "RNTuple", 40, fields),)


def test_an_ntuple_of_a_kind_that_is_not_read_is_listed_without_numbers(tmp_path: Path) -> None:
    made = make_ntuple(tmp_path / "a.root", (3,))
    assert inspect_file(Source(str(made))).trees == (TreeSummary("Events", "RNTuple", 3, 7),)
    made.write_bytes(made.read_bytes().replace(b"ROOT::RNTuple", b"Old_::RNTuple"))
    found = inspect_file(Source(str(made)))
    assert found.trees == (TreeSummary("Events", "Old_::RNTuple", None, None),)
    assert found.reason is not None


def test_real_muons_alone(shared_data: Path) -> None:
    found = inspect_file(Source(str(shared_data / "run2012_dimuon_100k.root")), sample=500)
    assert [c.name for c in found.collections] == ["muon"]
    assert found.identity is None
    assert found.entries == 100_000
    fit = fit_model(found, "m", ["met", "muon", "jet"])
    assert fit.can_score
    assert fit.empty == ("met", "jet")
