"""High-level observables against plain arithmetic."""

import awkward as ak
import numpy as np
import pytest

from hepfilter.events.observables import OBSERVABLES, RELATIVE, observe, relative_to_hardness
from tests.graph_records import random_record, record_of


def named(record: ak.Array) -> dict[str, float]:
    """The observables of the first event."""
    return dict(zip(OBSERVABLES, observe(record)[0].tolist(), strict=True))


def mass_of(*objects: tuple[float, float, float, float]) -> float:
    """Invariant mass of objects given as pt, eta, phi, mass."""
    vectors = [
        (np.hypot(pt * np.cosh(eta), m), pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta))
        for pt, eta, phi, m in objects
    ]
    energy, px, py, pz = np.sum(vectors, axis=0)
    return float(np.sqrt(energy**2 - px**2 - py**2 - pz**2))


def test_jets_by_hand() -> None:
    jets = [(100.0, 1.0, 0.0, 9.0), (50.0, -1.5, 3.0, 4.0), (30.0, 0.0, -2.0, 1.0)]
    listed = [dict(zip(("pt", "eta", "phi", "mass"), jet, strict=True)) for jet in jets]
    found = named(record_of(1, jet=[listed], met=[[{"pt": 9.0, "phi": -2.9}]]))
    energies = [np.hypot(pt * np.cosh(eta), m) for pt, eta, _, m in jets]
    expected = {
        "ht": 180, "met": 9, "hardness": 189, "multiplicity": 3, "leading_pt": 100, "n_jets": 3, "jet1_pt": 100,
        "jet2_pt": 50, "jet3_pt": 30, "jet4_pt": 0, "jet1_abs_eta": 1, "jet2_abs_eta": 1.5, "jet1_mass": 9,
        "jet2_mass": 4, "dijet_mass": mass_of(*jets[:2]), "multijet_mass": mass_of(*jets),
        "visible_mass": mass_of(*jets),
        "dijet_delta_eta": 2.5, "dijet_delta_phi": 3, "jet_met_delta_phi": 2 * np.pi - 5.9,
        "centrality": 180 / sum(energies), "met_significance": 9 / np.sqrt(180),
    }  # fmt: skip
    rest = {name: value for name, value in found.items() if name not in expected}
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-5)
    assert set(rest.values()) == {0.0}


def test_leptons_photons_and_taus_by_hand() -> None:
    """The hardest lepton is an electron, the second a muon: both kinds are one list by pt."""
    record = record_of(
        1,
        jet=[[{"pt": 60.0, "eta": 0.5}]],
        muon=[[{"pt": 50.0, "phi": 2.0, "charge": -1.0}, {"pt": 20.0, "eta": 2.0, "charge": -1.0}]],
        electron=[[{"pt": 80.0, "eta": -1.0, "phi": 1.0, "charge": -1.0}]],
        photon=[[{"pt": 40.0, "eta": 1.0}, {"pt": 30.0, "phi": -1.0}]],
        tau=[[{"pt": 25.0}]],
        fatjet=[[{"pt": 300.0, "mass": 80.0}, {"pt": 200.0, "mass": 12.0}]],
        met=[[{"pt": 10.0, "phi": -2.0}]],
    )
    found = named(record)
    electron, muon, soft = (80.0, -1.0, 1.0, 0.0), (50.0, 0.0, 2.0, 0.0), (20.0, 2.0, 0.0, 0.0)
    jet, photon = (60.0, 0.5, 0.0, 0.0), (40.0, 1.0, 0.0, 0.0)
    expected = {
        "hardness": 315, "multiplicity": 7, "leading_pt": 80, "n_leptons": 3, "lepton1_pt": 80, "lepton2_pt": 50,
        "lepton_charge": 3, "dilepton_mass": mass_of(electron, muon), "multilepton_mass": mass_of(electron, muon, soft),
        "transverse_mass": np.sqrt(2 * 80 * 10 * (1 - np.cos(3.0))), "n_photons": 2, "photon1_pt": 40,
        "diphoton_mass": mass_of(photon, (30.0, 0.0, -1.0, 0.0)), "n_taus": 1, "tau1_pt": 25,
        "lepton_jet_mass": mass_of(electron, jet), "lepton_photon_mass": mass_of(electron, photon),
        "fatjet1_mass": 80, "fatjet2_mass": 12, "dijet_mass": 0,
    }  # fmt: skip
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-5)


def test_a_mass_of_many_needs_three_of_them() -> None:
    pair = [{"pt": 50.0, "eta": 1.0, "charge": 1.0}, {"pt": 40.0, "eta": -1.0, "charge": -1.0}]
    found = named(record_of(1, jet=[pair], muon=[pair]))
    assert found["dijet_mass"] > 0 and found["dilepton_mass"] > 0
    assert (found["multijet_mass"], found["multilepton_mass"], found["lepton_charge"]) == (0, 0, 0)


def test_an_empty_event_is_zero_everywhere() -> None:
    observed = observe(record_of(2))
    assert observed.tolist() == [[0.0] * len(OBSERVABLES)] * 2
    assert relative_to_hardness(observed).tolist() == [[0.0] * len(RELATIVE)] * 2


def test_one_row_an_event_all_finite_whatever_its_neighbours() -> None:
    record = random_record(60)
    found = observe(record)
    assert found.shape == (60, len(OBSERVABLES)) and found.dtype == np.float32
    assert np.isfinite(found).all()
    assert observe(record[17:29]) == pytest.approx(found[17:29], rel=1e-5, abs=1e-5)
    assert observe(record[:0]).shape == (0, len(OBSERVABLES))


def test_relative_observables_do_not_know_how_hard_an_event_is() -> None:
    """All energies scaled by 3: no relative observable changes."""
    record = random_record(200)
    harder = ak.zip({name: _scaled(record[name]) for name in record.fields}, depth_limit=1)
    relative = relative_to_hardness(observe(record))
    assert relative == pytest.approx(relative_to_hardness(observe(harder)), rel=1e-4, abs=1e-4)
    by_name = dict(zip(RELATIVE, relative.T, strict=True))
    share = observe(record)[:, OBSERVABLES.index("ht")] / observe(record)[:, OBSERVABLES.index("hardness")]
    assert by_name["ht_over_hardness"] == pytest.approx(np.nan_to_num(share), rel=1e-5)
    assert by_name["n_jets"].tolist() == observe(record)[:, OBSERVABLES.index("n_jets")].tolist()


def _scaled(objects: ak.Array) -> ak.Array:
    return ak.with_field(ak.with_field(objects, objects.pt * 3, "pt"), objects.mass * 3, "mass")
