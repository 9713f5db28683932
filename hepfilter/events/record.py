"""The canonical event record: collections of objects with kinematics in GeV and radians, and who each event is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from hepfilter.config.schema import COLLECTIONS as COLLECTIONS
from hepfilter.events.identity import Identity as Identity

_FLOATS = ("pt", "eta", "phi", "mass", "charge", "btag")
FIELDS = {name: np.dtype(np.float32) for name in _FLOATS} | {"pdg_id": np.dtype(np.int32)}
"""The fields that an object may have, with their types; the first four it always has."""


@dataclass(frozen=True)
class Objects:
    """One collection of many events as flat columns.

    `columns[field][offsets[i]:offsets[i + 1]]` are the objects of event i; `offsets` is int64 with n_events + 1
    entries, begins at 0 and never falls. All columns are as long as its last entry says.
    """

    offsets: NDArray[np.int64]
    columns: Mapping[str, NDArray[Any]]

    def __len__(self) -> int:
        return int(self.offsets[-1])

    @classmethod
    def from_counts(cls, counts: NDArray[np.integer[Any]], columns: Mapping[str, NDArray[Any]]) -> Self:
        """The objects of events with these multiplicities."""
        return cls(offsets_of(counts), columns)

    @property
    def n_events(self) -> int:
        """Number of events, those without an object included."""
        return len(self.offsets) - 1

    @property
    def counts(self) -> NDArray[np.int64]:
        """Objects per event."""
        return np.diff(self.offsets)

    @property
    def event(self) -> NDArray[np.int64]:
        """The event of every object, ascending."""
        return np.repeat(np.arange(self.n_events), self.counts)

    def keep(self, mask: NDArray[np.bool_]) -> "Objects":
        """The objects where `mask` (one entry per object) is true, in the same order."""
        if mask.all():
            return self
        passed = np.concatenate([[0], np.cumsum(mask)])
        return Objects(passed[self.offsets], {name: column[mask] for name, column in self.columns.items()})

    def take(self, order: NDArray[np.integer[Any]]) -> "Objects":
        """The objects in another order, which must leave every object in its event."""
        return Objects(self.offsets, {name: column[order] for name, column in self.columns.items()})

    def with_columns(self, **columns: NDArray[Any]) -> "Objects":
        """These objects with some columns replaced or added."""
        return Objects(self.offsets, {**self.columns, **columns})


@dataclass(frozen=True)
class Events:
    """Events ready to become graphs.

    `record` has one field per name of `COLLECTIONS`, each a list per event of objects with at least pt, eta, phi, mass
    (float32, GeV and rad; finite, pt > 0, mass ≥ 0, phi in [-π, π], by descending pt) and charge, btag (float32) and
    pdg_id (int32) where the file has them. `weight` is float64, None where the file has none. `problems` counts what
    was treated by rule, by collection and reason; `objects_read` counts the objects of each collection in the file,
    before any rule.
    """

    record: ak.Array
    identity: Identity
    weight: NDArray[np.float64] | None
    problems: dict[str, int]
    objects_read: dict[str, int]

    def __len__(self) -> int:
        return len(self.identity)


def build_record(collections: Mapping[str, Objects], n_events: int) -> ak.Array:
    """The record of `n_events` events; collections that are not given are empty lists with the four basic fields."""
    empty = Objects(np.zeros(n_events + 1, np.int64), {name: np.empty(0, FIELDS[name]) for name in _FLOATS[:4]})
    contents = [_list_of_records(collections.get(name, empty)) for name in COLLECTIONS]
    return ak.Array(ak.contents.RecordArray(contents, list(COLLECTIONS), length=n_events))


def _list_of_records(objects: Objects) -> ak.contents.Content:
    """Awkward's layout for a list of records per event, without a copy where the types fit already."""
    names = [name for name in FIELDS if name in objects.columns]
    columns = [np.ascontiguousarray(objects.columns[name], dtype=FIELDS[name]) for name in names]
    leaves = [ak.contents.NumpyArray(column) for column in columns]
    content = ak.contents.RecordArray(leaves, names, length=len(objects))
    return ak.contents.ListOffsetArray(ak.index.Index64(objects.offsets), content)


def offsets_of(counts: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Where each event's objects begin in a flat column, and at the end their number."""
    offsets = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets
