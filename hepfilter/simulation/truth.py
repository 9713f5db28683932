"""From the generator's record to what the detector sees and what the truth is: flat arrays, without a Python loop."""

from dataclasses import dataclass, replace
from typing import Any, Self

import awkward as ak
import numpy as np

from hepfilter.simulation.flat import (
    FlatObjects,
    Floats,
    Ints,
    Mask,
    Particles,
    RowsOfObjects,
    from_momentum,
    rank_in_event,
)

# Without electric or strong charge and long-lived: neutrinos, dark matter, neutralinos, dark photons, gravitons.
# Pythia's own table (isVisible) is asked as well; these are said here because cards may give them other properties.
INVISIBLE = (12, 14, 16, 18, 39, 51, 52, 53, 1000022, 4900022, 5000039, 9900012, 9900014, 9900016)


@dataclass(frozen=True)
class Truth:
    """What was generated: `visible` (stable particles that a detector can see), hadrons with `bottom` and `charm` above
    5 GeV, `taus` that decay to hadrons (visible momentum, charge), and the `hard` process, with the decay products of
    its particles that live (taus, long-lived ones).

    Of these, `hard_mother` is the row within the event of the mother (−1 where there is none), `hard_status` Pythia's
    status without sign, `hard_birth` the place of birth, float64[n, 3] in mm.
    """

    visible: Particles
    bottom: FlatObjects
    charm: FlatObjects
    taus: FlatObjects
    hard: FlatObjects
    hard_mother: Ints
    hard_status: Ints
    hard_birth: Floats

    def of_events(self, events: Mask) -> "Truth":
        """The truth of the events under a mask, numbered anew."""
        parts = {name: getattr(self, name).of_events(events) for name in ("visible", "bottom", "charm", "taus", "hard")}
        rows = events[self.hard.event]
        of_hard = {name: getattr(self, name)[rows] for name in ("hard_mother", "hard_status", "hard_birth")}
        return Truth(**parts, **of_hard)


@dataclass(frozen=True)
class Record(RowsOfObjects):
    """The generator's record of many events, flat.

    `objects` are all its entries, `mother` the row of each one's (first) mother (−1: none), `status` Pythia's code, and
    `x`, `y`, `z` the place of birth in mm.
    """

    objects: FlatObjects
    status: Ints
    mother: Ints
    x: Floats
    y: Floats
    z: Floats

    @property
    def absolute(self) -> Ints:
        """The particle codes without their signs."""
        return np.abs(self.objects.pdg_id)

    def last_copies(self) -> Mask:
        """The entries that no later entry continues: no daughter has the same code."""
        pdg_id = self.objects.pdg_id
        copies = (self.mother >= 0) & (pdg_id[self.mother] == pdg_id)
        last = np.ones(len(pdg_id), dtype=bool)
        last[self.mother[copies]] = False
        return last

    def of_events(self, events: Mask) -> Self:
        """The record of the events under a mask, numbered anew."""
        if events.all():
            return self
        kept = super().of_events(events)
        place = np.cumsum(events[self.objects.event]) - 1
        return replace(kept, mother=np.where(kept.mother >= 0, place[kept.mother], -1))


def read_record(batch: Any, particle_data: Any) -> Record:
    """The flat record of a batch from ``nextBatch``; `particle_data` is Pythia's table (charges)."""
    counts = _column(ak.num(batch.prt), np.int64)
    flat = ak.flatten(batch.prt)
    event = np.repeat(np.arange(len(counts)), counts)
    first = (np.cumsum(counts) - counts)[event]
    mother, pdg_id, status = (_column(flat[name], np.int64) for name in ("mother1", "id", "status"))
    px, py, pz, mass = (_column(values, np.float64) for values in (flat.p.px, flat.p.py, flat.p.pz, flat.m))
    charge = _table(pdg_id, lambda code: int(particle_data.chargeType(code) / 3))
    return Record(
        objects=from_momentum(
            px, py, pz, np.maximum(mass, 0.0), n_events=len(counts), event=event, pdg_id=pdg_id, charge=charge
        ),
        status=status,
        mother=np.where(mother > 0, mother + first, -1),
        x=_column(flat.vProd.px, np.float64),
        y=_column(flat.vProd.py, np.float64),
        z=_column(flat.vProd.pz, np.float64),
    )


def _column(values: Any, dtype: type) -> Any:
    """A flat column as a plain array: Pythia leaves out the place of birth where it is the collision, at 0."""
    return np.ma.filled(ak.to_numpy(values), 0).astype(dtype, copy=False)


