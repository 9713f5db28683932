"""Soft bombs: a heavy particle bursts into many soft dark mesons, isotropic in its rest frame, with a thermal spectrum.

S. Knapen, S. Pagan Griso, M. Papucci, D. J. Robinson, JHEP 08 (2017) 076, arXiv:1612.00850. Pythia makes the heavy
particle with everything around it and leaves it stable; here it is replaced by dark mesons, and each of these by two
pions: π⁺π⁻ (two thirds) or π⁰π⁰ (four photons).
"""

import numpy as np

from hepfilter.config.process import SoftBomb
from hepfilter.errors import SimulationError
from hepfilter.simulation.flat import FlatObjects, Floats, Ints, from_momentum
from hepfilter.simulation.truth import Record

PION, NEUTRAL_PION, PHOTON = 211, 111, 22
PION_MASS = {PION: 0.13957, NEUTRAL_PION: 0.13498}  # GeV
NEUTRAL_SHARE = 1.0 / 3.0
FINAL = 201  # a status that Pythia leaves to others
_GRID = 4096

Momenta = Floats
"""[4, N]: E, px, py, pz in GeV."""


def burst(record: Record, bomb: SoftBomb, rng: np.random.Generator) -> Record:
    """The record with the stable particles of the bomb's code replaced by pions and photons."""
    heavy = np.flatnonzero((record.status > 0) & (record.absolute == abs(bomb.pdg_id)))
    mesons, source = _thermal(record.objects.mass[heavy], bomb, rng)
    mesons = _boosted(mesons, _momenta(record.objects[heavy])[:, source])
    neutral = rng.random(len(source)) < NEUTRAL_SHARE
    charged, charged_source = _two_body(mesons[:, ~neutral], PION_MASS[PION], rng)
    pions, pion_source = _two_body(mesons[:, neutral], PION_MASS[NEUTRAL_PION], rng)
    photons, photon_source = _two_body(pions, 0.0, rng)
    sources = [source[~neutral][charged_source], source[neutral][pion_source][photon_source]]
    signs = np.where(np.arange(len(charged_source)) < len(charged_source) // 2, 1, -1)
    return _appended(
        record,
        np.concatenate([charged, photons], axis=1),
        heavy[np.concatenate(sources)],
        np.concatenate([PION * signs, np.full(len(photon_source), PHOTON)]),
        np.concatenate([signs, np.zeros(len(photon_source), dtype=np.int64)]),
    )


def _thermal(mass: Floats, bomb: SoftBomb, rng: np.random.Generator) -> tuple[Momenta, Ints]:
    """Dark mesons at rest with each heavy particle, and which one each comes from.

    |p| is drawn from p² exp(−√(p² + m²)/T); as many as carry the mass, then balanced: the mean momentum is subtracted,
    and all momenta are scaled so that the energies sum to the mass.
    """
    if len(mass) and 2.0 * bomb.meson_mass > mass.min():
        raise SimulationError(f"soft bomb: {mass.min():.4g} GeV cannot burst into mesons of {bomb.meson_mass:.4g} GeV")
    p = np.linspace(0.0, 40.0 * bomb.temperature + 10.0 * bomb.meson_mass, _GRID)
    energy = np.hypot(p, bomb.meson_mass)
    spectrum = p**2 * np.exp(-(energy - bomb.meson_mass) / bomb.temperature)
    mean_energy = float(np.sum(spectrum * energy) / np.sum(spectrum))
    numbers = np.maximum(rng.poisson(mass / mean_energy), 2)
    numbers = np.minimum(numbers, np.maximum((0.95 * mass / bomb.meson_mass).astype(np.int64), 2))
    source = np.repeat(np.arange(len(mass)), numbers)
    cumulative = np.cumsum(spectrum) / np.sum(spectrum)
    momentum = np.interp(rng.random(len(source)), cumulative, p) * _directions(len(source), rng)
    for axis in range(3):
        mean = np.bincount(source, momentum[axis], len(mass)) / numbers
        momentum[axis] -= mean[source]
    momentum *= _scale_to_mass(momentum, source, mass, bomb.meson_mass)[source]
    return np.concatenate([[np.sqrt(np.sum(momentum**2, axis=0) + bomb.meson_mass**2)], momentum]), source


def _scale_to_mass(momentum: Floats, source: Ints, mass: Floats, meson_mass: float) -> Floats:
    """Of each heavy particle the factor on its mesons' momenta that makes their energies its mass (bisection)."""
    square = np.sum(momentum**2, axis=0)
    low, high = np.zeros(len(mass)), np.full(len(mass), 64.0)
    for _ in range(60):
        middle = 0.5 * (low + high)
        total = np.bincount(source, np.sqrt(middle[source] ** 2 * square + meson_mass**2), len(mass))
        low, high = np.where(total < mass, middle, low), np.where(total < mass, high, middle)
    factor: Floats = 0.5 * (low + high)
    return factor


def _directions(count: int, rng: np.random.Generator) -> Floats:
    """[3, count] isotropic unit vectors."""
    cos, phi = rng.uniform(-1.0, 1.0, count), rng.uniform(-np.pi, np.pi, count)
    sin = np.sqrt(1.0 - cos**2)
    return np.stack([sin * np.cos(phi), sin * np.sin(phi), cos])


def _two_body(mothers: Momenta, mass: float, rng: np.random.Generator) -> tuple[Momenta, Ints]:
    """Isotropic decays to two particles of `mass`: first all first ones, then all second ones, with their mothers."""
    energy, momentum = mothers[0], mothers[1:]
    mother_mass = np.sqrt(np.maximum(energy**2 - np.sum(momentum**2, axis=0), 0.0))
    size = np.sqrt(np.maximum(0.25 * mother_mass**2 - mass**2, 0.0))
    direction = size * _directions(len(energy), rng)
    half = 0.5 * mother_mass[None]
    pair = [_boosted(np.concatenate([half, sign * direction]), mothers) for sign in (1.0, -1.0)]
    return np.concatenate(pair, axis=1), np.tile(np.arange(len(energy)), 2)


def _boosted(momenta: Momenta, frame: Momenta) -> Momenta:
    """Momenta given in the rest frames of `frame`, in the frame where those move."""
    mass = np.sqrt(np.maximum(frame[0] ** 2 - np.sum(frame[1:] ** 2, axis=0), 1e-12))
    along = np.sum(frame[1:] * momenta[1:], axis=0)
    energy = (frame[0] * momenta[0] + along) / mass
    return np.concatenate([[energy], momenta[1:] + frame[1:] * (momenta[0] + energy) / (frame[0] + mass)])


def _momenta(objects: FlatObjects) -> Momenta:
    return np.stack([objects.energy, *objects.momentum])


def _appended(record: Record, momenta: Momenta, mother: Ints, pdg_id: Ints, charge: Ints) -> Record:
    """The record with these particles added to the events of their mothers, which are stable no more."""
    old = record.objects
    energy, px, py, pz = momenta
    mass = np.sqrt(np.maximum(energy**2 - px**2 - py**2 - pz**2, 0.0))
    event = old.event[mother]
    new = from_momentum(px, py, pz, mass, n_events=old.n_events, event=event, pdg_id=pdg_id, charge=charge)
    status = record.status.copy()
    status[mother] = -FINAL
    order = np.argsort(np.concatenate([old.event, event]), kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    mothers = np.concatenate([record.mother, mother])[order]
    return Record(
        objects=old.joined(new)[order],
        status=np.concatenate([status, np.full(len(mother), FINAL)])[order],
        mother=np.where(mothers >= 0, place[mothers], -1),
        x=np.concatenate([record.x, record.x[mother]])[order],
        y=np.concatenate([record.y, record.y[mother]])[order],
        z=np.concatenate([record.z, record.z[mother]])[order],
    )
