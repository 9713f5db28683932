"""What uproot does for us: branches that hold more than plain numbers, RNTuples as arrays, remote files.

Nothing of uproot and awkward is imported before it is needed: a skim of plain branches never does.
"""

import lzma
import queue
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
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


def read_tree(path: str, tree: str, names: Sequence[str], start: int, stop: int | None) -> "dict[str, ak.Array]":
    """The entries [start, stop) of some branches of a tree, by uproot; SourceError names the branch at fault."""
    import uproot

    try:
        with uproot.open({path: None}, **_options(path)) as directory:
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


def _options(path: str) -> dict[str, Any]:
    """For local files: not memory-mapped, as arrays that outlive a mapping would read freed memory."""
    import uproot

    return {} if "://" in path else {"handler": uproot.source.file.MultithreadedFileSource, "num_workers": 1}


@contextmanager
def open_remote(path: str) -> Iterator[ByteSource]:
    """The bytes of a remote file. SourceError if it cannot be opened."""
    import uproot

    try:
        directory = uproot.open({path: None})
    except ImportError as error:
        raise SourceError(f"{path}: remote files need more: pip install 'hepfilter[remote]'") from error
    except (*READ_FAULTS, uproot.DeserializationError) as error:
        raise SourceError(f"{path}: cannot be opened as a ROOT file: {one_line(error)}") from error
    with directory:
        remote = _remote_bytes(path, directory.file.source)
        if remote(4, 8) == b"root":  # which are the first four bytes of the file
            raise SourceError(f"{path}: its server sends the whole file where a part is asked for; copy the file first")
        yield remote


def _remote_bytes(path: str, source: Any) -> ByteSource:
    """A remote file through uproot's source, which asks for many ranges at once."""

    def fetch_many(spans: Sequence[tuple[int, int]]) -> list[bytes]:
        try:
            return [bytes(chunk.raw_data) for chunk in source.chunks(list(spans), queue.Queue())]
        except READ_FAULTS as error:
            raise SourceError(f"{path}: cannot be read from there: {one_line(error)}; try again later") from error

    return ByteSource(lambda start, stop: fetch_many([(start, stop)])[0], fetch_many)


def complete_arrays(
    plain: Mapping[str, Column], names: Sequence[str], path: str, tree: str, start: int, stop: int | None
) -> "dict[str, ak.Array]":
    """The named branches as awkward arrays: those that were read as `plain` ones, all others by uproot."""
    others = [name for name in names if name not in plain]
    found = read_tree(path, tree, others, start, stop) if others else {}
    return {name: to_awkward(plain[name]) if name in plain else found[name] for name in names}


def complete_values(
    plain: Mapping[str, Column], names: Sequence[str], path: str, tree: str, start: int, stop: int | None
) -> dict[str, Column]:
    """The named branches as flat values: those that were read as `plain` ones, all others by uproot.

    SourceError if one holds neither a number nor a list of numbers an entry.
    """
    others = [name for name in names if name not in plain]
    found = read_tree(path, tree, others, start, stop) if others else {}
    where = f"{path}: tree {tree}: branch"
    return {**plain, **{name: to_values(array, f"{where} {name}") for name, array in found.items()}}


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
