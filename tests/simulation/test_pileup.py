from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chi2, kstest

from hepfilter.simulation.clustering import cluster_jets
from hepfilter.simulation.detector import detect
from hepfilter.simulation.displacement import impact_parameters
from hepfilter.simulation.flat import Candidates, FlatObjects, Floats, Particles, prompt
from hepfilter.simulation.observation import Observation, observe
from hepfilter.simulation.pileup import (
    BEAM_SPOT,
    POOL_EVENTS,
    PileUp,
    density,
    make_pile_up,
    overlay,
    scaled_by_puppi,
    subtract_density,
    with_puppi,
)  # fmt: skip

Maker = Callable[..., FlatObjects]


@pytest.fixture(scope="session")
def pile_up() -> PileUp:
    """The pool, with 40 collisions an event."""
    return make_pile_up(40.0, energy_tev=13.0, seed=3)


@pytest.fixture(scope="module")
def tiny(objects: Maker) -> Particles:
    """A pool of two collisions: one particle, and three of which one was born elsewhere."""
    made = objects([(0, 1.0, 0.5, 0.3), (1, 2.0, 1.0, 3.0), (1, 3.0, -2.0, -3.0), (1, 4.0, 2.2, 1.0)], n_events=2)
    place = np.array([[0.0, 0.0, 0.0, 5.0], [0.0, 0.0, 0.0, -2.0], [0.0, 0.0, 0.0, 7.0]])
    return Particles(made, *place, np.zeros(4, dtype=np.int64))


def _dimuons(objects: Maker, *, events: int) -> Particles:
    """Pairs of muons with 45 GeV each, back to back."""
    rng = np.random.default_rng(2)
    phi = rng.uniform(-np.pi, 0.0, events)
    rows = [(k, 45.0, rng.uniform(-2, 2), angle + turn) for k, angle in enumerate(phi) for turn in (0.0, np.pi)]
    made = objects(rows, n_events=events)
    sign = np.tile([1, -1], events)
    return prompt(replace(made, pdg_id=13 * sign, charge=-sign))


@pytest.fixture(scope="module")
def crowded(objects: Maker, pile_up: PileUp) -> dict[float, Observation]:
    """Muon pairs under 10, 20 and 40 further collisions."""
    hard = _dimuons(objects, events=200)
    return {mean: observe(hard, np.random.default_rng(4), pile_up=PileUp(pile_up.pool, mean)) for mean in (10, 20, 40)}


def _missing(objects: FlatObjects) -> Floats:
    """Both components of the missing momentum of every event."""
    return np.concatenate([np.bincount(objects.event, p, objects.n_events) for p in objects.momentum[:2]])


def test_the_pool_holds_whole_visible_collisions(pile_up: PileUp) -> None:
    pool = pile_up.pool.objects
    assert pile_up.mean == 40.0
    assert pool.n_events == POOL_EVENTS == 1000
    assert pool.counts.min() > 0
    # Each balances itself, but for the few neutrinos; 13 TeV go in.
    assert np.median(np.abs(_missing(pool))) < 0.05
    assert np.bincount(pool.event, pool.energy) == pytest.approx(np.full(1000, 13_000.0), rel=0.05)
    # CMS sees 5.5 charged hadrons per unit of η in the centre of an inelastic collision (arXiv:1507.05915).
    central = (np.abs(pool.eta) < 0.5) & (pool.charge != 0)
    assert 4.5 < central.sum() / 1000 < 7.5


def test_numbers_of_collisions_are_poisson(objects: Maker, tiny: Particles) -> None:
    hard = prompt(objects([], n_events=20_000))
    made, numbers = overlay(hard, PileUp(tiny, 12.5), np.random.default_rng(1))
    assert abs(numbers.mean() - 12.5) < 4 * np.sqrt(12.5 / 20_000)
    assert abs(numbers.var() - 12.5) < 4 * 12.5 * np.sqrt(2 / 20_000)
    _, first = np.unique(made.collision, return_index=True)
    assert np.array_equal(np.bincount(made.objects.event[first], minlength=20_000), numbers)
    # Both collisions of the pool are drawn as often as one another.
    single = np.sum(np.bincount(made.collision)[1:] == 1)
    assert abs(single / numbers.sum() - 0.5) < 4 * np.sqrt(0.25 / numbers.sum())


