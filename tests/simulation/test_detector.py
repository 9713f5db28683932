from collections.abc import Callable

import numpy as np
import pytest

from hepfilter.simulation.calorimeter import ECAL, HCAL
from hepfilter.simulation.detector import ELECTRON_IDENTIFIED, MUON_IDENTIFIED, detect
from hepfilter.simulation.flat import FlatObjects

Gun = Callable[..., FlatObjects]


def _seen(particles: FlatObjects) -> FlatObjects:
    return detect(particles, np.random.default_rng(9))


def _within(found: int, shots: int, probability: float) -> bool:
    """Whether a count lies within four standard deviations of its binomial expectation."""
    return abs(found - shots * probability) <= 4 * np.sqrt(shots * probability * (1 - probability)) + 1e-9


@pytest.mark.parametrize(
    ("pdg_id", "pt", "eta", "efficiency"),
    [
        (211, 0.5, 0.5, 0.70), (211, 0.5, -2.0, 0.60), (211, 10.0, 1.0, 0.95), (211, 10.0, 2.0, 0.85),
        (211, 10.0, 2.6, 0.0),
        (-11, 0.5, 1.0, 0.73), (-11, 50.0, 1.0, 0.95), (-11, 50.0, -2.0, 0.83), (-11, 300.0, 1.0, 0.99),
        (-11, 300.0, 2.0, 0.90),
        (-13, 0.5, 0.0, 0.75), (-13, 20.0, 0.0, 0.99), (-13, 20.0, 2.3, 0.98), (-13, 20.0, 3.0, 0.0),
    ],
)  # fmt: skip
def test_tracking_efficiency_is_the_cards(gun: Gun, pdg_id: int, pt: float, eta: float, efficiency: float) -> None:
    particles = gun(pdg_id, 1, pt=pt, eta=eta)
    tracks = int(np.sum(_seen(particles).charge != 0))
    assert _within(tracks, len(particles), efficiency)


@pytest.mark.parametrize(("pt", "eta"), [(20.0, 0.3), (500.0, 1.0), (100.0, 2.2)])
def test_muons_have_the_tracks_resolution(gun: Gun, pt: float, eta: float) -> None:
    seen = _seen(gun(13, -1, pt=pt, eta=eta, shots=20_000))
    place = int(np.digitize(abs(eta), [0.5, 1.5]))
    relative = np.hypot([0.01, 0.015, 0.025][place], [1e-4, 1.5e-4, 3.5e-4][place] * pt)
    assert seen.pt.mean() == pytest.approx(pt, rel=4 * relative / np.sqrt(len(seen)))
    assert seen.pt.std() == pytest.approx(pt * relative, rel=0.04)
    assert np.all(seen.charge == -1)
    assert np.all(seen.eta == eta)


@pytest.mark.parametrize(
    ("pdg_id", "eta", "identified"),
    [
        (11, 0.5, ELECTRON_IDENTIFIED[0]), (11, 2.0, ELECTRON_IDENTIFIED[1]),
        (13, 0.5, MUON_IDENTIFIED[0]), (13, 2.0, MUON_IDENTIFIED[1]),
    ],
)  # fmt: skip
def test_leptons_are_identified_as_stated_else_they_are_hadrons(
    gun: Gun, pdg_id: int, eta: float, identified: float
) -> None:
    seen = _seen(gun(pdg_id, -1, pt=40.0, eta=eta))
    tracks = seen[seen.charge != 0]
    assert set(tracks.pdg_id.tolist()) == {pdg_id, -211}
    assert _within(int(np.sum(tracks.pdg_id == pdg_id)), len(tracks), identified)
    antis = _seen(gun(-pdg_id, 1, pt=40.0, eta=eta))
    assert set(antis.pdg_id[antis.charge != 0].tolist()) == {-pdg_id, 211}


