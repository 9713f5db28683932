from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import kv
from scipy.stats import kstest

from hepfilter.config.card import load_card
from hepfilter.config.process import SoftBomb
from hepfilter.simulation.flat import FlatObjects, Floats, Ints
from hepfilter.simulation.pythia import generate
from hepfilter.simulation.soft_bomb import FINAL, burst
from hepfilter.simulation.truth import Record, read_record, read_truth

Maker = Callable[..., FlatObjects]
BOMB = SoftBomb(pdg_id=25, temperature=2.0, meson_mass=2.0)
HEAVY, EVENTS = 400.0, 300


def _record(objects: Maker, *, mass: float = HEAVY, events: int = EVENTS, at_rest: bool = False) -> Record:
    """Of each event the hard and the last copy of a scalar, a quark before, a pion after; the last event has none."""
    rng = np.random.default_rng(1)
    rows, codes, status, mother = [], [], [], []
    for event in range(events):
        start = len(rows)
        pt, eta, phi = rng.uniform(1.0, 300.0), rng.normal(), rng.uniform(-3, 3)
        heavy = (event, 0.0, 0.0, 0.0) if at_rest else (event, pt, eta, phi)
        rows += [(event, 20.0, 1.0, 0.0), heavy, heavy, (event, 5.0, -1.0, 1.0)]
        codes += [1, 25, 25, 211]
        status += [-23, -22, 62, 83]
        mother += [-1, start, start + 1, start]
    made = objects(rows, n_events=events + 1)
    heavy_mass = np.where(np.array(codes) == 25, mass, 0.0)
    made = replace(made, pdg_id=np.array(codes), mass=heavy_mass, charge=np.where(np.array(codes) == 211, 1, 0))
    x, y, z = rng.normal(size=(3, len(rows)))
    return Record(made, np.array(status), np.array(mother), x, y, z)


def _products(record: Record) -> Ints:
    """The rows of what the burst made: stable, with the last copy of the scalar as mother."""
    mother = np.maximum(record.mother, 0)
    return np.flatnonzero((record.mother >= 0) & (record.status > 0) & (record.absolute[mother] == 25))


def _four_momenta(objects: FlatObjects) -> Floats:
    return np.stack([objects.energy, *objects.momentum])


@pytest.fixture(scope="module")
def before(objects: Maker) -> Record:
    return _record(objects)


@pytest.fixture(scope="module")
def after(before: Record) -> Record:
    return burst(before, BOMB, np.random.default_rng(2))


@pytest.fixture(scope="module")
def rest(objects: Maker) -> Record:
    """Bursts of scalars at rest."""
    return burst(_record(objects, at_rest=True), BOMB, np.random.default_rng(3))


def _mesons(record: Record) -> tuple[Floats, Ints]:
    """Four-momenta of the dark mesons that decay to charged pions, and the event of each.

    In each event the first pion of each meson is positive, the second negative, both in the same order.
    """
    made = record.objects[_products(record)]
    plus, minus = made[made.pdg_id == 211], made[made.pdg_id == -211]
    assert np.array_equal(plus.event, minus.event)
    return _four_momenta(plus) + _four_momenta(minus), plus.event


def test_energy_and_momentum_of_the_heavy_particle_are_kept(before: Record, after: Record) -> None:
    heavy = before.objects[before.status == 62]
    made = after.objects[_products(after)]
    expected, energy = _four_momenta(heavy), heavy.energy
    for component, total in zip(_four_momenta(made), expected, strict=True):
        assert np.abs(np.bincount(made.event, component, EVENTS + 1)[:EVENTS] - total).max() < 1e-6 * energy.max()
        assert np.all(np.abs(np.bincount(made.event, component, EVENTS + 1)[:EVENTS] - total) < 1e-6 * energy)


