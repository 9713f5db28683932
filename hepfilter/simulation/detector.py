"""The detector: tracks, towers and their energy flow turn stable particles into particle-flow candidates.

Efficiencies and resolutions are those of the public CMS card of Delphes 3 (arXiv:1307.6346), which follows the CMS
tracking and muon papers (arXiv:1405.6569, arXiv:1206.4071). There is no magnetic field, no pile-up and no displacement.
"""

from dataclasses import dataclass

import numpy as np

from hepfilter.simulation.calorimeter import ECAL, HCAL, EnergyFlow, energy_flow, log_normal
from hepfilter.simulation.flat import FlatObjects, Floats, Ints, Mask, pt_order

ACCEPTANCE = 5.0  # |η| of the forward calorimeter's end
TRACKER = 2.5  # |η|
MINIMUM_PT = 0.05  # GeV; below, a particle neither makes a track nor matters in a tower
CHARGED_HADRON, PHOTON, NEUTRAL_HADRON, ELECTRON, MUON = 211, 22, 130, 11, 13

# Probability that the track of a true lepton is called one (else it stays a charged hadron): |η| below, above 1.5.
ELECTRON_IDENTIFIED = (0.95, 0.85)
MUON_IDENTIFIED = (0.97, 0.95)
ELECTRON_MINIMUM_PT = 2.0  # GeV
MUON_MINIMUM_PT = 3.0  # GeV: what it takes to reach the muon chambers
MUON_ACCEPTANCE = 2.4  # |η|

# Resolution of the track pT per |η| bin [0, 0.5), [0.5, 1.5), [1.5, 2.5]: constant term, and slope per GeV.
ETA_BINS = (0.5, 1.5)
CONSTANT = {"hadron": (0.06, 0.10, 0.25), "electron": (0.03, 0.05, 0.15), "muon": (0.01, 0.015, 0.025)}
SLOPE = {"hadron": (1.3e-3, 1.7e-3, 3.1e-3), "electron": (1.3e-3, 1.7e-3, 3.1e-3), "muon": (1e-4, 1.5e-4, 3.5e-4)}


@dataclass(frozen=True)
class _Kinds:
    """Which of the particles are electrons, muons, photons."""

    electron: Mask
    muon: Mask
    photon: Mask


def detect(particles: FlatObjects, rng: np.random.Generator) -> FlatObjects:
    """Particle-flow candidates of `particles` (stable and visible), per event by descending pt.

    `pdg_id` is 211, 11 or 13 with sign for tracks, 22 for electromagnetic and 130 for hadronic towers without (enough)
    track energy, up to |η| = 5. Candidates are massless; neutral ones stand at the centre of their tower.
    """
    seen = particles[(np.abs(particles.eta) < ACCEPTANCE) & (particles.pt > MINIMUM_PT)]
    absolute = np.abs(seen.pdg_id)
    kinds = _Kinds(electron=absolute == ELECTRON, muon=absolute == MUON, photon=absolute == PHOTON)
    tracked = rng.random(len(seen)) < tracking_efficiency(seen)
    relative = track_resolution(seen)
    track_pt = log_normal(seen.pt, relative * seen.pt, rng)
    track_energy = np.where(tracked, track_pt * np.cosh(seen.eta), 0.0)
    track_error = relative * track_energy
    ecal_share = _ecal_share(seen, kinds)
    hadronic = ~(kinds.electron | kinds.muon | kinds.photon)
    flows = [
        energy_flow(
            calorimeter,
            event=seen.event,
            eta=seen.eta,
            phi=seen.phi,
            deposit=seen.energy * share,
            track_energy=np.where(pointing, track_energy, 0.0),
            track_error=np.where(pointing, track_error, 0.0),
            rng=rng,
        )
        for calorimeter, share, pointing in (
            (ECAL, ecal_share, kinds.electron),
            (HCAL, np.where(hadronic, 1.0 - ecal_share, 0.0), hadronic),
        )
    ]
    final_pt = track_pt * flows[0].track_scale * flows[1].track_scale
    return _candidates(seen, tracked, final_pt, flows, rng)


def tracking_efficiency(particles: FlatObjects) -> Floats:
    """Probability that a particle leaves a reconstructed track; 0 for neutral ones and beyond |η| = 2.5."""
    absolute = np.abs(particles.pdg_id)
    pt, central = particles.pt, np.abs(particles.eta) < 1.5
    hadron = np.where(pt < 1.0, np.where(central, 0.70, 0.60), np.where(central, 0.95, 0.85))
    hard_electron = np.where(pt < 100.0, np.where(central, 0.95, 0.83), np.where(central, 0.99, 0.90))
    electron = np.where(pt < 1.0, np.where(central, 0.73, 0.50), hard_electron)
    muon = np.where(pt < 1.0, np.where(central, 0.75, 0.70), np.where(central, 0.99, 0.98))
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


def _ecal_share(particles: FlatObjects, kinds: _Kinds) -> Floats:
    """Share of the energy left in the ECAL: all of e and γ, 0.3 of K⁰_S and Λ (they decay inside), else none."""
    absolute = np.abs(particles.pdg_id)
    late = (absolute == 310) | (absolute == 3122)
    return np.where(kinds.electron | kinds.photon, 1.0, np.where(late & ~kinds.muon, 0.3, 0.0))


def _candidates(
    seen: FlatObjects, tracked: Mask, pt: Floats, flows: list[EnergyFlow], rng: np.random.Generator
) -> FlatObjects:
    """Tracks and neutral towers in one list, per event by descending pt; `pt` are the tracks' final momenta."""
    sign = np.where(seen.charge[tracked] < 0, -1, 1)
    photons, neutrals = flows
    sizes = [len(sign), len(photons.energy), len(neutrals.energy)]
    neutral_pt = [flow.energy / np.cosh(flow.eta) for flow in flows]
    together = FlatObjects(
        n_events=seen.n_events,
        event=np.concatenate([seen.event[tracked], photons.event, neutrals.event]),
        pt=np.concatenate([pt[tracked], *neutral_pt]),
        eta=np.concatenate([seen.eta[tracked], photons.eta, neutrals.eta]),
        phi=np.concatenate([seen.phi[tracked], photons.phi, neutrals.phi]),
        mass=np.zeros(sum(sizes)),
        pdg_id=np.concatenate([_reconstructed_id(seen[tracked], rng), np.repeat([PHOTON, NEUTRAL_HADRON], sizes[1:])]),
        charge=np.concatenate([sign, np.zeros(sizes[1] + sizes[2], dtype=np.int64)]),
    )
    return together[pt_order(together.event, together.pt)]


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