def test_an_event_keeps_its_own_particles_and_gets_whole_collisions(objects: Maker, pile_up: PileUp) -> None:
    hard = _dimuons(objects, events=30)
    hard = replace(hard, x=np.arange(60.0), z=-np.arange(60.0))
    made, numbers = overlay(hard, PileUp(pile_up.pool, 5.0), np.random.default_rng(6))
    assert made.objects.n_events == 30
    assert np.all(np.diff(made.objects.event) >= 0)
    own = made[made.collision == 0]
    for name in ("event", "pt", "eta", "phi", "pdg_id", "charge"):
        assert np.array_equal(getattr(own.objects, name), getattr(hard.objects, name)), name
    assert np.array_equal(own.x, hard.x) and np.array_equal(own.z, hard.z)

    pool = pile_up.pool
    sums = np.bincount(pool.objects.event, pool.objects.pt)
    labels = np.unique(made.collision[made.collision > 0])
    assert len(labels) == numbers.sum()
    sides = []
    for label in labels:
        drawn = made[made.collision == label]
        assert len(np.unique(drawn.objects.event)) == 1
        source = int(np.argmin(np.abs(sums - drawn.objects.pt.sum())))
        true = pool[pool.objects.event == source]
        assert np.array_equal(drawn.objects.pt, true.objects.pt)
        assert np.array_equal(drawn.objects.pdg_id, true.objects.pdg_id)
        # One turn about the beam for all, momenta and places of birth alike, and one side.
        turn = np.exp(1j * (drawn.objects.phi - true.objects.phi))
        assert np.abs(turn - turn[0]).max() < 1e-9
        assert (drawn.x + 1j * drawn.y) == pytest.approx((true.x + 1j * true.y) * turn[0], rel=1e-9, abs=1e-9)
        assert impact_parameters(drawn)[0] == pytest.approx(impact_parameters(true)[0], rel=1e-6, abs=1e-9)
        side = np.sign(drawn.objects.eta[0] / true.objects.eta[0])
        sides.append(side)
        assert np.array_equal(drawn.objects.eta, side * true.objects.eta)
        shift = drawn.z - side * true.z
        assert shift == pytest.approx(np.full(len(shift), shift[0]), abs=1e-6)
    assert set(sides) == {1.0, -1.0}
    in_events = np.bincount(made.objects.event[np.unique(made.collision, return_index=True)[1][1:]], minlength=30)
    assert np.array_equal(in_events, numbers)


def test_collisions_have_a_random_azimuth_and_lie_where_the_beams_meet(objects: Maker, tiny: Particles) -> None:
    events = 10_000
    made, numbers = overlay(prompt(objects([], n_events=events)), PileUp(tiny, 4.0), np.random.default_rng(8))
    first = made[np.unique(made.collision, return_index=True)[1]]
    count = len(first)
    assert kstest(first.objects.phi, "uniform", args=(-np.pi, 2 * np.pi)).statistic < 1.95 / np.sqrt(count)
    assert np.all(np.abs(made.objects.phi) <= np.pi)
    assert abs(np.mean(first.objects.eta > 0) - 0.5) < 4 * np.sqrt(0.25 / count)
    # Places relative to the hard collision: 45 mm for theirs and 45 mm for its own, which all of the event share.
    event, z = first.objects.event, first.z
    mean = np.bincount(event, z, events)[numbers > 0] / numbers[numbers > 0]
    variance = BEAM_SPOT**2 * (1 + 1 / numbers[numbers > 0])
    assert abs(np.mean(mean**2 / variance) - 1) < 4 * np.sqrt(2 / len(mean))
    within = np.sum((z - (np.bincount(event, z, events) / np.maximum(numbers, 1))[event]) ** 2)
    freedom = count - np.sum(numbers > 0)
    assert abs(within / freedom / BEAM_SPOT**2 - 1) < 4 * np.sqrt(2 / freedom)
    assert abs(z.mean()) < 4 * np.sqrt(np.mean(variance) / events)


