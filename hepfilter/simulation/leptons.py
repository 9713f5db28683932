"""Electrons, muons and photons from particle-flow candidates: isolation and identification, with NanoAOD's branches."""

import numpy as np

from hepfilter.simulation.detector import ELECTRON, MUON, PHOTON
from hepfilter.simulation.flat import Candidates, FlatObjects, Floats, Ints, Mask, delta_r, pairs

ELECTRON_MASS, MUON_MASS = 0.000511, 0.10566  # GeV
ELECTRON_PT, MUON_PT, PHOTON_PT = 5.0, 3.0, 10.0  # GeV, as the lowest that NanoAOD stores (photons: 5 there)
PHOTON_ETA = 2.5
PHOTON_ISOLATION = 0.3  # above, an electromagnetic tower belongs to a jet

# Share of leptons and photons that pass each working point, tightest last; nested, so that a tight one is loose too.
# Typical of CMS' cut-based selections: arXiv:2012.06888 (electrons, photons), arXiv:1804.04528 (muons).
ELECTRON_WORKING_POINTS = (0.95, 0.90, 0.80, 0.70)  # veto, loose, medium, tight
PHOTON_WORKING_POINTS = (0.90, 0.80, 0.70)  # loose, medium, tight
MUON_WORKING_POINTS = (0.995, 0.98, 0.96)  # loose, medium, tight

Columns = dict[str, Floats | Ints | Mask]


def relative_isolation(leptons: FlatObjects, candidates: FlatObjects, *, cone: float, photon_veto: float) -> Floats:
    """Σ pT of the hadrons and photons within ΔR < `cone` of each lepton, divided by its pT; 0 when it is alone.

    As in CMS, electrons and muons do not count, so that close pairs are isolated. Photons within `photon_veto` do not
    either: they are the lepton's own radiation, or the object itself.
    """
    counted = candidates[~np.isin(np.abs(candidates.pdg_id), (ELECTRON, MUON))]
    i, j = pairs(leptons, counted)
    distance = delta_r(leptons, counted, i, j)
    radiation = (distance < photon_veto) & (counted.pdg_id[j] == PHOTON)
    inside = (distance < cone) & ~radiation
    around = np.bincount(i[inside], counted.pt[j[inside]], len(leptons))
    return around / leptons.pt


def electrons(candidates: Candidates, rng: np.random.Generator) -> tuple[FlatObjects, Columns]:
    """Electrons above 5 GeV, also inside jets, with isolation and the cut-based working point they pass (0 to 4)."""
    everything = candidates.objects
    tracks = candidates[(np.abs(everything.pdg_id) == ELECTRON) & (everything.pt > ELECTRON_PT)]
    chosen = tracks.objects
    isolation = relative_isolation(chosen, everything, cone=0.3, photon_veto=0.08)
    passed = working_point(len(chosen), ELECTRON_WORKING_POINTS, rng)
    columns = kinematics(chosen, np.full(len(chosen), ELECTRON_MASS)) | codes(chosen) | impact(tracks)
    return chosen, columns | {"pfRelIso03_all": isolation, "cutBased": passed}


def muons(candidates: Candidates, rng: np.random.Generator) -> tuple[FlatObjects, Columns]:
    """Muons above 3 GeV, also those inside jets, with isolation and the flags of the identification they pass."""
    everything = candidates.objects
    tracks = candidates[(np.abs(everything.pdg_id) == MUON) & (everything.pt > MUON_PT)]
    chosen = tracks.objects
    isolation = relative_isolation(chosen, everything, cone=0.4, photon_veto=0.01)
    passed = working_point(len(chosen), MUON_WORKING_POINTS, rng)
    flags: Columns = {"looseId": passed >= 1, "mediumId": passed >= 2, "tightId": passed >= 3}
    columns = kinematics(chosen, np.full(len(chosen), MUON_MASS)) | codes(chosen) | impact(tracks)
    return chosen, columns | {"pfRelIso04_all": isolation, **flags}


def photons(candidates: Candidates, rng: np.random.Generator) -> tuple[FlatObjects, Columns]:
    """Photon candidates above 10 GeV with a relative isolation below 0.3, and the working point they pass (0 to 3).

    True photons and those neutral pions that one tower swallows: the detector cannot tell them apart.
    """
    everything = candidates.objects
    central = np.abs(everything.eta) < PHOTON_ETA
    chosen = everything[(everything.pdg_id == PHOTON) & (everything.pt > PHOTON_PT) & central]
    isolation = relative_isolation(chosen, everything, cone=0.3, photon_veto=0.02)
    isolated = isolation < PHOTON_ISOLATION
    chosen, isolation = chosen[isolated], isolation[isolated]
    passed = working_point(len(chosen), PHOTON_WORKING_POINTS, rng)
    columns = kinematics(chosen, np.zeros(len(chosen))) | codes(chosen)
    return chosen, columns | {"pfRelIso03_all": isolation, "cutBased": passed}


def working_point(count: int, efficiencies: tuple[float, ...], rng: np.random.Generator) -> Ints:
    """For each of `count` objects the number of nested working points that it passes: 0 to len(efficiencies)."""
    draw = rng.random(count)
    passed: Ints = np.sum(draw[:, None] < np.array(efficiencies), axis=1, dtype=np.int64)
    return passed


def kinematics(objects: FlatObjects, mass: Floats) -> Columns:
    """The four columns that every collection has."""
    return {"pt": objects.pt, "eta": objects.eta, "phi": objects.phi, "mass": mass}


def codes(objects: FlatObjects) -> Columns:
    """Charge and particle code."""
    return {"charge": objects.charge, "pdgId": objects.pdg_id}


def impact(tracks: Candidates) -> Columns:
    """Impact parameters to the hard collision with their errors, in cm."""
    return {"dxy": tracks.d0, "dxyErr": tracks.d0_error, "dz": tracks.dz, "dzErr": tracks.dz_error}
