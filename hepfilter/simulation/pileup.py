"""Pile-up: further collisions laid over the hard one, and what reconstruction does against them.

Charged-hadron subtraction drops tracks of other collisions; jets lose their area times the median density ρ (M.
Cacciari, G. P. Salam, PLB 659 (2008) 119, arXiv:0707.1378); PUPPI weights neutral candidates (D. Bertolini, P. Harris,
M. Low, N. Tran, JHEP 10 (2014) 059, arXiv:1407.6013).
"""

import atexit
import shutil
import tempfile
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree
from scipy.stats import chi2

from hepfilter.config.card import Card, load_card
from hepfilter.simulation.detector import TRACKER
from hepfilter.simulation.flat import (
    Candidates,
    FlatObjects,
    Floats,
    Ints,
    Mask,
    Particles,
    pt_order,
    rank_in_event,
)
from hepfilter.simulation.pythia import generate, make_generator
from hepfilter.simulation.truth import read_record, visible_particles

POOL_EVENTS = 1000
POOL_CARD = "minimum_bias"
INITIALISATION_SEED = 20_082
BEAM_SPOT = 45.0  # mm along the beam: spread of the collisions at the LHC, typical

# PUPPI's parameters, as in the paper: cone, nearest distance, smallest weight, and the cut on weight · pT in GeV,
# constant + slope · collisions, in the centre and forward.
PUPPI_CONE, PUPPI_NEAREST, PUPPI_WEIGHT = 0.3, 0.02, 0.1
PUPPI_CENTRAL_CUT, PUPPI_FORWARD_CUT = (0.1, 0.007), (0.5, 0.013)

GRID = 0.55  # side of the cells whose median is ρ, as in CMS
GRID_ETA = 4.7


@dataclass(frozen=True)
class PileUp:
    """Minimum-bias collisions to draw from, and the mean number that each event gets."""

    pool: Particles
    mean: float


def make_pile_up(mean: float, *, energy_tev: float, seed: int) -> PileUp:
    """A pool of 1,000 minimum-bias collisions (card ``minimum_bias``)."""
    initialised = _initialised(POOL_CARD, energy_tev)
    card = _minimum_bias(POOL_CARD, energy_tev, reuse=2, file=initialised)
    made = generate(card, events=POOL_EVENTS, seed=seed)
    return PileUp(visible_particles(read_record(made.events, made.particle_data), made.particle_data), mean)


