"""Events as another detector or another file would show them: what a score must not hang on."""

from collections.abc import Callable, Collection
from functools import partial

import awkward as ak
import numpy as np

RecordChange = Callable[[ak.Array], ak.Array]
"""From an event record to the same events, changed."""

_HADRONIC = ("jet", "fatjet", "particle")


def scale_energy(factor: float) -> RecordChange:
    """pt and mass of jets, fat jets and particles times `factor`, and MET as the jets make it: Δ = (1 − factor) Σ p⃗_T.

    Objects that the cuts of reading have removed do not come back, so that a scale above 1 adds no jets.
    """
    return partial(_scaled, factor=factor)


def without(names: Collection[str]) -> RecordChange:
    """The collections `names` empty, as in a file that lacks them."""
    return partial(_emptied, names=tuple(names))


def _scaled(record: ak.Array, *, factor: float) -> ak.Array:
    changed = {name: record[name] for name in record.fields}
    for name in _HADRONIC:
        objects = changed[name]
        scaled = {field: ak.values_astype(objects[field] * factor, np.float32) for field in ("pt", "mass")}
        changed[name] = _replaced(objects, scaled)
    x, y = (
        (1 - factor) * ak.sum(ak.values_astype(record.jet.pt, np.float64) * of(record.jet.phi), axis=1)
        for of in (np.cos, np.sin)
    )
    met = record.met
    px, py = met.pt * np.cos(met.phi) + x, met.pt * np.sin(met.phi) + y
    moved = {"pt": np.hypot(px, py), "phi": np.arctan2(py, px)}
    changed["met"] = _replaced(met, {name: ak.values_astype(values, np.float32) for name, values in moved.items()})
    return ak.zip(changed, depth_limit=1)


def _emptied(record: ak.Array, *, names: Collection[str]) -> ak.Array:
    changed = {name: record[name][:, :0] if name in names else record[name] for name in record.fields}
    return ak.zip(changed, depth_limit=1)


def _replaced(objects: ak.Array, columns: dict[str, ak.Array]) -> ak.Array:
    """The objects with some columns replaced."""
    return ak.zip({name: columns.get(name, objects[name]) for name in objects.fields})
