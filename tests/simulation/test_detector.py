from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from hepfilter.simulation.calorimeter import ATLAS_ECAL, ATLAS_HCAL, CMS_ECAL, CMS_HCAL, Calorimeter
from hepfilter.simulation.detector import DETECTORS, ELECTRON_IDENTIFIED, MUON_IDENTIFIED, detect, with_radiation
from hepfilter.simulation.flat import Candidates, FlatObjects, Particles, prompt

Gun = Callable[..., FlatObjects]
each = pytest.mark.parametrize("detector", ["cms", "atlas"])


def _seen(particles: FlatObjects, *, detector: str = "cms") -> FlatObjects:
    """What the detector sees of prompt particles."""
    return detect(prompt(particles), np.random.default_rng(9), detector=DETECTORS[detector]).objects


def _born(particles: FlatObjects, *, radius: float, z: float = 0.0, along: bool = True) -> Particles:
    """These particles, born at this distance from the beam (mm) in their direction, or across it."""
    turn = 0.0 if along else np.pi / 2
    x, y = radius * np.cos(particles.phi + turn), radius * np.sin(particles.phi + turn)
    return replace(prompt(particles), x=x, y=y, z=np.full(len(particles), z))


def _within(found: int, shots: int, probability: float) -> bool:
    """Whether a count lies within four standard deviations of its binomial expectation."""
    return abs(found - shots * probability) <= 4 * np.sqrt(shots * probability * (1 - probability)) + 1e-9


@each
@pytest.mark.parametrize(
    ("pdg_id", "pt", "eta", "efficiency"),
    [
        (211, 0.09, 0.5, 0.0),
        (211, 0.5, 0.5, 0.70), (211, 0.5, -2.0, 0.60), (211, 10.0, 1.0, 0.95), (211, 10.0, 2.0, 0.85),
        (211, 10.0, 2.6, 0.0), (-321, 10.0, 1.0, 0.95), (2212, 10.0, 2.0, 0.85),
        (-11, 0.5, 1.0, 0.73), (-11, 0.5, 2.0, 0.50), (-11, 50.0, 1.0, 0.95), (-11, 50.0, -2.0, 0.83),
        (-11, 300.0, 1.0, 0.99), (-11, 300.0, 2.0, 0.90),
        (-13, 0.5, 0.0, 0.75), (-13, 0.5, 2.0, 0.70), (-13, 20.0, 0.0, 0.99), (-13, 20.0, 2.3, 0.98),
        (-13, 20.0, 3.0, 0.0),
        (-13, 1000.0, 0.0, 0.99), (-13, 2000.0, 0.0, 0.99 * np.exp(-0.5)), (-13, 4000.0, 2.0, 0.98 * np.exp(-1.5)),
        (-11, 2000.0, 0.0, 0.99), (211, 2000.0, 0.0, 0.95),
    ],
)  # fmt: skip
def test_tracking_efficiency_is_the_cards(
    gun: Gun, detector: str, pdg_id: int, pt: float, eta: float, efficiency: float
) -> None:
    particles = gun(pdg_id, 1, pt=pt, eta=eta)
    tracks = int(np.sum(_seen(particles, detector=detector).charge != 0))
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
    sigma = CMS_HCAL.resolution(np.array([eta]), np.array([true]))[0]
    assert lost.mean() == pytest.approx(true, abs=5 * sigma / np.sqrt(len(lost)))
    assert set(seen.pdg_id[~with_track[seen.event]].tolist()) == {130}


def test_energy_flow_is_better_than_the_calorimeter(gun: Gun) -> None:
    particles = gun(211, 1, pt=50.0, eta=0.4)
    energy = np.bincount((seen := _seen(particles)).event, seen.energy, seen.n_events)
    true = 50.0 * np.cosh(0.4)
    # An upward fluctuation counts as neutral energy, a downward one only scales the track: the mean rises by 4 %.
    assert energy.mean() == pytest.approx(1.04 * true, rel=0.02)
    assert energy.std() < CMS_HCAL.resolution(np.array([0.4]), np.array([true]))[0]


