"""Opening ROOT files and their trees; each fault becomes a SourceError that tells file, tree and branch."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hepfilter.errors import SourceError, nearest
from hepfilter.events.expressions import Column
from hepfilter.io import foreign
from hepfilter.io.baskets import BasketReader, Entries, LayoutPool
from hepfilter.io.bytesource import ByteSource
from hepfilter.io.compression import UNPACK_FAULTS, Compression, read_code
from hepfilter.io.directory import Directory, Entry, Record, read_directory, read_end, read_record
from hepfilter.io.ntuple import OpenNTuple
from hepfilter.io.opening import open_bytes
from hepfilter.io.plain import decode, is_plain
from hepfilter.io.rntuple.reading import read_ntuple
from hepfilter.io.sources import Source
from hepfilter.io.text import one_line
from hepfilter.io.ttree import Branch
from hepfilter.io.ttree_reading import PARSE_FAULTS, TreeMetadata, parse_tree
from hepfilter.wording import counted

if TYPE_CHECKING:
    import awkward as ak

TREE, NTUPLE = "TTree", "ROOT::RNTuple"
_MOST_ENTRIES = 10**10  # of one tree; what is planned of it must fit into memory
_DENSEST = 260_000  # entries that one byte of a file can stand for: a constant bit of each, in the densest compression


@dataclass(frozen=True)
class OpenTree:
    """A TTree of an open file, without its `hidden` top-level branches."""

    path: str
    name: str
    metadata: TreeMetadata
    source: ByteSource
    hidden: frozenset[str] = frozenset()

    def without(self, names: Iterable[str]) -> "OpenTree":
        """The same tree as if it had no top-level branches of these names."""
        return replace(self, hidden=self.hidden | frozenset(names))

    @cached_property
    def branches(self) -> list[Branch]:
        """The top-level branches, in the file's order."""
        return [branch for branch in self.metadata.branches if branch.name not in self.hidden]

    @cached_property
    def by_name(self) -> Mapping[str, Branch]:
        """Every branch, those below others too, by its name; of several of one name the first."""
        found: dict[str, Branch] = {}
        for branch in (branch for top in self.branches for branch in top.walk()):
            found.setdefault(branch.name, branch)
        return found

    @property
    def num_entries(self) -> int:
        """Number of entries."""
        return self.metadata.num_entries

    @property
    def branch_names(self) -> tuple[str, ...]:
        """The names of all branches, those below others too, in the file's order."""
        return tuple(self.by_name)

    @property
    def entry_bytes(self) -> tuple[float, float]:
        """Mean bytes of an entry of all branches: unpacked, and in the file."""
        sizes = [branch.source_bytes for top in self.branches for branch in top.walk()]
        entries = max(self.num_entries, 1)
        return sum(size for size, _ in sizes) / entries, sum(size for _, size in sizes) / entries

    def reader(self, branch: Branch, pool: LayoutPool) -> BasketReader:
        """A reader of one branch's baskets."""
        return BasketReader(
            branch, self.source, where=f"{self.path}: tree {self.name}", num_entries=self.num_entries, pool=pool
        )

    def arrays(self, names: Sequence[str], start: int = 0, stop: int | None = None) -> "dict[str, ak.Array]":
        """The entries [start, stop) of some branches, as one awkward array each. SourceError if a basket is damaged."""
        tree = foreign.ForeignTree(self.source, self.path, self.name)
        return tree.arrays(self._plain(names, start, stop), names, start, stop)

    def values(self, names: Sequence[str], start: int = 0, stop: int | None = None) -> dict[str, Column]:
        """The entries [start, stop) of some branches as flat values, with offsets where there is a list per entry.

        SourceError if a branch holds anything else, or a basket is damaged.
        """
        tree = foreign.ForeignTree(self.source, self.path, self.name)
        return tree.values(self._plain(names, start, stop), names, start, stop)

    def _plain(self, names: Sequence[str], start: int, stop: int | None) -> dict[str, Column]:
        """Those of the named branches that hold plain numbers; no reader but our own is needed for them."""
        missing = [name for name in names if name not in self.by_name]
        if missing:
            close = nearest(missing[0], self.branch_names)
            raise SourceError(f"{self.path}: tree {self.name} has no branch {missing[0]!r}{close}")
        stop, pool = self.num_entries if stop is None else min(stop, self.num_entries), LayoutPool()
        branches = [self.by_name[name] for name in names if is_plain(self.by_name[name])]
        return {branch.name: decode(branch, self._entries(branch, start, stop, pool)) for branch in branches}

    def _entries(self, branch: Branch, start: int, stop: int, pool: LayoutPool) -> list[Entries]:
        """The entries [start, stop) of a branch, in pieces as they lie in its baskets."""
        reader = self.reader(branch, pool)
        numbers = [
            number
            for number, (low, high) in enumerate(zip(reader.edges, reader.edges[1:], strict=False))
            if low < stop and start < high
        ]
        pieces = []
        for number, raw in zip(numbers, self.source.many([reader.span(number) for number in numbers]), strict=True):
            low, entries = int(reader.edges[number]), reader.parse(number, raw)
            pieces.append(entries.slice(max(start - low, 0), min(stop - low, entries.count)))
        return pieces

    def cluster_edges(self, names: Iterable[str] | None = None) -> list[int]:
        """The entries at which baskets of all branches (or those named) begin together, 0 and the end included."""
        branches = self.branches if names is None else [self.by_name[name] for name in names]
        return common_edges([branch for top in branches for branch in top.walk()], self.num_entries)