@cache
def _initialised(name: str, energy_tev: float) -> Path:
    """Where this process keeps Pythia's initialisation of minimum bias, which takes seconds; of a seed of its own, so
    that it is the same in every process."""
    folder = Path(tempfile.mkdtemp(prefix="hepfilter-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "minimum_bias.init"
    make_generator(_minimum_bias(name, energy_tev, reuse=1, file=path), seed=INITIALISATION_SEED)
    return path


def _minimum_bias(name: str, energy_tev: float, *, reuse: int, file: Path) -> Card:
    """The card, with its initialisation written to (`reuse` 1) or read from (2) `file`."""
    card = load_card(name)
    lines = (f"MultipartonInteractions:reuseInit = {reuse}", f"MultipartonInteractions:initFile = {file}")
    return card.model_copy(update={"energy_tev": energy_tev, "settings": (*card.settings, *lines)})


def overlay(hard: Particles, pile_up: PileUp, rng: np.random.Generator) -> tuple[Particles, Ints]:
    """The particles with those of Poisson many further collisions an event, and these numbers.

    A collision of the pool is used with a random azimuth and a random direction of the beam, so that one pool serves
    many events; its place along the beam is drawn anew, relative to the hard one.
    """
    n_events = hard.objects.n_events
    numbers = rng.poisson(pile_up.mean, n_events)
    event = np.repeat(np.arange(n_events), numbers)
    place = rng.normal(0.0, BEAM_SPOT, len(event)) - rng.normal(0.0, BEAM_SPOT, n_events)[event]
    turn, side = rng.uniform(0.0, 2.0 * np.pi, len(event)), rng.choice([-1.0, 1.0], len(event))
    sizes = pile_up.pool.objects.counts
    source = rng.integers(len(sizes), size=len(event))
    collision = np.repeat(np.arange(len(event)), sizes[source])
    drawn = pile_up.pool[(np.cumsum(sizes) - sizes)[source[collision]] + rank_in_event(collision)]
    angle = turn[collision]
    cos, sin = np.cos(angle), np.sin(angle)
    objects = replace(
        drawn.objects,
        n_events=n_events,
        event=event[collision],
        eta=drawn.objects.eta * side[collision],
        phi=(drawn.objects.phi + angle + np.pi) % (2.0 * np.pi) - np.pi,
    )
    soft = Particles(
        objects=objects,
        x=drawn.x * cos - drawn.y * sin,
        y=drawn.x * sin + drawn.y * cos,
        z=drawn.z * side[collision] + place[collision],
        collision=collision + 1,
    )
    return _joined(hard, soft), numbers


def _joined(hard: Particles, soft: Particles) -> Particles:
    """Both, the events in order."""
    objects = hard.objects.joined(soft.objects)
    others = (np.concatenate([getattr(hard, name), getattr(soft, name)]) for name in ("x", "y", "z", "collision"))
    return Particles(objects, *others)[np.argsort(objects.event, kind="stable")]


def density(candidates: FlatObjects) -> Floats:
    """ρ in GeV per unit of η · φ: of each event the median of Σ pT over cells of a grid up to |η| = 4.7, by area."""
    rows, columns = int(2 * GRID_ETA / GRID), int(2 * np.pi / GRID)
    inside = candidates[np.abs(candidates.eta) < GRID_ETA]
    row = np.minimum((inside.eta + GRID_ETA) / (2 * GRID_ETA) * rows, rows - 1).astype(np.int64)
    column = np.minimum((inside.phi + np.pi) / (2 * np.pi) * columns, columns - 1).astype(np.int64)
    cells = candidates.n_events * rows * columns
    energy = np.bincount((inside.event * rows + row) * columns + column, inside.pt, cells)
    area = (2 * GRID_ETA / rows) * (2 * np.pi / columns)
    median: Floats = np.median(energy.reshape(candidates.n_events, rows * columns), axis=1) / area
    return median


def subtract_density(jets: FlatObjects, rho: Floats, *, radius: float) -> tuple[FlatObjects, Floats]:
    """Jets less ρ times their area πR² (that of a hard anti-kT jet), and the factor (≥ 0) on pT and mass."""
    factor = np.maximum(1.0 - rho[jets.event] * np.pi * radius**2 / jets.pt, 0.0)
    return replace(jets, pt=jets.pt * factor, mass=jets.mass * factor), factor


def with_puppi(candidates: Candidates, collisions: Ints) -> Candidates:
    """The candidates with their PUPPI weights: 1 for tracks of the hard collision, 0 for those of others, and for
    neutral ones the probability that their surroundings are no pile-up. `collisions` is the number of the latter."""
    objects = candidates.objects
    charged, central = objects.charge != 0, np.abs(objects.eta) < TRACKER
    hard, soft = charged & ~candidates.is_pileup, charged & candidates.is_pileup
    weight = np.where(hard, 1.0, 0.0)
    for region, sources, (constant, slope) in (
        (central, hard, PUPPI_CENTRAL_CUT),
        (~central, np.ones(len(objects), dtype=bool), PUPPI_FORWARD_CUT),
    ):
        judged = np.flatnonzero(soft | (region & ~charged))
        alpha = _surroundings(objects[judged], objects[sources])
        chosen = _puppi_weight(objects.event[judged], alpha, soft[judged], objects.n_events)
        neutral = ~charged[judged]
        rows = judged[neutral]
        cut = constant + slope * collisions[objects.event[rows]]
        good = (chosen[neutral] > PUPPI_WEIGHT) & (chosen[neutral] * objects.pt[rows] > cut)
        weight[rows] = np.where(good, chosen[neutral], 0.0)
    return replace(candidates, puppi=weight)


def scaled_by_puppi(candidates: Candidates) -> Candidates:
    """The candidates that PUPPI keeps, with pT times their weights, again by descending pT."""
    kept = candidates[candidates.puppi > 0.0]
    objects = replace(kept.objects, pt=kept.objects.pt * kept.puppi)
    return replace(kept, objects=objects)[pt_order(objects.event, objects.pt)]


def _surroundings(judged: FlatObjects, sources: FlatObjects) -> Floats:
    """PUPPI's α: ln Σ pT/ΔR over the sources within the cone; −∞ where there are none."""
    trees = [
        cKDTree(
            np.stack([o.event * 10.0, o.eta, (o.phi + np.pi) % (2.0 * np.pi)], axis=1), boxsize=[0.0, 0.0, 2.0 * np.pi]
        )
        for o in (judged, sources)
    ]
    near = trees[0].sparse_distance_matrix(trees[1], PUPPI_CONE, output_type="ndarray")
    near = near[near["v"] > PUPPI_NEAREST]  # the particle itself, too
    total = np.bincount(near["i"], sources.pt[near["j"]] / near["v"], len(judged))
    with np.errstate(divide="ignore"):
        alpha: Floats = np.log(total)
    return alpha


def _puppi_weight(event: Ints, alpha: Floats, soft: Mask, n_events: int) -> Floats:
    """The χ² probability (one degree of freedom) of α above the median of pile-up, in units of its lower spread.

    Events whose pile-up has no track with surroundings keep all neutral candidates that have some.
    """
    known = soft & np.isfinite(alpha)
    median = _median_by_event(event[known], alpha[known], n_events)
    below = known & (alpha <= median[event])
    counts = np.bincount(event[below], minlength=n_events)
    spread = np.bincount(event[below], (alpha[below] - median[event[below]]) ** 2, n_events) / np.maximum(counts, 1)
    distance = np.where(np.isfinite(alpha), alpha, -np.inf) - median[event]
    square = np.maximum(distance, 0.0) ** 2 / np.maximum(spread[event], 1e-6)
    weight: Floats = chi2.cdf(np.where(np.isnan(square), np.inf, square), 1)
    return np.where(np.isfinite(alpha), weight, 0.0)


def _median_by_event(event: Ints, values: Floats, n_events: int) -> Floats:
    """The (lower) median of each event's values; NaN without any."""
    order = np.lexsort((values, event))
    counts = np.bincount(event, minlength=n_events)
    middle = np.cumsum(counts) - counts + np.maximum(counts - 1, 0) // 2
    median = np.full(n_events, np.nan)
    has = counts > 0
    median[has] = values[order][middle[has]]
    return median
