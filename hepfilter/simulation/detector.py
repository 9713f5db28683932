"""The detector: tracks, towers and their energy flow turn stable particles into particle-flow candidates.

Efficiencies and resolutions are those of the public CMS card of Delphes 3 (arXiv:1307.6346), which follows the CMS
tracking and muon papers (arXiv:1405.6569, arXiv:1206.4071); its ATLAS card has the same tracks and other calorimeters.
There is no magnetic field.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hepfilter.simulation.calorimeter import (
    ATLAS_ECAL,
    ATLAS_HCAL,
    CMS_ECAL,
    CMS_HCAL,
    Calorimeter,
    EnergyFlow,
    energy_flow,
    log_normal,
)
from hepfilter.simulation.displacement import Reach, impact_errors, impact_parameters, reach
from hepfilter.simulation.flat import Candidates, FlatObjects, Floats, Ints, Mask, Particles, delta_r, pairs, pt_order
from hepfilter.simulation.truth import is_supersymmetric

ACCEPTANCE = 5.0  # |η| of the forward calorimeter's end
TRACKER = 2.5  # |η|
MINIMUM_PT = 0.05  # GeV; below, a particle neither makes a track nor matters in a tower
VERTEX_RESOLUTION = 0.1  # mm; a track of pile-up is known as such where its collision is further away (Delphes, CMS)
CHARGED_HADRON, PHOTON, NEUTRAL_HADRON, ELECTRON, MUON = 211, 22, 130, 11, 13

# Probability that the track of a true lepton is called one (else it stays a charged hadron): |η| below, above 1.5.
ELECTRON_IDENTIFIED = (0.95, 0.85)
MUON_IDENTIFIED = (0.97, 0.95)
ELECTRON_MINIMUM_PT = 2.0  # GeV
SUPERCLUSTER = 0.05  # ΔR within which photons belong to an electron
MUON_MINIMUM_PT = 3.0  # GeV: what it takes to reach the muon chambers
MUON_ACCEPTANCE = 2.4  # |η|

# Resolution of the track pT per |η| bin [0, 0.5), [0.5, 1.5), [1.5, 2.5]: constant term, and slope per GeV.
ETA_BINS = (0.5, 1.5)
CONSTANT = {"hadron": (0.06, 0.10, 0.25), "electron": (0.03, 0.05, 0.15), "muon": (0.01, 0.015, 0.025)}
SLOPE = {"hadron": (1.3e-3, 1.7e-3, 3.1e-3), "electron": (1.3e-3, 1.7e-3, 3.1e-3), "muon": (1e-4, 1.5e-4, 3.5e-4)}


@dataclass(frozen=True)
class Detector:
    """The calorimeters, which are what differs between experiments."""

    ecal: Calorimeter
    hcal: Calorimeter


DETECTORS = {"cms": Detector(CMS_ECAL, CMS_HCAL), "atlas": Detector(ATLAS_ECAL, ATLAS_HCAL)}


@dataclass(frozen=True)
class _Tracks:
    """Of each particle: whether its track is found, and what the track measures (pT and energy in GeV)."""

    found: Mask
    pt: Floats
    energy: Floats
    error: Floats


def detect(particles: Particles, rng: np.random.Generator, *, detector: Detector = DETECTORS["cms"]) -> Candidates:
    """Particle-flow candidates of `particles` (stable and visible), per event by descending pt.

    `pdg_id` is 211, 11 or 13 with sign for tracks, 22 for electromagnetic and 130 for hadronic towers without (enough)
    track energy, up to |η| = 5. Candidates are massless; neutral ones stand at the centre of their tower.
    """
    seen = particles[particles.objects.pt > MINIMUM_PT]
    place = reach(seen)
    inside = np.abs(place.eta) < ACCEPTANCE
    seen, place = seen[inside], place[inside]
    tracks = _measured_tracks(seen.objects, place, rng)
    flows = _energy_flows(seen.objects, tracks, place, detector, rng)
    pt = tracks.pt * flows[0].track_scale * flows[1].track_scale
    return with_radiation(_candidates(seen, tracks.found, pt, flows, rng))


def _measured_tracks(seen: FlatObjects, place: Reach, rng: np.random.Generator) -> _Tracks:
    found = rng.random(len(seen)) < tracking_efficiency(seen) * place.track_share
    relative = track_resolution(seen)
    pt = log_normal(seen.pt, relative * seen.pt, rng)
    energy = np.where(found, pt * np.cosh(seen.eta), 0.0)
    return _Tracks(found, pt, energy, relative * energy)


def _energy_flows(
    seen: FlatObjects, tracks: _Tracks, place: Reach, detector: Detector, rng: np.random.Generator
) -> list[EnergyFlow]:
    """What ECAL and HCAL see, in this order.

    Particles born behind the ECAL leave all of their energy in the HCAL; muons and R-hadrons leave none.
    """
    absolute = np.abs(seen.pdg_id)
    electromagnetic = (absolute == ELECTRON) | (absolute == PHOTON)
    penetrating = (absolute == MUON) | is_supersymmetric(absolute)
    in_ecal = np.where(place.before_ecal & ~penetrating, _ecal_share(absolute), 0.0)
    in_hcal = np.where(penetrating, 0.0, 1.0 - in_ecal)
    return [
        energy_flow(
            calorimeter,
            event=seen.event,
            eta=place.eta,
            phi=place.phi,
            deposit=seen.energy * share,
            track_energy=np.where(pointing, tracks.energy, 0.0),
            track_error=np.where(pointing, tracks.error, 0.0),
            rng=rng,
        )
        for calorimeter, share, pointing in (
            (detector.ecal, in_ecal, absolute == ELECTRON),
            (detector.hcal, in_hcal, ~electromagnetic & ~penetrating),
        )
    ]


def with_radiation(candidates: Candidates) -> Candidates:
    """The candidates with each photon within ΔR < 0.05 of an electron added to the nearest one.

    As a supercluster does: such photons are radiated, or what the ECAL measures above a track that fluctuated down.
    """
    objects = candidates.objects
    electron, photon = (np.flatnonzero(np.abs(objects.pdg_id) == code) for code in (ELECTRON, PHOTON))
    i, j = pairs(objects[photon], objects[electron])
    distance = delta_r(objects[photon], objects[electron], i, j)
    order = np.lexsort((distance, i))
    order = order[distance[order] < SUPERCLUSTER]
    merged, first = np.unique(i[order], return_index=True)
    if not len(merged):
        return candidates
    pt = objects.pt.copy()
    np.add.at(pt, electron[j[order[first]]], pt[photon[merged]])
    kept = np.ones(len(pt), dtype=bool)
    kept[photon[merged]] = False
    left = replace(candidates, objects=replace(objects, pt=pt))[kept]
    return left[pt_order(left.objects.event, left.objects.pt)]


def tracking_efficiency(particles: FlatObjects) -> Floats:
    """Probability that a particle leaves a reconstructed track; 0 for neutral ones and beyond |η| = 2.5."""
    absolute = np.abs(particles.pdg_id)
    pt, central = particles.pt, np.abs(particles.eta) < 1.5
    hadron = np.where(pt < 1.0, np.where(central, 0.70, 0.60), np.where(central, 0.95, 0.85))
    hard_electron = np.where(pt < 100.0, np.where(central, 0.95, 0.83), np.where(central, 0.99, 0.90))
    electron = np.where(pt < 1.0, np.where(central, 0.73, 0.50), hard_electron)
    muon = np.where(pt < 1.0, np.where(central, 0.75, 0.70), np.where(central, 0.99, 0.98))
    muon = np.where(pt > 1000.0, muon * np.exp(0.5 - 5e-4 * pt), muon)
    efficiency = np.where(absolute == ELECTRON, electron, np.where(absolute == MUON, muon, hadron))
    trackable = (particles.charge != 0) & (np.abs(particles.eta) < TRACKER) & (pt >= 0.1)
    return np.where(trackable, efficiency, 0.0)


def track_resolution(particles: FlatObjects) -> Floats:
    """σ(pT)/pT of the tracks: √(constant² + (slope · pT)²), by kind and |η|."""
    absolute = np.abs(particles.pdg_id)
    place = np.digitize(np.abs(particles.eta), ETA_BINS)

    def by_kind(numbers: dict[str, tuple[float, float, float]]) -> Floats:
        hadron, electron, muon = (np.array(numbers[kind])[place] for kind in ("hadron", "electron", "muon"))
        return np.where(absolute == ELECTRON, electron, np.where(absolute == MUON, muon, hadron))

    return np.hypot(by_kind(CONSTANT), by_kind(SLOPE) * particles.pt)


def _ecal_share(absolute: Ints) -> Floats:
    """Share of the energy left in the ECAL: all of e and γ, 0.3 of K⁰_S and Λ (they decay inside), else none."""
    late = (absolute == 310) | (absolute == 3122)
    return np.where((absolute == ELECTRON) | (absolute == PHOTON), 1.0, np.where(late, 0.3, 0.0))


def _candidates(
    seen: Particles, tracked: Mask, pt: Floats, flows: list[EnergyFlow], rng: np.random.Generator
) -> Candidates:
    """Tracks and neutral towers in one list, per event by descending pt; `pt` are the tracks' final momenta."""
    tracks = seen[tracked]
    sign = np.where(tracks.objects.charge < 0, -1, 1)
    photons, neutrals = flows
    sizes = [len(sign), len(photons.energy), len(neutrals.energy)]
    neutral_pt = [flow.energy / np.cosh(flow.eta) for flow in flows]
    codes = [_reconstructed_id(tracks.objects, rng), np.repeat([PHOTON, NEUTRAL_HADRON], sizes[1:])]
    together = FlatObjects(
        n_events=seen.objects.n_events,
        event=np.concatenate([tracks.objects.event, photons.event, neutrals.event]),
        pt=np.concatenate([pt[tracked], *neutral_pt]),
        eta=np.concatenate([tracks.objects.eta, photons.eta, neutrals.eta]),
        phi=np.concatenate([tracks.objects.phi, photons.phi, neutrals.phi]),
        mass=np.zeros(sum(sizes)),
        pdg_id=np.concatenate(codes),
        charge=_padded(sign, sum(sizes)),
    )
    true_impact, errors = impact_parameters(tracks), impact_errors(tracks.objects.pt)
    d0, dz = (value + error * rng.standard_normal(len(error)) for value, error in zip(true_impact, errors, strict=True))
    order = pt_order(together.event, together.pt)
    return Candidates(
        objects=together,
        **{
            name: _padded(values, len(together))
            for name, values in {"d0": d0, "d0_error": errors[0], "dz": dz, "dz_error": errors[1]}.items()
        },
        is_pileup=_padded((tracks.collision > 0) & (np.abs(tracks.z) > VERTEX_RESOLUTION), len(together)),
        puppi=np.ones(len(together)),
    )[order]


def _padded(values: Any, length: int) -> Any:
    """Values of the tracks, with zeros for the neutral candidates that follow them."""
    return np.concatenate([values, np.zeros(length - len(values), dtype=values.dtype)])


def _reconstructed_id(tracks: FlatObjects, rng: np.random.Generator) -> Ints:
    """The code that reconstruction gives to tracks: ±11, ±13, or ±211 for all that is not called a lepton."""
    absolute, eta = np.abs(tracks.pdg_id), np.abs(tracks.eta)
    draw, central = rng.random(len(tracks)), eta < 1.5
    is_electron = (absolute == ELECTRON) & (tracks.pt > ELECTRON_MINIMUM_PT)
    is_electron &= draw < np.where(central, *ELECTRON_IDENTIFIED)
    is_muon = (absolute == MUON) & (tracks.pt > MUON_MINIMUM_PT) & (eta < MUON_ACCEPTANCE)
    is_muon &= draw < np.where(central, *MUON_IDENTIFIED)
    # The code of a negative lepton is positive, that of a negative pion negative.
    sign = np.where(tracks.charge < 0, -1, 1)
    return np.where(is_electron, -ELECTRON * sign, np.where(is_muon, -MUON * sign, CHARGED_HADRON * sign))