@pytest.mark.parametrize(("pdg_id", "code"), [(22, 22), (130, 130), (2112, 130), (-2112, 130)])
def test_neutral_particles_become_towers(gun: Gun, pdg_id: int, code: int) -> None:
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


def test_what_enters_beyond_the_calorimeters_end_is_not_seen(gun: Gun) -> None:
    # Born in the beam pipe, 150 mm before the endcap: at η = 4 it is 5.5 mm further out there, at η = 6.4.
    photons = gun(22, 0, pt=50.0, eta=4.0, shots=50)
    assert len(detect(_born(photons, radius=5.0, z=3000.0), np.random.default_rng(9))) == 0


def test_order_types_and_ranges(top_candidates: Candidates) -> None:
    seen = top_candidates.objects
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
    other = detect(prompt(particles), np.random.default_rng(10)).objects
    assert len(other) != len(one) or not np.array_equal(one.pt, other.pt)


def test_no_particles_no_candidates(objects: Callable[..., FlatObjects]) -> None:
    seen = _seen(objects([], n_events=3))
    assert (len(seen), seen.n_events, seen.counts.tolist()) == (0, 3, [0, 0, 0])


@pytest.mark.parametrize("detector", ["cms", "atlas"])
@pytest.mark.parametrize(("pdg_id", "eta"), [(22, 0.5), (22, 2.2), (130, 0.5), (130, 2.2), (130, 4.0)])
def test_neutral_energy_has_the_experiments_resolution(gun: Gun, detector: str, pdg_id: int, eta: float) -> None:
    ecal, hcal = {"cms": (CMS_ECAL, CMS_HCAL), "atlas": (ATLAS_ECAL, ATLAS_HCAL)}[detector]
    calorimeter: Calorimeter = ecal if pdg_id == 22 else hcal
    shots, true = 8000, 200.0 * np.cosh(eta)
    energy = _seen(gun(pdg_id, 0, pt=200.0, eta=eta, shots=shots), detector=detector).energy
    centre = calorimeter.cells.locate(np.array([eta]), np.zeros(1))[1]
    sigma = calorimeter.resolution(centre, np.array([true]))[0]
    assert len(energy) == shots
    assert energy.mean() == pytest.approx(true, abs=4 * sigma / np.sqrt(shots))
    assert energy.std() == pytest.approx(sigma, rel=0.05)  # 4 σ of a normal law are 0.032, the tail is longer


def test_atlas_has_the_cells_of_its_hcal(gun: Gun) -> None:
    shots = gun(130, 0, pt=100.0, eta=0.43, shots=3000)
    for detector, eta, degrees in (("cms", 0.087 * 4.5, 5.0), ("atlas", 0.45, 10.0)):
        seen = _seen(shots, detector=detector)
        assert np.unique(seen.eta.round(9)).tolist() == pytest.approx([eta])
        assert np.diff(np.unique(seen.phi.round(9))) == pytest.approx(np.radians(degrees))


def test_the_tracks_of_both_experiments_are_the_same(gun: Gun) -> None:
    muons = gun(13, -1, pt=40.0, eta=1.0, shots=500)
    cms, atlas = (_seen(muons, detector=name) for name in ("cms", "atlas"))
    assert np.array_equal(cms.pt, atlas.pt) and np.array_equal(cms.pdg_id, atlas.pdg_id)


@each
@pytest.mark.parametrize(("radius", "share"), [(15.0, 1.0), (165.0, 0.75), (455.0, 0.25), (601.0, 0.0)])
def test_displaced_tracks_are_lost_as_stated(gun: Gun, detector: str, radius: float, share: float) -> None:
    pions = gun(211, 1, pt=10.0, eta=0.5)
    for born in (_born(pions, radius=radius), _born(pions, radius=radius, along=False, z=300.0)):
        seen = detect(born, np.random.default_rng(9), detector=DETECTORS[detector]).objects
        assert _within(int(np.sum(seen.charge != 0)), len(pions), 0.95 * share)


