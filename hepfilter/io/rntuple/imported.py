"""The RNTuple that a TTree becomes: the fields and columns that ROOT's RNTupleImporter makes of its branches.

Branches that a counter counts become the items of one untyped collection, ``_collection0`` and so on, and are shown by
projected fields of their own names; so is the counter, as the size of the collection. Titles become descriptions, which
the importer leaves out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hepfilter.io.branch_values import branch_form
from hepfilter.io.rntuple.format import COLLECTION, LEAF, RECORD, Alias, Column, Field
from hepfilter.io.rntuple.pages import ENCODINGS, Items
from hepfilter.io.rntuple.schema import Schema
from hepfilter.io.ttree import Branch
from hepfilter.io.values import CHARACTER, Form, Values

# numbers → (type of the field, name of the column's encoding: ROOT's defaults)
_TYPES = {
    "bool": ("bool", "Bit"),
    CHARACTER: ("char", "Char"),
    "int8": ("std::int8_t", "Int8"),
    "uint8": ("std::uint8_t", "UInt8"),
    "int16": ("std::int16_t", "SplitInt16"),
    "uint16": ("std::uint16_t", "SplitUInt16"),
    "int32": ("std::int32_t", "SplitInt32"),
    "uint32": ("std::uint32_t", "SplitUInt32"),
    "int64": ("std::int64_t", "SplitInt64"),
    "uint64": ("std::uint64_t", "SplitUInt64"),
    "float32": ("float", "SplitReal32"),
    "float64": ("double", "SplitReal64"),
}
_INDEX = "SplitIndex64"
_CARDINALITY = "ROOT::RNTupleCardinality<std::uint32_t>"
_KINDS = {encoding.name: kind for kind, encoding in enumerate(ENCODINGS)}
_FORBIDDEN = frozenset("./\\ ")
_COLLECTION = "_collection"


@dataclass(frozen=True)
class Imported:
    """A schema, and for each column the branch whose values it holds: the counts of a level, or its numbers (None)."""

    schema: Schema
    origins: tuple[tuple[str, int | None], ...]
    forms: Mapping[str, Form]
    counters: Mapping[str, str]
    """By branch the one that counts it."""

    def items(self, column: int, values: Mapping[str, Values]) -> Items:
        """What is added to a column for these values: counts to an index column, else the items themselves."""
        name, level = self.origins[column]
        if level is not None:
            return values[name].counts[level]
        kind = ENCODINGS[self.schema.columns[column].kind]
        if kind.is_index:
            return values[name].numbers.astype(np.int64)
        return encode_items(values[name].numbers, kind.name)


def encode_items(numbers: npt.NDArray[np.generic], encoding: str) -> Items:
    """Numbers as the items of a column; those of split signed integers are folded: 0, -1, 1, -2, …"""
    items = np.ascontiguousarray(numbers).view(f"u{numbers.itemsize}")
    if encoding.startswith("SplitInt"):
        negative = numbers.view(f"i{numbers.itemsize}") < 0
        items = np.where(negative, ~(items << 1), items << 1).astype(items.dtype)
    return items


def import_branches(branches: Sequence[Branch]) -> Imported:
    """The RNTuple of these branches, none of which `import_obstacle` names."""
    forms = {branch.name: form for branch in branches if (form := branch_form(branch)) is not None}
    counters = {branch.name: counter for branch in branches if (counter := _counter(branch)) is not None}
    members: dict[str, list[Branch]] = {counter: [] for counter in sorted(set(counters.values()))}
    made = _Builder()
    for branch in branches:
        if branch.name in counters:
            members[counters[branch.name]].append(branch)
        elif branch.name not in members:
            made.add(branch, forms[branch.name])
    places = {counter: made.add_collection(counter, own, forms) for counter, own in members.items()}
    by_name = {branch.name: branch for branch in branches}
    for counter, own in members.items():
        made.project(places[counter], by_name[counter], own, forms)
    schema = Schema(tuple(made.fields), tuple(made.columns), tuple(made.aliases), ())
    return Imported(schema, tuple(made.origins), forms, counters)


def import_obstacle(branch: Branch, counting: frozenset[str]) -> str | None:
    """Why a branch can be no field, None if it can; `counting` are the branches that may count it."""
    if branch_form(branch) is None:
        kinds = [leaf.class_name.removeprefix("T") for leaf in branch.leaves]
        return branch.element.class_name if branch.element else " and ".join(dict.fromkeys(kinds)) or "no leaf"
    name = branch.name
    if not name or _FORBIDDEN & set(name) or not name.isprintable() or name.startswith(_COLLECTION):
        return "no name that a field may have"
    counter = _counter(branch)
    if counter is not None and counter not in counting:
        return f"counted by {counter}, which is no branch of one whole number"
    return None


def counting_branches(branches: Sequence[Branch]) -> frozenset[str]:
    """The branches of one whole number an entry, which may count others."""
    forms = [(branch.name, branch_form(branch)) for branch in branches]
    return frozenset(
        name for name, form in forms if form is not None and form.dtype.kind in "iu" and form == Form(form.number)
    )


def _counter(branch: Branch) -> str | None:
    """The branch that counts this one's elements."""
    count = branch.leaves[0].count if len(branch.leaves) == 1 else None
    return None if count is None else count.name