def test_products_are_pions_and_photons_on_their_mass_shells_and_charge_sums_to_nothing(after: Record) -> None:
    made = after.objects[_products(after)]
    assert set(made.pdg_id.tolist()) == {211, -211, 22}
    assert not np.bincount(made.event, made.charge, EVENTS + 1).any()
    assert np.array_equal(made.charge, np.sign(made.pdg_id) * (np.abs(made.pdg_id) == 211))
    assert made.mass[made.pdg_id != 22] == pytest.approx(0.13957, abs=1e-4)
    assert made.mass[made.pdg_id == 22] == pytest.approx(0.0, abs=1e-4)


def test_other_particles_stay_as_they_are_and_events_stay_in_order(before: Record, after: Record) -> None:
    event = after.objects.event
    assert after.objects.n_events == EVENTS + 1
    assert np.all(np.diff(event) >= 0)
    assert after.objects.counts[-1] == 0
    old = np.setdiff1d(np.arange(len(after)), _products(after))
    kept = after[old]
    for name in ("event", "pt", "eta", "phi", "mass", "pdg_id", "charge"):
        assert np.array_equal(getattr(kept.objects, name), getattr(before.objects, name)), name
    for axis in "xyz":
        assert np.array_equal(getattr(kept, axis), getattr(before, axis))
    # The scalar alone is stable no more, and mothers are the same particles.
    assert np.array_equal(kept.status, np.where(before.status == 62, -FINAL, before.status))
    has = before.mother >= 0
    assert np.array_equal(has, kept.mother >= 0)
    assert np.array_equal(old[before.mother[has]], kept.mother[has])


def test_mothers_are_the_last_copy_of_the_same_event_and_births_are_its(after: Record) -> None:
    rows = _products(after)
    mother = after.mother[rows]
    assert FINAL == 201
    assert np.all(after.status[rows] == FINAL) and np.all(after.status[mother] == -FINAL)
    assert np.array_equal(after.objects.event[mother], after.objects.event[rows])
    assert len(np.unique(mother)) == EVENTS
    for axis in "xyz":
        assert np.array_equal(getattr(after, axis)[rows], getattr(after, axis)[mother])


def test_charged_pions_come_from_mesons_of_the_stated_mass(after: Record) -> None:
    mesons, _ = _mesons(after)
    mass = np.sqrt(mesons[0] ** 2 - np.sum(mesons[1:] ** 2, axis=0))
    assert mass == pytest.approx(np.full(len(mass), 2.0), abs=1e-3)


def test_two_thirds_of_the_mesons_decay_to_charged_pions(after: Record) -> None:
    made = after.objects[_products(after)]
    charged, neutral = np.sum(made.pdg_id == 211), np.sum(made.pdg_id == 22) / 4
    total = charged + neutral
    assert neutral == int(neutral)
    assert abs(charged - total * 2 / 3) < 4 * np.sqrt(total * 2 / 9)


def test_the_number_of_mesons_is_poisson_with_the_mean_energy_of_the_thermal_spectrum(after: Record) -> None:
    made = after.objects[_products(after)]
    numbers = np.bincount(made.event, np.where(made.pdg_id == 211, 1.0, 0.25 * (made.pdg_id == 22)))[:EVENTS]
    # ⟨E⟩ of d³p exp(−E/T) is 3T + m K1(m/T) / K2(m/T): 6.74 GeV.
    mean_energy = 3 * 2.0 + 2.0 * kv(1, 1.0) / kv(2, 1.0)
    expected = HEAVY / mean_energy
    assert mean_energy == pytest.approx(6.74, abs=0.01)
    assert abs(numbers.mean() - expected) < 4 * np.sqrt(expected / EVENTS)
    assert abs(numbers.var(ddof=1) - expected) < 4 * expected * np.sqrt(2 / EVENTS)