def common_edges(branches: Iterable[Branch], num_entries: int) -> list[int]:
    """The entries at which baskets of all branches that have any begin together, 0 and the end included."""
    different: dict[bytes, npt.NDArray[np.int64]] = {}
    for branch in branches:
        if branch.stored is not None and len(branch.stored.edges) > 1:
            different[branch.stored.key] = branch.stored.edges
    common: set[int] | None = None
    for edges in different.values():
        own = set(edges.tolist())
        common = own if common is None else common & own
    return sorted((common or set()) | {0, num_entries})


Table = OpenTree | OpenNTuple
"""Whatever holds events: a TTree or an RNTuple."""


@dataclass(frozen=True)
class OpenFile:
    """An open ROOT file: its directory, and its bytes."""

    path: str
    directory: Directory
    source: ByteSource

    @cached_property
    def entries(self) -> Mapping[str, Entry]:
        """The newest cycle of each top-level object, by name."""
        return {entry.key.name: entry for entry in self.directory.entries}

    @cached_property
    def cycles(self) -> Mapping[str, tuple[Entry, ...]]:
        """All cycles of each top-level object, the oldest first, by name, in the file's order."""
        found: dict[str, list[Entry]] = {name: [] for name in self.entries}
        for entry in sorted(self.directory.cycles, key=lambda entry: entry.cycle):
            found[entry.key.name].append(entry)
        return {name: tuple(cycles) for name, cycles in found.items()}

    @property
    def class_names(self) -> Mapping[str, str]:
        """The class of each top-level object, by name, in the file's order."""
        return {name: entry.key.class_name for name, entry in self.entries.items()}

    @property
    def tree_names(self) -> tuple[str, ...]:
        """The names of the TTrees at the top level, in the file's order."""
        return tuple(name for name, kind in self.class_names.items() if kind == TREE)

    @property
    def table_names(self) -> tuple[str, ...]:
        """The names of the TTrees and RNTuples at the top level, in the file's order."""
        return tuple(name for name, kind in self.class_names.items() if kind in (TREE, NTUPLE))

    @property
    def uuid(self) -> str:
        """The file's identity, which a byte copy of it shares."""
        return self.directory.uuid

    @property
    def compression(self) -> Compression | None:
        """The file's own compression."""
        return read_code(self.directory.code)

    def tree(self, *candidates: str) -> OpenTree:
        """The first of the named TTrees that is there; SourceError names the objects that are."""
        found = self.table(*candidates)
        if not isinstance(found, OpenTree):
            raise SourceError(f"{self.path}: {found.name} is an RNTuple; a TTree is needed here")
        return found

    def table(self, *candidates: str) -> "Table":
        """The first of the named TTrees and RNTuples that is there; SourceError names the objects that are."""
        for name in candidates:
            kind = self.class_names.get(name)
            if kind == TREE:
                return self._believable(self._open_tree(name))
            if kind == NTUPLE:
                ntuple = read_ntuple(self.source, self.path, name, self.entries[name].position)
                return self._believable(OpenNTuple(self.path, name, ntuple, self.source))
        there = ", ".join(f"{name} ({kind})" for name, kind in self.class_names.items()) or "none"
        hint = (
            "name another as FILE.root:TREE, with a --schema for its branches"
            if self.table_names
            else "it holds no tree"
        )
        raise SourceError(f"{self.path}: no tree {' or '.join(candidates)}; objects in the file: {there}; {hint}")

    def _believable(self, table: "Table") -> "Table":
        """The same; SourceError if it claims more entries than a file of this size can hold."""
        most = min(_MOST_ENTRIES, _DENSEST * self.source.size)
        if table.num_entries > most:
            what = f"{self.path}: {table.name} claims {counted(table.num_entries, 'entry')}"
            raise SourceError(f"{what}, a file of {self.source.size:,} bytes holds at most {most:,}; fetch it again")
        return table

    def record(self, position: int) -> Record:
        """The record at a position of the file; SourceError if there is none."""
        try:
            return read_record(self.source, position)
        except PARSE_FAULTS as error:
            where = f"{self.path}: the record at byte {position}"
            raise SourceError(
                f"{where} cannot be read: {one_line(error)}; the file is damaged, fetch it again"
            ) from error

    @cached_property
    def _tree_records(self) -> dict[str, Record]:
        return {}

    def tree_record(self, name: str) -> Record:
        """The record of a tree itself, read once; SourceError if it cannot be."""
        if name not in self._tree_records:
            self._tree_records[name] = self.record(self.entries[name].position)
        return self._tree_records[name]

    def _open_tree(self, name: str) -> OpenTree:
        record = self.tree_record(name)
        try:
            metadata = parse_tree(record.payload(), record.key.length)
        except (*PARSE_FAULTS, *UNPACK_FAULTS, RecursionError) as error:
            raise SourceError(f"{self.path}: tree {name} cannot be read: {one_line(error)}") from error
        return OpenTree(self.path, name, metadata, self.source)


