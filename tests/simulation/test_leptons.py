from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from hepfilter.simulation.detector import detect
from hepfilter.simulation.flat import Candidates, FlatObjects, prompt
from hepfilter.simulation.leptons import (
    ELECTRON_WORKING_POINTS,
    MUON_WORKING_POINTS,
    PHOTON_WORKING_POINTS,
    electrons,
    muons,
    photons,
    relative_isolation,
    working_point,
)  # fmt: skip

Maker = Callable[..., FlatObjects]


def _perfect(objects: FlatObjects) -> Candidates:
    """These objects as candidates, with impact parameters that tell them apart."""
    rank = np.arange(len(objects), dtype=np.float64)
    return Candidates(
        objects=objects,
        d0=rank,
        d0_error=rank + 0.1,
        dz=rank + 0.2,
        dz_error=rank + 0.3,
        is_pileup=np.zeros(len(objects), dtype=bool),
        puppi=np.ones(len(objects)),
    )


def test_isolation_equals_a_double_loop(top_candidates: Candidates) -> None:
    everything = top_candidates.objects
    leptons = everything[np.isin(np.abs(everything.pdg_id), [11, 13])]
    found = relative_isolation(leptons, everything, cone=0.4, photon_veto=0.05)
    assert len(leptons) > 60
    for row in range(len(leptons)):
        near = everything[everything.event == leptons.event[row]]
        phi = np.angle(np.exp(1j * (near.phi - leptons.phi[row])))
        distance = np.hypot(near.eta - leptons.eta[row], phi)
        counted = (distance < 0.4) & ~np.isin(np.abs(near.pdg_id), [11, 13])
        counted &= ~((near.pdg_id == 22) & (distance < 0.05))
        assert found[row] == pytest.approx(near.pt[counted].sum() / leptons.pt[row], rel=1e-9, abs=1e-12)


def test_a_lepton_alone_is_isolated_and_its_radiation_is_its_own(objects: Maker) -> None:
    lepton = objects([(0, 50.0, 0.0, 0.0), (1, 50.0, 0.0, 0.0)], n_events=2, pdg_id=11, charge=-1)
    photon = objects([(0, 10.0, 0.02, 0.0), (1, 10.0, 0.2, 0.0)], n_events=2)
    assert relative_isolation(lepton, lepton, cone=0.4, photon_veto=0.08).tolist() == [0.0, 0.0]
    assert relative_isolation(lepton, photon, cone=0.4, photon_veto=0.08) == pytest.approx([0.0, 0.2])


@pytest.mark.parametrize(("make", "cone"), [(electrons, "03"), (muons, "04")])
def test_leptons_do_not_spoil_each_others_isolation_but_hadrons_and_photons_do(
    objects: Maker, make: Callable[..., tuple[FlatObjects, dict[str, np.ndarray]]], cone: str
) -> None:
    kinds = {electrons: (11, -11, 13), muons: (13, -13, 11)}[make]
    rows = [(0, 50.0, 0.0, 0.0), (0, 40.0, 0.2, 0.0), (0, 30.0, 0.1, 0.1), (0, 8.0, 0.0, 0.2), (0, 4.0, 0.0, -0.15)]
    close = replace(objects(rows, n_events=1), pdg_id=np.array([*kinds, -211, 22]))
    found, columns = make(_perfect(close), np.random.default_rng(1))
    assert found.pt.tolist() == [50.0, 40.0]
    # The hadron is within 0.29 of both, and so is the photon, outside the veto.
    assert columns[f"pfRelIso{cone}_all"] == pytest.approx([12.0 / 50.0, 12.0 / 40.0])
    alone = close[np.array([0, 1, 2])]
    assert make(_perfect(alone), np.random.default_rng(1))[1][f"pfRelIso{cone}_all"].tolist() == [0.0, 0.0]


def test_leptons_from_w_are_isolated_and_those_in_jets_are_not(gun: Maker, top_candidates: Candidates) -> None:
    rng = np.random.default_rng(1)
    _, single = muons(detect(prompt(gun(13, -1, pt=40.0, eta=0.5, shots=500)), rng), rng)
    assert np.all(single["pfRelIso04_all"] == 0.0)
    found, columns = muons(top_candidates, rng)
    hard = found.pt > 25.0
    isolation = columns["pfRelIso04_all"]
    assert np.mean(isolation[hard] < 0.25) > 0.5
    assert np.mean(isolation[found.pt < 8.0] > 0.25) > 0.7


def test_working_points_are_nested_with_the_stated_efficiencies() -> None:
    passed = working_point(100_000, ELECTRON_WORKING_POINTS, np.random.default_rng(2))
    for number, efficiency in enumerate(ELECTRON_WORKING_POINTS, start=1):
        assert np.mean(passed >= number) == pytest.approx(efficiency, abs=4 * np.sqrt(0.25 / 100_000))
    assert set(passed.tolist()) == {0, 1, 2, 3, 4}


