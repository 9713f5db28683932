"""Opening ROOT files and reading columns; each fault becomes a SourceError that tells file, tree and branch."""

import lzma
import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import awkward as ak
import cramjam
import uproot

from hepfilter.errors import SourceError, nearest
from hepfilter.io.sources import Source

Fetch = Callable[[int, int], bytes]
"""The bytes [start, stop) of a file."""

# What uproot raises on damaged bytes, which may lead its readers anywhere; used around calls of uproot alone.
READ_FAULTS = (
    OSError, ValueError, TypeError, KeyError, IndexError, EOFError, AssertionError, NotImplementedError,
    AttributeError, OverflowError, MemoryError, struct.error, zlib.error, lzma.LZMAError,
    cramjam.DecompressionError, uproot.DeserializationError,
)  # fmt: skip


@dataclass(frozen=True)
class OpenTree:
    """A TTree of an open file, without its `hidden` top-level branches; `tree` is uproot's, `fetch` the file's."""

    path: str
    name: str
    tree: Any
    fetch: Fetch
    hidden: frozenset[str] = frozenset()

    def without(self, names: Iterable[str]) -> "OpenTree":
        """The same tree as if it had no top-level branches of these names."""
        return replace(self, hidden=self.hidden | frozenset(names))

    @property
    def branches(self) -> list[Any]:
        """The top-level branches (uproot's), in the file's order."""
        return [branch for branch in self.tree.branches if branch.name not in self.hidden]

    @property
    def num_entries(self) -> int:
        """Number of entries."""
        return int(self.tree.num_entries)

    @property
    def branch_names(self) -> tuple[str, ...]:
        """The names of the top-level branches, in the file's order."""
        return tuple(branch.name for branch in self.branches)

    def arrays(self, names: Sequence[str], start: int = 0, stop: int | None = None) -> dict[str, ak.Array]:
        """The entries [start, stop) of some branches, as one awkward array each. SourceError if a basket is damaged."""
        if not names:
            return {}
        missing = [name for name in names if name not in self.tree]
        if missing:
            close = nearest(missing[0], self.branch_names)
            raise SourceError(f"{self.path}: tree {self.name} has no branch {missing[0]!r}{close}")
        try:
            columns = self.tree.arrays(list(names), entry_start=start, entry_stop=stop, library="ak", how=dict)
        except READ_FAULTS as error:
            raise SourceError(self._fault(names, start, stop, error)) from error
        return {name: columns[name] for name in names}

    def cluster_edges(self, names: Iterable[str] | None = None) -> list[int]:
        """The entries at which baskets of all branches (or those named) begin together, 0 and the end included."""
        edges: set[int] | None = None
        for branch in self.branches if names is None else [self.tree[name] for name in names]:
            own = set(branch.entry_offsets)
            edges = own if edges is None else edges & own
        return sorted((edges or set()) | {0, self.num_entries})

    def _fault(self, names: Sequence[str], start: int, stop: int | None, error: BaseException) -> str:
        """The message for a read that failed: the branch at fault is found by reading them one by one."""
        for name in names:
            try:
                self.tree[name].array(entry_start=start, entry_stop=stop)
            except READ_FAULTS as single:
                reason = one_line(single)
                where = (
                    f"{self.path}: tree {self.name}, branch {name}, entries {start} to {(stop or self.num_entries) - 1}"
                )
                return f"{where} cannot be read: {reason}; the file is damaged, fetch it again"
        return f"{self.path}: tree {self.name} cannot be read: {one_line(error)}"


@dataclass(frozen=True)
class OpenFile:
    """An open ROOT file.

    `class_names` maps each top-level key (newest cycle) to its class; `fetch` gives bytes; `compression` is the file's
    own (uproot's object, None for none).
    """

    path: str
    directory: Any
    class_names: Mapping[str, str]
    fetch: Fetch
    compression: Any

    @property
    def tree_names(self) -> tuple[str, ...]:
        """The names of the TTrees at the top level, in the file's order."""
        return tuple(name for name, kind in self.class_names.items() if kind == "TTree")

    @property
    def uuid(self) -> str:
        """The file's identity, which a byte copy of it shares."""
        return str(self.directory.file.uuid)

    def tree(self, *candidates: str) -> OpenTree:
        """The first of the named trees that is there; SourceError names those that are."""
        for name in candidates:
            kind = self.class_names.get(name)
            if kind == "TTree":
                return self._open_tree(name)
            if kind is not None and "RNTuple" in kind:
                raise SourceError(
                    f"{self.path}: {name} is an RNTuple; this version reads TTrees, convert it with ROOT first"
                )
        there = ", ".join(f"{name} ({kind})" for name, kind in self.class_names.items()) or "none"
        hint = (
            "name another as FILE.root:TREE, with a --schema for its branches"
            if self.tree_names
            else "it holds no tree"
        )
        raise SourceError(f"{self.path}: no tree {' or '.join(candidates)}; objects in the file: {there}; {hint}")

    def _open_tree(self, name: str) -> OpenTree:
        try:
            return OpenTree(self.path, name, self.directory[name], self.fetch)
        except READ_FAULTS as error:
            raise SourceError(f"{self.path}: tree {name} cannot be read: {one_line(error)}") from error


@contextmanager
def open_file(source: Source) -> Iterator[OpenFile]:
    """Open a ROOT file for reading. SourceError if it is missing, no ROOT file, or cut short."""
    local = "://" not in source.path
    if local:
        _check_local(Path(source.path))
    # not memory-mapped: arrays that outlive a mapping would read freed memory
    options = {"handler": uproot.source.file.MultithreadedFileSource, "num_workers": 1} if local else {}
    try:
        directory = uproot.open(source.path, **options)
        names = {name: str(kind) for name, kind in directory.classnames(recursive=False, cycle=False).items()}
        compression = directory.file.compression
    except ImportError as error:
        raise SourceError(f"{source.path}: remote files need more: pip install 'hepfilter[remote]'") from error
    except READ_FAULTS as error:
        raise SourceError(f"{source.path}: cannot be opened as a ROOT file: {one_line(error)}") from error
    with directory, _fetcher(directory, local=local) as fetch:
        yield OpenFile(source.path, directory, names, fetch, compression)


@contextmanager
def _fetcher(directory: Any, *, local: bool) -> Iterator[Fetch]:
    """Positional reads: straight from the descriptor of a local file, through uproot's source for a remote one."""
    if not local:
        source = directory.file.source
        yield lambda start, stop: bytes(source.chunk(start, stop).raw_data)
        return
    with Path(directory.file_path).open("rb") as stream:
        yield lambda start, stop: os.pread(stream.fileno(), stop - start, start)


def _check_local(path: Path) -> None:
    """The faults that can be told from the first bytes, in plainer words than a reader's."""
    if path.is_dir():
        raise SourceError(f"{path}: is a folder, not a ROOT file")
    try:
        with path.open("rb") as stream:
            head = stream.read(20)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
    if len(head) < 20 or head[:4] != b"root":
        raise SourceError(f"{path}: is no ROOT file (it does not begin with 'root'); give a .root file")
    version, _ = struct.unpack_from(">ii", head, 4)
    (end,) = struct.unpack_from(">q" if version >= 1_000_000 else ">i", head, 12)
    size = path.stat().st_size
    if size < end:
        raise SourceError(f"{path}: is cut short: its header says {end} bytes, the file has {size}; fetch it again")


def one_line(error: BaseException) -> str:
    """An exception's text on one line, short enough for a message."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."
