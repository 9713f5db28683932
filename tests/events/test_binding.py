"""Binding a schema to a tree, and reading events through it."""

from collections.abc import Mapping
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hepfilter.config.base import validate
from hepfilter.config.schema import COLLECTIONS, Schema
from hepfilter.errors import SchemaError
from hepfilter.events.binding import bind
from hepfilter.events.record import Events
from hepfilter.events.schemas import load_schema
from hepfilter.io.events import find_events
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source
from hepfilter.io.writing import Column, create_root
from tests.events.generated_events import nanoaod_arrays

NANOAOD = load_schema("nanoaod")


def own(collections: str, **changes: object) -> Schema:
    data = {"name": "own", "title": "own", "tree": "events", "collections": yaml.safe_load(collections)}
    return validate(data | changes, Schema, where="own.yaml")


def read(schema: Schema, arrays: Mapping[str, ak.Array], **options: object) -> Events:
    return bind(schema, arrays).events(arrays, **options)  # type: ignore[arg-type]


def assert_physical(events: Events) -> None:
    """What the record promises for every object of every collection."""
    assert tuple(events.record.fields) == COLLECTIONS
    for name in COLLECTIONS:
        objects = ak.flatten(events.record[name])
        for field in objects.fields:
            assert str(ak.type(objects[field]).content) == ("int32" if field == "pdg_id" else "float32")
            assert np.isfinite(ak.to_numpy(objects[field])).all()
        assert ak.all(objects.pt > 0)
        assert ak.all(objects.mass >= 0)
        assert ak.all(abs(objects.phi) <= np.float32(np.pi))
        assert ak.all(abs(objects.eta) <= 10)
        pt = events.record[name].pt
        assert ak.all(pt[:, 1:] <= pt[:, :-1])
    assert ak.all(ak.num(events.record.met) <= 1)
    assert ak.all(events.record.met.eta == 0)


def test_nanoaod_arrays_become_events() -> None:
    arrays = nanoaod_arrays(200)
    binding = bind(NANOAOD, arrays)
    assert binding.found == ("jet", "muon", "electron", "photon", "met")
    assert binding.absent == ("fatjet", "tau", "particle")
    assert set(binding.branches) == set(arrays)
    assert binding.warnings == ()
    events = binding.events(arrays)
    assert_physical(events)
    assert len(events) == len(events.record) == 200
    assert events.identity.event.tolist() == list(range(200))
    assert events.weight is not None
    np.testing.assert_array_equal(events.weight, ak.to_numpy(arrays["genWeight"]))
    assert events.problems == {}
    assert events.objects_read["jet"] == ak.count(arrays["Jet_pt"])
    assert ak.all(events.record.jet.pt >= 20)
    assert ak.all(abs(events.record.muon.eta) <= 2.4)
    assert ak.all(events.record.muon.mass == np.float32(0.1056584))
    assert set(ak.flatten(events.record.muon.charge)) <= {-1, 1}
    # Every object of the record is one of the file.
    assert set(ak.flatten(events.record.jet.pt)) <= set(ak.flatten(arrays["Jet_pt"]))


def test_only_what_is_wanted_and_what_that_needs_is_read() -> None:
    arrays = nanoaod_arrays(50)
    whole = bind(NANOAOD, arrays).events(arrays)
    met = bind(NANOAOD, arrays, wanted=("met",))
    assert met.read == ("met",)
    assert not [name for name in met.branches if name.startswith("Jet")]
    jets = bind(NANOAOD, arrays, wanted=("jet",))
    assert jets.read == ("jet", "muon", "electron", "photon")
    assert ak.to_list(jets.events(arrays).record.jet) == ak.to_list(whole.record.jet)


def test_no_events() -> None:
    arrays = {name: array[:0] for name, array in nanoaod_arrays(3).items()}
    events = read(NANOAOD, arrays)
    assert len(events) == len(events.record) == 0
    assert_physical(events)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 12), st.integers(0, 2**30))
def test_reading_in_parts_gives_the_same_events(cut: int, seed: int) -> None:
    arrays = nanoaod_arrays(13, seed=seed)
    parts = [{name: array[low:high] for name, array in arrays.items()} for low, high in ((0, cut), (cut, 13))]
    whole = read(NANOAOD, arrays)
    joined = ak.concatenate([read(NANOAOD, part).record for part in parts])
    assert ak.to_list(whole.record) == ak.to_list(joined)


