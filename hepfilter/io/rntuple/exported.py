"""The TTree that an RNTuple becomes: branches as NanoAOD has them, one counter a collection.

Fields that show one collection become branches counted by the branch of the field that shows its size. A vector without
such a field becomes a branch of a std::vector: so it keeps its type, RDataFrame and uproot read it as they read the
field, and no counter is made up, which coffea would take for a collection of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hepfilter.errors import OutputError
from hepfilter.io.baskets import Bytes, Entries, Layout, raw_entries, raw_lists
from hepfilter.io.branch_values import ELEMENTS, mark
from hepfilter.io.rntuple.plain import Place, locate
from hepfilter.io.rntuple.schema import Schema
from hepfilter.io.ttree import Branch, Element, Leaf
from hepfilter.io.values import Form, Index, Values
from hepfilter.io.writing import Column, column_branch

# element of a vector → checksum of its class, as ROOT writes it
_CHECKSUMS = {
    "bool": 29929751, "char": 29929535, "signed char": 1034546933, "unsigned char": 728903898, "short": 89793095,
    "unsigned short": 2186716184, "int": 9976712, "unsigned int": 3106279697, "Long64_t": 2424165566,
    "ULong64_t": 2977495147, "float": 89790107, "double": 269370212,
}  # fmt: skip
_ELEMENTS = {number: name for name, number in ELEMENTS.items() if name in _CHECKSUMS}
_VECTOR_VERSION = 6
_VECTOR_BITS = 0x500000
_STREAMED_VERSION = 10
_HEADER = 10  # bytes before the elements of a vector: byte count, version, number of elements
_VARYING, _SPLIT_LEVEL = 1000, 99
_MOST = 2**31


@dataclass(frozen=True)
class Exported:
    """The branches in their order, and by name the forms of their values and the branches that count them."""

    branches: tuple[Branch, ...]
    forms: Mapping[str, Form]
    counters: Mapping[str, str]

    def entries(self, branch: Branch, values: Values, count: int) -> Entries:
        """The bytes of `count` entries of a branch, whose counter's maximum rises if it must."""
        form = self.forms[branch.name]
        numbers = values.numbers
        if branch.name in self.counters.values():
            leaf = branch.leaves[0]
            leaf.maximum = max(leaf.maximum, int(numbers.max(initial=0)))
            if leaf.maximum >= _MOST:
                raise OutputError(f"branch {branch.name}: counts {leaf.maximum} elements, more than a TTree can")
        numbers = numbers.astype(form.dtype, copy=False)
        if branch.element is not None:
            return _vector_entries(numbers, values.counts[0])
        if form.depth:
            return raw_lists(numbers, values.counts[0])
        return Entries(raw_entries(numbers).data, count)


def export_fields(schema: Schema) -> Exported:
    """The branches of the top-level fields, none of which `export_obstacles` names."""
    places, counters = _places(schema), list_counters(schema)
    titles = {schema.fields[number].name: schema.fields[number].description for number in schema.tops}
    forms = {name: Form("uint32") if name in counters.values() else place.form for name, place in places.items()}
    leaves: dict[str, Leaf] = {}
    order = dict.fromkeys(one for name in places for one in (counters.get(name, name), name))
    branches = tuple(_branch(name, forms[name], titles[name], counters.get(name), leaves) for name in order)
    return Exported(branches, forms, counters)


def export_obstacles(schema: Schema) -> dict[str, str]:
    """The top-level fields that can be no branch, and what they hold."""
    places, shown = _places(schema), {item.source for item in schema.fields if item.source is not None}
    found: dict[str, str] = {}
    for top in schema.tops:
        item = schema.fields[top]
        form = places[item.name].form if item.name in places else None
        below = [number for number, root in enumerate(schema.roots) if root == top and not schema.children[number]]
        if form is None and not (item.type_name == "" and set(below) <= shown):
            found[item.name] = item.type_name or "an untyped record"
        elif form is not None and (form.is_text or form.depth > 1 or (form.depth and form.length > 1)):
            found[item.name] = item.type_name
    return found


def list_counters(schema: Schema) -> dict[str, str]:
    """By field the one that shows the size of its collection."""
    places = _places(schema)
    sizes = {place.numbers: name for name, place in reversed(places.items()) if place.is_count}
    return {name: sizes[own.counts[0]] for name, own in places.items() if own.counts and own.counts[0] in sizes}


def _places(schema: Schema) -> dict[str, Place]:
    names = [schema.fields[number].name for number in schema.tops]
    return {name: place for name in names if (place := locate(schema, name)) is not None}


def _branch(name: str, form: Form, title: str, counter: str | None, leaves: dict[str, Leaf]) -> Branch:
    """The branch of a field; `leaves` collects those of counters, which come first."""
    if form.depth and counter is None:
        return _vector_branch(name, title, _ELEMENTS[form.number])
    branch = column_branch(Column(name, form.dtype.name, title, counter), leaves)
    if form.length > 1:
        (leaf,) = branch.leaves
        leaf.length, leaf.title = form.length, f"{name}[{form.length}]"
        branch.title = title or branch.title.replace(name, leaf.title, 1)
    return branch


def _vector_branch(name: str, title: str, element: str) -> Branch:
    """A branch of a std::vector, as ROOT makes it."""
    leaf = Leaf("TLeafElement", name, name, type_size=0, element=(-1, -1))
    described = Element(
        f"vector<{element}>", "", "", _CHECKSUMS[element], _VECTOR_VERSION, -1, 0, -1, 0, count=None, count2=None
    )
    branch = Branch(name, title or name, [leaf], element=described, bits=_VECTOR_BITS)
    branch.entry_offset_length, branch.split_level = _VARYING, _SPLIT_LEVEL
    return branch


def _vector_entries(numbers: npt.NDArray[Any], counts: Index) -> Entries:
    """Vectors as ROOT streams them."""
    content = raw_entries(numbers).data
    lengths = counts * numbers.itemsize
    positions = np.append(0, np.cumsum(lengths + _HEADER))
    data: Bytes = np.zeros(positions[-1], np.uint8)
    heads = np.zeros(len(counts), np.dtype([("bytes", ">u4"), ("version", ">u2"), ("size", ">u4")]))
    heads["bytes"], heads["version"], heads["size"] = lengths + 6 | 0x40000000, _STREAMED_VERSION, counts
    data[positions[:-1, None] + np.arange(_HEADER)] = heads.view(np.uint8).reshape(-1, _HEADER)
    data[mark(len(data), positions[:-1] + _HEADER, lengths)] = content
    return Entries(data, len(counts), Layout(positions.astype(np.int32)))
