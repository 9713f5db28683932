"""An RNTuple of an open file, read by the names of its top-level fields as a tree is by its branches."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from hepfilter.errors import OutputError, SourceError, nearest
from hepfilter.events.expressions import Column
from hepfilter.io import foreign
from hepfilter.io.bytesource import ByteSource
from hepfilter.io.rntuple.plain import is_plain, read_plain
from hepfilter.io.rntuple.reading import NTuple
from hepfilter.io.rntuple.schema import Schema

if TYPE_CHECKING:
    import awkward as ak


@dataclass(frozen=True)
class OpenNTuple:
    """An RNTuple without its `hidden` top-level fields."""

    path: str
    name: str
    ntuple: NTuple
    source: ByteSource
    hidden: frozenset[str] = frozenset()

    def without(self, names: Iterable[str]) -> "OpenNTuple":
        """The same as if it had no fields of these names."""
        return replace(self, hidden=self.hidden | frozenset(names))

    @property
    def num_entries(self) -> int:
        """Number of entries."""
        return self.ntuple.num_entries

    @cached_property
    def branch_names(self) -> tuple[str, ...]:
        """The names of the top-level fields, in the file's order."""
        return tuple(name for name in self.ntuple.field_names if name not in self.hidden)

    @property
    def entry_bytes(self) -> tuple[float, float]:
        """Mean bytes of an entry: unpacked, which is not known and taken for three times the other, and in the file."""
        columns = len(self.ntuple.schema.columns)
        pages = (
            page for cluster in self.ntuple.clusters for column in cluster.read_pages(columns) for page in column.pages
        )
        stored = sum(size for _, _, _, size in pages) / max(self.num_entries, 1)
        return 3 * stored, stored

    def arrays(self, names: Sequence[str], start: int = 0, stop: int | None = None) -> "dict[str, ak.Array]":
        """The entries [start, stop) of some fields, as one awkward array each. SourceError if a page is damaged."""
        tree = foreign.ForeignTree(self.source, self.path, self.name)
        return tree.arrays(self._plain(names, start, stop), names, start, stop)

    def values(self, names: Sequence[str], start: int = 0, stop: int | None = None) -> dict[str, Column]:
        """The entries [start, stop) of some fields as flat values, with offsets where there is a list per entry.

        SourceError if a field holds anything else, or a page is damaged.
        """
        tree = foreign.ForeignTree(self.source, self.path, self.name)
        return tree.values(self._plain(names, start, stop), names, start, stop)

    def _plain(self, names: Sequence[str], start: int, stop: int | None) -> dict[str, Column]:
        missing = [name for name in names if name not in self.branch_names]
        if missing:
            close = nearest(missing[0], self.branch_names)
            raise SourceError(f"{self.path}: ntuple {self.name} has no field {missing[0]!r}{close}")
        plain = [name for name in names if is_plain(self.ntuple, name)]
        found = read_plain(self.ntuple, plain, start, stop) if plain else {}
        return {name: Column(*pair) for name, pair in found.items()}

    def cluster_edges(self, _: Iterable[str] | None = None) -> list[int]:
        """The entries at which clusters begin, 0 and the end included."""
        return sorted({0, *self.ntuple.cluster_edges(), self.num_entries})


@dataclass(frozen=True)
class NTupleLayout:
    """The output's ntuple: its top-level fields, in order, of which those in `drop` are left out; `schema` is whole."""

    names: tuple[str, ...]
    schema: Schema = field(repr=False)
    drop: frozenset[str] = frozenset()

    @property
    def columns(self) -> list[tuple[str, str | None]]:
        """(name, name of its counter) of each field; a collection is a field of its own, so that nothing counts."""
        return [(name, None) for name in self.names]

    @property
    def obstacles(self) -> Mapping[str, tuple[str, str]]:
        """Nothing: every field is copied."""
        return {}

    @property
    def left_out(self) -> tuple[str, ...]:
        """Nothing: all sources have the same fields."""
        return ()

    @property
    def filled(self) -> list[tuple[str, float]]:
        """Nothing: ntuples of different fields are not united."""
        return []

    def refuse_obstacles(self) -> None:
        """Nothing: every field is copied."""

    def keep(self, kept: Sequence[str]) -> "NTupleLayout":
        """The layout with these fields alone."""
        return replace(self, drop=self.drop | (set(self.names) - set(kept)))


class NTupleMerger:
    """Takes the ntuple of each source in turn; all must have one schema."""

    def __init__(self) -> None:
        self._first: OpenNTuple | None = None

    def add(self, table: OpenNTuple) -> None:
        """Take a source's ntuple. OutputError if its fields are not those of the first."""
        if self._first is None:
            self._first = table
            return
        different = self._first.ntuple.schema.differences(table.ntuple.schema)
        if different:
            what = f"{table.path}: ntuple {table.name} differs from {self._first.path} in {different}"
            raise OutputError(f"{what}; RNTuples must agree in all fields: skim them apart")

    def result(self) -> NTupleLayout:
        """The layout of all."""
        assert self._first is not None
        return NTupleLayout(self._first.branch_names, self._first.ntuple.schema, self._first.hidden)