PLANTED = [np.nan, np.inf, -np.inf, -20.0, 0.0]


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**30), st.sampled_from(["Jet", "Muon", "Electron", "Photon"]), st.sampled_from(["pt", "eta", "phi"])
)
def test_planted_nonsense_never_reaches_the_record(seed: int, collection: str, field: str) -> None:
    arrays = nanoaod_arrays(20, seed=seed)
    rng = np.random.default_rng(seed)
    branch = f"{collection}_{field}"
    values = ak.to_numpy(ak.flatten(arrays[branch])).copy()
    where = rng.random(len(values)) < 0.3
    values[where] = rng.choice(PLANTED[:3] if field != "pt" else PLANTED, int(where.sum()))
    arrays[branch] = ak.unflatten(values, ak.num(arrays[branch]))
    events = read(NANOAOD, arrays)
    assert_physical(events)
    assert len(events) == 20
    assert sum(events.problems.values()) == where.sum()
    assert all(problem.startswith(f"{collection.lower()}: ") for problem in events.problems)


def test_planted_nonsense_in_a_file(tmp_path: Path) -> None:
    """The same through a ROOT file, for MET, weights and masses as well."""
    arrays = nanoaod_arrays(6)
    arrays["MET_pt"] = ak.Array(np.array([30, np.nan, np.inf, -5, 0, 40], np.float32))
    arrays["MET_phi"] = ak.Array(np.array([1, 1, 1, 1, 1, np.nan], np.float32))
    arrays["genWeight"] = ak.Array(np.array([1, np.nan, 1, np.inf, 1, -1], np.float32))
    arrays["Jet_mass"] = ak.unflatten(
        np.full(int(ak.count(arrays["Jet_pt"])), -1e-5, np.float32), ak.num(arrays["Jet_pt"])
    )
    columns = [
        Column(
            name,
            str(ak.to_numpy(ak.flatten(array, axis=None)).dtype),
            counter=f"n{name.split('_')[0]}" if array.ndim > 1 else None,
        )
        for name, array in arrays.items()
    ]
    with create_root(tmp_path / "f.root") as out, out.new_tree("Events", columns) as tree:
        tree.extend({name: array if array.ndim > 1 else ak.to_numpy(array) for name, array in arrays.items()})
    with open_file(Source(str(tmp_path / "f.root"))) as file:
        events = find_events(file).read()
    assert_physical(events)
    assert ak.num(events.record.met).tolist() == [1, 0, 0, 0, 0, 0]
    assert events.weight is not None
    assert events.weight.tolist() == [1, 0, 1, 0, 1, -1]
    assert events.problems == {
        "weight: non-finite": 2,
        "jet: negative mass": int(ak.count(arrays["Jet_pt"])),
        "met: non-finite kinematics": 3,
        "met: pt <= 0": 2,
    }


def test_met_falls_back_in_the_stated_order() -> None:
    arrays = nanoaod_arrays(2)
    for name in ("RawMET", "RawPFMET", "PFMET", "PuppiMET"):
        del (
            arrays[next(n for n in arrays if n.endswith("MET_pt"))],
            arrays[next(n for n in arrays if n.endswith("MET_phi"))],
        )
        arrays |= {f"{name}_pt": ak.Array([7.0, 8.0]), f"{name}_phi": ak.Array([0.0, 1.0])}
        assert bind(NANOAOD, arrays).collections["met"].branches == (f"{name}_pt", f"{name}_phi")
    assert ak.flatten(read(NANOAOD, arrays).record.met.pt).tolist() == [7, 8]


def test_quality_cuts_apply_where_their_branch_exists() -> None:
    arrays = {
        name: array for name, array in nanoaod_arrays(50).items() if name.startswith(("Muon", "run", "event", "lumi"))
    }
    everything = read(NANOAOD, arrays).record.muon
    passed = ak.unflatten(np.arange(ak.count(arrays["Muon_pt"])) % 2, ak.num(arrays["Muon_pt"]))
    cut = read(NANOAOD, arrays | {"Muon_isPFcand": passed, "Muon_looseId": passed * 0}).record.muon
    assert 0 < ak.count(cut.pt) < ak.count(everything.pt)
    assert set(ak.flatten(cut.pt)) <= set(ak.flatten(arrays["Muon_pt"][passed == 1]))


