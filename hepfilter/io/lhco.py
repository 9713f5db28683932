"""The HDF5 layout of the LHC Olympics (G. Kasieczka et al., arXiv:2101.08320): a row an event.

A row is pt, eta, phi of up to 700 candidates, filled up with zeros, and then 1 for signal or 0 for background; the
black boxes have no label. The table is a frame of pandas (``df/block0_values``), so that `pandas.read_hdf` opens what
is written here, and files compressed by PyTables (blosc) open here.
"""

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import RawIOBase
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hepfilter.config.files import remove
from hepfilter.errors import OutputError, SourceError
from hepfilter.io.publishing import unfinished

CANDIDATES = 700
FIELDS = 3
UNLABELLED = CANDIDATES * FIELDS
_FRAME = "df"
_VALUES = "block0_values"
_ROWS = 5000
_LARGEST_CHUNK = 2**30  # bytes, unpacked
_MOST_SHOWN = 20
READ_FAULTS = (OSError, RuntimeError, ValueError, KeyError, TypeError)  # what h5py raises on damaged files

Rows = npt.NDArray[np.float32]


def is_hdf5(path: Path) -> bool:
    """Whether the name of a file says that it is HDF5."""
    return path.suffix.lower() in {".h5", ".hdf5", ".hdf"}


def read_rows(path: Path, *, rows: int = _ROWS) -> Iterator[Rows]:
    """The table in pieces of at most `rows` rows, float32[n, 2100 or 2101].

    SourceError if the file is no HDF5, has no table of this width, or is compressed in a way that is not known here.
    """
    with _open_table(path) as table:
        for start in range(0, len(table), rows):
            try:
                piece = np.asarray(table[start : start + rows], dtype=np.float32)
            except READ_FAULTS as error:
                raise _unreadable(path, error) from error
            yield piece


def count_rows(path: Path) -> int:
    """Events in the file; SourceError as for `read_rows`."""
    with _open_table(path) as table:
        return len(table)


@contextmanager
def _open_table(path: Path) -> Iterator[Any]:
    """The table of an open file, which is closed at the end."""
    try:
        file = _h5py().File(path, "r")
    except READ_FAULTS as error:
        raise _unreadable(path, error) from error
    with file:
        try:
            table = _table(file, path)
        except READ_FAULTS as error:
            raise _unreadable(path, error) from error
        yield table


def _unreadable(path: Path, error: BaseException) -> SourceError:
    return SourceError(f"{path}: cannot be read as HDF5: {' '.join(str(error).split())}")


@contextmanager
def create_table(path: Path, *, labelled: bool) -> Iterator["Table"]:
    """A new file, under a temporary name until the block ends without an error; OutputError if it cannot be written."""
    partial = unfinished(path)
    try:
        with _told_as_output(path):
            raw = partial.open("w+b", buffering=0)
        with raw:
            bytes_out = _CarefulFile(raw, path)
            with _h5py().File(bytes_out, "w") as file:
                table = Table(file, UNLABELLED + labelled, bytes_out)
                yield table
                table.close()
            bytes_out.check()
        with _told_as_output(path):
            partial.replace(path)
    finally:
        remove(partial)


class _CarefulFile:
    """A file for HDF5, which crashes the process where a write fails: it is told that all is well, and `check` raises
    the first error."""

    def __init__(self, raw: RawIOBase, path: Path) -> None:
        self._raw = raw
        self._path = path
        self._error: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def write(self, data: Any) -> int:
        """Write, or keep the error; the length of `data`."""
        size = memoryview(data).nbytes
        try:
            if self._error is None and self._raw.write(data) != size:
                self._error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            self._error = error
        return size

    def truncate(self, size: int | None = None) -> int | None:
        """Change the size, or keep the error."""
        try:
            if self._error is None:
                return self._raw.truncate(size)
        except OSError as error:
            self._error = error
        return size

    def check(self) -> None:
        """OutputError if a write failed."""
        if self._error is not None:
            with _told_as_output(self._path):
                raise self._error


