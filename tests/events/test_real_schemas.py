"""The schemas that ship on the real files: which one is found, and that its objects are those of the file.

The files are read by uproot itself, so that this tests the schemas and the binding alone.
"""

from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

from hepfilter.config.schema import COLLECTIONS
from hepfilter.errors import SchemaError
from hepfilter.events.binding import Binding, bind
from hepfilter.events.record import Events
from hepfilter.events.schemas import _lacking, detect_schema, load_schema, schema_names

TREES = {
    "PHYSLITE_example.root": ("CollectionTree", "physlite"),
    "physlite_rntuple.root": ("EventData", "physlite"),
    "delphes.root": ("Delphes", "delphes"),
    "scouting_nano.root": ("Events", "scouting_nano"),
    "treemaker.root": ("PreSelection", "treemaker"),
    "cms_run2015d_pf.root": ("Events", "cms_pf_flat"),
    "pfnano.root": ("Events", "pfnano"),
    "pfnano_rntuple.root": ("Events", "pfnano"),
    "Run2012B_SingleMu_1000.root": ("Events", "nanoaod"),
    "missing_luminosityBlock.root": ("Events", "nanoaod"),
    "nanoAOD_2015_CMS_Open_Data_ttbar.root": ("Events", "nanoaod"),
    "nano_dimuon.root": ("Events", "nanoaod"),
    "nano_dimuon_rntuple.root": ("Events", "nanoaod"),
    "nano_dy.root": ("Events", "nanoaod"),
    "nano_dy_SpecialTree.root": ("Events", "nanoaod"),
    "nano_dy_empty.root": ("Events", "nanoaod"),
    "nano_dy_empty_rntuple.root": ("Events", "nanoaod"),
    "nano_dy_rntuple.root": ("Events", "nanoaod"),
    "nano_tree.root": ("Events", "nanoaod"),
    "nano_tt_v12.root": ("Events", "nanoaod"),
    "nano_tt_v15.root": ("Events", "nanoaod"),
    "run2012_dimuon_100k.root": ("Events", "nanoaod"),
}
WITHOUT_SCHEMA = {"uproot-HZZ.root": "events", "uproot-Zmumu.root": "events"}
WITHOUT_TREE = {"bad_delphes.root"}


def branch_names(path: Path, tree: str) -> tuple[str, ...]:
    """All branches, sub-branches included, by the name by which each can be read."""
    with uproot.open(path) as file:
        opened = file[tree]
        if isinstance(opened, uproot.behaviors.TTree.TTree):
            return tuple(branch.name for branch in opened.itervalues(recursive=True))
        return tuple(opened.keys(recursive=False))


@dataclass(frozen=True)
class Read:
    """A file, bound and read."""

    binding: Binding
    arrays: dict[str, ak.Array]
    events: Events

    def passing(self, collection: str, **other: ak.Array) -> int:
        """Objects that pass the cuts, before overlaps are removed; `other` arrays replace those of their branches."""
        bound = self.binding.collections[collection]
        objects, _ = bound.objects(self.arrays | other, to_gev=self.binding.schema.to_gev)
        columns = objects.columns
        inside = (columns["pt"] >= bound.pt_min) & (np.abs(columns["eta"]) <= bound.eta_max)
        return int(np.count_nonzero(columns["passed"] & inside))


PHYSLITE_MORE = (
    "MET_TruthAuxDyn.mpx",
    "MET_TruthAuxDyn.mpy",
    "MET_Core_AnalysisMETAuxDyn.name",
    "AnalysisJetsAuxDyn.HadronConeExclTruthLabelID",
)
MORE = {
    "PHYSLITE_example.root": PHYSLITE_MORE,
    "physlite_rntuple.root": tuple(name.replace(".", ":") for name in PHYSLITE_MORE),
    "treemaker.root": ("HT", "JetsAK8_softDropMass"),
}
"""Branches with which the events are compared."""