def test_without_identity_file_name_and_entry_serve() -> None:
    arrays = nanoaod_arrays(3)
    del arrays["luminosityBlock"]
    binding = bind(NANOAOD, arrays)
    assert binding.books.identity is None
    assert "run" not in binding.branches
    assert binding.warnings == ("no branch luminosityBlock: events are identified by file name and entry",)
    identity = binding.events(arrays, file="x/a.root", first_entry=7).identity
    assert identity.event.tolist() == [7, 8, 9]
    assert identity.run.tolist() == [0, 0, 0]
    assert len(set(identity.luminosity_block.tolist())) == 1


def test_an_identity_of_the_schema_without_luminosity_block() -> None:
    schema = own("{muon: {alternatives: [{pt: pt, eta: eta, phi: phi}]}}", identity={"run": "Run", "event": "Event"})
    column = ak.Array([[1.0], [2.0]])
    arrays = {"Run": ak.Array([5, 6]), "Event": ak.Array([2**40, 1]), "pt": column, "eta": column, "phi": column}
    identity = read(schema, arrays).identity
    assert identity.run.tolist() == [5, 6]
    assert identity.luminosity_block.tolist() == [0, 0]
    assert identity.event.tolist() == [2**40, 1]
    with pytest.raises(SchemaError, match=r"branch Run: holds float64; an identity needs integers"):
        read(schema, arrays | {"Run": ak.Array([5.0, 6.0])})


MUON = "{muon: {alternatives: [{pt: pt, eta: eta, phi: phi, mass: 0.1}]}}"


@pytest.mark.parametrize(
    ("weights", "expected", "problems"),
    [
        (ak.Array([[2.0, 9.0], [-3.0]]), [2, -3], {}),
        (ak.Array(np.array([[2.0, 9.0], [np.nan, 4.0]])), [2, 0], {"weight: non-finite": 1}),
        (ak.Array([[], [np.inf]]), [0, 0], {"weight: none in the list": 1, "weight: non-finite": 1}),
        (ak.Array([[], []]), [0, 0], {"weight: none in the list": 2}),
        (ak.Array([[5], [7]]), [5, 7], {}),
    ],
)
def test_of_a_list_of_weights_the_first_is_the_nominal_one(
    weights: ak.Array, expected: list[float], problems: dict[str, int]
) -> None:
    column = ak.Array([[1.0], [2.0]])
    arrays = {"w": weights, "pt": column, "eta": column, "phi": column}
    events = read(own(MUON, weight="w"), arrays)
    assert events.weight is not None
    assert events.weight.dtype == np.float64
    assert events.weight.tolist() == expected
    assert events.problems == problems


def test_a_weight_of_lists_of_lists_is_refused() -> None:
    column = ak.Array([[1.0]])
    with pytest.raises(SchemaError, match=r"branch w: holds .*; the schema needs numbers or one list of numbers"):
        read(own(MUON, weight="w"), {"w": ak.Array([[[1.0]]]), "pt": column, "eta": column, "phi": column})


DOTTED = """
muon:
  alternatives:
    - pt: M.pt
      eta: M.eta
      phi: M.phi
      mass: 0.1
      btag: {first_of: [M.none, M.b]}
      cuts: [{branch: M.id, min: 1}]
"""


@pytest.mark.parametrize("mark", [".", ":"])
def test_names_as_a_tree_and_as_an_rntuple_spell_them(mark: str) -> None:
    column = ak.Array([[30.0, 1.0], [2.0]])
    arrays = {f"M{mark}{field}": column for field in ("pt", "eta", "phi", "b")}
    arrays |= {f"M{mark}id": ak.Array([[0, 1], [1]]), f"E{mark}w": ak.Array([4.0, 5.0])}
    arrays |= {f"E{mark}run": ak.Array([1, 1]), f"E{mark}event": ak.Array([8, 9])}
    identity = {"run": "E.run", "event": "E.event"}
    schema = own(DOTTED, identity=identity, weight="E.w", detect=["M.pt", ["M.no", "M.id"]])
    binding = bind(schema, arrays)
    assert set(binding.branches) == set(arrays)
    events = binding.events(arrays)
    assert events.record.muon.pt.tolist() == [[1], [2]]
    assert events.record.muon.btag.tolist() == [[1], [1]]
    assert events.identity.event.tolist() == [8, 9]
    assert events.weight is not None
    assert events.weight.tolist() == [4, 5]