@contextmanager
def open_file(source: Source) -> Iterator[OpenFile]:
    """Open a ROOT file for reading, by the first of its addresses that can be; where that fails later, by the others.

    SourceError if it is missing, no ROOT file, or cut short; of several that are damaged that of the first.
    """
    with ExitStack() as stack:
        faults: list[SourceError] = []
        addresses = [source.path, *source.replicas]
        while addresses:
            try:
                path, data = stack.enter_context(open_bytes(addresses))
            except SourceError as fault:
                raise next(iter(faults), fault) from None
            try:
                file = _open(path, data)
                break
            except SourceError as fault:
                faults.append(fault)
                addresses.remove(path)
        else:
            raise faults[0]
        yield file


def _open(path: str, source: ByteSource) -> OpenFile:
    """The file behind `source`; the faults that can be told from the first bytes in plainer words than a reader's."""
    try:
        end = read_end(source(0, 20))
    except ValueError as error:
        raise SourceError(f"{path}: is no ROOT file ({error}); give a .root file") from error
    if source.size < end:
        what = f"its header says {counted(end, 'byte')}, the file has {source.size:,}"
        raise SourceError(f"{path}: is cut short: {what}; fetch it again")
    try:
        return OpenFile(path, read_directory(source), source)
    except (*PARSE_FAULTS, OSError) as error:
        raise SourceError(f"{path}: cannot be opened as a ROOT file: {one_line(error)}") from error
