"""Simulated events as NanoAOD columns: names, types, titles of NanoAOD v9 (particles of PFNano), and the truth.

Counters are int32, as from v12 on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hepfilter.io.writing import Column
from hepfilter.simulation.flat import Candidates, FlatObjects, Mask
from hepfilter.simulation.jets import FAT_RADII, fat_jets, jets, taus
from hepfilter.simulation.leptons import Columns, electrons, kinematics, muons, photons
from hepfilter.simulation.observation import Observation
from hepfilter.simulation.pileup import density
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
IMPACT = [
    ("dxy", "float32", "dxy (with sign) wrt first PV, in cm"),
    ("dxyErr", "float32", "dxy uncertainty, in cm"),
    ("dz", "float32", "dz (with sign) wrt first PV, in cm"),
    ("dzErr", "float32", "dz uncertainty, in cm"),
]
FLAVOUR = ("hadronFlavour", "int32", "flavour from hadrons (pt > 5) near the jet axis: 5 bottom, 4 charm, 0 none")

FAT_JET = [
    *KINEMATICS,
    ("msoftdrop", "float32", "soft drop mass (zcut = 0.1, beta = 0)"),
    ("tau1", "float32", "Nsubjettiness (1 axis)"),
    ("tau2", "float32", "Nsubjettiness (2 axis)"),
    ("tau3", "float32", "Nsubjettiness (3 axis)"),
    ("nConstituents", "uint8", "Number of particles in the jet"),
    FLAVOUR,
    ("nGenQuarks", "uint8", "number of outgoing quarks of the hard process and its decays within the jet's radius"),
]

# Collection → (field, type, title), in the order of the branches. NanoAOD's titles where the meaning is the same.
COLLECTIONS: dict[str, list[tuple[str, str, str]]] = {
    "AK10Jet": FAT_JET,
    "Electron": [
        *KINEMATICS, *CODES, *IMPACT,
        ("pfRelIso03_all", "float32", "PF relative isolation dR=0.3, total"),
        ("cutBased", "int32", "cut-based ID (0:fail, 1:veto, 2:loose, 3:medium, 4:tight)"),
    ],
    "FatJet": FAT_JET,
    "GenPart": [
        *KINEMATICS,
        ("pdgId", "int32", "PDG id"),
        ("status", "int32", "Particle status (Pythia): 21 incoming, 22 intermediate, 23 outgoing of the hard process, "
         "91 to 99 decay products of its taus and long-lived particles"),
        ("statusFlags", "int32", "gen status flags stored bitwise, bits are: 0 : isPrompt, 7 : isHardProcess, "
         "8 : fromHardProcess, 12 : isFirstCopy, 13 : isLastCopy"),
        ("genPartIdxMother", "int32", "index of the mother particle"),
        ("vx", "float32", "x of the production vertex relative to the collision, in cm"),
        ("vy", "float32", "y of the production vertex relative to the collision, in cm"),
        ("vz", "float32", "z of the production vertex relative to the collision, in cm"),
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
        ("rawFactor", "float32", "1 - Factor to get back to raw pT"),
        FLAVOUR,
    ],
    "Muon": [
        *KINEMATICS, *CODES, *IMPACT,
        ("pfRelIso04_all", "float32", "PF relative isolation dR=0.4, total"),
        ("looseId", "bool", "muon is loose muon"),
        ("mediumId", "bool", "cut-based ID, medium WP"),
        ("tightId", "bool", "cut-based ID, tight WP"),
    ],
    "PFCands": [
        *KINEMATICS, *CODES,
        ("d0", "float32", "pf d0"),
        ("d0Err", "float32", "pf d0 err"),
        ("dz", "float32", "pf dz"),
        ("dzErr", "float32", "pf dz err"),
        ("puppiWeight", "float32", "Puppi weight"),
    ],
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
    Column(
        "genWeight", "float32", "generator weight: the events generated for the process sum to its cross-section in pb"
    ),
    Column("Generator_binvar", "float32", "MC generation binning value: pT-hat in GeV"),
    *(
        Column(f"{name}_{field}", "float32", title)
        for name in ("MET", "PuppiMET")
        for field, title in (("pt", "pt"), ("phi", "phi"), ("sumEt", "scalar sum of Et"))
    ),
    Column("GenMET_pt", "float32", "pt of the invisible particles"),
    Column("GenMET_phi", "float32", "phi of the invisible particles"),
    Column("Pileup_nPU", "int32", "the number of pileup interactions that have been added to the event"),
    Column("Pileup_nTrueInt", "float32", "the true mean number of the poisson distribution of Pileup_nPU"),
    Column("fixedGridRhoFastjetAll", "float32", "rho from all PF Candidates, used e.g. for JECs"),
    Column("HepFilterTruth_label", "int32", "truth label of the process"),
    Column("HepFilterTruth_point", "float32", "mass of a scan or lower pT-hat of a slice in GeV, 0 without"),
    Column("HepFilterTruth_isSignal", "bool", "the process is a signal"),
]


@dataclass(frozen=True)
class NanoBlock:
    """Consecutive events: `scalars` by branch with a value an event; of each collection the `counts` per event, and the
    `values` by field, one after the other."""

    events: int
    scalars: dict[str, Array]
    counts: dict[str, Array]
    values: dict[str, dict[str, Array]]

    @property
    def arrays(self) -> dict[str, Array | Jagged]:
        """All columns by branch, as a tree takes them: jagged ones as (flat values, counts)."""
        jagged: dict[str, Array | Jagged] = {
            f"{name}_{field}": (column, self.counts[name])
            for name, columns in self.values.items()
            for field, column in columns.items()
        }
        return {**self.scalars, **jagged}

    def select(self, events: Mask) -> "NanoBlock":
        """The events under a mask."""
        if events.all():
            return self
        rows = {name: np.repeat(events, counts) for name, counts in self.counts.items()}
        return NanoBlock(
            int(events.sum()),
            {name: column[events] for name, column in self.scalars.items()},
            {name: counts[events] for name, counts in self.counts.items()},
            {name: {f: column[rows[name]] for f, column in columns.items()} for name, columns in self.values.items()},
        )

    def with_scalars(self, more: Mapping[str, Array]) -> "NanoBlock":
        """The block with further scalar columns (identity, weight, labels)."""
        return replace(self, scalars={**self.scalars, **more})


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


def describe(seen: Observation, truth: Truth, rng: np.random.Generator, *, particles: bool) -> NanoBlock:
    """Objects and columns of what was seen; identity, weight and label are added by the sample.

    `particles` keeps the particle-flow candidates too. Jets and leptons are made after charged-hadron subtraction, jets
    lose ρ times their area, fat jets and PuppiMET are made by PUPPI; MET knows all candidates, as in NanoAOD.
    """
    found: dict[str, tuple[FlatObjects, Columns]] = {"Jet": jets(seen.cleaned.objects, truth, rng, rho=seen.rho)}
    for name, radius in FAT_RADII.items():
        found[name] = fat_jets(seen.weighted.objects, truth, radius=radius)
    found["Electron"] = electrons(seen.cleaned, rng)
    found["Muon"] = muons(seen.cleaned, rng)
    found["Photon"] = photons(seen.cleaned, rng)
    found["Tau"] = taus(found["Jet"][0], truth, rng)
    found["GenPart"] = truth.hard, _generated_columns(truth)
    if particles:
        found["PFCands"] = seen.candidates.objects, _candidate_columns(seen.candidates)
    scalars = {
        **missing_momentum("MET", seen.candidates.objects),
        **missing_momentum("PuppiMET", seen.weighted.objects),
        **missing_momentum("GenMET", truth.visible.objects, with_sum=False),
        "Pileup_nPU": seen.collisions.astype(np.int32),
        "Pileup_nTrueInt": np.full(len(seen.collisions), seen.pileup, dtype=np.float32),
        "fixedGridRhoFastjetAll": density(seen.candidates.objects).astype(np.float32),
    }
    return nano_block(scalars, found)


def nano_block(scalars: dict[str, Array], found: Mapping[str, tuple[FlatObjects, Columns]]) -> NanoBlock:
    """The columns in their stated types; `found` has the objects and columns of each collection."""
    events = {objects.n_events for objects, _ in found.values()}.pop()
    return NanoBlock(
        events,
        scalars,
        {name: objects.counts for name, (objects, _) in found.items()},
        {
            name: {field: columns[field].astype(dtype) for field, dtype, _ in COLLECTIONS[name]}
            for name, (_, columns) in found.items()
        },
    )


def missing_momentum(name: str, objects: FlatObjects, *, with_sum: bool = True) -> dict[str, Array]:
    """`name`_pt and _phi of what balances the objects, and _sumEt, their scalar sum.

    GenMET is that of the visible particles, which balance the invisible ones.
    """
    x, y = (np.bincount(objects.event, objects.pt * f(objects.phi), objects.n_events) for f in (np.cos, np.sin))
    # Adding zero turns −0 into 0, so that an event without candidates has φ = 0.
    columns: dict[str, Array] = {f"{name}_pt": np.hypot(x, y), f"{name}_phi": np.arctan2(-y + 0.0, -x + 0.0)}
    if with_sum:
        columns[f"{name}_sumEt"] = np.bincount(objects.event, objects.pt, objects.n_events)
    return {branch: column.astype(np.float32) for branch, column in columns.items()}


def _columns(objects: FlatObjects, **more: Array) -> Columns:
    """Kinematics and code of objects that are written as they are."""
    return kinematics(objects, objects.mass) | {"pdgId": objects.pdg_id} | more


def _generated_columns(truth: Truth) -> Columns:
    """GenPart; every particle stands here once, as its own first and last copy."""
    is_hard = truth.hard_status < 30
    flags = np.where(is_hard, 1 << 0 | 1 << 7, 0) | 1 << 8 | 1 << 12 | 1 << 13
    births = {f"v{axis}": truth.hard_birth[:, column] / 10.0 for column, axis in enumerate("xyz")}
    identity = {"status": truth.hard_status, "statusFlags": flags, "genPartIdxMother": truth.hard_mother}
    return _columns(truth.hard, **identity, **births)


def _candidate_columns(candidates: Candidates) -> Columns:
    return _columns(
        candidates.objects,
        charge=candidates.objects.charge,
        d0=candidates.d0,
        d0Err=candidates.d0_error,
        dz=candidates.dz,
        dzErr=candidates.dz_error,
        puppiWeight=candidates.puppi,
    )