PHOTONS = "{pt: P.pt, eta: P.eta, phi: P.phi, mass: 0, charge: 0, pdg_id: 22}"
JOINED = f"""
particle:
  alternatives:
    - {{pt: T.pt, eta: T.eta, phi: T.phi, mass: 0.1, charge: T.q, also: [{PHOTONS}]}}
    - {{pt: C.pt, eta: C.eta, phi: C.phi, mass: 0}}
"""


def joined_arrays() -> dict[str, ak.Array]:
    tracks, photons = ak.Array([[1.0, 3.0], []]), ak.Array([[2.0], [4.0]])
    arrays = {f"T.{field}": tracks for field in ("pt", "eta", "phi", "q")}
    return arrays | {f"P.{field}": photons for field in ("pt", "eta", "phi")}


def test_sources_that_join_a_collection() -> None:
    arrays = joined_arrays()
    binding = bind(own(JOINED), arrays)
    assert binding.branches == tuple(arrays)
    events = binding.events(arrays)
    assert events.record.particle.pt.tolist() == [[3, 2, 1], [4]]
    assert events.record.particle.charge.tolist() == [[3, 0, 1], [0]]
    assert events.record.particle.pdg_id.tolist() == [[0, 22, 0], [22]]
    assert events.objects_read == {"particle": 4}


@pytest.mark.parametrize(("lacking", "pt"), [("T", [[2], [4]]), ("P", [[3, 1], []])])
def test_a_source_that_the_tree_lacks_is_told(lacking: str, pt: list[list[float]]) -> None:
    arrays = {name: array for name, array in joined_arrays().items() if not name.startswith(lacking)}
    binding = bind(own(JOINED), arrays)
    assert f"particle: no branch {lacking}.pt, the objects of that source are missing" in binding.warnings
    assert binding.events(arrays).record.particle.pt.tolist() == pt


def test_a_source_that_is_there_in_part() -> None:
    arrays = joined_arrays()
    del arrays["P.phi"]
    with pytest.raises(SchemaError, match=r"particle: no branch P\.phi, though P\.pt is there"):
        bind(own(JOINED), arrays)
    calorimeter = {f"C.{field}": arrays["P.pt"] for field in ("pt", "eta", "phi")}
    assert bind(own(JOINED), arrays | calorimeter).collections["particle"].branches == tuple(calorimeter)


BUILT = """
jet: {pt_min: 20, alternatives: [{pt: J, eta: Jeta, phi: Jphi, mass: 0}]}
muon: {alternatives: [{pt: M, eta: Meta, phi: Mphi, mass: 0}]}
met: {alternatives: [{px: x, py: y, minus: [muon, photon, jet]}]}
"""


def test_missing_momentum_is_built_of_the_cleaned_objects() -> None:
    arrays = {
        "J": ak.Array([[50.0, 10.0], [80.0], []]), "Jeta": ak.Array([[0.0, 0.0], [0.0], []]),
        "Jphi": ak.Array([[0.0, 0.0], [0.0], []]), "M": ak.Array([[30.0], [70.0], []]),
        "Meta": ak.Array([[0.0], [0.0], []]), "Mphi": ak.Array([[np.pi / 2], [0.0], []]),
        "x": ak.Array([[10.0], [0.0], [0.0]]), "y": ak.Array([[-10.0], [0.0], [0.0]]),
    }  # fmt: skip
    binding = bind(own(BUILT), arrays, wanted=("met",))
    assert binding.read == ("jet", "muon", "met")
    events = binding.events(arrays)
    # Soft (10, -10), jet (50, 0), muon (0, 30), and the jet below 20 GeV is none; a muon inside a jet; nothing.
    np.testing.assert_allclose(ak.flatten(events.record.met.pt), [np.hypot(40, 40), 150], rtol=1e-6)
    assert events.record.jet.pt.tolist() == [[50], [], []]
    np.testing.assert_allclose(np.abs(ak.flatten(events.record.met.phi)), [np.pi * 3 / 4, np.pi], rtol=1e-6)
    assert ak.num(events.record.met).tolist() == [1, 1, 0]
    assert events.problems == {}
    assert_physical(events)
    assert bind(own(BUILT), arrays, wanted=("particle", "muon")).read == ("jet", "muon")