def read_truth(record: Record, particle_data: Any) -> Truth:
    """What the detector may see and what is true; `particle_data` is Pythia's table (visibility)."""
    absolute, objects = record.absolute, record.objects
    hard = _hard_rows(record)
    return Truth(
        visible=visible_particles(record, particle_data),
        bottom=objects[_holds_quark(absolute, 5) & (objects.pt > 5.0)],
        charm=objects[_holds_quark(absolute, 4) & (objects.pt > 5.0)],
        taus=_hadronic_taus(record),
        hard=objects[hard],
        hard_mother=_mothers_within(record, hard),
        hard_status=np.abs(record.status[hard]),
        hard_birth=np.stack([record.x[hard], record.y[hard], record.z[hard]], axis=1),
    )


def _hard_rows(record: Record) -> Ints:
    """The rows of the hard process (status 21 to 29), and of what its particles decay to as hadrons do (91 to 99); the
    shower's copies of a particle between the two are climbed over."""
    status, mother, pdg_id = np.abs(record.status), record.mother, record.objects.pdg_id
    hard = (status > 20) & (status < 30)
    product = np.flatnonzero((status > 90) & (status < 100))
    parent = mother[product]
    while True:
        above = mother[parent]
        climbing = (parent >= 0) & ~hard[parent] & (above >= 0) & (pdg_id[above] == pdg_id[parent])
        if not climbing.any():
            break
        parent = np.where(climbing, above, parent)
    hard[product[(parent >= 0) & hard[parent]]] = True
    return np.flatnonzero(hard)


def visible_particles(record: Record, particle_data: Any) -> Particles:
    """The stable particles that a detector can see."""
    absolute = record.absolute
    stable = np.flatnonzero(record.status > 0)
    kinds = absolute[stable]
    hidden = np.isin(kinds, INVISIBLE) | ~_table(kinds, particle_data.isVisible).astype(bool)
    hidden |= is_supersymmetric(kinds) & (record.objects.charge[stable] == 0)
    rows = stable[~hidden]
    return Particles(
        objects=record.objects[rows],
        x=record.x[rows],
        y=record.y[rows],
        z=record.z[rows],
        collision=np.zeros(len(rows), dtype=np.int64),
    )


def is_supersymmetric(absolute: Ints) -> Mask:
    """Partners, and the R-hadrons that hold one: they pass the calorimeters."""
    partner: Mask = (absolute > 1_000_000) & (absolute < 3_000_000)
    return partner


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


def _hadronic_taus(record: Record) -> FlatObjects:
    """τ leptons that decay to hadrons and a neutrino; their momentum is that of the visible part.

    The visible mass is at most that of the τ and plays no role: it is left at zero.
    """
    absolute = record.absolute
    from_tau = (record.mother >= 0) & (absolute[record.mother] == 15)
    neutrino = np.flatnonzero(from_tau & (absolute == 16))
    leptonic = np.zeros(len(absolute), dtype=bool)
    leptonic[record.mother[from_tau & ((absolute == 11) | (absolute == 13))]] = True
    neutrino = neutrino[~leptonic[record.mother[neutrino]]]
    tau = record.mother[neutrino]
    order = np.argsort(tau, kind="stable")
    mother, lost = record.objects[tau[order]], record.objects[neutrino[order]]
    px, py, pz = (of_tau - of_neutrino for of_tau, of_neutrino in zip(mother.momentum, lost.momentum, strict=True))
    return from_momentum(
        px, py, pz, np.zeros(len(mother)), n_events=mother.n_events, event=mother.event, pdg_id=mother.pdg_id,
        charge=mother.charge,
    )  # fmt: skip


def _mothers_within(record: Record, rows: Ints) -> Ints:
    """For each of `rows` the position in its event's `rows` of the nearest ancestor among them, −1 where there is none.

    The copies that the shower makes of a particle lie between it and its decay products: they are climbed over, all
    particles at once, one generation a step.
    """
    event = record.objects.event
    position = np.full(len(event), -1, dtype=np.int64)
    position[rows] = rank_in_event(event[rows])
    ancestor = record.mother[rows]
    while np.any(climbing := (ancestor >= 0) & (position[ancestor] < 0)):
        ancestor = np.where(climbing, record.mother[ancestor], ancestor)
    return np.where(ancestor >= 0, position[ancestor], -1)
