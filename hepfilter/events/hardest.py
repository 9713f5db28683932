"""The hardest objects of each event as dense arrays, and what simple kinematics says of them."""

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # awkward is loaded where a record is read, not before
    import awkward as ak

    from hepfilter.events.record import Objects

_FIELDS: Final = ("pt", "eta", "phi", "mass", "charge")
Floats = NDArray[np.float64]


class Hardest:
    """The hardest objects of each event: pt, eta, phi, mass, charge [B, N], 0 where there is none; `number` [B] of all.

    Made of `values` [5, B, N] of these, in this order. GeV and radians.
    """

    def __init__(self, values: Floats, number: Floats) -> None:
        self.values, self.number = values, number
        self.pt, self.eta, self.phi, self.mass, self.charge = values

    def of(self, *places: int) -> "Hardest":
        """Those at these places."""
        return Hardest(self.values[:, :, places], self.number)

    def invariant_mass(self, *, least: int = 2) -> Floats:
        """[B] √((ΣE)² − (Σp)²) of the objects of each event; 0 where there are fewer than `least`."""
        energy = np.hypot(self.pt * np.cosh(self.eta), self.mass)
        momentum = (self.pt * np.cos(self.phi), self.pt * np.sin(self.phi), self.pt * np.sinh(self.eta))
        squared = energy.sum(axis=1) ** 2 - sum(component.sum(axis=1) ** 2 for component in momentum)
        there = (self.pt > 0).sum(axis=1) >= least
        return np.where(there, np.sqrt(np.maximum(squared, 0.0)), 0.0)


def flat_objects(collection: "ak.Array") -> "Objects":
    """One collection of an event record as flat float64 columns."""
    import awkward as ak

    from hepfilter.events.record import Objects

    flat = ak.flatten(collection)
    columns = {field: np.asarray(ak.to_numpy(flat[field]), np.float64) for field in ak.fields(flat)}
    return Objects.from_counts(np.asarray(ak.to_numpy(ak.num(collection)), np.int64), columns)


def hardest(objects: "Objects", number: int) -> Hardest:
    """The first `number` objects of each event, which stand by descending pt."""
    place = np.arange(len(objects)) - np.repeat(objects.offsets[:-1], objects.counts)
    kept = place < number
    row, column = objects.event[kept], place[kept]
    values = np.zeros((len(_FIELDS), objects.n_events, number))
    for padded, field in zip(values, _FIELDS, strict=True):
        if field in objects.columns:
            padded[row, column] = objects.columns[field][kept]
    return Hardest(values, objects.counts.astype(np.float64))


def merged(first: Hardest, second: Hardest) -> Hardest:
    """The objects of both by descending pt; as many as both have room for."""
    both = np.concatenate([first.values, second.values], axis=2)
    order = np.argsort(-both[0], axis=1, kind="stable")
    return Hardest(np.take_along_axis(both, order[None], axis=2), first.number + second.number)