@cache
def read(path: Path) -> Read:
    tree, _ = TREES[path.name]
    names = branch_names(path, tree)
    binding = bind(detect_schema(names, tree), names)
    with uproot.open(path) as file:
        columns = file[tree].arrays([*binding.branches, *MORE.get(path.name, ())], library="ak", how=dict)
    return Read(binding, columns, binding.events(columns, file=str(path)))


def values(array: ak.Array) -> Any:
    """All numbers of an array, flat."""
    return ak.to_numpy(ak.flatten(array, axis=None))


def test_every_file_is_in_the_tables(shared_data: Path) -> None:
    there = {path.name for path in shared_data.glob("*.root")}
    assert there <= {*TREES, *WITHOUT_SCHEMA, *WITHOUT_TREE}


@pytest.mark.parametrize("name", TREES)
def test_one_schema_fits_best(shared_data: Path, name: str) -> None:
    tree, schema = TREES[name]
    names = branch_names(shared_data / name, tree)
    assert detect_schema(names, tree).name == schema
    schemas = [load_schema(known) for known in schema_names()]
    lengths = Counter(len(known.detect) for known in schemas if not _lacking(known, frozenset(names)))
    assert lengths[max(lengths)] == 1


@pytest.mark.parametrize("name", WITHOUT_SCHEMA)
def test_flat_ntuples_have_none(shared_data: Path, name: str) -> None:
    names = branch_names(shared_data / name, "events")
    with pytest.raises(SchemaError, match=r"^f\.root: tree events: no schema fits .* nearest, nanoaod, .* --schema$"):
        detect_schema(names, "events", file="f.root")


FOUND = {
    "PHYSLITE_example.root": (100, COLLECTIONS[:7]),
    "physlite_rntuple.root": (100, COLLECTIONS[:7]),
    "delphes.root": (25, COLLECTIONS),
    "scouting_nano.root": (40, ("jet", "fatjet", "muon", "electron", "photon", "met")),
    "treemaker.root": (10, ("jet", "fatjet", "muon", "electron", "photon", "met")),
}
FIRST = {
    "PHYSLITE_example.root": "AnalysisJetsAuxDyn.pt",
    "physlite_rntuple.root": "AnalysisJetsAuxDyn:pt",
    "delphes.root": "Jet.PT",
    "scouting_nano.root": "ScoutingPFJet_pt",
    "treemaker.root": "Jets.fCoordinates.fPt",
}


@pytest.mark.parametrize("name", FOUND)
def test_events_of_the_new_families(shared_data: Path, name: str) -> None:
    n_events, found = FOUND[name]
    file = read(shared_data / name)
    events, record = file.events, file.events.record
    assert file.binding.found == found
    assert len(events) == len(record) == n_events
    allowed = {f"{collection}: negative mass" for collection in COLLECTIONS} | {"particle: pt <= 0"}
    assert set(events.problems) <= allowed
    identity = events.identity
    assert len(set(zip(identity.run, identity.luminosity_block, identity.event, strict=True))) == n_events
    assert ak.all(ak.num(record.met) == 1)
    for collection in found:
        objects = ak.flatten(record[collection])
        assert np.isfinite(values(objects)).all()
        assert ak.all((objects.pt > 0) & (objects.pt < 7000) & (objects.mass >= 0) & (objects.mass < 500))
        bound = file.binding.collections[collection]
        assert ak.all((objects.pt >= np.float32(bound.pt_min)) & (abs(objects.eta) <= np.float32(bound.eta_max)))
    # The jets of the record are jets of the file, in GeV.
    in_file = values(file.arrays[FIRST[name]])
    assert events.objects_read["jet"] == len(in_file)
    assert np.isin(values(record.jet.pt), (in_file * file.binding.schema.to_gev).astype(np.float32)).all()
    assert ak.mean(ak.num(record.jet)) > 2
    assert 50 < ak.mean(ak.max(record.jet.pt, axis=1)) < 1000
    assert 5 < ak.mean(record.met.pt) < 100