def test_soft_muons_do_not_reach_the_chambers(gun: Gun) -> None:
    assert set(_seen(gun(13, -1, pt=2.0, eta=0.5)).pdg_id.tolist()) == {-211}
    assert set(_seen(gun(13, -1, pt=20.0, eta=2.45)).pdg_id.tolist()) == {-211}


@pytest.mark.parametrize("eta", [0.4, 2.0, 4.0])
def test_lost_pions_leave_their_energy_in_the_hcal(gun: Gun, eta: float) -> None:
    particles = gun(211, 1, pt=50.0, eta=eta)
    seen = _seen(particles)
    with_track = np.bincount(seen.event, seen.charge != 0, seen.n_events) > 0
    energy = np.bincount(seen.event, seen.energy, seen.n_events)
    true = 50.0 * np.cosh(eta)
    lost = energy[~with_track]
    assert len(lost) > 100
    sigma = HCAL.resolution(np.array([eta]), np.array([true]))[0]
    assert lost.mean() == pytest.approx(true, abs=5 * sigma / np.sqrt(len(lost)))
    assert set(seen.pdg_id[~with_track[seen.event]].tolist()) == {130}


def test_energy_flow_is_better_than_the_calorimeter(gun: Gun) -> None:
    particles = gun(211, 1, pt=50.0, eta=0.4)
    energy = np.bincount((seen := _seen(particles)).event, seen.energy, seen.n_events)
    true = 50.0 * np.cosh(0.4)
    # An upward fluctuation counts as neutral energy, a downward one only scales the track: the mean rises by 4 %.
    assert energy.mean() == pytest.approx(1.04 * true, rel=0.02)
    assert energy.std() < HCAL.resolution(np.array([0.4]), np.array([true]))[0]


@pytest.mark.parametrize(("pdg_id", "calorimeter", "code"), [(22, ECAL, 22), (130, HCAL, 130), (2112, HCAL, 130)])
def test_neutral_particles_become_towers(gun: Gun, pdg_id: int, calorimeter: object, code: int) -> None:
    seen = _seen(gun(pdg_id, 0, pt=80.0, eta=1.0))
    assert len(seen) == 4000
    assert set(seen.pdg_id.tolist()) == {code}
    assert set(seen.charge.tolist()) == {0}
    assert seen.pt.mean() == pytest.approx(80.0, rel=0.06)


def test_late_decays_share_their_energy(gun: Gun) -> None:
    seen = _seen(gun(310, 0, pt=100.0, eta=0.5))
    photons = seen.energy[seen.pdg_id == 22].sum() / seen.energy.sum()
    assert photons == pytest.approx(0.3, abs=0.02)


def test_nothing_is_seen_outside(gun: Gun) -> None:
    assert len(_seen(gun(211, 1, pt=50.0, eta=5.2))) == 0
    assert len(_seen(gun(22, 0, pt=0.04, eta=0.0))) == 0


def test_order_types_and_ranges(top_candidates: FlatObjects) -> None:
    seen = top_candidates
    assert seen.n_events == 120
    assert np.all(np.diff(seen.event) >= 0)
    same = np.diff(seen.event) == 0
    assert np.all(np.diff(seen.pt)[same] <= 0)
    assert np.all(np.isfinite(seen.pt) & (seen.pt > 0) & (np.abs(seen.phi) <= np.pi) & (np.abs(seen.eta) < 5.4))
    assert set(np.abs(seen.pdg_id).tolist()) <= {11, 13, 22, 130, 211}


def test_same_seed_same_candidates(gun: Gun) -> None:
    particles = gun(211, 1, pt=5.0, eta=1.0, shots=200)
    one, two = _seen(particles), _seen(particles)
    assert np.array_equal(one.pt, two.pt)
    assert not np.array_equal(one.pt, detect(particles, np.random.default_rng(10)).pt[: len(one)])


def test_no_particles_no_candidates(objects: Callable[..., FlatObjects]) -> None:
    seen = _seen(objects([], n_events=3))
    assert (len(seen), seen.n_events, seen.counts.tolist()) == (0, 3, [0, 0, 0])
