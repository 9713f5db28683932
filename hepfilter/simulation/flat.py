"""Objects of many events as flat arrays, and their pairs within events: what lets every step run without a loop."""

from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class Rows:
    """A dataclass of columns with one entry per row, `n_events` aside; a column may be such a dataclass itself."""

    def __getitem__(self, where: Mask | Ints) -> Self:
        """The rows under a mask, or in the order of an index that keeps events ascending."""
        chosen: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]
        return type(self)(**{name: value if name == "n_events" else value[where] for name, value in chosen.items()})


@dataclass(frozen=True)
class FlatObjects(Rows):
    """Objects (particles, candidates, jets, …) of `n_events` events, those of one event together and events in order.

    Every array has one entry per object: `event` (int64, ascending, in [0, n_events)), `pt`, `mass` in GeV, `eta`,
    `phi` in rad within [-π, π] (float64), `pdg_id` (int64, signed; 0 where it means nothing), `charge` (int64, units of
    e; thirds are rounded towards zero). Events without objects simply do not occur in `event`.
    """

    n_events: int
    event: Ints
    pt: Floats
    eta: Floats
    phi: Floats
    mass: Floats
    pdg_id: Ints
    charge: Ints

    def __len__(self) -> int:
        return len(self.event)

    def joined(self, others: Self) -> Self:
        """These objects and then the others, which have the same events: not in order of events."""
        columns = [f.name for f in fields(self) if f.name != "n_events"]
        both: dict[str, Any] = {name: np.concatenate([getattr(o, name) for o in (self, others)]) for name in columns}
        return replace(self, **both)

    def of_events(self, events: Mask) -> Self:
        """The objects of the events under a mask, these events numbered anew."""
        if events.all():
            return self
        kept = self[events[self.event]]
        return replace(kept, n_events=int(events.sum()), event=(np.cumsum(events) - 1)[kept.event])

    @property
    def counts(self) -> Ints:
        """Objects per event, int64[n_events]."""
        return np.bincount(self.event, minlength=self.n_events)

    @property
    def energy(self) -> Floats:
        """Energy in GeV."""
        return np.hypot(self.pt * np.cosh(self.eta), self.mass)

    @property
    def momentum(self) -> tuple[Floats, Floats, Floats]:
        """px, py, pz in GeV."""
        return self.pt * np.cos(self.phi), self.pt * np.sin(self.phi), self.pt * np.sinh(self.eta)


def from_momentum(
    px: Floats, py: Floats, pz: Floats, mass: Floats, *, n_events: int, event: Ints, pdg_id: Ints, charge: Ints
) -> FlatObjects:
    """Objects with these momenta and masses in GeV; those along the beam get |η| = 20 at most."""
    pt = np.hypot(px, py)
    return FlatObjects(
        n_events=n_events,
        event=event,
        pt=pt,
        eta=np.clip(np.arcsinh(pz / np.maximum(pt, 1e-9)), -20.0, 20.0),
        phi=np.arctan2(py, px),
        mass=mass,
        pdg_id=pdg_id,
        charge=charge,
    )


class RowsOfObjects(Rows):
    """Rows with `objects` among their columns, which say what event each belongs to."""

    objects: FlatObjects

    def __len__(self) -> int:
        return len(self.objects)

    def of_events(self, events: Mask) -> Self:
        """The rows of the events under a mask, these events numbered anew."""
        if events.all():
            return self
        kept = self[events[self.objects.event]]
        return replace(kept, objects=self.objects.of_events(events))  # type: ignore[type-var]


@dataclass(frozen=True)
class Particles(RowsOfObjects):
    """Generated particles: where each was born (`x`, `y`, `z` in mm from the hard collision) and in which `collision`
    of its event (int64; 0 is the hard one, others are pile-up)."""

    objects: FlatObjects
    x: Floats
    y: Floats
    z: Floats
    collision: Ints


def prompt(objects: FlatObjects) -> Particles:
    """Particles born in the hard collision."""
    x, y, z = np.zeros((3, len(objects)))
    return Particles(objects, x, y, z, np.zeros(len(objects), dtype=np.int64))


@dataclass(frozen=True)
class Candidates(RowsOfObjects):
    """Reconstructed particle-flow candidates, per event by descending pt.

    Tracks have impact parameters to the hard collision `d0` and `dz` with their errors (cm; all 0 for neutral ones).
    `is_pileup` marks tracks that point to another collision, `puppi` is the weight in [0, 1] after pile-up mitigation.
    """

    objects: FlatObjects
    d0: Floats
    d0_error: Floats
    dz: Floats
    dz_error: Floats
    is_pileup: Mask
    puppi: Floats


def pt_order(event: Ints, pt: Floats) -> Ints:
    """The index that sorts by event, then by descending pt."""
    return np.lexsort((-pt, event))


def rank_in_event(event: Ints) -> Ints:
    """Position of each entry within its event (0, 1, …), for entries that are grouped by ascending event."""
    if not len(event):
        return np.zeros(0, np.int64)
    counts = np.bincount(event)
    return np.arange(len(event)) - np.repeat(np.cumsum(counts) - counts, counts)


def pairs(left: FlatObjects, right: FlatObjects) -> tuple[Ints, Ints]:
    """Indices (i, j) of all pairs of one object of `left` and one of `right` in the same event; i ascending."""
    counts = right.counts
    starts = np.cumsum(counts) - counts
    partners = counts[left.event]
    i = np.repeat(np.arange(len(left)), partners)
    j = np.arange(len(i)) - np.repeat(np.cumsum(partners) - partners, partners) + starts[left.event[i]]
    return i, j


def delta_phi(phi_1: Floats, phi_2: Floats) -> Floats:
    """Difference of two azimuths in [-π, π)."""
    return (phi_1 - phi_2 + np.pi) % (2.0 * np.pi) - np.pi


def delta_r(left: FlatObjects, right: FlatObjects, i: Ints, j: Ints) -> Floats:
    """ΔR = √(Δη² + Δφ²) of the pairs (i, j)."""
    return np.hypot(left.eta[i] - right.eta[j], delta_phi(left.phi[i], right.phi[j]))


def matched(left: FlatObjects, right: FlatObjects, *, radius: float) -> Mask:
    """Which objects of `left` have at least one of `right` nearer than `radius` in ΔR."""
    i, j = pairs(left, right)
    near = i[delta_r(left, right, i, j) < radius]
    return np.bincount(near, minlength=len(left)) > 0