def test_a_lost_displaced_track_leaves_its_energy_in_the_hcal(gun: Gun) -> None:
    pions = gun(211, 1, pt=50.0, eta=0.4)
    seen = detect(_born(pions, radius=700.0), np.random.default_rng(9)).objects
    true = 50.0 * np.cosh(0.4)
    sigma = CMS_HCAL.resolution(np.array([0.4]), np.array([true]))[0]
    assert set(seen.pdg_id.tolist()) == {130}
    assert seen.energy.sum() / len(pions) == pytest.approx(true, abs=4 * sigma / np.sqrt(len(pions)))


@each
@pytest.mark.parametrize("pdg_id", [22, 11, 211, 310])
@pytest.mark.parametrize(("radius", "z"), [(1500.0, 100.0), (700.0, 3500.0), (700.0, -3500.0)])
def test_what_is_born_behind_the_ecal_leaves_all_of_its_energy_in_the_hcal(
    gun: Gun, detector: str, pdg_id: int, radius: float, z: float
) -> None:
    made = gun(pdg_id, int(pdg_id == 211), pt=100.0, eta=0.5, shots=2000)
    seen = detect(_born(made, radius=radius, z=z), np.random.default_rng(9), detector=DETECTORS[detector]).objects
    true, eta = 100.0 * np.cosh(0.5), np.arcsinh(z / radius)
    calorimeter = DETECTORS[detector].hcal
    sigma = calorimeter.resolution(np.array([eta]), np.array([true]))[0]
    assert set(seen.pdg_id.tolist()) == {130}
    assert seen.energy.sum() / 2000 == pytest.approx(true, abs=4 * sigma / np.sqrt(2000))
    assert np.abs(seen.eta - eta).max() < 0.1


def test_muons_born_behind_the_tracker_leave_nothing(gun: Gun) -> None:
    muons = gun(13, -1, pt=50.0, eta=0.5, shots=500)
    for radius in (700.0, 1500.0):
        assert len(detect(_born(muons, radius=radius), np.random.default_rng(9))) == 0


def test_tracks_of_pile_up_are_known_as_such_where_their_collision_is_further_than_a_tenth_of_a_millimetre(
    gun: Gun,
) -> None:
    made = prompt(gun(211, 1, pt=5.0, eta=0.5, shots=600))
    third = np.arange(600) % 3
    made = replace(made, z=np.array([0.099, -0.101, 20.0])[third], collision=np.full(600, 2))
    seen = detect(made, np.random.default_rng(9))
    charged, kind = seen.objects.charge != 0, third[seen.objects.event]
    assert np.array_equal(seen.is_pileup, charged & (kind > 0))
    assert not detect(replace(made, collision=np.zeros(600, np.int64)), np.random.default_rng(9)).is_pileup.any()
    assert np.all(seen.puppi == 1.0)


def test_every_column_of_a_candidate_stays_with_it(gun: Gun) -> None:
    # Muons and photons in one event: a muon's error follows from its pT, a photon has none.
    muons = gun(13, -1, pt=5.0, eta=0.5, shots=300)
    photons = gun(22, 0, pt=5.0, eta=-0.5, shots=300)
    both = muons.joined(photons)
    made = prompt(both[np.argsort(both.event, kind="stable")])
    made = replace(made, y=np.where(made.objects.pdg_id == 13, 2.0, 0.0))
    seen = detect(made, np.random.default_rng(9))
    muon = seen.objects.charge != 0
    assert 250 < muon.sum() <= 300 and 250 < (~muon).sum() <= 300
    true = 0.2 * np.cos(seen.objects.phi[muon])
    assert np.abs(seen.d0[muon] - true).max() < 5 * 30e-4
    assert np.all(seen.d0_error[muon] > 0) and not seen.d0_error[~muon].any() and not seen.d0[~muon].any()


def _as_candidates(objects: FlatObjects) -> Candidates:
    """These objects as candidates, whose d0 numbers them."""
    zero = np.zeros(len(objects))
    return Candidates(objects, np.arange(float(len(objects))), zero, zero, zero, zero.astype(bool), zero + 1.0)


