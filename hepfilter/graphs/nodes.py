"""From the event record to the flat list of nodes: whole chunks at once, no loop over events."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hepfilter.config.graph import GraphSpecification, NodeCollection

if TYPE_CHECKING:
    import awkward as ak


@dataclass(frozen=True)
class FlatNodes:
    """V nodes, grouped by collection; all arrays have length V.

    event:      int64, the event's position in the record.
    position:   int64, 0 … max_nodes - 1, the node's place within its event; the places of an event have no gaps.
    collection: int64, the position of its collection in the specification.
    pt, eta, phi, mass: float32 in GeV and rad, as in the record.
    charge: float32, 0 where the file has none.    pdg_id: int32, 0 where the file has none.
    """

    event: NDArray[np.int64]
    position: NDArray[np.int64]
    collection: NDArray[np.int64]
    pt: NDArray[np.float32]
    eta: NDArray[np.float32]
    phi: NDArray[np.float32]
    mass: NDArray[np.float32]
    charge: NDArray[np.float32]
    pdg_id: NDArray[np.int32]


def collect_nodes(record: "ak.Array", specification: GraphSpecification) -> FlatNodes:
    """Every object of `record` that the specification makes a node: the hardest of each collection, in its order.

    Relies on the record's order (descending pt in every collection). An event may have no node at all.
    """
    filled = np.zeros(len(record), dtype=np.int64)
    parts = []
    for number, (name, limits) in enumerate(specification.collections.items()):
        part = _collect(record[name], limits, number, filled=filled, max_nodes=specification.max_nodes)
        filled += np.bincount(part["event"], minlength=len(record))
        parts.append(part)
    return FlatNodes(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def _collect(
    objects: "ak.Array", limits: NodeCollection, number: int, *, filled: NDArray[np.int64], max_nodes: int
) -> dict[str, NDArray[Any]]:
    """The nodes of one collection as columns; `filled` [n_events] counts the places already taken in each event."""
    import awkward as ak  # here: nodes that a cache holds need none

    counts = np.asarray(ak.num(objects, axis=1), dtype=np.int64)
    event = np.repeat(np.arange(len(counts)), counts)
    columns = {field: _flat(objects, field, np.dtype(np.float32)) for field in ("pt", "eta", "phi", "mass", "charge")}
    columns["pdg_id"] = _flat(objects, "pdg_id", np.dtype(np.int32))
    # Written so that NaN is kept: a NaN that got here must become an error later, not vanish.
    kept = ~np.less(columns["pt"], limits.min_pt)
    if limits.max_abs_eta is not None:
        kept &= ~np.greater(np.abs(columns["eta"]), limits.max_abs_eta)
    event = event[kept]
    starts = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(np.bincount(event, minlength=len(counts)), out=starts[1:])
    rank = np.arange(len(event)) - starts[event]
    position = rank + filled[event]
    fits = (rank < limits.max_count) & (position < max_nodes)
    nodes: dict[str, NDArray[Any]] = {name: column[kept][fits] for name, column in columns.items()}
    nodes |= {"event": event[fits], "position": position[fits]}
    nodes["collection"] = np.full(len(nodes["event"]), number, dtype=np.int64)
    return nodes


def _flat(objects: "ak.Array", field: str, dtype: np.dtype[Any]) -> NDArray[Any]:
    """One field of all objects, one after the other; zeros where the collection has no such field."""
    import awkward as ak

    if field not in objects.fields:
        return np.zeros(int(ak.count(objects["pt"])), dtype=dtype)
    return np.asarray(ak.to_numpy(ak.flatten(objects[field], axis=1)), dtype=dtype)