@pytest.mark.parametrize("name", ["PHYSLITE_example.root", "physlite_rntuple.root"])
def test_physlite(shared_data: Path, name: str) -> None:
    mark = "." if name == "PHYSLITE_example.root" else ":"
    file = read(shared_data / name)

    def array(branch: str) -> ak.Array:
        return file.arrays[branch.replace(".", mark)]

    def column(collection: str, field: str) -> ak.Array:
        return array(f"Analysis{collection}AuxDyn.{field}")

    weights = array("EventInfoAuxDyn.mcEventWeights")
    assert ak.all(ak.num(weights) > 1)
    assert file.events.weight is not None
    assert file.events.weight.tolist() == weights[:, 0].tolist()
    assert file.events.identity.event.tolist() == array("EventInfoAuxDyn.eventNumber").tolist()
    assert file.events.identity.luminosity_block.tolist() == array("EventInfoAuxDyn.lumiBlock").tolist()

    pt, eta = column("Muons", "pt"), column("Muons", "eta")
    track, calorimeter = "ptvarcone30_Nonprompt_All_MaxWeightTTVA_pt1000", "topoetcone20"
    medium = np.isin(values(column("Muons", "quality")) % 8, [0, 1])
    passed = (pt >= 10e3) & (abs(eta) <= 2.7) & (column("Muons", track) <= 0.15 * pt)
    passed = passed & (column("Muons", calorimeter) <= 0.3 * pt)
    assert file.passing("muon") == np.count_nonzero(values(passed) & medium)
    isolated = {f"AnalysisMuonsAuxDyn{mark}{name}": pt * 0 for name in (track, calorimeter)}
    for quality, is_medium in ((9, True), (25, True), (24, True), (10, False), (26, False), (11, False)):
        all_alike = {f"AnalysisMuonsAuxDyn{mark}quality": ak.full_like(column("Muons", "quality"), quality)}
        central = ak.sum((pt >= 10e3) & (abs(eta) <= 2.7))
        assert file.passing("muon", **isolated, **all_alike) == central * is_medium

    pt, eta = column("Electrons", "pt"), column("Electrons", "eta")
    track = "ptvarcone30_Nonprompt_All_MaxWeightTTVALooseCone_pt1000"
    passed = (pt >= 10e3) & (abs(eta) <= 2.47) & (column("Electrons", track) <= 0.15 * pt)
    passed = passed & (column("Electrons", calorimeter) <= 0.2 * pt)
    passed = passed & (column("Electrons", "DFCommonElectronsLHLooseBL") == 1)
    assert file.passing("electron") == ak.sum(passed)
    assert file.passing("electron") > 10

    pt, eta = column("Photons", "pt"), column("Photons", "eta")
    passed = (pt >= 20e3) & (abs(eta) <= 2.37) & (column("Photons", "DFCommonPhotonsIsEMTight") == 1)
    passed = passed & (column("Photons", calorimeter) <= 0.065 * pt) & (column("Photons", "ptcone20") <= 0.05 * pt)
    assert file.passing("photon") == ak.sum(passed)

    pt, eta = column("Jets", "pt"), column("Jets", "eta")
    assert file.passing("jet") == ak.sum((pt >= 20e3) & (abs(eta) <= 4.5) & (column("Jets", "NNJvtPass") == 1))
    # The b tag belongs to its jet: true b jets have it, others do not.
    tagger = "GN2v00_pb" if mark == "." else "GN2v01_pb"
    btag, label = array(f"BTagging_AntiKt4EMPFlowAuxDyn.{tagger}"), column("Jets", "HadronConeExclTruthLabelID")
    assert ak.mean(btag[label == 5]) > 2.5 * ak.mean(btag[label == 0])
    assert np.isin(values(file.events.record.jet.btag), values(btag)).all()

    # The soft term is the one of tracks, as it is named.
    soft, _ = file.binding.collections["met"].objects(file.arrays, to_gev=1e-3)
    tracks = array("MET_Core_AnalysisMETAuxDyn.name") == "PVSoftTrkCore"
    mpx, mpy = (array(f"MET_Core_AnalysisMETAuxDyn.{name}")[tracks] for name in ("mpx", "mpy"))
    np.testing.assert_allclose(soft.columns["pt"], np.hypot(values(mpx), values(mpy)) / 1000, rtol=1e-6)

    # Missing momentum: near the neutrinos' (the first term of the truth), which the soft term alone is not in tt̄.
    met = ak.flatten(file.events.record.met)
    miss_x = values(met.pt * np.cos(met.phi) - array("MET_TruthAuxDyn.mpx")[:, 0] / 1000)
    miss_y = values(met.pt * np.sin(met.phi) - array("MET_TruthAuxDyn.mpy")[:, 0] / 1000)
    assert np.median(np.abs([miss_x, miss_y])) < 20
    if mark == ":":
        alone = values(mpx - array("MET_TruthAuxDyn.mpx")[:, 0]) / 1000
        assert np.std(miss_x) < 0.7 * np.std(alone)