def test_charged_pile_up_is_marked_unless_it_is_near(objects: Maker, pile_up: PileUp) -> None:
    hard = _dimuons(objects, events=40)
    made, _ = overlay(hard, PileUp(pile_up.pool, 20.0), np.random.default_rng(6))
    seen = detect(made, np.random.default_rng(7))
    hard_track = np.isin(np.abs(seen.objects.pdg_id), [13, 211]) & (seen.objects.pt > 30) & (seen.objects.charge != 0)
    assert hard_track.sum() >= 70 and not seen.is_pileup[hard_track].any()
    assert not seen.is_pileup[seen.objects.charge == 0].any()
    # One in 1,000 collisions is as near as 0.1 mm; the others are all marked.
    others = (seen.objects.charge != 0) & ~hard_track
    assert 0.97 < seen.is_pileup[others].mean() <= 1.0
    near = replace(made, z=np.where(made.collision > 0, 0.09, made.z))
    assert not detect(near, np.random.default_rng(7)).is_pileup.any()


def test_without_a_collision_only_the_event_itself_is_there(objects: Maker, tiny: Particles) -> None:
    hard = _dimuons(objects, events=5)
    made, numbers = overlay(hard, PileUp(tiny, 1e-12), np.random.default_rng(1))
    assert not numbers.any()
    assert np.array_equal(made.objects.pt, hard.objects.pt)


# --- density and jets


def test_density_is_that_of_a_uniform_event_and_a_jet_does_not_move_it(objects: Maker) -> None:
    # 8 GeV in each cell of the grid, 17 × 11 of them.
    eta = (np.arange(17) + 0.5) / 17 * 9.4 - 4.7
    phi = (np.arange(11) + 0.5) / 11 * 2 * np.pi - np.pi
    rows = [(1, 8.0, t, p) for t in eta for p in phi]
    expected = 8.0 * 17 * 11 / (9.4 * 2 * np.pi)
    assert density(objects(rows, n_events=3)) == pytest.approx([0.0, expected, 0.0])
    jet = [(1, 500.0, 0.1 * k, 0.0) for k in range(9)]
    forward = [(1, 50.0, 4.8, p) for p in phi]
    assert density(objects(rows + jet + forward, n_events=3))[1] == pytest.approx(expected)
    assert density(objects([], n_events=2)).tolist() == [0.0, 0.0]


def test_density_grows_with_the_number_of_collisions(crowded: dict[float, Observation]) -> None:
    rho = {mean: density(seen.candidates.objects) for mean, seen in crowded.items()}
    mean = {number: values.mean() for number, values in rho.items()}
    error = {number: values.std() / np.sqrt(len(values)) for number, values in rho.items()}
    # A median lies below the mean while cells hold few particles: ρ / μ still rises a little, and stays below ⟨pT⟩.
    for low, high in ((10, 20), (20, 40)):
        ratio = mean[high] / mean[low]
        spread = ratio * np.hypot(error[high] / mean[high], error[low] / mean[low])
        assert 2.0 - 3 * spread < ratio < 2.4 + 3 * spread
    for number, seen in crowded.items():
        inside = seen.candidates.objects[np.abs(seen.candidates.objects.eta) < 4.7]
        flow = (inside.pt.sum() / 200 - 90.0) / (9.4 * 2 * np.pi)
        assert 0.6 * flow < mean[number] < flow
    assert np.corrcoef(rho[40], crowded[40].collisions)[0, 1] > 0.5


def test_jets_lose_density_times_area_by_hand(objects: Maker) -> None:
    made = replace(objects([(0, 50.0, 0.0, 0.0), (2, 20.0, 1.0, 0.0)], n_events=3), mass=np.array([10.0, 4.0]))
    found, factor = subtract_density(made, np.array([30.0, 1e9, 60.0]), radius=0.4)
    # π 0.4² = 0.5027: 50 − 15.08, and 20 − 30.2 < 0.
    assert found.pt == pytest.approx([34.9204, 0.0], abs=1e-4)
    assert factor == pytest.approx([0.698407, 0.0], abs=1e-6)
    assert found.mass == pytest.approx([6.98407, 0.0], abs=1e-4)
    assert np.array_equal(found.eta, made.eta)


# --- PUPPI