@pytest.mark.parametrize(
    ("make", "pdg_id", "charge", "flag", "points"),
    [(electrons, 11, -1, "cutBased", ELECTRON_WORKING_POINTS), (photons, 22, 0, "cutBased", PHOTON_WORKING_POINTS)],
)
def test_electrons_and_photons(
    gun: Maker, make: Callable[..., tuple[FlatObjects, dict[str, np.ndarray]]], pdg_id: int, charge: int, flag: str,
    points: tuple[float, ...],
) -> None:  # fmt: skip
    rng = np.random.default_rng(4)
    found, columns = make(detect(prompt(gun(pdg_id, charge, pt=60.0, eta=0.4)), rng), rng)
    assert set(found.pdg_id.tolist()) == {pdg_id}
    assert set(columns["charge"].tolist()) == {charge}
    assert np.mean(columns[flag] == len(points)) == pytest.approx(points[-1], abs=0.04)
    assert all(len(column) == len(found) for column in columns.values())


def test_muon_flags_are_nested(gun: Maker) -> None:
    rng = np.random.default_rng(5)
    _, columns = muons(detect(prompt(gun(13, -1, pt=60.0, eta=0.4)), rng), rng)
    assert np.all(columns["looseId"] >= columns["mediumId"])
    assert np.all(columns["mediumId"] >= columns["tightId"])
    assert columns["tightId"].mean() == pytest.approx(MUON_WORKING_POINTS[-1], abs=0.02)
    assert np.all(columns["mass"] == 0.10566)


def test_thresholds_and_photons_in_jets(objects: Maker) -> None:
    rng = np.random.default_rng(6)
    soft = objects([(0, 4.9, 0.0, 0.0), (0, 2.9, 1.0, 0.0)], n_events=1, pdg_id=11)
    assert len(electrons(_perfect(soft), rng)[0]) == 0
    assert len(muons(_perfect(replace(soft, pdg_id=np.array([13, 13]))), rng)[0]) == 1
    photon_in_jet = objects([(0, 50.0, 0.0, 0.0), (0, 30.0, 0.1, 0.1), (0, 20.0, 2.6, 1.0)], n_events=1)
    # The first has 30 of its 50 GeV beside it, the second more than itself, the third lies outside the tracker.
    assert len(photons(_perfect(photon_in_jet), rng)[0]) == 0
    assert len(photons(_perfect(photon_in_jet[np.array([0])]), rng)[0]) == 1


@pytest.mark.parametrize(("make", "pdg_id"), [(electrons, 11), (muons, 13)])
def test_leptons_bring_the_impact_parameters_of_their_own_tracks(
    objects: Maker, make: Callable[..., tuple[FlatObjects, dict[str, np.ndarray]]], pdg_id: int
) -> None:
    rows = [(0, 50.0, 0.0, 0.0), (0, 40.0, 1.0, 0.0), (1, 30.0, 0.0, 0.0), (1, 2.0, 1.0, 1.0), (2, 20.0, 0.0, 2.0)]
    made = replace(objects(rows, n_events=3), pdg_id=np.array([211, -pdg_id, pdg_id, pdg_id, pdg_id]))
    found, columns = make(_perfect(made), np.random.default_rng(1))
    assert found.pt.tolist() == [40.0, 30.0, 20.0]
    assert columns["dxy"].tolist() == [1.0, 2.0, 4.0]
    assert columns["dxyErr"] == pytest.approx([1.1, 2.1, 4.1])
    assert columns["dz"] == pytest.approx([1.2, 2.2, 4.2])
    assert columns["dzErr"] == pytest.approx([1.3, 2.3, 4.3])
    assert columns["pdgId"].tolist() == [-pdg_id, pdg_id, pdg_id]


def test_prompt_leptons_point_to_the_collision_and_displaced_ones_do_not(gun: Maker) -> None:
    made = prompt(gun(13, -1, pt=40.0, eta=0.5, shots=1000))
    rng = np.random.default_rng(7)
    _, near = muons(detect(made, rng), rng)
    assert np.mean(np.abs(near["dxy"] / near["dxyErr"]) < 3.0) > 0.99
    x, y = (10.0 * f(made.objects.phi + np.pi / 2) for f in (np.cos, np.sin))
    _, far = muons(detect(replace(made, x=x, y=y), rng), rng)
    # 10 mm across its direction: 1 cm, and (y px − x py) / pT is positive.
    assert far["dxy"] == pytest.approx(np.ones(len(far["dxy"])), abs=6 * far["dxyErr"].max())


def test_photons_have_no_impact_parameters(gun: Maker) -> None:
    rng = np.random.default_rng(8)
    _, columns = photons(detect(prompt(gun(22, 0, pt=60.0, eta=0.4, shots=100)), rng), rng)
    assert set(columns) == {"pt", "eta", "phi", "mass", "charge", "pdgId", "pfRelIso03_all", "cutBased"}
