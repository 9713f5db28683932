"""Calorimeters: cells, resolution, and the energy flow that merges tower energies with the tracks that point to them.

The numbers are those of the public CMS and ATLAS cards of Delphes 3 (delphes_card_CMS.tcl, delphes_card_ATLAS.tcl;
J. de Favereau et al., JHEP 02 (2014) 057, arXiv:1307.6346), the cells simplified. CMS: ECAL 0.0175 × 1° up to |η| = 3,
HCAL 0.087 × 5° up to 1.74 and 0.174 × 10° beyond, forward 0.35 × 10°. ATLAS: the same ECAL; HCAL 0.1 × 10° up to 2.5,
0.2 × 20° beyond. The algorithm is that of their energy flow (module SimpleCalorimeter).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hepfilter.simulation.flat import Floats, Ints


@dataclass(frozen=True)
class Cells:
    """A grid in η and φ: `fine_eta` × 2π/`fine_phi` up to |η| = `border`, `coarse_eta` × 2π/`coarse_phi` beyond."""

    border: float
    fine_eta: float
    fine_phi: int
    coarse_eta: float
    coarse_phi: int

    def locate(self, eta: Floats, phi: Floats) -> tuple[Ints, Floats, Floats]:
        """For each direction the number of its cell (unique within the calorimeter), and the cell's centre (η, φ)."""
        absolute = np.abs(eta)
        fine = absolute < self.border
        fine_row = np.floor(eta / self.fine_eta)
        coarse_row = np.floor((absolute - self.border) / self.coarse_eta)
        side = np.where(eta < 0.0, -1.0, 1.0)
        row = np.where(fine, fine_row, side * (1000 + coarse_row)).astype(np.int64)
        centre_eta = np.where(
            fine,
            (fine_row + 0.5) * self.fine_eta,
            side * (self.border + (coarse_row + 0.5) * self.coarse_eta),
        )
        columns = np.where(fine, self.fine_phi, self.coarse_phi)
        column = np.floor((phi + np.pi) / (2.0 * np.pi) * columns).astype(np.int64) % columns
        centre_phi = (column + 0.5) * 2.0 * np.pi / columns - np.pi
        return (row + 2000) * 400 + column, centre_eta, centre_phi


@dataclass(frozen=True)
class Calorimeter:
    """Cells, resolution σ(η, E) in GeV, and what counts as a signal: an energy, and an energy in units of σ."""

    cells: Cells
    resolution: Callable[[Floats, Floats], Floats]
    minimum_energy: float
    minimum_significance: float


@dataclass(frozen=True)
class EnergyFlow:
    """The neutral towers (`event`, centre `eta` and `phi`, `energy` in GeV) and one factor per particle, by which the
    momentum of its track is scaled (1 for particles without a track or whose tower left the track alone)."""

    event: Ints
    eta: Floats
    phi: Floats
    energy: Floats
    track_scale: Floats


def cms_ecal_resolution(eta: Floats, energy: Floats) -> Floats:
    """σ(E) in GeV of the electromagnetic calorimeter of CMS and, beyond |η| = 2.5, of the forward one."""
    absolute = np.abs(eta)
    barrel = _resolution(energy, constant=0.008, stochastic=0.11, noise=0.40)
    forward = _resolution(energy, constant=0.107, stochastic=2.08)
    endcap = (2.16 + 5.6 * (absolute - 2.0) ** 2) * barrel
    return np.where(absolute < 1.5, (1.0 + 0.64 * absolute**2) * barrel, np.where(absolute < 2.5, endcap, forward))


def cms_hcal_resolution(eta: Floats, energy: Floats) -> Floats:
    """σ(E) in GeV of the hadronic calorimeter of CMS and, beyond |η| = 3, of the forward one."""
    central = _resolution(energy, constant=0.050, stochastic=1.50)
    forward = _resolution(energy, constant=0.130, stochastic=2.70)
    return np.where(np.abs(eta) < 3.0, central, forward)


def atlas_ecal_resolution(eta: Floats, energy: Floats) -> Floats:
    """σ(E) in GeV of the electromagnetic calorimeter of ATLAS and, beyond |η| = 3.2, of the forward one."""
    central = _resolution(energy, constant=0.0017, stochastic=0.101)
    forward = _resolution(energy, constant=0.0350, stochastic=0.285)
    return np.where(np.abs(eta) < 3.2, central, forward)