def test_physlite_of_z_to_ee_has_the_z(shared_data: Path) -> None:
    electron = read(shared_data / "PHYSLITE_example.root").events.record.electron
    pairs = electron[ak.num(electron) == 2]
    first, second = pairs[:, 0], pairs[:, 1]
    angles = np.cosh(first.eta - second.eta) - np.cos(first.phi - second.phi)
    mass = np.sqrt(2 * first.pt * second.pt * angles)
    assert len(pairs) > 20
    assert abs(np.median(mass) - 91.2) < 3
    assert set(values(first.charge + second.charge)) <= {-2, 0, 2}
    assert np.mean(values(first.charge + second.charge) == 0) > 0.9


def test_delphes(shared_data: Path) -> None:
    file = read(shared_data / "delphes.root")
    events, arrays = file.events, file.arrays
    assert file.binding.books.identity is None
    assert file.binding.warnings == ("no identity in the schema: events are identified by file name and entry",)
    assert events.weight is not None
    assert events.weight.tolist() == values(arrays["Event.Weight"]).tolist()
    assert np.array_equal(values(events.record.met.pt), values(arrays["MissingET.MET"]))
    tags = ak.to_numpy(ak.flatten(arrays["Jet.BTag"]))
    assert file.passing("tau") == ak.sum((arrays["Jet.TauTag"] > 0) & (abs(arrays["Jet.Eta"]) <= 2.5))
    assert 0 < ak.sum(events.record.jet.btag == 1) <= np.count_nonzero(tags)
    isolated = (arrays["Electron.PT"] >= 10) & (arrays["Electron.IsolationVar"] <= 0.12)
    assert file.passing("electron") == ak.sum(isolated)

    sources = ("EFlowTrack.PT", "EFlowPhoton.ET", "EFlowNeutralHadron.ET")
    assert events.objects_read["particle"] == sum(ak.count(arrays[name]) for name in sources)
    assert events.problems["particle: pt <= 0"] == ak.sum(arrays["EFlowTrack.PT"] <= 0)
    for name, pdg_ids in zip(sources, ([11, 13, 211, 321, 2212], [22], [130]), strict=True):
        kind = np.isin(abs(values(events.record.particle.pdg_id)), pdg_ids)
        there = (arrays[name] >= 0.5) & (abs(arrays[name.rsplit(".")[0] + ".Eta"]) <= 5)
        assert np.count_nonzero(kind) == ak.sum(there)
        assert np.all((values(events.record.particle.charge)[kind] != 0) == (name == "EFlowTrack.PT"))


def test_the_particles_of_delphes_balance_its_missing_momentum(shared_data: Path) -> None:
    """Energy flow and MET are made of the same: without cuts, the particles of all sources sum up to −MET."""
    file = read(shared_data / "delphes.root")
    particles, _ = file.binding.collections["particle"].objects(file.arrays, to_gev=1.0)
    met = ak.flatten(file.events.record.met)
    for trig in (np.cos, np.sin):
        total = np.zeros(len(met))
        np.add.at(total, particles.event, particles.columns["pt"] * trig(particles.columns["phi"]))
        np.testing.assert_allclose(total, -values(met.pt * trig(met.phi)), atol=1e-3)


