"""What uproot does for us: branches that hold more than plain numbers, RNTuples as arrays.

Nothing of uproot and awkward is imported before it is needed: a skim of plain branches never does.
"""

import lzma
import queue
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cramjam
import numpy as np

from hepfilter.errors import SourceError
from hepfilter.events.expressions import Column
from hepfilter.io.bytesource import ByteSource
from hepfilter.io.text import one_line

if TYPE_CHECKING:
    import awkward as ak

# What uproot raises on damaged bytes, which may lead its readers anywhere; used around calls of uproot alone.
READ_FAULTS = (
    OSError, ValueError, TypeError, KeyError, IndexError, EOFError, AssertionError, NotImplementedError,
    AttributeError, OverflowError, MemoryError, struct.error, zlib.error, lzma.LZMAError,
    cramjam.DecompressionError,
)  # fmt: skip


def read_tree(
    source: ByteSource, path: str, tree: str, names: Sequence[str], start: int, stop: int | None
) -> "dict[str, ak.Array]":
    """The entries [start, stop) of some branches of a tree, by uproot; SourceError names the branch at fault."""
    import uproot

    try:
        with uproot.open({"file.root": None}, handler=_handler(source)) as directory:
            opened = directory[tree]
            return {name: _read(path, tree, opened, name, start, stop) for name in names}
    except (*READ_FAULTS, uproot.DeserializationError) as error:
        raise SourceError(f"{path}: tree {tree} cannot be read: {one_line(error)}") from error


def _read(path: str, tree: str, opened: Any, name: str, start: int, stop: int | None) -> "ak.Array":
    import uproot

    try:
        return opened[name].array(entry_start=start, entry_stop=stop, library="ak")
    except (*READ_FAULTS, uproot.DeserializationError) as error:
        entries = f"entries {start} to {(opened.num_entries if stop is None else stop) - 1}"
        what = f"{path}: tree {tree}, branch {name}, {entries} cannot be read: {one_line(error)}"
        raise SourceError(f"{what}; the file is damaged, fetch it again") from error


def _handler(source: ByteSource) -> type:
    """The class by which uproot reads a file: it takes the bytes of ours, local or remote."""
    import uproot
    from uproot.source.chunk import Chunk

    class Handler(uproot.source.chunk.Source):  # type: ignore[misc]
        """Gives uproot the bytes that it asks for; many ranges at once."""

        closed, num_bytes = False, source.size

        def __init__(self, path: str, **_: Any) -> None:
            super().__init__()
            self._file_path = path

        def chunk(self, start: int, stop: int) -> Chunk:
            return self.chunks([(start, stop)], queue.Queue())[0]

        def chunks(self, ranges: Sequence[tuple[int, int]], notifications: "queue.Queue[Chunk]") -> list[Chunk]:
            found = source.many([(int(start), int(stop)) for start, stop in ranges])
            futures = [uproot.source.futures.TrivialFuture(data) for data in found]
            made = [Chunk(self, *span, future) for span, future in zip(ranges, futures, strict=True)]
            for chunk in made:
                notifications.put(chunk)
            return made

        def __enter__(self) -> "Handler":
            return self

        def __exit__(self, *_: object) -> None:
            pass

    return Handler


@dataclass(frozen=True)
class ForeignTree:
    """A tree of a file, for what of it is not read by us: uproot reads the branches that are not among `plain` ones."""

    source: ByteSource
    path: str
    name: str

    def arrays(
        self, plain: Mapping[str, Column], names: Sequence[str], start: int, stop: int | None
    ) -> "dict[str, ak.Array]":
        """The named branches as awkward arrays: those that were read as `plain` ones, and all others."""
        found = self._others(plain, names, start, stop)
        return {name: to_awkward(plain[name]) if name in plain else found[name] for name in names}

    def values(
        self, plain: Mapping[str, Column], names: Sequence[str], start: int, stop: int | None
    ) -> dict[str, Column]:
        """The named branches as flat values: those that were read as `plain` ones, and all others.

        SourceError if one holds neither a number nor a list of numbers an entry.
        """
        found = self._others(plain, names, start, stop)
        where = f"{self.path}: tree {self.name}: branch"
        return {**plain, **{name: to_values(array, f"{where} {name}") for name, array in found.items()}}

    def _others(
        self, plain: Mapping[str, Column], names: Sequence[str], start: int, stop: int | None
    ) -> "dict[str, ak.Array]":
        others = [name for name in names if name not in plain]
        return read_tree(self.source, self.path, self.name, others, start, stop) if others else {}


def to_awkward(values: Column) -> "ak.Array":
    """Flat values and offsets as an awkward array."""
    import awkward as ak

    content = ak.contents.NumpyArray(values.values)
    if values.offsets is None:
        return ak.Array(content)
    return ak.Array(ak.contents.ListOffsetArray(ak.index.Index64(values.offsets), content))


def to_values(array: "ak.Array", where: str) -> Column:
    """An awkward array as flat values and offsets; SourceError where it is neither a number nor a list an entry."""
    import awkward as ak

    if array.ndim > 2 or array.fields or "string" in str(array.type) or "?" in str(array.type):
        raise SourceError(
            f"{where} holds {array.type.content}; an expression takes numbers or one list of them an event"
        )
    if array.ndim == 1:
        return Column(ak.to_numpy(array))
    offsets = np.append(0, np.cumsum(ak.to_numpy(ak.num(array)))).astype(np.int64)
    return Column(ak.to_numpy(ak.flatten(array)), offsets)
