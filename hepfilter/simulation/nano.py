"""Simulated events as NanoAOD columns: names, types, titles of NanoAOD v9 (particles of PFNano), and the truth."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hepfilter.io.writing import Column
from hepfilter.simulation.detector import detect
from hepfilter.simulation.flat import FlatObjects
from hepfilter.simulation.jets import fat_jets, jets, taus
from hepfilter.simulation.leptons import Columns, electrons, muons, photons
from hepfilter.simulation.truth import Truth

Array = npt.NDArray[Any]
Jagged = tuple[Array, Array]

KINEMATICS = [
    ("pt", "float32", "p_{T}"),
    ("eta", "float32", "eta"),
    ("phi", "float32", "phi"),
    ("mass", "float32", "mass"),
]
CODES = [
    ("charge", "int32", "electric charge"),
    ("pdgId", "int32", "PDG code assigned by the event reconstruction (not by MC truth)"),
]
FLAVOUR = ("hadronFlavour", "int32", "flavour from hadrons (pt > 5) near the jet axis: 5 bottom, 4 charm, 0 none")

# Collection → (field, type, title), in the order of the branches. NanoAOD's titles where the meaning is the same.
COLLECTIONS: dict[str, list[tuple[str, str, str]]] = {
    "Electron": [
        *KINEMATICS, *CODES,
        ("pfRelIso03_all", "float32", "PF relative isolation dR=0.3, total"),
        ("cutBased", "int32", "cut-based ID (0:fail, 1:veto, 2:loose, 3:medium, 4:tight)"),
    ],
    "FatJet": [
        *KINEMATICS,
        ("msoftdrop", "float32", "soft drop mass (zcut = 0.1, beta = 0)"),
        ("tau1", "float32", "Nsubjettiness (1 axis)"),
        ("tau2", "float32", "Nsubjettiness (2 axis)"),
        ("tau3", "float32", "Nsubjettiness (3 axis)"),
        ("nConstituents", "uint8", "Number of particles in the jet"),
        FLAVOUR,
    ],
    "GenPart": [
        *KINEMATICS,
        ("pdgId", "int32", "PDG id"),
        ("status", "int32", "Particle status (Pythia): 21 incoming, 22 intermediate, 23 outgoing of the hard process"),
        ("genPartIdxMother", "int32", "index of the mother particle"),
    ],
    "Jet": [
        *KINEMATICS,
        ("btagDeepFlavB", "float32", "b tag discriminator drawn by true flavour, with DeepFlavour's working points"),
        ("chEmEF", "float32", "charged Electromagnetic Energy Fraction"),
        ("chHEF", "float32", "charged Hadron Energy Fraction"),
        ("muEF", "float32", "muon Energy Fraction"),
        ("neEmEF", "float32", "neutral Electromagnetic Energy Fraction"),
        ("neHEF", "float32", "neutral Hadron Energy Fraction"),
        ("nConstituents", "uint8", "Number of particles in the jet"),
        FLAVOUR,
    ],
    "Muon": [
        *KINEMATICS, *CODES,
        ("pfRelIso04_all", "float32", "PF relative isolation dR=0.4, total"),
        ("looseId", "bool", "muon is loose muon"),
        ("mediumId", "bool", "cut-based ID, medium WP"),
        ("tightId", "bool", "cut-based ID, tight WP"),
    ],
    "PFCands": [*KINEMATICS, *CODES],
    "Photon": [
        *KINEMATICS, *CODES,
        ("pfRelIso03_all", "float32", "PF relative isolation dR=0.3, total"),
        ("cutBased", "int32", "cut-based ID (0:fail, 1:loose, 2:medium, 3:tight)"),
    ],
    "Tau": [
        *KINEMATICS, CODES[0],
        ("idDeepTau2017v2p1VSjet", "uint8", "ID working points (vs jets): bitmask 1 = VVVLoose, 2 = VVLoose, "
         "4 = VLoose, 8 = Loose, 16 = Medium, 32 = Tight, 64 = VTight, 128 = VVTight"),
    ],
}  # fmt: skip

SCALARS = [
    Column("run", "uint32", "run/i"),
    Column("luminosityBlock", "uint32", "luminosityBlock/i"),
    Column("event", "uint64", "event/l"),
    Column("genWeight", "float32", "generator weight: cross-section of the process in pb / its events in this file"),
    Column("MET_pt", "float32", "pt"),
    Column("MET_phi", "float32", "phi"),
    Column("MET_sumEt", "float32", "scalar sum of Et"),
    Column("GenMET_pt", "float32", "pt of the invisible particles"),
    Column("GenMET_phi", "float32", "phi of the invisible particles"),
    Column("HepFilterTruth_label", "int32", "truth label of the process"),
    Column("HepFilterTruth_isSignal", "bool", "the process is a signal"),
]


@dataclass(frozen=True)
class NanoBlock:
    """Consecutive events by branch name: `scalars` with a value an event, `jagged` as (flat values, counts)."""

    events: int
    scalars: dict[str, Array]
    jagged: dict[str, Jagged]

    @property
    def arrays(self) -> dict[str, Array | Jagged]:
        """All columns, as a tree takes them."""
        return {**self.scalars, **self.jagged}


def event_columns(*, particles: bool) -> list[Column]:
    """The branches of Events; `particles` adds PFCands."""
    jagged = [
        Column(f"{name}_{field}", dtype, title, counter=f"n{name}")
        for name, entries in COLLECTIONS.items()
        if particles or name != "PFCands"
        for field, dtype, title in entries
    ]
    return [*SCALARS[:4], *jagged, *SCALARS[4:]]


RUN_COLUMNS = [
    Column("run", "uint32", "run/i"),
    Column("genEventCount", "int64", "event count"),
    Column("genEventSumw", "float64", "sum of gen weights: the cross-section in pb of all processes of the file"),
    Column("genEventSumw2", "float64", "sum of gen (weight^2)"),
]
BLOCK_COLUMNS = [Column("run", "uint32", "run/i"), Column("luminosityBlock", "uint32", "luminosityBlock/i")]


def reconstruct(truth: Truth, rng: np.random.Generator, *, particles: bool) -> NanoBlock:
    """Detector, objects and columns of a batch of events; identity, weight and label are added by the sample."""
    candidates = detect(truth.visible, rng)
    found: dict[str, tuple[FlatObjects, Columns]] = {"Jet": jets(candidates, truth, rng)}
    found["FatJet"] = fat_jets(candidates, truth)
    found["Electron"] = electrons(candidates, rng)
    found["Muon"] = muons(candidates, rng)
    found["Photon"] = photons(candidates, rng)
    found["Tau"] = taus(found["Jet"][0], truth, rng)
    found["GenPart"] = truth.hard, _columns(truth.hard, status=truth.hard_status, genPartIdxMother=truth.hard_mother)
    if particles:
        found["PFCands"] = candidates, _columns(candidates, charge=candidates.charge)
    jagged: dict[str, Jagged] = {}
    for name, (objects, columns) in found.items():
        for field, dtype, _ in COLLECTIONS[name]:
            jagged[f"{name}_{field}"] = columns[field].astype(dtype), objects.counts
    return NanoBlock(candidates.n_events, _missing_momentum(candidates, truth), jagged)


def _columns(objects: FlatObjects, **more: Array) -> Columns:
    """Kinematics and code of objects that are written as they are."""
    kinematics: Columns = {"pt": objects.pt, "eta": objects.eta, "phi": objects.phi, "mass": objects.mass}
    return kinematics | {"pdgId": objects.pdg_id} | more


def _missing_momentum(candidates: FlatObjects, truth: Truth) -> dict[str, Array]:
    """MET from all candidates; GenMET from the visible particles, which balance the invisible ones."""
    scalars: dict[str, Array] = {}
    for name, objects in (("MET", candidates), ("GenMET", truth.visible)):
        x, y = (np.bincount(objects.event, objects.pt * f(objects.phi), objects.n_events) for f in (np.cos, np.sin))
        scalars[f"{name}_pt"] = np.hypot(x, y).astype(np.float32)
        # Adding zero turns −0 into 0, so that an event without candidates has φ = 0.
        scalars[f"{name}_phi"] = np.arctan2(-y + 0.0, -x + 0.0).astype(np.float32)
    scalars["MET_sumEt"] = np.bincount(candidates.event, candidates.pt, candidates.n_events).astype(np.float32)
    return scalars


def labelled(block: NanoBlock, more: Mapping[str, Array]) -> NanoBlock:
    """The block with further scalar columns (identity, weight, labels)."""
    return NanoBlock(block.events, {**block.scalars, **more}, block.jagged)
