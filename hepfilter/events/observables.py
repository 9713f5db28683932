"""High-level observables of an event: what physicists cut on, and what simple methods and checks go by."""

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from hepfilter.events.hardest import Floats, Hardest, flat_objects, hardest, merged
from hepfilter.events.kinematics import delta_phi

if TYPE_CHECKING:  # awkward is loaded where a record is read, not where the names alone serve
    import awkward as ak

    from hepfilter.events.record import Objects

OBSERVABLES: Final = (
    "ht", "met", "hardness", "multiplicity", "leading_pt", "dijet_mass", "visible_mass", "centrality",
    "met_significance", "n_jets", "jet1_pt", "jet2_pt", "jet3_pt", "jet4_pt", "jet1_abs_eta", "jet2_abs_eta",
    "jet1_mass", "jet2_mass", "dijet_delta_eta", "dijet_delta_phi", "multijet_mass", "jet_met_delta_phi",
    "n_leptons", "lepton1_pt", "lepton2_pt", "lepton_charge", "dilepton_mass", "multilepton_mass", "transverse_mass",
    "n_photons", "photon1_pt", "diphoton_mass", "n_taus", "tau1_pt", "lepton_jet_mass", "lepton_photon_mass",
    "fatjet1_mass", "fatjet2_mass",
)  # fmt: skip
"""The columns of `observe`, in its order."""

_ENERGIES: Final = frozenset(
    name for name in OBSERVABLES if name in ("ht", "met") or name.endswith(("_pt", "_mass"))
)  # GeV, hardness itself apart
RELATIVE: Final = tuple(
    f"{name}_over_hardness" if name in _ENERGIES else name
    for name in OBSERVABLES
    if name not in ("hardness", "met_significance")
)
"""The columns of `relative_to_hardness`, in its order."""

COLLECTIONS: Final = ("jet", "fatjet", "muon", "electron", "photon", "tau", "met")
"""The collections of the event record that observables are made of."""

_VISIBLE: Final = ("jet", "muon", "electron", "photon", "tau")
_MOST: Final = 4


def observe(record: "ak.Array") -> NDArray[np.float32]:
    """[B, len(OBSERVABLES)] float32 of the events of a record after cleaning; finite, 0 where there is no such object.

    GeV and radians. Numbers at names count objects by descending pt, all collections as the schema selects them.

    ht                  Σ pt of the jets
    met                 missing transverse momentum
    hardness            Σ pt of jets, leptons, photons, taus and missing momentum: "how hard", and nothing else
    multiplicity        number of jets, leptons, photons and taus: of visible objects
    leading_pt          pt of the hardest of them
    visible_mass        invariant mass of all of them
    centrality          Σ pt / Σ E of all of them
    met_significance    met / √ht in √GeV, 0 without jets
    n_jets, n_leptons, n_photons, n_taus      numbers of objects; leptons are muons and electrons
    jet1_pt …, lepton1_pt …, photon1_pt, tau1_pt, jet1_mass, fatjet1_mass …, jet1_abs_eta (|η|)
    dijet_mass          invariant mass of the two hardest jets: m² = (E₁ + E₂)² − (p₁ + p₂)²
    dijet_delta_eta, dijet_delta_phi          |Δη| and |Δφ| between them
    multijet_mass       of the four hardest jets, if there are at least three
    jet_met_delta_phi   smallest |Δφ| between the missing momentum and one of the four hardest jets
    lepton_charge       |Σ charge| of the four hardest leptons
    dilepton_mass, diphoton_mass              of the two hardest leptons, photons
    multilepton_mass    of the four hardest leptons, if there are at least three
    transverse_mass     of the hardest lepton and the missing momentum: √(2 pt met (1 − cos Δφ))
    lepton_jet_mass, lepton_photon_mass       of the hardest of each kind
    """
    flat = {name: flat_objects(record[name]) for name in COLLECTIONS}
    objects = {name: hardest(collection, _MOST) for name, collection in flat.items()}
    jets, photons, met = objects["jet"], objects["photon"], objects["met"].of(0)
    leptons = merged(objects["muon"], objects["electron"]).of(*range(_MOST))
    columns = _of_jets(jets, met) | _of_leptons(leptons, jets, photons, met) | _of_all(flat, objects)
    columns["met_significance"] = _ratio(columns["met"], np.sqrt(columns["ht"]))
    columns |= {
        "n_photons": photons.number,
        "photon1_pt": photons.pt[:, 0],
        "diphoton_mass": photons.of(0, 1).invariant_mass(),
    }
    columns |= {"n_taus": objects["tau"].number, "tau1_pt": objects["tau"].pt[:, 0]}
    columns |= {f"fatjet{n + 1}_mass": objects["fatjet"].mass[:, n] for n in range(2)}
    return np.stack([columns[name] for name in OBSERVABLES], axis=1).astype(np.float32)