def test_photons_near_an_electron_are_added_to_the_nearest_one(objects: Callable[..., FlatObjects]) -> None:
    rows = [
        (0, 50.0, 0.0, 0.0, 11), (0, 45.0, 0.07, 0.0, -11),
        (0, 9.0, 0.03, 0.0, 22),  # of the first: 0.03 against 0.04
        (0, 8.0, 0.0, -0.049, 22), (0, 6.0, 0.0, 0.0, 22),  # of the first too
        (0, 5.0, 0.0, 0.051, 22), (0, 4.0, 0.01, 0.0, 130), (0, 3.0, 0.01, 0.0, 211),  # too far; no photons
        (1, 40.0, 1.0, 3.14, 13), (1, 30.0, 1.0, 3.14, 22), (1, 20.0, 2.0, 3.14, 11), (1, 12.0, 2.0, -3.14, 22),
        (2, 30.0, 0.0, 0.0, 22),  # an electron lies there in another event
    ]  # fmt: skip
    made = replace(objects([row[:4] for row in rows], n_events=4), pdg_id=np.array([row[4] for row in rows]))
    seen = with_radiation(_as_candidates(made))
    assert seen.objects.event.tolist() == [0] * 5 + [1] * 3 + [2]
    assert seen.objects.pt.tolist() == [73.0, 45.0, 5.0, 4.0, 3.0, 40.0, 32.0, 30.0, 30.0]
    # All else stays with its candidate, in the new order by pt.
    assert seen.d0.tolist() == [0.0, 1.0, 5.0, 6.0, 7.0, 8.0, 10.0, 9.0, 12.0]
    assert seen.objects.eta.tolist() == made.eta[seen.d0.astype(int)].tolist()
    assert np.array_equal(with_radiation(seen).objects.pt, seen.objects.pt)


def test_an_electron_takes_up_what_it_radiates(gun: Gun, objects: Callable[..., FlatObjects]) -> None:
    shots = 3000
    electrons = gun(11, -1, pt=60.0, eta=0.4, shots=shots)
    photons = objects([(k, 30.0, 0.42, phi) for k, phi in enumerate(electrons.phi)], n_events=shots)
    both = electrons.joined(photons)
    seen = _seen(both[np.argsort(both.event, kind="stable")])
    electron = seen[seen.pdg_id == 11]
    assert len(electron) > 0.85 * shots
    # σ(E) of the ECAL is 1.5 % there; a tower's centre is up to 0.0087 away in η.
    assert np.median(electron.pt) == pytest.approx(90.0, rel=0.01)
    assert not np.any((seen.pdg_id == 22) & np.isin(seen.event, electron.event))


def test_no_photon_is_left_within_a_supercluster(top_candidates: Candidates) -> None:
    seen = top_candidates.objects
    electron, photon = (np.flatnonzero(np.abs(seen.pdg_id) == code) for code in (11, 22))
    assert len(electron) > 40
    for row in electron:
        others = photon[seen.event[photon] == seen.event[row]]
        turn = np.angle(np.exp(1j * (seen.phi[others] - seen.phi[row])))
        assert np.all(np.hypot(seen.eta[others] - seen.eta[row], turn) >= 0.05)


@each
@pytest.mark.parametrize("pdg_id", [1000612, -1009213, 1093334, 2000612])
def test_charged_r_hadrons_leave_a_track_and_no_energy(gun: Gun, detector: str, pdg_id: int) -> None:
    shots = gun(pdg_id, int(np.sign(pdg_id)), pt=400.0, eta=0.5)
    seen = _seen(shots, detector=detector)
    assert set(seen.pdg_id.tolist()) == {211 * int(np.sign(pdg_id))}
    assert _within(len(seen), len(shots), 0.95)
    # Born behind the tracker they are not seen at all.
    assert len(detect(_born(shots, radius=700.0), np.random.default_rng(9), detector=DETECTORS[detector])) == 0