@dataclass
class _Builder:
    """The fields and columns so far."""

    fields: list[Field] = field(default_factory=list)
    columns: list[Column] = field(default_factory=list)
    aliases: list[Alias] = field(default_factory=list)
    origins: list[tuple[str, int | None]] = field(default_factory=list)

    def add(self, branch: Branch, form: Form, parent: int | None = None, level: int = 0) -> None:
        """A field that holds the branch's values, and those below it; at the top level it has the branch's name."""
        number = len(self.fields)
        own, name, title = (number, branch.name, branch.title) if parent is None else (parent, "_0", "")
        type_name, encoding = _TYPES[form.number]
        role, length = COLLECTION if level < form.depth else LEAF, form.length if form.length > 1 else None
        self.fields.append(Field.new(own, name, _type_name(form, level), title, role=role, length=length))
        if level < form.levels:
            self._column(_INDEX, number, branch.name, level)
        if level < form.depth:
            self.add(branch, form, number, level + 1)
            return
        if length is not None:
            self.fields.append(Field.new(number, "_0", type_name))
        self._column(encoding, len(self.fields) - 1, branch.name, None)

    def add_collection(self, counter: str, members: Sequence[Branch], forms: Mapping[str, Form]) -> tuple[int, int]:
        """The untyped collection of the branches of one counter; (its field, its column)."""
        number, column = len(self.fields), len(self.columns)
        name = f"{_COLLECTION}{sum(item.name.startswith(_COLLECTION) for item in self.fields)}"
        self.fields.append(Field.new(number, name, "", role=COLLECTION))
        self.fields.append(Field.new(number, "_0", "", role=RECORD))
        self._column(_INDEX, number, counter, None)
        for branch in members:
            type_name, encoding = _TYPES[forms[branch.name].number]
            self.fields.append(Field.new(number + 1, branch.name, type_name))
            self._column(encoding, len(self.fields) - 1, branch.name, None)
        return number, column

    def project(
        self, shown: tuple[int, int], counter: Branch, members: Sequence[Branch], forms: Mapping[str, Form]
    ) -> None:
        """Fields that show the members of a collection by their names, and its size by that of the counter."""
        collection, column = shown
        for place, branch in enumerate(members, start=1):
            number, (type_name, _) = len(self.fields), _TYPES[forms[branch.name].number]
            list_type = f"ROOT::VecOps::RVec<{type_name}>"
            own = Field.new(number, branch.name, list_type, branch.title, role=COLLECTION, source=collection)
            self.fields.append(own)
            self.fields.append(Field.new(number, "_0", type_name, source=collection + 1 + place))
            self.aliases += [Alias.new(column, number), Alias.new(column + place, number + 1)]
        number = len(self.fields)
        self.fields.append(Field.new(number, counter.name, _CARDINALITY, counter.title, source=collection))
        self.aliases.append(Alias.new(column, number))

    def _column(self, encoding: str, number: int, branch: str, level: int | None) -> None:
        kind = _KINDS[encoding]
        self.columns.append(Column.new(kind, ENCODINGS[kind].bits, number))
        self.origins.append((branch, level))


def _type_name(form: Form, level: int) -> str:
    """The type of a field that holds what stands at this level of lists."""
    inner = "std::string" if form.is_text else _TYPES[form.number][0]
    inner = f"std::array<{inner},{form.length}>" if form.length > 1 else inner
    return "std::vector<" * (form.depth - level) + inner + ">" * (form.depth - level)