def test_a_collection_that_is_there_in_part() -> None:
    names = ["Jet_pt", "Jet_eta", "Jet_Phi", "Muon_pt", "Muon_eta", "Muon_phi"]
    with pytest.raises(
        SchemaError, match=r"^f: schema nanoaod, jet: no branch Jet_phi, though Jet_pt is there; nearest: Jet_Phi"
    ):
        bind(NANOAOD, names, where="f")


def test_a_missing_mass_is_told() -> None:
    binding = bind(NANOAOD, ["run", "luminosityBlock", "event", "Jet_pt", "Jet_eta", "Jet_phi"])
    assert binding.warnings == ("jet: no branch Jet_mass, masses are 0",)


def test_detect_is_demanded_of_a_schema_given_by_name() -> None:
    with pytest.raises(SchemaError, match=r"f: schema pfnano: no branch PFCands_pt; nearest: PFCand_pt"):
        bind(load_schema("pfnano"), ["Jet_pt", "PFCand_pt"], where="f")


def test_none_of_the_wanted_collections() -> None:
    with pytest.raises(SchemaError, match="schema nanoaod: the tree has no jet or met; nearest: GenJet_pt"):
        bind(NANOAOD, ["Muon_pt", "Muon_eta", "Muon_phi", "GenJet_pt"], wanted=("jet", "met"))


def test_errors_in_reading_begin_with_the_place() -> None:
    arrays = nanoaod_arrays(2) | {"Jet_phi": ak.Array([[], [[1.0]]])}
    with pytest.raises(SchemaError, match=r"^f: tree Events: branch Jet_phi: holds"):
        bind(NANOAOD, arrays, where="f: tree Events").events(arrays)


ZMUMU = """
muon:
  alternatives:
    - {pt: [pt1, pt2], eta: [eta1, eta2], phi: [phi1, phi2], mass: 0.10566, charge: [Q1, Q2]}
"""
ZMUMU_MOMENTA = "muon: {alternatives: [{px: [px1, px2], py: [py1, py2], pz: [pz1, pz2], mass: 0.10566}]}"
HZZ = """
jet: {alternatives: [{px: Jet_Px, py: Jet_Py, pz: Jet_Pz, energy: Jet_E, btag: Jet_btag}]}
muon: {alternatives: [{px: Muon_Px, py: Muon_Py, pz: Muon_Pz, mass: 0.10566, charge: Muon_Charge}]}
met: {alternatives: [{px: MET_px, py: MET_py}]}
"""


def test_flat_ntuple_of_scalars(shared_data: Path, tmp_path: Path) -> None:
    """uproot-Zmumu: two muons an event as pt1, eta1, …, pt2, …; through a user's YAML file."""
    path = tmp_path / "zmumu.yaml"
    head = "name: zmumu\ntitle: Z to mu mu\ntree: events\nidentity: {run: Run, event: Event}\ncollections:"
    path.write_text(head + ZMUMU.replace("\n", "\n  ") + "\n")
    with open_file(Source(str(shared_data / "uproot-Zmumu.root"))) as file:
        found = find_events(file, schema=str(path))
        events = found.read()
        columns = file.tree("events").arrays(["pt1", "pt2", "px1", "px2", "py1", "py2", "pz1", "pz2", "Q1", "Q2"])
    assert_physical(events)
    assert len(events) == 2304
    assert set(ak.num(events.record.muon)) == {2}
    assert events.identity.run[0] == 148031
    leading = np.maximum(columns["pt1"], columns["pt2"])
    np.testing.assert_allclose(events.record.muon.pt[:, 0], leading, rtol=1e-6)
    assert ak.all(ak.sum(events.record.muon.charge, axis=1) == columns["Q1"] + columns["Q2"])
    from_momenta = read(own(ZMUMU_MOMENTA), columns)
    size = [np.hypot(columns[f"px{i}"], columns[f"py{i}"]) for i in (1, 2)]
    np.testing.assert_allclose(from_momenta.record.muon.pt[:, 0], np.maximum(*size), rtol=1e-6)
    np.testing.assert_allclose(from_momenta.record.muon.pt[:, 1], np.minimum(*size), rtol=1e-6)