@contextmanager
def _told_as_output(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error


class Table:
    """A frame of pandas in "fixed" format, as PyTables lays it out, that grows by rows."""

    def __init__(self, file: Any, columns: int, out: _CarefulFile) -> None:
        self._out = out
        _describe(file, {"CLASS": "GROUP", "PYTABLES_FORMAT_VERSION": "2.1", "VERSION": "1.0"})
        self._group = file.create_group(_FRAME)
        _describe(self._group, {"CLASS": "GROUP", "VERSION": "1.0", "encoding": "UTF-8", "errors": "strict"})
        _describe(self._group, {f"{name}_variety": "regular" for name in ("axis0", "axis1", "block0_items")})
        _describe(self._group, {"pandas_type": "frame", "ndim": 2, "nblocks": 1})
        self._columns = columns
        self._values = self._group.create_dataset(
            _VALUES, (0, columns), "f4", maxshape=(None, columns), chunks=(64, columns), compression="gzip",
            compression_opts=4, shuffle=True,
        )  # fmt: skip
        _describe(self._values, {"CLASS": "EARRAY", "VERSION": "1.1", "EXTDIM": 0, "transposed": 1})

    def append(self, rows: Rows) -> None:
        """Add rows, float32[n, columns]."""
        count = len(self._values)
        self._values.resize(count + len(rows), axis=0)
        self._values[count:] = rows
        self._out.check()

    def close(self) -> None:
        """Write the axes of the frame."""
        for name, length in (("axis0", self._columns), ("axis1", len(self._values)), ("block0_items", self._columns)):
            axis = self._group.create_dataset(name, data=np.arange(length, dtype=np.int64))
            _describe(axis, {"CLASS": "ARRAY", "VERSION": "2.4", "kind": "integer", "name": "N.", "transposed": 1})


def _describe(node: Any, attributes: Mapping[str, str | int]) -> None:
    """Attributes as PyTables writes them: texts of fixed length in UTF-8."""
    for name, value in attributes.items():
        if isinstance(value, str):
            node.attrs.create(name, value, dtype=_h5py().string_dtype("utf-8", len(value)))
        else:
            node.attrs[name] = np.uint8(value) if name == "transposed" else value


def _table(file: Any, path: Path) -> Any:
    """The one table of the right width, wherever it lies."""
    found: list[Any] = []
    shapes: list[str] = []

    def look(name: str, node: Any) -> None:
        if hasattr(node, "shape") and len(node.shape) == 2 and node.dtype.kind in "fiu":
            if node.external or node.is_virtual:
                raise SourceError(f"{path}: the table {name} lies in other files; copy it into this one first")
            shapes.append(f"{name} {node.shape}")
            if node.shape[1] in (UNLABELLED, UNLABELLED + 1):
                found.append(node)

    file.visititems(look)
    if len(found) != 1:
        has = ", ".join(shapes[:_MOST_SHOWN]) + ", …" * (len(shapes) > _MOST_SHOWN) or "none"
        raise SourceError(
            f"{path}: {len(found)} tables of {UNLABELLED} or {UNLABELLED + 1} columns (700 × pt, eta, phi; the label), "
            f"of which the layout of the LHC Olympics has one; tables: {has}"
        )
    _refuse_claims(found[0], path)
    return found[0]


def _refuse_claims(table: Any, path: Path) -> None:
    """SourceError for a table that says of itself that it is larger than what is stored, or than memory bears.

    HDF5 gives zeros for what was never written, however much that is.
    """
    rows, columns = table.shape
    height, width = table.chunks or table.shape
    if height * width * table.dtype.itemsize > _LARGEST_CHUNK and table.chunks:
        raise SourceError(f"{path}: the chunks of its table have {height:,} × {width:,} numbers; write smaller ones")
    if table.chunks:
        whole = -(-rows // height) * -(-columns // width) == table.id.get_num_chunks()
    else:
        whole = rows * columns * table.dtype.itemsize == table.id.get_storage_size()
    if not whole:
        raise SourceError(f"{path}: says that it has {rows:,} rows, but not all of them are stored; fetch it again")


def _h5py() -> Any:
    """The module h5py, with the filters by which PyTables compresses; SourceError tells how to install it."""
    try:
        import h5py
        import hdf5plugin  # noqa: F401 - its import makes the filters known
    except ImportError as error:
        raise SourceError("h5py and hdf5plugin are not installed: pip install 'hepfilter[sim]'") from error
    return h5py