def _by_hand(seen: Candidates, numbers: Floats) -> Floats:
    """PUPPI's weights with a loop over events and candidates, as the paper (arXiv:1407.6013) defines them."""
    objects = seen.objects
    weight = np.zeros(len(seen))
    for event in range(objects.n_events):
        rows = np.flatnonzero(objects.event == event)
        eta, phi, pt = objects.eta[rows], objects.phi[rows], objects.pt[rows]
        distance = np.hypot(eta[:, None] - eta, np.angle(np.exp(1j * (phi[:, None] - phi))))
        term = np.where((distance < 0.3) & (distance > 0.02), pt / np.maximum(distance, 1e-9), 0.0)
        charged, central = objects.charge[rows] != 0, np.abs(eta) < 2.5
        soft = charged & seen.is_pileup[rows]
        weight[rows[charged & ~soft]] = 1.0
        for region, sources, cut in (
            (central, charged & ~soft, 0.1 + 0.007 * numbers[event]),
            (~central, np.ones(len(rows), dtype=bool), 0.5 + 0.013 * numbers[event]),
        ):
            total = term[:, sources].sum(axis=1)
            alpha = np.log(np.maximum(total, 1e-300))
            known = np.sort(alpha[soft & (total > 0)])
            for place in np.flatnonzero(region & ~charged & (total > 0)):
                probability = 1.0
                if len(known):
                    median = known[(len(known) - 1) // 2]
                    spread = np.mean((known[known <= median] - median) ** 2)
                    excess = max(alpha[place] - median, 0.0)
                    probability = chi2.cdf(excess**2 / max(spread, 1e-6), 1)
                if probability > 0.1 and probability * pt[place] > cut:
                    weight[rows[place]] = probability
    return weight


def test_puppi_equals_the_papers_definition_by_a_loop(crowded: dict[float, Observation]) -> None:
    for mean in (10, 40):
        first = np.arange(200) < 3
        seen = crowded[mean].of_events(first)
        weight = seen.candidates.puppi
        expected = _by_hand(seen.candidates, seen.collisions)
        assert weight == pytest.approx(expected, rel=1e-6, abs=1e-9)
        neutral = seen.candidates.objects.charge == 0
        assert 10 < np.sum(weight[neutral] > 0) < 0.5 * neutral.sum()


def test_puppi_keeps_tracks_of_the_hard_collision_and_drops_those_of_others(crowded: dict[float, Observation]) -> None:
    seen = crowded[40].candidates
    charged = seen.objects.charge != 0
    assert np.all(seen.puppi[charged & ~seen.is_pileup] == 1.0)
    assert np.all(seen.puppi[seen.is_pileup] == 0.0)
    assert np.all((seen.puppi >= 0.0) & (seen.puppi <= 1.0))


def test_puppi_keeps_neutral_particles_of_jets_and_drops_lonely_ones(objects: Maker, pile_up: PileUp) -> None:
    events = 60
    pions = [(k, 15.0, 0.5 + 0.08 * np.cos(a), 1.0 + 0.08 * np.sin(a)) for k in range(events) for a in range(6)]
    tracks = objects(pions, n_events=events, pdg_id=211, charge=1)
    photons = objects([(k, 20.0, 0.5, 1.0) for k in range(events)], n_events=events)
    both = tracks.joined(photons)
    hard = prompt(both[np.argsort(both.event, kind="stable")])
    seen = observe(hard, np.random.default_rng(5), pile_up=pile_up).candidates
    o = seen.objects
    neutral, central = o.charge == 0, np.abs(o.eta) < 2.5
    distance = np.hypot(o.eta - 0.5, np.angle(np.exp(1j * (o.phi - 1.0))))
    inside = neutral & (distance < 0.05) & (o.pt > 10.0)
    assert inside.sum() >= 0.9 * events
    assert np.median(seen.puppi[inside]) > 0.85 and seen.puppi[inside].mean() > 0.75
    lonely = neutral & central & (distance > 0.5)
    assert lonely.sum() > 100 * events
    # Without a hard track in the cone (all but a few tracks, near 0.1 mm, lie in the jet) nothing is kept.
    assert np.mean(seen.puppi[lonely] == 0.0) > 0.98


def test_the_weighted_candidates_are_those_kept_with_their_share(objects: Maker) -> None:
    rows = [(0, 50.0, 0.0, 0.0), (0, 40.0, 1.0, 0.0), (0, 30.0, 2.0, 0.0), (2, 20.0, 0.0, 0.0)]
    made = objects(rows, n_events=3)
    zero = np.zeros(4)
    weight = np.array([0.5, 0.0, 1.0, 0.25])
    seen = Candidates(made, np.arange(4.0), zero, zero, zero, np.zeros(4, dtype=bool), weight)
    kept = scaled_by_puppi(seen)
    assert kept.objects.pt.tolist() == [30.0, 25.0, 5.0]
    assert kept.objects.event.tolist() == [0, 0, 2]
    assert kept.d0.tolist() == [2.0, 0.0, 3.0]
    assert kept.objects.n_events == 3


def test_puppi_without_pile_up_keeps_neutral_particles_with_surroundings(objects: Maker) -> None:
    track = objects([(0, 10.0, 0.0, 0.0)], n_events=2, pdg_id=211, charge=1)
    towers = objects([(0, 5.0, 0.1, 0.0), (0, 5.0, 2.0, 0.0), (1, 5.0, 0.1, 0.0)], n_events=2)
    both = track.joined(towers)
    zero = np.zeros(4)
    seen = Candidates(both, zero, zero, zero, zero, np.zeros(4, dtype=bool), zero)
    assert with_puppi(seen, np.zeros(2, dtype=np.int64)).puppi.tolist() == [1.0, 1.0, 0.0, 0.0]


# --- what it is all for


def test_resolution_of_missing_momentum_grows_like_the_root_of_the_collisions(
    crowded: dict[float, Observation],
) -> None:
    width = {mean: _missing(seen.candidates.objects).std() for mean, seen in crowded.items()}
    for low, high in ((10, 20), (20, 40), (10, 40)):
        # Each width of 400 values is known to 3.5 %.
        assert width[high] / width[low] == pytest.approx(np.sqrt(high / low), rel=4 * 0.05)


def test_puppi_measures_missing_momentum_better(crowded: dict[float, Observation]) -> None:
    for seen in crowded.values():
        assert _missing(seen.weighted.objects).std() < 0.7 * _missing(seen.candidates.objects).std()


def test_subtraction_brings_jets_back(objects: Maker, pile_up: PileUp) -> None:
    # Six muons of 10 GeV in a cone: a jet that no calorimeter measures, so that pile-up alone moves it.
    events = 100
    rng = np.random.default_rng(9)
    rows = [(k, 10.0, *rng.uniform(-0.15, 0.15, 2)) for k in range(events) for _ in range(6)]
    hard = prompt(objects(rows, n_events=events, pdg_id=13, charge=-1))
    seen = observe(hard, np.random.default_rng(1), pile_up=pile_up)
    muons = seen.cleaned.objects[np.abs(seen.cleaned.objects.pdg_id) == 13]
    true = np.hypot(*(np.bincount(muons.event, np.where(muons.pt > 5, p, 0.0), events) for p in muons.momentum[:2]))

    assert seen.rho is not None
    raw = cluster_jets(seen.cleaned.objects, radius=0.4, minimum_pt=15.0).jets
    shift, left = (
        jets.pt[near] - true[jets.event[near]]
        for jets in (raw, subtract_density(raw, seen.rho, radius=0.4)[0])
        for near in [(np.hypot(jets.eta, jets.phi) < 0.2) & (raw.pt > 40.0)]
    )
    assert len(shift) >= 0.95 * events
    # Ten GeV of neutral pile-up in the area of the jet; afterwards nothing, within the errors and the median's bias.
    error = left.std() / np.sqrt(len(left))
    assert 6.0 < shift.mean() < 16.0
    assert abs(left.mean()) < 0.2 * shift.mean() + 4 * error


def test_same_seed_same_pile_up(objects: Maker, tiny: Particles) -> None:
    hard = _dimuons(objects, events=50)
    one, two, other = (overlay(hard, PileUp(tiny, 3.0), np.random.default_rng(seed))[0] for seed in (1, 1, 2))
    assert np.array_equal(one.objects.phi, two.objects.phi) and np.array_equal(one.z, two.z)
    assert len(one) != len(other) or not np.array_equal(one.z, other.z)
