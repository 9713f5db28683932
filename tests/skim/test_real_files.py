"""Every real file that has a schema, skimmed, and read by uproot, by ROOT and by coffea as its source is."""

from collections.abc import Callable
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

from hepfilter.io.reading import open_file
from hepfilter.io.rntuple.selection import column_values
from hepfilter.io.sources import Source
from hepfilter.skim.pipeline import skim
from hepfilter.skim.recipe import Recipe
from tests.io.in_root import compare_in_root
from tests.io.rntuples import assert_copied, open_ntuple
from tests.io.test_copying import assert_same_tree

TREES = {"PHYSLITE_example": "CollectionTree", "physlite_rntuple": "EventData", "delphes": "Delphes",
         "treemaker": "PreSelection"}  # fmt: skip
"""The names of the trees that are not called Events."""

BY_HAND = {
    "nano_dimuon": ("nMuon >= 3", 12),
    "nano_dy": ("nJet >= 6", 10),
    "nano_dy_SpecialTree": ("nJet >= 6", 10),
    "nano_dy_empty": ("nJet >= 6", 0),
    "nano_tree": ("nJet >= 5", 1),
    "nano_tt_v12": ("Sum$(Jet_pt > 30) >= 8", 14),
    "nano_tt_v15": ("Sum$(Jet_pt > 30) >= 8", 16),
    "nanoAOD_2015_CMS_Open_Data_ttbar": ("nJet >= 8", 6),
    "pfnano": ("nMuon > 0", 6),
    "Run2012B_SingleMu_1000": ("nMuon >= 2 && Muon_pt[0] > 40", 73),
    "run2012_dimuon_100k": ("Muon_pt[0] > 60", 1261),
    "cms_run2015d_pf": ("Sum$(Jet_pt > 50) >= 4", 50),
    "scouting_nano": ("nScoutingPFJet >= 12", 15),
    "missing_luminosityBlock": ("event % 2 == 0", 1),
    "treemaker": ("HT > 700", 5),
    "PHYSLITE_example": ("Sum$(AnalysisJetsAuxDyn.pt > 30000) >= 5", 25),
    "delphes": ("Jet_size >= 5", 8),
    "nano_dy_rntuple": ("nJet >= 6", 10),
    "nano_dimuon_rntuple": ("nMuon >= 3", 12),
    "nano_dy_empty_rntuple": ("nJet >= 6", 0),
    "pfnano_rntuple": ("nMuon > 0", 6),
    "physlite_rntuple": ("Sum$(AnalysisJetsAuxDyn.pt > 30000) >= 5", 34),
}
"""A selection for each file, and how many events it keeps."""

SCORED = {
    "nano_tt_v12": 20, "nano_tt_v15": 20, "nano_dimuon": 4, "nanoAOD_2015_CMS_Open_Data_ttbar": 20, "pfnano": 1,
    "Run2012B_SingleMu_1000": 100, "run2012_dimuon_100k": 10_000, "cms_run2015d_pf": 245, "PHYSLITE_example": 10,
    "delphes": 2, "treemaker": 1, "scouting_nano": 4, "nano_dy_rntuple": 4,
}  # fmt: skip
"""What a tenth of the events is, where a model chooses."""

WITHOUT_SCHEMA = {"uproot-HZZ", "uproot-Zmumu", "bad_delphes"}
NTUPLES = [name for name in BY_HAND if name.endswith("_rntuple")]
ADDED = ["HepFilter_passed", "HepFilter_entry"]
UNKNOWN_CLASSES = ("xAOD", "DataVector", "SG::", "ElementLink", "AuxC", "Event")  # of ATLAS: ROOT has no dictionaries


def tree_of(name: str) -> str:
    return TREES.get(name, "Events")


def kept_entries(out: Path) -> np.ndarray:
    """The entries of the source that a skim says it holds."""
    with open_file(Source(str(out))) as file:
        return file.table(tree_of(out.stem)).values(["HepFilter_entry"])["HepFilter_entry"].values


def shape(path: Path, tree: str) -> tuple[int, int]:
    """The entries of a tree, and its branches or top-level fields."""
    with open_file(Source(str(path))) as file:
        table = file.table(tree)
        return table.num_entries, len(table.branch_names)


def maker(shared_data: Path, folder: Path, recipe: Callable[[str], Recipe]) -> Callable[[str], Path]:
    """What makes the skim of a real file, once."""

    def made(name: str) -> Path:
        out = folder / f"{name}.root"
        if not out.exists():
            skim([str(shared_data / out.name)], out, recipe(name))
        return out

    return made


@pytest.fixture(scope="session")
def by_hand(shared_data, tmp_path_factory) -> Callable[[str], Path]:
    return maker(shared_data, tmp_path_factory.mktemp("by_hand"), lambda name: Recipe(where=BY_HAND[name][0]))


