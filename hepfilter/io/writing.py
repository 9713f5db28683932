"""Writing ROOT files from arrays: columns with NanoAOD's layout (one counter a collection, titles, exact types)."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from hepfilter.errors import OutputError
from hepfilter.io.baskets import Entries, raw_entries, raw_lists
from hepfilter.io.buffer import ObjectBuffer, encode_string
from hepfilter.io.compression import parse_compression
from hepfilter.io.container import Key, RootFile
from hepfilter.io.treewriter import TreeWriter
from hepfilter.io.ttree import Branch, Leaf, TreeHeader

if TYPE_CHECKING:
    import awkward as ak

# numpy type → (leaf class, letter in a leaf list)
_TYPES = {
    "bool": ("TLeafO", "O"),
    "int8": ("TLeafB", "B"),
    "uint8": ("TLeafB", "b"),
    "int16": ("TLeafS", "S"),
    "uint16": ("TLeafS", "s"),
    "int32": ("TLeafI", "I"),
    "uint32": ("TLeafI", "i"),
    "int64": ("TLeafL", "L"),
    "uint64": ("TLeafL", "l"),
    "float32": ("TLeafF", "F"),
    "float64": ("TLeafD", "D"),
}
_JAGGED_OFFSETS = 4000  # any number but 0: it tells readers that entries vary in size

Jagged: TypeAlias = "ak.Array | tuple[npt.NDArray[Any], npt.NDArray[Any]]"


@dataclass(frozen=True)
class Column:
    """A branch to be written: numpy type by name, title, and for a jagged one the name of its int32 counter."""

    name: str
    dtype: str
    title: str = ""
    counter: str | None = None


@contextmanager
def create_root(path: Path | str, *, compression: str = "ZSTD:5") -> Iterator["NewFile"]:
    """A new ROOT file, under a temporary name until the block ends without an error."""
    with RootFile(Path(path), compression=parse_compression(compression)) as out:
        write_empty_streamers(out)
        yield NewFile(out)


class NewFile:
    """A file made from arrays. Trees are closed by the next `new_tree` or at the end."""

    def __init__(self, out: RootFile) -> None:
        self._out = out

    @contextmanager
    def new_tree(self, name: str, columns: Sequence[Column], *, title: str = "") -> Iterator["ArrayTree"]:
        """A tree with these columns; the counters of jagged ones are made, each before its first user."""
        tree = ArrayTree(self._out, name, columns, title or name)
        with tree.writer:
            yield tree

    def write_string(self, name: str, text: str) -> None:
        """Write `text` as a TObjString."""
        write_string(self._out, name, text)


class ArrayTree:
    """A tree filled from arrays."""

    def __init__(self, out: RootFile, name: str, columns: Sequence[Column], title: str) -> None:
        self._columns = _with_counters(columns)
        leaves: dict[str, Leaf] = {}
        branches = [column_branch(column, leaves) for column in self._columns]
        self._counters = {column.counter: leaves[column.counter] for column in columns if column.counter}
        self.writer = TreeWriter(out, TreeHeader(name, title), branches)

    def extend(self, arrays: Mapping[str, "npt.NDArray[Any] | Jagged"]) -> None:
        """Append events. Flat columns: arrays of one value an event; jagged ones: awkward, or (flat values, counts).

        OutputError if a column is missing, unknown, of another length, or disagrees with its counter.
        """
        wanted = {column.name for column in self._columns} - set(self._counters)
        if wanted != set(arrays):
            different = ", ".join(sorted(wanted ^ set(arrays)))
            raise OutputError(f"tree {self.writer.tree_name}: columns missing or unknown: {different}")
        counts: dict[str, npt.NDArray[np.int64]] = {}
        given = [column for column in self._columns if column.name in arrays]
        raw = {column.name: _column_entries(column, arrays[column.name], counts) for column in given}
        for counter, numbers in counts.items():
            raw[counter] = raw_entries(numbers.astype(np.int32))
            leaf = self._counters[counter]
            leaf.maximum = max(leaf.maximum, int(numbers.max(initial=0)))
        lengths = {entries.count for entries in raw.values()}
        if len(lengths) != 1:
            raise OutputError(f"tree {self.writer.tree_name}: columns of different lengths {sorted(lengths)}")
        for index, column in enumerate(self._columns):
            self.writer.append(index, raw[column.name])
        self.writer.count_entries(lengths.pop())


def column_branch(column: Column, leaves: dict[str, Leaf]) -> Branch:
    """The branch of a column; `leaves` collects leaves by name, where a jagged column finds its counter's."""
    class_name, letter = _TYPES[column.dtype]
    leaf = leaves[column.name] = Leaf(
        class_name,
        column.name,
        f"{column.name}[{column.counter}]" if column.counter else column.name,
        type_size=np.dtype(column.dtype).itemsize,
        is_unsigned=letter.islower(),
    )
    if column.counter:
        leaf.count = leaves[column.counter]
        leaf.count.is_range = True
    title = column.title or f"{column.name}/{letter}"
    return Branch(column.name, title, [leaf], entry_offset_length=_JAGGED_OFFSETS if column.counter else 0)


def write_string(out: RootFile, name: str, text: str) -> None:
    """Write `text` as a TObjString under `name`."""
    key = Key("TObjString", name, "Collectable string class")
    buffer = ObjectBuffer(key.length)
    with buffer.versioned(1):
        buffer.tobject()
        buffer.data += encode_string(text)
    out.add(key, bytes(buffer.data))


def write_empty_streamers(out: RootFile) -> None:
    """An empty StreamerInfo list: every class that we write from arrays is one that readers know."""
    key = Key("TList", "StreamerInfo", "Doubly linked list", big=False)
    buffer = ObjectBuffer(key.length)
    with buffer.versioned(5):
        buffer.tobject()
        buffer.string("")
        buffer.pack("i", 0)
    out.set_streamers(key, bytes(buffer.data), len(buffer.data))


def _with_counters(columns: Sequence[Column]) -> list[Column]:
    """The columns, with a counter before the first column that needs it."""
    result: list[Column] = []
    known = set()
    for column in columns:
        if column.counter and column.counter not in known:
            known.add(column.counter)
            result.append(Column(column.counter, "int32", f"number of {column.counter.removeprefix('n')}"))
        result.append(column)
    return result


def _column_entries(
    column: Column, values: "npt.NDArray[Any] | Jagged", counts: dict[str, npt.NDArray[np.int64]]
) -> Entries:
    """A column's events as bytes; a jagged one also sets or checks the counts of its counter."""
    dtype = np.dtype(column.dtype)
    if column.counter is None:
        return raw_entries(np.asarray(values).astype(dtype, copy=False))
    flat, numbers = values if isinstance(values, tuple) else _flat(values)
    numbers = np.asarray(numbers, np.int64)
    if not np.array_equal(counts.setdefault(column.counter, numbers), numbers) or numbers.sum() != len(flat):
        raise OutputError(f"column {column.name} disagrees with the other columns of counter {column.counter}")
    return raw_lists(np.asarray(flat).astype(dtype, copy=False), numbers)


def _flat(lists: "ak.Array") -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """(flat values, counts) of an awkward array of lists."""
    import awkward as ak

    return ak.to_numpy(ak.flatten(lists)), ak.to_numpy(ak.num(lists))