def atlas_hcal_resolution(eta: Floats, energy: Floats) -> Floats:
    """σ(E) in GeV of the hadronic calorimeters of ATLAS: barrel, endcap, and forward from |η| = 3.2."""
    absolute = np.abs(eta)
    barrel = _resolution(energy, constant=0.0302, stochastic=0.5205, noise=1.59)
    endcap = _resolution(energy, constant=0.0500, stochastic=0.706)
    forward = _resolution(energy, constant=0.09420, stochastic=1.00)
    return np.where(absolute < 1.7, barrel, np.where(absolute < 3.2, endcap, forward))


def _resolution(energy: Floats, *, constant: float, stochastic: float, noise: float = 0.0) -> Floats:
    """√((constant · E)² + stochastic² · E + noise²)."""
    return np.sqrt((constant * energy) ** 2 + stochastic**2 * energy + noise**2)


ECAL_CELLS = Cells(3.0, np.pi / 180.0, 360, 0.35, 36)
CMS_ECAL = Calorimeter(ECAL_CELLS, cms_ecal_resolution, 0.5, 2.0)
CMS_HCAL = Calorimeter(Cells(1.74, 0.087, 72, 0.174, 36), cms_hcal_resolution, 1.0, 1.0)
ATLAS_ECAL = Calorimeter(ECAL_CELLS, atlas_ecal_resolution, 0.5, 2.0)
ATLAS_HCAL = Calorimeter(Cells(2.5, 0.1, 36, 0.2, 18), atlas_hcal_resolution, 1.0, 2.0)


def log_normal(mean: Floats, sigma: Floats, rng: np.random.Generator) -> Floats:
    """Positive random values with the given mean and standard deviation; close to 0 where the mean is 0."""
    positive = np.maximum(mean, 1e-12)
    width = np.sqrt(np.log1p((sigma / positive) ** 2))
    return np.exp(np.log(positive) - 0.5 * width**2 + width * rng.standard_normal(len(mean)))


def energy_flow(
    calorimeter: Calorimeter,
    *,
    event: Ints,
    eta: Floats,
    phi: Floats,
    deposit: Floats,
    track_energy: Floats,
    track_error: Floats,
    rng: np.random.Generator,
) -> EnergyFlow:
    """Sum the deposits of each event's cells, smear the sums, and compare them with the tracks that point there.

    All arrays have one entry per particle: `deposit` is the true energy it leaves here, `track_energy` its energy as
    measured by the tracker and `track_error` the error of that (both 0 without a track). What a tower has above its
    tracks becomes a neutral candidate if it is significant; otherwise the tracks are scaled so that their sum is the
    weighted mean of the tracker's and the calorimeter's value. A lost track thus still counts with its energy.
    """
    hit = np.flatnonzero(deposit > 0.0)
    cell, cell_eta, cell_phi = calorimeter.cells.locate(eta[hit], phi[hit])
    _, first, tower = np.unique(event[hit] * 4000 * 400 + cell, return_index=True, return_inverse=True)
    tracks, tracks_variance, true_energy = (
        np.bincount(tower, values[hit], len(first)).astype(np.float64)
        for values in (track_energy, track_error**2, deposit)
    )
    energy = log_normal(true_energy, calorimeter.resolution(cell_eta[first], true_energy), rng)
    sigma = calorimeter.resolution(cell_eta[first], energy)
    energy[(energy <= calorimeter.minimum_energy) | (energy <= calorimeter.minimum_significance * sigma)] = 0.0

    excess = np.maximum(energy - tracks, 0.0)
    # As in Delphes, σ is that of the energy before a tower is suppressed. The floor is for towers without any energy.
    error = np.sqrt(np.maximum(sigma**2 + tracks_variance, 1e-24))
    neutral = (excess > calorimeter.minimum_energy) & (excess / error > calorimeter.minimum_significance)
    scale = np.where(neutral, 1.0, _combined_scale(tracks, tracks_variance, energy, sigma))
    track_scale = np.ones(len(event))
    track_scale[hit] = scale[tower]
    return EnergyFlow(
        event=event[hit][first][neutral],
        eta=cell_eta[first][neutral],
        phi=cell_phi[first][neutral],
        energy=excess[neutral],
        track_scale=track_scale,
    )


def _combined_scale(tracks: Floats, tracks_variance: Floats, energy: Floats, sigma: Floats) -> Floats:
    """Factor that brings the tracks of each tower to the weighted mean of tracker and calorimeter; 1 without tracks."""
    track_weight = np.where(tracks_variance > 0.0, 1.0 / np.maximum(tracks_variance, 1e-12), 0.0)
    tower_weight = np.where(sigma > 0.0, 1.0 / np.maximum(sigma**2, 1e-12), 0.0)
    mean = (track_weight * tracks + tower_weight * energy) / np.maximum(track_weight + tower_weight, 1e-12)
    return np.where(tracks > 0.0, mean / np.maximum(tracks, 1e-12), 1.0)