@pytest.fixture(scope="session")
def scored(shared_data, untrained_model, tmp_path_factory) -> Callable[[str], Path]:
    recipe = Recipe(keep=Fraction(1, 10), model=str(untrained_model))
    return maker(shared_data, tmp_path_factory.mktemp("scored"), lambda _: recipe)


def test_no_file_is_left_out(shared_data):
    assert {path.stem for path in shared_data.glob("*.root")} == set(BY_HAND) | WITHOUT_SCHEMA


@pytest.mark.parametrize("name", BY_HAND)
def test_files_are_skimmed_bit_for_bit(shared_data, by_hand, name):
    assert_skimmed(shared_data / f"{name}.root", by_hand(name), BY_HAND[name][1], ADDED)


@pytest.mark.parametrize("name", SCORED)
def test_files_are_skimmed_bit_for_bit_by_a_model(shared_data, scored, name):
    out = scored(name)
    assert_skimmed(shared_data / f"{name}.root", out, SCORED[name], ["HepFilter_interest", *ADDED])
    with uproot.open(out) as file:
        interest = file[tree_of(name)]["HepFilter_interest"].array(library="np")
    assert interest.dtype == np.float32
    assert np.isfinite(interest).all()


def assert_skimmed(source: Path, out: Path, events: int, added: list[str]) -> None:
    """The kept entries of the events' tree, and all of the others, are the source's; so are all other objects."""
    main, entries = tree_of(source.stem), kept_entries(out)
    with uproot.open(source) as old, uproot.open(out) as new:
        assert len(entries) == events
        assert old[main].num_entries > events or events == 0
        kinds = old.classnames(cycle=False)
        assert new.classnames(cycle=False).items() >= kinds.items()
        for name, kind in kinds.items():
            own = added if name == main else []
            if kind == "TTree":
                kept = chosen(old[name].num_entries, entries if name == main else None)
                assert_same_tree(old[name], new[name], kept, added=own)
            elif kind == "ROOT::RNTuple":
                kept = chosen(old[name].num_entries, entries if name == main else None)
                assert_same_ntuple(source, out, name, kept, added=own)


def chosen(number: int, entries: np.ndarray | None) -> np.ndarray:
    """A mask of `number` entries: these, or all."""
    return np.ones(number, bool) if entries is None else np.isin(np.arange(number), entries)


def assert_same_ntuple(source: Path, out: Path, name: str, kept: np.ndarray, *, added: list[str]) -> None:
    old, new = open_ntuple(source, name), open_ntuple(out, name)
    assert list(new.field_names) == [*old.field_names, *added]
    assert new.num_entries == kept.sum()
    fields = {field.name: (field.type_name, field.description) for field in old.schema.fields}
    assert {field.name: (field.type_name, field.description) for field in new.schema.fields}.items() >= fields.items()
    assert len(column_values(new, added, range(new.num_entries))) == len(added)
    assert_copied(old, kept, new)


# What ROOT cannot read in the sources either. PHYSLITE: objects of unknown classes; what is in them are branches of
# their own. Special tree: uncompressed baskets that ROOT takes for compressed ones.
COMPARED = [
    *((name, tree_of(name), "by hand") for name in BY_HAND),
    *((name, tree_of(name), "scored") for name in ("nano_tt_v12", "nano_dimuon", "cms_run2015d_pf", "nano_dy_rntuple")),
    ("nano_dy_SpecialTree", "NotEvents", "by hand"),
    ("nano_dimuon", "Runs", "by hand"),
    ("pfnano", "LuminosityBlocks", "by hand"),
    ("physlite_rntuple", "EventTag", "by hand"),
]
SHELLS = ("xAOD::", "DataVector<", "BASE")
UNREADABLE = {"PHYSLITE_example": 489, "physlite_rntuple": 175, "nano_dy_SpecialTree": 19}


@pytest.fixture(scope="session")
def in_root(shared_data, by_hand, scored) -> dict[tuple[str, str, str], dict[str, Any]]:
    """What ROOT finds on comparing each skim with its source, all in one process."""
    if find_spec("ROOT") is None:
        pytest.skip("ROOT is not installed")
    pairs = []
    for name, tree, how in COMPARED:
        source, out = shared_data / f"{name}.root", (scored if how == "scored" else by_hand)(name)
        entries = kept_entries(out).tolist() if tree == tree_of(name) else [*range(shape(source, tree)[0])]
        pairs.append((str(source), str(out), tree, entries, UNKNOWN_CLASSES if name == "physlite_rntuple" else ()))
    return dict(zip(COMPARED, compare_in_root(pairs), strict=True))


