"""The schema of an RNTuple: its field tree, what of it is kept, and the header envelope that describes it."""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from hepfilter.errors import OutputError
from hepfilter.io.rntuple.format import STREAMER, Alias, Column, Field, pack_list, pack_record, pack_string
from hepfilter.io.rntuple.pages import ENCODINGS
from hepfilter.wording import counted

if TYPE_CHECKING:
    from hepfilter.io import writing

_DEEPEST = 100
# numpy type → (type name of the field, number and bits of the column)
_ADDED = {
    "bool": ("bool", 0x00, 1),
    "int8": ("std::int8_t", 0x03, 8),
    "uint8": ("std::uint8_t", 0x04, 8),
    "int16": ("std::int16_t", 0x05, 16),
    "uint16": ("std::uint16_t", 0x06, 16),
    "int32": ("std::int32_t", 0x07, 32),
    "uint32": ("std::uint32_t", 0x08, 32),
    "int64": ("std::int64_t", 0x09, 64),
    "uint64": ("std::uint64_t", 0x0A, 64),
    "float32": ("float", 0x18, 32),
    "float64": ("double", 0x19, 64),
}


@dataclass(frozen=True)
class Schema:
    """Fields, physical columns, alias columns and extra type information, header and later extension in one."""

    fields: tuple[Field, ...]
    columns: tuple[Column, ...]
    aliases: tuple[Alias, ...]
    extra: tuple[bytes, ...]

    @cached_property
    def children(self) -> list[list[int]]:
        """For each field the numbers of its subfields."""
        result: list[list[int]] = [[] for _ in self.fields]
        for number, item in enumerate(self.fields):
            if item.parent != number:
                result[item.parent].append(number)
        return result

    @cached_property
    def field_columns(self) -> list[list[list[int]]]:
        """For each field and each of its representations the numbers of its columns."""
        result: list[list[list[int]]] = [[] for _ in self.fields]
        for number, column in enumerate(self.columns):
            own = result[column.field]
            if column.representation == len(own):
                own.append([])
            own[column.representation].append(number)
        return result

    @cached_property
    def tops(self) -> list[int]:
        """The numbers of the top-level fields."""
        return [number for number, item in enumerate(self.fields) if item.parent == number]

    @cached_property
    def paths(self) -> list[str]:
        """For each field its full name, such as ``Muon._0.pt``."""
        result: list[str] = []
        for number, item in enumerate(self.fields):
            result.append(item.name if item.parent == number else f"{result[item.parent]}.{item.name}")
        return result

    def check(self) -> None:
        """ValueError if numbers refer to nothing, or a field has a role or column type that is not known."""
        depths: list[int] = []
        for number, item in enumerate(self.fields):
            known = item.source is None or item.source < len(self.fields)
            if item.parent > number or item.role > STREAMER or not known:
                raise ValueError(f"field {item.name}: its parent, source or role {item.role} is not known")
            depths.append(0 if item.parent == number else depths[item.parent] + 1)
            if depths[-1] > _DEEPEST:
                raise ValueError(f"field {item.name}: more than {_DEEPEST} fields above it")
        for column in self.columns:
            encoding = ENCODINGS[column.kind] if column.kind < len(ENCODINGS) else None
            bits = 0 if encoding is None else encoding.bits
            if column.field >= len(self.fields) or encoding is None or bits not in (0, column.bits):
                where = f"field {self.paths[column.field]}" if column.field < len(self.fields) else "no field"
                raise ValueError(f"{where}: a column of unknown type {column.kind} with {counted(column.bits, 'bit')}")
            if not bits and not 0 < column.bits <= 32:
                raise ValueError(f"field {self.paths[column.field]}: a column of {counted(column.bits, 'bit')}")
        if any(alias.column >= len(self.columns) or alias.field >= len(self.fields) for alias in self.aliases):
            raise ValueError("an alias column refers to nothing")
        _ = self.field_columns

    @cached_property
    def roots(self) -> list[int]:
        """For each field the number of the top-level field above it."""
        result: list[int] = []
        for number, item in enumerate(self.fields):
            result.append(number if item.parent == number else result[item.parent])
        return result

    def describe_column(self, number: int) -> str:
        """A column's name for people: ``Muon._0.pt (SplitReal32)``."""
        column = self.columns[number]
        return f"{self.paths[column.field]} ({ENCODINGS[column.kind].name})"

    @cached_property
    def units(self) -> list[int | None]:
        """For each field the highest typed field from itself up, which is kept or dropped as a whole; None: untyped."""
        result: list[int | None] = []
        for number, item in enumerate(self.fields):
            above = None if item.parent == number else result[item.parent]
            result.append(above if above is not None else number if item.type_name else None)
        return result

    @cached_property
    def layouts(self) -> dict[str, tuple[object, ...]]:
        """For each field's path what must be the same in another ntuple whose items shall stand in this one."""
        result: dict[str, tuple[object, ...]] = {}
        for number, item in enumerate(self.fields):
            columns = [self.columns[own].layout for part in self.field_columns[number] for own in part]
            source = None if item.source is None else self.paths[item.source]
            result[self.paths[number]] = (item.layout, columns, source)
        return result

    @cached_property
    def column_keys(self) -> list[tuple[str, int, int]]:
        """For each column its field's path, its representation and its place in that: the same in other ntuples."""
        seen: dict[tuple[int, int], int] = {}
        result = []
        for column in self.columns:
            part = column.field, column.representation
            seen[part] = seen.get(part, -1) + 1
            result.append((self.paths[column.field], column.representation, seen[part]))
        return result

    def with_parents(self, fields: Iterable[int]) -> frozenset[int]:
        """The numbers of these fields and of all above them."""
        result: set[int] = set()
        for start in fields:
            number = start
            while number not in result:
                result.add(number)
                number = self.fields[number].parent
        return frozenset(result)

    def differences(self, other: "Schema") -> str:
        """The fields whose items cannot stand in one ntuple, for a message; empty if there are none."""
        mine, theirs = self.layouts, other.layouts
        paths = [path for path in {**mine, **theirs} if mine.get(path) != theirs.get(path)]
        more = f" and {len(paths) - 5} more" if len(paths) > 5 else ""
        return ", ".join(paths[:5]) + more

    def extended(self, later: "Schema") -> "Schema":
        """The schema with what a footer adds to it; numbers go on."""
        aliases, extra = self.aliases + later.aliases, self.extra + later.extra
        return Schema(self.fields + later.fields, self.columns + later.columns, aliases, extra)

    def without(self, drop: Iterable[str]) -> "Schema":
        """The schema without the top-level fields of these names, as far as no other field needs them.

        A projected field (``Muon_pt`` of NanoAOD) shows columns of another (``_collection7``). Sources of projections
        that stay, stay; of an untyped collection only the parts that are needed, and the part goes with the last
        projection that shows it.
        """
        kept = sorted(_keep(self, frozenset(drop)))
        numbers = {old: new for new, old in enumerate(kept)}
        columns = [number for number, column in enumerate(self.columns) if column.field in numbers]
        column_numbers = {old: new for new, old in enumerate(columns)}
        return Schema(
            tuple(Field.parse(self.fields[number].renumbered(numbers)) for number in kept),
            tuple(Column.parse(self.columns[number].renumbered(numbers)) for number in columns),
            tuple(
                Alias.parse(alias.renumbered(column_numbers, numbers))
                for alias in self.aliases
                if alias.field in numbers
            ),
            self.extra,
        )

    def with_columns(self, added: Sequence["writing.Column"]) -> "Schema":
        """The schema with a plain field per added column behind all others; OutputError if a name is taken."""
        names = {self.fields[number].name for number in self.tops}
        fields, columns = list(self.fields), list(self.columns)
        for column in added:
            if column.name in names or column.counter:
                raise OutputError(f"column {column.name} cannot be added: there is a field of that name; drop it first")
            type_name, kind, bits = _ADDED[column.dtype]
            columns.append(Column.new(kind, bits, len(fields)))
            fields.append(Field.new(len(fields), column.name, type_name, column.title))
        return replace(self, fields=tuple(fields), columns=tuple(columns))

    def header(self, name: str, description: str, writer: str) -> bytes:
        """The payload of the header envelope."""
        parts: list[list[bytes]] = [[item.raw for item in self.fields], [item.raw for item in self.columns]]
        parts += [[item.raw for item in self.aliases], list(self.extra)]
        strings = b"".join(pack_string(text) for text in (name, description, writer))
        return struct.pack("<Q", 0) + strings + b"".join(pack_list(map(pack_record, part)) for part in parts)


def _keep(schema: Schema, drop: frozenset[str]) -> set[int]:
    """The numbers of the fields that stay when the top-level fields of these names go."""
    fields, units = schema.fields, schema.units
    dropped = [fields[root].name in drop for root in schema.roots]
    projected = [(number, item.source) for number, item in enumerate(fields) if item.source is not None]
    needed = {source for number, source in projected if not dropped[number]}
    needed_units = {units[source] for source in needed}
    orphans = {source for number, source in projected if dropped[number]} - needed
    kept: set[int] = set()
    for number in reversed(range(len(fields))):  # subfields before their parents
        item, unit = fields[number], units[number]
        if item.source is not None:
            stays = not dropped[number]
        elif unit is not None:
            is_top = fields[unit].parent == unit
            stays = unit in needed_units or (not dropped[number] and (is_top or unit not in orphans))
        else:
            children = schema.children[number]
            stays = number in needed or item.parent in needed or any(child in kept for child in children)
            stays = stays or not (dropped[number] or children or number in orphans)
        if stays:
            kept.add(number)
    return kept
