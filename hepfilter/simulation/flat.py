"""Objects of many events as flat arrays, and their pairs within events: what lets every step run without a loop."""

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class FlatObjects:
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

    def __getitem__(self, where: Mask | Ints) -> Self:
        """The objects under a mask, or in the order of an index that keeps events ascending."""
        chosen: dict[str, Any] = {f.name: getattr(self, f.name)[where] for f in fields(self) if f.name != "n_events"}
        return type(self)(n_events=self.n_events, **chosen)

    @property
    def counts(self) -> Ints:
        """Objects per event, int64[n_events]."""
        return np.bincount(self.event, minlength=self.n_events)

    @property
    def energy(self) -> Floats:
        """Energy in GeV."""
        return np.hypot(self.pt * np.cosh(self.eta), self.mass)


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