def test_scouting(shared_data: Path) -> None:
    file = read(shared_data / "scouting_nano.root")
    assert file.binding.books.identity == ("run", "luminosityBlock", "event")
    assert file.binding.schema.bookkeeping == ("Runs", "LuminosityBlocks")
    assert file.events.weight is not None
    assert file.events.weight.tolist() == file.arrays["genWeight"].tolist()
    muon = {name.split("_", 1)[1]: values(array) for name, array in file.arrays.items() if "ScoutingMuon" in name}
    passed = (muon["pt"] >= 10) & (abs(muon["eta"]) <= 2.4) & (muon["normchi2"] <= 10) & (muon["nValidPixelHits"] > 0)
    passed &= (muon["nTrackerLayersWithMeasurement"] > 5) & (muon["trackIso"] / muon["pt"] <= 0.1)
    assert file.passing("muon") == np.count_nonzero(passed) > 0
    for share, kept in ((0.09, True), (0.11, False)):
        isolation = {"ScoutingMuon_trackIso": file.arrays["ScoutingMuon_pt"] * share}
        assert (file.passing("muon", **isolation) > 0) == kept
    photon = {name.split("_", 1)[1]: values(array) for name, array in file.arrays.items() if "ScoutingPhoton" in name}
    passed = (photon["pt"] >= 20) & (abs(photon["eta"]) <= 2.5) & (photon["sigmaIetaIeta"] <= 0.0272)
    passed &= (photon["hOverE"] <= 0.059) & (photon["ecalIso"] / photon["pt"] <= 0.1)
    assert file.passing("photon") == np.count_nonzero(passed & (photon["hcalIso"] / photon["pt"] <= 0.1)) > 0
    assert file.passing("photon", ScoutingPhoton_hOverE=ak.full_like(file.arrays["ScoutingPhoton_pt"], 0.06)) == 0
    # Events without prompt leptons and photons: next to nothing of what the trigger wrote as such is one.
    means = {name: ak.mean(ak.num(file.events.record[name])) for name in ("muon", "electron", "photon")}
    assert max(means.values()) < 0.06
    assert ak.count(file.arrays["ScoutingPhoton_pt"]) > 100


def test_treemaker(shared_data: Path) -> None:
    file = read(shared_data / "treemaker.root")
    events, arrays = file.events, file.arrays
    assert file.binding.books.identity == ("RunNum", "LumiBlockNum", "EvtNum")
    assert events.identity.event.tolist() == arrays["EvtNum"].tolist()
    assert events.weight is not None
    assert events.weight.tolist() == arrays["Weight"].tolist()
    np.testing.assert_allclose(values(events.record.met.pt), arrays["MET"], rtol=1e-6)
    jets = {name.rsplit(".f", 1)[-1]: array for name, array in file.arrays.items() if name.startswith("Jets.")}
    good = (jets["Pt"] >= 20) & (abs(jets["Eta"]) <= 4.7) & arrays["Jets_ID"]
    assert file.passing("jet") == ak.sum(good) > 20
    assert file.passing("jet", Jets_ID=arrays["Jets_ID"] & False) == 0
    # HT of the file is the scalar sum of its jets above 30 GeV within |η| < 2.4: so it is in the record.
    jet = events.record.jet
    np.testing.assert_allclose(ak.sum(jet.pt[(jet.pt > 30) & (abs(jet.eta) < 2.4)], axis=1), arrays["HT"], rtol=1e-5)
    fat = events.record.fatjet
    assert ak.all(ak.num(fat) == 2)
    assert 30 < ak.mean(fat.mass) < 90  # of pt, η and E
    assert ak.mean(fat.mass) > np.mean(values(arrays["JetsAK8_softDropMass"]))