def test_ntuple_of_momenta(shared_data: Path) -> None:
    """uproot-HZZ: Px, Py, Pz, E; MET as px, py."""
    with open_file(Source(str(shared_data / "uproot-HZZ.root"))) as file:
        tree = file.tree("events")
        binding = bind(own(HZZ), tree.branch_names)
        arrays = tree.arrays([*binding.branches, "Muon_E"])
        events = binding.events(arrays)
    assert_physical(events)
    assert binding.warnings == ("no identity in the schema: events are identified by file name and entry",)
    muons = events.record.muon
    np.testing.assert_allclose(
        ak.sum(muons.pt * np.cosh(muons.eta)), ak.sum(arrays["Muon_E"]) - _lost_energy(events, arrays), rtol=1e-4
    )
    np.testing.assert_allclose(
        ak.flatten(events.record.met.pt), np.hypot(arrays["MET_px"], arrays["MET_py"]), rtol=1e-6
    )


def _lost_energy(events: Events, arrays: Mapping[str, ak.Array]) -> float:
    """The energy of muons that count as parts of jets: all those whose pt is not in the record."""
    kept = set(np.round(ak.to_numpy(ak.flatten(events.record.muon.pt)), 3))
    pt = np.hypot(ak.flatten(arrays["Muon_Px"]), ak.flatten(arrays["Muon_Py"]))
    lost = [value not in kept for value in np.round(ak.to_numpy(pt), 3)]
    return float(ak.sum(ak.flatten(arrays["Muon_E"])[lost]))


REAL = {
    "nano_tt_v12.root": ("nanoaod", 200, ("jet", "fatjet", "muon", "electron", "met")),
    "nano_tt_v15.root": ("nanoaod", 200, COLLECTIONS[:7]),
    "nano_tree.root": ("nanoaod", 10, ("jet", "muon", "electron", "photon", "tau", "met")),
    "nano_dimuon.root": ("nanoaod", 40, COLLECTIONS[:7]),
    "nano_dy.root": ("nanoaod", 40, COLLECTIONS[:7]),
    "nano_dy_SpecialTree.root": ("nanoaod", 40, COLLECTIONS[:7]),
    "nano_dy_empty.root": ("nanoaod", 0, COLLECTIONS[:7]),
    "nanoAOD_2015_CMS_Open_Data_ttbar.root": ("nanoaod", 200, COLLECTIONS[:7]),
    "missing_luminosityBlock.root": ("nanoaod", 2, COLLECTIONS[:7]),
    "Run2012B_SingleMu_1000.root": ("nanoaod", 1000, ("jet", "muon", "electron", "photon", "tau", "met")),
    "run2012_dimuon_100k.root": ("nanoaod", 100_000, ("muon",)),
    "pfnano.root": ("pfnano", 10, COLLECTIONS),
    "cms_run2015d_pf.root": ("cms_pf_flat", 2450, ("jet", "fatjet", "muon", "electron", "photon", "met", "particle")),
}


@pytest.mark.parametrize("name", REAL)
def test_real_files(shared_data: Path, name: str) -> None:
    schema, n_events, found_collections = REAL[name]
    with open_file(Source(str(shared_data / name))) as file:
        found = find_events(file)
        events = found.read()
    assert found.binding.schema.name == schema
    assert found.binding.found == found_collections
    assert len(events) == len(events.record) == n_events
    assert_physical(events)
    allowed = {f"{collection}: negative mass" for collection in COLLECTIONS} | {"muon: pt or mass > 7 TeV"}
    assert set(events.problems) <= allowed
    if found.binding.books.identity:
        ids = set(zip(events.identity.run, events.identity.luminosity_block, events.identity.event, strict=True))
        assert len(ids) == n_events


def test_fakes_are_gone_and_leptons_stay(shared_data: Path) -> None:
    """v15 is all-hadronic tt̄: its loose collections hold fakes alone. The dimuon and DY files have real leptons."""
    means = {}
    for name in ("nano_tt_v15.root", "nano_dy.root", "nanoAOD_2015_CMS_Open_Data_ttbar.root"):
        with open_file(Source(str(shared_data / name))) as file:
            events = find_events(file).read()
        means[name] = {
            c: float(ak.mean(ak.num(events.record[c]))) for c in ("muon", "electron", "photon", "tau", "jet")
        }
    hadronic = means["nano_tt_v15.root"]
    assert max(hadronic[c] for c in ("muon", "electron", "photon", "tau")) < 0.03
    assert hadronic["jet"] > 6
    assert means["nano_dy.root"]["muon"] + means["nano_dy.root"]["electron"] > 0.5
    assert means["nanoAOD_2015_CMS_Open_Data_ttbar.root"]["muon"] > 0.15