@pytest.mark.parametrize(("name", "tree", "how"), COMPARED)
def test_root_reads_what_it_reads_from_the_source(shared_data, in_root, name, tree, how):
    """Every leaf and field: titles, types, counters, values."""
    found = in_root[name, tree, how]
    assert found["different"] == []
    assert len(found["unreadable"]) == (UNREADABLE.get(name, 0) if tree == tree_of(name) else 0)
    if name == "PHYSLITE_example":
        assert [kind for kind in found["unreadable"] if not kind.startswith(SHELLS)] == []
    _, branches = shape(shared_data / f"{name}.root", tree)
    assert found["leaves"] >= branches - (len(found["unreadable"]) if name in NTUPLES else 0)
    assert found["values"] > 0 or name.startswith("nano_dy_empty")


COFFEA = {
    "nano_dimuon": ("NanoAODSchema", "Muon.pt", "Jet.eta"),
    "nano_dy": ("NanoAODSchema", "Muon.pt", "Jet.eta"),
    "nano_dy_SpecialTree": ("NanoAODSchema", "Muon.pt", "Jet.eta"),
    "nano_dy_empty": ("NanoAODSchema", "Muon.pt", "Jet.eta"),
    "nano_tree": ("NanoAODSchema", "Muon.pt", "Jet.eta"),
    "nano_tt_v12": ("NanoAODSchema", "Muon.pt", "Jet.eta"),
    "nano_tt_v15": ("NanoAODSchema", "Muon.pt", "Jet.eta"),
    "nanoAOD_2015_CMS_Open_Data_ttbar": ("NanoAODSchema", "Muon.pt", "Jet.eta"),
    "Run2012B_SingleMu_1000": ("NanoAODSchema", "Muon.pt", "Jet.eta"),
    "cms_run2015d_pf": ("NanoAODSchema", "PFCands.pt", "FatJet.eta"),
    "pfnano": ("PFNanoAODSchema", "PFCands.pt", "Jet.eta"),
    "scouting_nano": ("ScoutingNanoAODSchema", "ScoutingPFJet.pt", "ScoutingMuon.eta"),
    "PHYSLITE_example": ("PHYSLITESchema", "Jets.pt", "Electrons.eta"),
    "delphes": ("DelphesSchema", "Jet.PT", "Track.Eta"),
    "treemaker": ("TreeMakerSchema", "Jets.pt", "Electrons.pt"),
    # without luminosityBlock, or run and event as well, NanoAODSchema refuses the sources too
    "missing_luminosityBlock": ("BaseSchema", "Muon_pt", "Jet_eta"),
    "run2012_dimuon_100k": ("BaseSchema", "Muon_pt", "Muon_eta"),
}
# coffea takes seconds to minutes for the many fields of an RNTuple, so one of them is read, and compared with the TTree
# of the same events; PHYSLITESchema finds nothing in the source, in whose names stands a colon for the dot.


def read_in_coffea(path: Path, schema: str) -> ak.Array:
    from coffea import nanoevents

    # DelphesSchema takes every branch for a collection with a counter, so those of a skim must be left out
    own = {"filter_branch": lambda branch: not branch.name.startswith("HepFilter")}
    return nanoevents.NanoEventsFactory.from_root(
        {str(path): tree_of(path.stem)},
        schemaclass=getattr(nanoevents, schema),
        mode="virtual",
        iteritems_options=own if schema == "DelphesSchema" else {},
    ).events()


def field(events: ak.Array, path: str) -> ak.Array:
    for name in path.split("."):
        events = events[name]
    return ak.materialize(events)


@pytest.mark.parametrize("name", COFFEA)
def test_coffea_reads_what_it_reads_from_the_source(shared_data, by_hand, name):
    schema, *paths = COFFEA[name]
    old, new = (read_in_coffea(path, schema) for path in (shared_data / f"{name}.root", by_hand(name)))
    kept = kept_entries(by_hand(name))
    assert len(new) == BY_HAND[name][1]
    for path in paths:
        before, after = field(old, path)[kept], field(new, path)
        assert ak.array_equal(before, after), path
        assert after.layout.parameters.get("__doc__") == before.layout.parameters.get("__doc__")
    if "NanoAOD" in schema or schema == "TreeMakerSchema":
        assert ak.materialize(new.HepFilter.entry).to_list() == kept.tolist()


def test_coffea_reads_a_skimmed_ntuple(shared_data, by_hand):
    old = read_in_coffea(shared_data / "nano_dy.root", "NanoAODSchema")
    new = read_in_coffea(by_hand("nano_dy_rntuple"), "NanoAODSchema")
    kept = kept_entries(by_hand("nano_dy_rntuple"))
    assert kept.tolist() == kept_entries(by_hand("nano_dy")).tolist()
    for path in ("Muon.pt", "Jet.eta"):
        assert field(old, path)[kept].to_list() == field(new, path).to_list()


def test_coffea_reads_the_score(scored):
    events = read_in_coffea(scored("nano_tt_v15"), "NanoAODSchema")
    with uproot.open({scored("nano_tt_v15"): "Events"}) as tree:
        assert field(events, "HepFilter.interest").to_list() == tree["HepFilter_interest"].array().to_list()