def relative_to_hardness(observed: NDArray[np.float32]) -> NDArray[np.float32]:
    """[B, len(RELATIVE)] float32: every energy of `observed` (from `observe`) divided by the event's hardness.

    What is no energy stays; hardness and met_significance, which tell how hard an event is, are left out. 0 in an event
    without hardness.
    """
    hardness = observed[:, OBSERVABLES.index("hardness")].astype(np.float64)
    kept = [
        _ratio(observed[:, place], hardness) if name in _ENERGIES else observed[:, place]
        for place, name in enumerate(OBSERVABLES)
        if name not in ("hardness", "met_significance")
    ]
    return np.stack(kept, axis=1).astype(np.float32)


def _of_all(flat: "dict[str, Objects]", objects: dict[str, Hardest]) -> dict[str, Floats]:
    """Sums over all visible objects."""
    sums = {name: _sums(flat[name]) for name in (*_VISIBLE, "met")}
    pt, energy, px, py, pz = np.sum([sums[name] for name in _VISIBLE], axis=0)
    met = sums["met"][0]
    return {
        "ht": sums["jet"][0],
        "met": met,
        "hardness": met + pt,
        "multiplicity": np.sum([objects[name].number for name in _VISIBLE], axis=0),
        "leading_pt": np.max([objects[name].pt[:, 0] for name in _VISIBLE], axis=0),
        "visible_mass": np.sqrt(np.maximum(energy**2 - px**2 - py**2 - pz**2, 0.0)),
        "centrality": _ratio(pt, energy),
    }


def _of_jets(jets: Hardest, met: Hardest) -> dict[str, Floats]:
    """Of the jets alone, and of their direction against the missing momentum."""
    columns = {f"jet{n + 1}_pt": jets.pt[:, n] for n in range(_MOST)}
    for n in range(2):
        columns |= {f"jet{n + 1}_abs_eta": np.abs(jets.eta[:, n]), f"jet{n + 1}_mass": jets.mass[:, n]}
    is_pair = jets.number >= 2
    angles = np.where((jets.pt > 0) & (met.pt > 0), np.abs(delta_phi(jets.phi, met.phi)), np.inf).min(axis=1)
    return columns | {
        "n_jets": jets.number,
        "dijet_mass": jets.of(0, 1).invariant_mass(),
        "dijet_delta_eta": np.where(is_pair, np.abs(jets.eta[:, 0] - jets.eta[:, 1]), 0.0),
        "dijet_delta_phi": np.where(is_pair, np.abs(delta_phi(jets.phi[:, 0], jets.phi[:, 1])), 0.0),
        "multijet_mass": jets.invariant_mass(least=3),
        "jet_met_delta_phi": np.where(np.isfinite(angles), angles, 0.0),
    }


def _of_leptons(leptons: Hardest, jets: Hardest, photons: Hardest, met: Hardest) -> dict[str, Floats]:
    """Of the leptons, and of the hardest one with something else."""
    first = leptons.of(0)
    recoil = 1 - np.cos(first.phi - met.phi)
    return {
        "n_leptons": leptons.number,
        "lepton1_pt": leptons.pt[:, 0],
        "lepton2_pt": leptons.pt[:, 1],
        "lepton_charge": np.abs(leptons.charge.sum(axis=1)),
        "dilepton_mass": leptons.of(0, 1).invariant_mass(),
        "multilepton_mass": leptons.invariant_mass(least=3),
        "transverse_mass": np.sqrt(2 * first.pt * met.pt * recoil)[:, 0],
        "lepton_jet_mass": merged(first, jets.of(0)).invariant_mass(),
        "lepton_photon_mass": merged(first, photons.of(0)).invariant_mass(),
    }


def _sums(objects: "Objects") -> Floats:
    """[5, B] Σ pt, Σ E, Σ px, Σ py, Σ pz over all objects of each event."""
    pt, eta, phi, mass = (objects.columns[field] for field in ("pt", "eta", "phi", "mass"))
    parts = (pt, np.hypot(pt * np.cosh(eta), mass), pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta))
    return np.stack([np.bincount(objects.event, part, objects.n_events).astype(np.float64) for part in parts])


def _ratio(numerator: NDArray[np.floating], denominator: Floats) -> Floats:
    """The quotient; 0 where the denominator is 0."""
    quotient: Floats = np.divide(numerator, denominator, out=np.zeros_like(denominator), where=denominator > 0)
    return quotient
