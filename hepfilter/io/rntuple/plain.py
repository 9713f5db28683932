"""Fields of an RNTuple as numbers: one, or lists of them, an entry, projected (``Muon_pt``) or not."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from hepfilter.errors import SourceError, nearest
from hepfilter.io.rntuple.format import COLLECTION, LEAF
from hepfilter.io.rntuple.pages import ENCODINGS, Items
from hepfilter.io.rntuple.reading import Cluster, NTuple
from hepfilter.io.rntuple.schema import Schema
from hepfilter.io.rntuple.selection import ClusterReader
from hepfilter.io.values import CHARACTER, Form, Index, Values

# type of a field → its numbers
_TYPES = {
    "bool": "bool", "char": CHARACTER, "std::int8_t": "int8", "std::uint8_t": "uint8", "std::int16_t": "int16",
    "std::uint16_t": "uint16", "std::int32_t": "int32", "std::uint32_t": "uint32", "std::int64_t": "int64",
    "std::uint64_t": "uint64", "float": "float32", "double": "float64", "std::string": CHARACTER,
    "ROOT::RNTupleCardinality<std::uint32_t>": "uint32", "ROOT::RNTupleCardinality<std::uint64_t>": "uint64",
}  # fmt: skip
_LISTS = ("std::vector<", "ROOT::VecOps::RVec<")
_REALS = {"Real16": "<f2", "Real32": "<f4", "Real64": "<f8"}
_TEXT = "std::string"

Slot = tuple[int, int]
"""A field, and the place of a column among those of a representation."""


@dataclass(frozen=True)
class Place:
    """Where a field's numbers are: in the items of the column `numbers`.

    `counts` are the columns that say how many of them the lists of each level have, the outermost first.
    """

    numbers: Slot
    counts: tuple[Slot, ...]
    form: Form
    is_count: bool = False
    """Whether the numbers are the lengths of lists themselves."""


def is_plain(ntuple: NTuple, name: str) -> bool:
    """Whether the top-level field `name` holds one number, or one list of numbers, an entry, that can be read here."""
    place = locate(ntuple.schema, name)
    return place is not None and place.form.depth < 2 and place.form.length == 1 and not place.form.is_text


def read_plain(
    ntuple: NTuple, names: Sequence[str], start: int = 0, stop: int | None = None
) -> dict[str, tuple[npt.NDArray[Any], Index | None]]:
    """(values, offsets) of the entries [start, stop) of plain fields; offsets are None where there is one an entry.

    SourceError if there is no such field, it is not plain, or a page is damaged.
    """
    for name in names:
        if not is_plain(ntuple, name):
            close = nearest(name, ntuple.field_names)
            raise SourceError(f"{ntuple.path}: ntuple {ntuple.name} has no field {name!r} of plain numbers{close}")
    stop = ntuple.num_entries if stop is None else min(stop, ntuple.num_entries)
    spans = [
        (cluster, max(start - cluster.first, 0), min(stop - cluster.first, cluster.entries))
        for cluster in ntuple.clusters
    ]
    parts = [(cluster, partial(np.arange, first, last)) for cluster, first, last in spans if first < last]
    found = _read(ntuple, names, parts)
    return {name: (own.numbers, _offsets(own.counts[0]) if own.counts else None) for name, own in found.items()}


def read_values(ntuple: NTuple, names: Sequence[str], entries: Index) -> dict[str, Values]:
    """The values of some entries (rising) of fields that `locate` finds. SourceError if a page is damaged."""
    parts = []
    for cluster in ntuple.clusters:
        first, last = np.searchsorted(entries, (cluster.first, cluster.first + cluster.entries))
        if first < last:
            parts.append((cluster, partial(np.subtract, entries[first:last], cluster.first)))
    return _read(ntuple, names, parts)


def _read(
    ntuple: NTuple, names: Sequence[str], parts: Sequence[tuple[Cluster, Callable[[], Index]]]
) -> dict[str, Values]:
    """The values of some entries of clusters, which are listed only after the cluster is known to hold them."""
    schema = ntuple.schema
    places = {name: place for name in names if (place := locate(schema, name)) is not None}
    fields = schema.with_parents(place.numbers[0] for place in places.values())
    found: dict[Slot, list[npt.NDArray[Any]]] = {}
    for cluster, entries in parts:
        reader = ClusterReader(ntuple, cluster, fields)
        for chunk in reader.select(entries()):
            column = schema.columns[chunk.column]
            own = schema.field_columns[column.field][column.representation]
            slot = column.field, own.index(chunk.column)
            found.setdefault(slot, []).append(_numbers(schema, chunk.column, chunk.items))
    return {name: _join(place, found) for name, place in places.items()}


def locate(schema: Schema, name: str) -> Place | None:
    """Where the numbers of a top-level field are; None if there is none of that name, or it holds something else."""
    shown = next((number for number in schema.tops if schema.fields[number].name == name), None)
    depth, length, is_array = 0, 1, False
    while shown is not None and schema.children[shown]:
        item = schema.fields[shown]
        is_list = item.role == COLLECTION and item.type_name.startswith(_LISTS)
        is_array, was_array = item.role == LEAF and item.type_name.startswith("std::array<"), is_array
        if len(schema.children[shown]) != 1 or was_array or not (is_list or is_array):
            return None
        depth, length = depth + is_list, item.repetition
        (shown,) = schema.children[shown]
    if shown is None or schema.fields[shown].type_name not in _TYPES:
        return None
    leaf = schema.fields[shown]
    form = Form(_TYPES[leaf.type_name], depth, length if is_array else 1, leaf.type_name == _TEXT)
    return _physical(schema, shown if leaf.source is None else leaf.source, form, "Cardinality" in leaf.type_name)


def _physical(schema: Schema, number: int, form: Form, is_count: bool) -> Place | None:
    """The place of numbers of this form in the columns of a field; None if those are others."""
    path = sorted(schema.with_parents([number]))
    lists = [own for own in path if schema.field_columns[own] and own != number]
    repeated = int(np.prod([schema.fields[own].repetition for own in path]))
    representations = schema.field_columns[number]
    kinds = [[ENCODINGS[schema.columns[column].kind] for column in own] for own in representations]
    fitting = all(
        [kind.is_index for kind in own] == [True] * form.is_text + [is_count]
        and own[-1].name not in ("Switch", "Byte", "Real32Quant")
        for own in kinds
    )
    if not representations or not fitting or len(lists) != form.depth or repeated != form.length:
        return None
    counts = [(own, 0) for own in lists] + [(number, 0)] * form.is_text
    return Place((number, int(form.is_text)), tuple(counts), form, is_count)


def _join(place: Place, found: Mapping[Slot, list[npt.NDArray[Any]]]) -> Values:
    """The values of one field from the pieces of all."""
    dtype = place.form.dtype
    numbers = np.concatenate([np.empty(0, dtype), *(part.astype(dtype) for part in found.get(place.numbers, ()))])
    counts = [np.concatenate([np.empty(0, np.int64), *found.get(slot, ())]) for slot in place.counts]
    return Values(numbers, tuple(level.astype(np.int64) for level in counts), place.form.length)


def _offsets(counts: Index) -> Index:
    return np.append(0, np.cumsum(counts)).astype(np.int64)


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