def test_mesons_have_the_thermal_spectrum_where_the_scalar_rests(rest: Record) -> None:
    mesons, _ = _mesons(rest)
    p = np.linspace(0.0, 60.0, 20_000)
    weight = p**2 * np.exp(-np.hypot(p, 2.0) / 2.0)
    cumulative = np.cumsum(weight) / weight.sum()
    size = np.sqrt(np.sum(mesons[1:] ** 2, axis=0))
    # To balance a burst its 59 mesons are scaled by some per cent: the shape is thermal to that.
    assert len(size) > 10_000
    assert kstest(size, lambda value: np.interp(value, p, cumulative)).statistic < 0.02
    spectral = np.sum(weight * np.hypot(p, 2.0)) / weight.sum()
    assert mesons[0].mean() == pytest.approx(spectral, rel=0.02)


def test_a_burst_is_isotropic_where_the_scalar_rests(rest: Record) -> None:
    made = rest.objects[_products(rest)]
    x, y, z = made.momentum
    size = np.sqrt(x**2 + y**2 + z**2)
    for axis in (x, y, z):
        cosine = axis / size
        # Photons of one pion and pions of one meson are correlated: half as many directions count.
        assert kstest(cosine, "uniform", args=(-1, 2)).statistic < 1.63 / np.sqrt(len(cosine) / 4)
        assert abs(np.mean(cosine**2) - 1 / 3) < 4 * np.sqrt(4 / 45 / (len(cosine) / 4))
    for one, other in ((x, y), (y, z), (x, z)):
        assert abs(np.mean(one * other / size**2)) < 4 * np.sqrt(1 / 15 / (len(x) / 4))


def test_hotter_and_heavier_bombs_make_fewer_and_harder_mesons(objects: Maker) -> None:
    record = _record(objects, events=50)
    hot = burst(record, SoftBomb(pdg_id=-25, temperature=8.0, meson_mass=2.0), np.random.default_rng(2))
    cold = burst(record, SoftBomb(pdg_id=25, temperature=0.5, meson_mass=0.5), np.random.default_rng(2))
    assert 4 * len(_products(hot)) < len(_products(cold))


def test_a_light_scalar_still_gives_two_mesons_and_its_energy(objects: Maker) -> None:
    made = burst(_record(objects, mass=4.5, events=50), BOMB, np.random.default_rng(2))
    rows = _products(made)
    pions = made.objects[rows]
    numbers = np.bincount(pions.event, np.where(pions.pdg_id == 211, 1.0, 0.25 * (pions.pdg_id == 22)))[:50]
    assert numbers.tolist() == [2.0] * 50
    energy = np.bincount(pions.event, pions.energy)[:50]
    assert energy == pytest.approx(made.objects[made.status == -FINAL].energy, rel=1e-6)


def test_a_record_without_the_heavy_particle_is_left_alone(before: Record) -> None:
    made = burst(before, SoftBomb(pdg_id=35, temperature=2.0, meson_mass=2.0), np.random.default_rng(2))
    assert len(made) == len(before)
    assert np.array_equal(made.status, before.status) and np.array_equal(made.mother, before.mother)


def test_the_shipped_bomb_bursts_in_every_event() -> None:
    card = load_card("soft_bomb@125").model_copy(update={"multiple_interactions": False})
    made = generate(card, events=20, seed=5)
    record = read_record(made.events, made.particle_data)
    assert card.soft_bomb is not None
    heavy = record.objects[(record.status > 0) & (record.absolute == 25)]
    assert heavy.counts.tolist() == [1] * 20
    after = burst(record, card.soft_bomb, np.random.default_rng(2))
    assert not np.any((after.status > 0) & (after.absolute == 25))
    stable, was = after.objects[after.status > 0], record.objects[record.status > 0]
    # Hundreds of pions are no part of the hard process, the scalar is.
    truth, bare = (read_truth(r, made.particle_data).hard for r in (after, record))
    assert truth.pdg_id.tolist() == bare.pdg_id.tolist()
    assert np.bincount(truth.event, truth.pdg_id == 25).tolist() == [1] * 20
    for new, old in zip(_four_momenta(stable), _four_momenta(was), strict=True):
        balance = np.bincount(stable.event, new) - np.bincount(was.event, old)
        assert np.abs(balance).max() < 1e-6 * 13_000
