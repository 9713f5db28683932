"""From the generator's record to what the detector sees and what the truth is: flat arrays, without a Python loop."""

from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np

from hepfilter.simulation.flat import FlatObjects, Ints, Mask

# Without electric or strong charge and long-lived: neutrinos, dark matter, neutralinos, gravitons, heavy neutrinos.
# Pythia's own table (isVisible) is asked as well; these are said here because cards may give them other properties.
INVISIBLE = (12, 14, 16, 18, 39, 51, 52, 53, 1000022, 5000039, 9900012, 9900014, 9900016)


@dataclass(frozen=True)
class Truth:
    """What was generated: `visible` (stable particles that a detector can see), hadrons with `bottom` and `charm` above
    5 GeV, `taus` that decay to hadrons (visible momentum, charge), and the `hard` process with the rows of the mothers
    in it (`hard_mother`, −1 where there is none) and Pythia's `hard_status`."""

    visible: FlatObjects
    bottom: FlatObjects
    charm: FlatObjects
    taus: FlatObjects
    hard: FlatObjects
    hard_mother: Ints
    hard_status: Ints


@dataclass(frozen=True)
class _Record:
    """The generator's record, flat: four-vectors in GeV, and `mother` as a row of these arrays (−1: none)."""

    counts: Ints
    event: Ints
    pdg_id: Ints
    status: Ints
    mother: Ints
    columns: dict[str, Any]

    def objects(self, where: Mask | Ints, particle_data: Any) -> FlatObjects:
        """The particles under `where` as flat objects; those along the beam get |η| = 20 at most."""
        px, py, pz, mass = (self.columns[name][where] for name in ("px", "py", "pz", "m"))
        pt = np.hypot(px, py)
        return FlatObjects(
            n_events=len(self.counts),
            event=self.event[where],
            pt=pt,
            eta=np.clip(np.arcsinh(pz / np.maximum(pt, 1e-9)), -20.0, 20.0),
            phi=np.arctan2(py, px),
            mass=np.maximum(mass, 0.0),
            pdg_id=self.pdg_id[where],
            charge=_table(self.pdg_id[where], lambda pdg_id: int(particle_data.chargeType(pdg_id) / 3)),
        )


def read_truth(batch: Any, particle_data: Any) -> Truth:
    """The truth of a batch from ``nextBatch``; `particle_data` is Pythia's table (charges, visibility)."""
    record = _flatten(batch.prt)
    absolute = np.abs(record.pdg_id)
    stable = record.status > 0
    hidden = np.isin(absolute, INVISIBLE) | ~_table(absolute, particle_data.isVisible).astype(bool)
    hard = np.flatnonzero((np.abs(record.status) > 20) & (np.abs(record.status) < 30))
    transverse = np.hypot(record.columns["px"], record.columns["py"])
    return Truth(
        visible=record.objects(stable & ~hidden, particle_data),
        bottom=record.objects(_holds_quark(absolute, 5) & (transverse > 5.0), particle_data),
        charm=record.objects(_holds_quark(absolute, 4) & (transverse > 5.0), particle_data),
        taus=_hadronic_taus(record, particle_data),
        hard=record.objects(hard, particle_data),
        hard_mother=_mothers_within(record, hard),
        hard_status=np.abs(record.status[hard]),
    )


def _flatten(particles: Any) -> _Record:
    counts = ak.to_numpy(ak.num(particles)).astype(np.int64)
    flat = ak.flatten(particles)
    event = np.repeat(np.arange(len(counts)), counts)
    first = (np.cumsum(counts) - counts)[event]
    mother = ak.to_numpy(flat.mother1).astype(np.int64)
    columns = {name: ak.to_numpy(flat.p[name]) for name in ("px", "py", "pz")} | {"m": ak.to_numpy(flat.m)}
    return _Record(
        counts=counts,
        event=event,
        pdg_id=ak.to_numpy(flat.id).astype(np.int64),
        status=ak.to_numpy(flat.status).astype(np.int64),
        mother=np.where(mother > 0, mother + first, -1),
        columns=columns,
    )


def _table(pdg_id: Ints, value: Any) -> Ints:
    """`value` of each particle code, asked once per different code; int64."""
    different, where = np.unique(pdg_id, return_inverse=True)
    return np.array([value(int(code)) for code in different], dtype=np.int64)[where]


def _holds_quark(absolute: Ints, quark: int) -> Mask:
    """Mesons and baryons whose heaviest quark is `quark`, by the digits of their code; no diquarks, no exotic codes."""
    base = absolute % 10_000
    is_hadron: Mask = (absolute > 100) & (absolute < 1_000_000) & (absolute // 10 % 10 > 0)
    heaviest: Mask = (base // 1000 == quark) | ((base // 1000 == 0) & (base // 100 % 10 == quark))
    return is_hadron & heaviest


def _hadronic_taus(record: _Record, particle_data: Any) -> FlatObjects:
    """τ leptons that decay to hadrons and a neutrino; their momentum is that of the visible part."""
    absolute = np.abs(record.pdg_id)
    from_tau = (record.mother >= 0) & (absolute[record.mother] == 15)
    neutrino = np.flatnonzero(from_tau & (absolute == 16))
    leptonic = np.zeros(len(absolute), dtype=bool)
    leptonic[record.mother[from_tau & ((absolute == 11) | (absolute == 13))]] = True
    neutrino = neutrino[~leptonic[record.mother[neutrino]]]
    tau = record.mother[neutrino]
    order = np.argsort(tau, kind="stable")
    neutrino, tau = neutrino[order], tau[order]
    visible = {name: record.columns[name][tau] - record.columns[name][neutrino] for name in ("px", "py", "pz")}
    # The visible mass is at most that of the τ and plays no role below: it is left at zero.
    part = _Record(
        counts=record.counts,
        event=record.event[tau],
        pdg_id=record.pdg_id[tau],
        status=record.status[tau],
        mother=record.mother[tau],
        columns=visible | {"m": np.zeros(len(tau))},
    )
    return part.objects(np.ones(len(tau), dtype=bool), particle_data)


def _mothers_within(record: _Record, rows: Ints) -> Ints:
    """For each of `rows` the position in its event's `rows` of the nearest ancestor among them, −1 where there is none.

    The copies that the shower makes of a particle lie between it and its decay products: they are climbed over, all
    particles at once, one generation a step.
    """
    position = np.full(len(record.event), -1, dtype=np.int64)
    counts = np.bincount(record.event[rows], minlength=len(record.counts))
    position[rows] = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    ancestor = record.mother[rows]
    while np.any(climbing := (ancestor >= 0) & (position[ancestor] < 0)):
        ancestor = np.where(climbing, record.mother[ancestor], ancestor)
    return np.where(ancestor >= 0, position[ancestor], -1)
