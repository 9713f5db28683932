"""Plain fields of an RNTuple as numbers: one, or one list of them, an entry, projected (``Muon_pt``) or not."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hepfilter.errors import SourceError, nearest
from hepfilter.io.rntuple.format import COLLECTION, LEAF
from hepfilter.io.rntuple.pages import ENCODINGS, Items
from hepfilter.io.rntuple.reading import NTuple
from hepfilter.io.rntuple.schema import Schema
from hepfilter.io.rntuple.selection import ClusterReader

# type of a field → numpy's
_TYPES = {
    "bool": "?", "char": "i1", "std::int8_t": "i1", "std::uint8_t": "u1", "std::int16_t": "i2", "std::uint16_t": "u2",
    "std::int32_t": "i4", "std::uint32_t": "u4", "std::int64_t": "i8", "std::uint64_t": "u8", "float": "f4",
    "double": "f8", "ROOT::RNTupleCardinality<std::uint32_t>": "u4", "ROOT::RNTupleCardinality<std::uint64_t>": "u8",
}  # fmt: skip
_LISTS = ("std::vector<", "ROOT::VecOps::RVec<")
_REALS = {"Real16": "<f2", "Real32": "<f4", "Real64": "<f8"}


@dataclass(frozen=True)
class _Plain:
    """Where a field's numbers are: in the items of `values`; `counts` has their number an entry, None for one each."""

    values: int
    counts: int | None
    dtype: np.dtype[Any]


def is_plain(ntuple: NTuple, name: str) -> bool:
    """Whether the top-level field `name` holds one number, or one list of numbers, an entry, that can be read here."""
    return _locate(ntuple.schema, name) is not None


def read_plain(
    ntuple: NTuple, names: Sequence[str], start: int = 0, stop: int | None = None
) -> dict[str, tuple[npt.NDArray[Any], npt.NDArray[np.int64] | None]]:
    """(values, offsets) of the entries [start, stop) of plain fields; offsets are None where there is one an entry.

    SourceError if there is no such field, it is not plain, or a page is damaged.
    """
    schema = ntuple.schema
    places = {name: _place(ntuple, name) for name in names}
    fields = schema.with_parents(place.values for place in places.values())
    stop = ntuple.num_entries if stop is None else min(stop, ntuple.num_entries)
    found: dict[int, list[npt.NDArray[Any]]] = {number: [] for number in fields}
    for cluster in ntuple.clusters:
        first, last = max(start - cluster.first, 0), min(stop - cluster.first, cluster.entries)
        if first < last:
            for chunk in ClusterReader(ntuple, cluster, fields).select(np.arange(first, last)):
                found[schema.columns[chunk.column].field].append(_numbers(schema, chunk.column, chunk.items))
    return {name: _join(place, found) for name, place in places.items()}


def _join(
    place: _Plain, found: dict[int, list[npt.NDArray[Any]]]
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64] | None]:
    """The values of one field, with offsets, from the pieces of all."""
    values = np.concatenate([np.empty(0, place.dtype), *(part.astype(place.dtype) for part in found[place.values])])
    if place.counts is None:
        return values, None
    return values, np.cumsum(np.concatenate([np.zeros(1, np.int64), *found[place.counts]]), dtype=np.int64)


def _place(ntuple: NTuple, name: str) -> _Plain:
    """Where a field's numbers are; SourceError if it is not there or not plain."""
    place = _locate(ntuple.schema, name)
    if place is None:
        close = nearest(name, ntuple.field_names)
        raise SourceError(f"{ntuple.path}: ntuple {ntuple.name} has no field {name!r} of plain numbers{close}")
    return place


def _locate(schema: Schema, name: str) -> _Plain | None:
    """Where the numbers of a top-level field are; None if there is none of that name, or it is not plain."""
    top = next((number for number in schema.tops if schema.fields[number].name == name), None)
    if top is None:
        return None
    shown, children = top, schema.children[top]
    if schema.fields[top].role == COLLECTION and len(children) == 1:
        if not schema.fields[top].type_name.startswith(_LISTS):
            return None
        (shown,) = children
    leaf, dtype = schema.fields[shown], _TYPES.get(schema.fields[shown].type_name)
    values = shown if leaf.source is None else leaf.source
    lists = [number for number in schema.with_parents([values]) if schema.field_columns[number] and number != values]
    known = leaf.role == LEAF and dtype is not None and leaf.repetition == 1 and not schema.children[shown]
    by_cardinality = "Cardinality" in leaf.type_name
    single = all(len(own) == 1 and _has_numbers(schema, own[0]) for own in schema.field_columns[values])
    if not known or not single or len(lists) != (shown != top) or not schema.field_columns[values]:
        return None
    if by_cardinality != ENCODINGS[schema.columns[schema.field_columns[values][0][0]].kind].is_index:
        return None
    return _Plain(values, lists[0] if lists else None, np.dtype(dtype))


def _has_numbers(schema: Schema, column: int) -> bool:
    return ENCODINGS[schema.columns[column].kind].name not in ("Switch", "Byte", "Real32Quant")


def _numbers(schema: Schema, number: int, items: Items) -> npt.NDArray[Any]:
    """The values that a column's items stand for."""
    column = schema.columns[number]
    encoding = ENCODINGS[column.kind]
    name = encoding.name.removeprefix("Split")
    if name in _REALS:
        return items.view(_REALS[name])
    if name == "Real32Trunc":
        return (items << np.uint32(32 - column.bits)).view("<f4")
    if name.startswith(("Int", "Char")):
        if encoding.split:  # zigzag: 0, -1, 1, -2, ...
            items = (items >> 1) ^ (~(items & 1) + 1)
        return items.view(f"<i{items.itemsize}")
    return items
