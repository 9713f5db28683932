"""A file of scores as Parquet, by pyarrow: row groups of bounded size, every page with a checksum."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from hepfilter.errors import OutputError, SourceError
from hepfilter.io.publishing import Publication, unfinished
from hepfilter.io.score_facts import FACTS
from hepfilter.io.score_file import Columns
from hepfilter.io.text import one_line
from hepfilter.io.writing import Column

_ROWS: Final = 2**17
"""Rows of a row group, about: some MB in memory, so few that reading can begin anywhere."""
_SPELLED: Final = ("path", "uuid", "dataset")
_FAULTS = (pa.ArrowException, OSError, ValueError, KeyError, OverflowError)


class ParquetSink:
    """Gathers rows until a row group is full."""

    def __init__(self, path: Path, writer: pq.ParquetWriter, schema: pa.Schema) -> None:
        self._path, self._writer, self._schema = path, writer, schema
        self._files: list[tuple[str, str, str | None]] = []
        self._parts: list[Columns] = []
        self._gathered = 0
        self.text = ""

    def begin_file(self, path: str, uuid: str, dataset: str | None) -> None:
        """Rows of the next file follow."""
        self._files.append((path.encode("utf-8", "replace").decode(), uuid, dataset))

    def extend(self, columns: Columns) -> None:
        """Append rows."""
        self._parts.append(columns)
        self._gathered += len(columns["entry"])
        if self._gathered >= _ROWS:
            self.flush()

    def flush(self) -> None:
        """Write what was gathered as a row group."""
        if not self._gathered:
            return
        columns = {name: np.concatenate([part[name] for part in self._parts]) for name in self._parts[0]}
        self._parts.clear()
        self._gathered = 0
        first, last = int(columns["file"][0]), int(columns["file"][-1])
        place = pa.array(columns["file"] - first)
        spelled = zip(*self._files[first : last + 1], strict=True)
        arrays = {name: pa.array(values) for name, values in columns.items()}
        arrays |= {
            name: pa.array(words, pa.string()).take(place) for name, words in zip(_SPELLED, spelled, strict=True)
        }
        with _writing(self._path):
            self._writer.write_table(pa.table(arrays, self._schema))


@contextmanager
def parquet_sink(path: Path, columns: Sequence[Column]) -> Iterator[ParquetSink]:
    """A Parquet file, which appears when the block ends without an error; OutputError if it cannot be written."""
    partial = unfinished(path)
    schema = pa.schema([(c.name, _arrow_type(c)) for c in columns] + [(name, pa.string()) for name in _SPELLED])
    with Publication() as publication, ExitStack() as clean_up:
        publication.add(partial, path)
        with _writing(path):
            writer = pq.ParquetWriter(str(partial), schema, **_options(columns))
        clean_up.callback(_give_up, writer)
        yield (sink := ParquetSink(path, writer, schema))
        sink.flush()
        with _writing(path):
            writer.add_key_value_metadata({FACTS: sink.text})
            writer.close()
            with partial.open("rb") as stream:
                os.fsync(stream.fileno())


def _give_up(writer: pq.ParquetWriter) -> None:
    """Close what an error left open: its own destructor would complain."""
    with suppress(*_FAULTS):
        writer.close()


def _options(columns: Sequence[Column]) -> dict[str, Any]:
    """How columns are packed: identities and entries by differences, scores by the bytes of one place together."""
    encodings = {column.name: _encoding(column) for column in columns}
    packed = {name: encoding for name, encoding in encodings.items() if encoding}
    plain = [*(name for name, encoding in encodings.items() if not encoding and name != "hasObjects"), *_SPELLED]
    return {
        "compression": "zstd",
        "compression_level": 5,
        "use_dictionary": plain,
        "column_encoding": packed,
        "write_page_checksum": True,
        "store_schema": False,  # so that readers show our text, and not Arrow's alone
    }


def _encoding(column: Column) -> str | None:
    if column.dtype == "float32":
        return "BYTE_STREAM_SPLIT"
    return "DELTA_BINARY_PACKED" if column.name in ("event", "entry") else None


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or one_line(error)
        raise OutputError(f"{path}: cannot be written: {reason}; nothing is left behind") from error


def _arrow_type(column: Column) -> pa.DataType:
    return pa.from_numpy_dtype(np.dtype(column.dtype))


class ParquetTable:
    """The rows of an open file."""

    def __init__(self, path: str, file: pq.ParquetFile) -> None:
        self._path, self._file = path, file
        text = (file.metadata.metadata or {}).get(FACTS.encode())
        self.text = None if text is None else text.decode("utf-8", "replace")
        self.rows = int(file.metadata.num_rows)

    def column(self, column: Column) -> npt.NDArray[Any]:
        """All values of a column; SourceError if it is missing, of another type, or damaged."""
        with _reading(self._path):
            schema = self._file.schema_arrow
            known = schema.field(column.name).type if column.name in schema.names else None
            if known != _arrow_type(column):
                raise SourceError(f"{self._path}: column {column.name} holds no {column.dtype}; score the files anew")
            values: npt.NDArray[Any] = self._file.read(columns=[column.name]).column(0).to_numpy()
        return values


@contextmanager
def open_parquet(path: str) -> Iterator[ParquetTable]:
    """The rows of a Parquet file; SourceError if it is damaged."""
    with _reading(path):
        file = pq.ParquetFile(path, page_checksum_verification=True)
        table = ParquetTable(path, file)
    with file:
        yield table


@contextmanager
def _reading(path: str) -> Iterator[None]:
    try:
        yield
    except _FAULTS as error:
        raise SourceError(f"{path}: cannot be read ({one_line(error)}); score the files anew") from error
