"""Baskets as raw bytes: an entry is a run of bytes, never interpreted, so that any type survives bit for bit.

A basket's payload is the entries' bytes one after the other; where their sizes vary, a count and the position of each
entry (from the key's start) follow (TBasket's documentation, https://root.cern/doc/master/classTBasket.html). Objects
behind pointers name their class once an entry and refer back to it by position, so an entry that holds such a reference
carries along where it once stood: the displacement, a second list of positions behind the first.

Most branches of a tree share their counter, and with it the sizes of their entries: what is worked out from the sizes
of one branch serves all others.
"""

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from hepfilter.errors import OutputError, SourceError
from hepfilter.io.bytesource import ByteSource
from hepfilter.io.compression import UNPACK_FAULTS, unpack
from hepfilter.io.plain import is_plain, plain_dtype
from hepfilter.io.text import one_line
from hepfilter.io.ttree import Branch
from hepfilter.io.ttree_reading import EmbeddedBasket, StoredBaskets
from hepfilter.wording import counted

Bytes = npt.NDArray[np.uint8]
Positions = npt.NDArray[np.int32]
Index = npt.NDArray[np.int64]
_KEY = struct.Struct(">ihiIhh")
_TAIL = struct.Struct(">Hiiii")
_LARGEST = 1_000_000_000  # bytes in one basket; ROOT's own limit is 2 GB
_CLASS_NAMED = re.compile(rb"\x40[\x00-\xff]{3}\xff{4}[A-Za-z_][\w:<>,* ]*\x00")  # byte count, new class, its name
_UNITS = {8: np.uint64, 4: np.uint32, 2: np.uint16, 1: np.uint8}
_KNOWN_LAYOUTS = 256


@dataclass(frozen=True, eq=False)
class Layout:
    """Where entries of varying size lie in a basket: `positions` (int32, one more than entries) begin at 0 and rise."""

    positions: Positions

    @cached_property
    def sizes(self) -> Positions:
        """Bytes of each entry."""
        return np.diff(self.positions)

    @cached_property
    def unit(self) -> int:
        """The largest of 8, 4, 2 and 1 bytes of which all entries are multiples."""
        combined = int(np.bitwise_or.reduce(self.positions)) | 8
        return combined & -combined


class LayoutPool:
    """Layouts met lately, so that the branches of one collection share one."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], Layout] = {}

    def layout(self, positions: Positions) -> Layout:
        """The layout with these positions; ValueError if they do not begin at 0 or do not rise."""
        key = len(positions), int(positions[-1])
        known = self._known.get(key)
        if known is not None and np.array_equal(known.positions, positions):
            return known
        made = Layout(positions)
        # none below 0, so that no difference overflows
        if positions[0] != 0 or positions.min() < 0 or made.sizes.min(initial=0) < 0:
            raise ValueError("the positions of its entries do not rise")
        if len(self._known) >= _KNOWN_LAYOUTS:
            self._known.clear()
        self._known[key] = made
        return made


@dataclass(frozen=True, eq=False)
class Entries:
    """The bytes of consecutive entries: `data`, and the `layout` of those whose sizes vary, None where all are as long.

    `origins` (int32, one an entry) is where each entry first stood, counted from its key's start, for entries with
    references inside; else None.
    """

    data: Bytes
    count: int
    layout: Layout | None = None
    origins: Positions | None = None

    @property
    def width(self) -> int:
        """Bytes of one entry where all have the same; 0 if there are none."""
        return len(self.data) // self.count if self.count else 0

    def slice(self, start: int, stop: int) -> "Entries":
        """The entries [start, stop)."""
        return Selector(np.arange(start, stop)).take(self)


@dataclass(frozen=True, eq=False)
class Selector:
    """Takes the entries at `index` (int64, rising) out of baskets of many branches."""

    index: Index
    _gathers: dict[int, tuple[Layout, Index, Layout]] = field(default_factory=dict)

    def take(self, entries: Entries) -> Entries:
        """Only the entries at `index`."""
        if len(self.index) == entries.count:
            return entries
        if entries.layout is None:
            return Entries(self._take_fixed(entries), len(self.index))
        _, gather, layout = self._gather(entries.layout)
        data = entries.data.view(_UNITS[entries.layout.unit])[gather].view(np.uint8)
        return Entries(data, len(self.index), layout, None if entries.origins is None else entries.origins[self.index])

    def _take_fixed(self, entries: Entries) -> Bytes:
        width = entries.width
        if width in _UNITS:
            return entries.data.view(_UNITS[width])[self.index].view(np.uint8)
        return entries.data.reshape(entries.count, width)[self.index].reshape(-1)

    def _gather(self, layout: Layout) -> tuple[Layout, Index, Layout]:
        """(the layout, which of its units are taken, the layout of what is taken)."""
        known = self._gathers.get(id(layout))
        if known is None:
            sizes = layout.sizes[self.index]
            positions = np.zeros(len(sizes) + 1, np.int32)
            np.cumsum(sizes, out=positions[1:])
            units = sizes // layout.unit
            shift = (layout.positions[self.index] - positions[:-1]) // layout.unit
            gather = np.arange(positions[-1] // layout.unit, dtype=np.int64) + np.repeat(shift, units)
            known = self._gathers[id(layout)] = layout, gather, Layout(positions)
        return known


class BasketReader:
    """Reads the baskets of one branch of `source`; `where` begins messages.

    `edges` (int64) holds the first entry of each basket, and at the end the number of entries; branches of the same
    edges have the same `edges_key`. SourceError if those are not the tree's `num_entries` (a branch without any basket,
    such as one that only groups others, is left alone).
    """

    def __init__(self, branch: Branch, source: ByteSource, *, where: str, num_entries: int, pool: LayoutPool) -> None:
        assert branch.stored is not None
        self._branch = branch
        self._source = source
        self._pool = pool
        self._where = where
        self._stored: StoredBaskets = branch.stored
        self._variable = branch.entry_offset_length != 0
        self._may_refer = branch.element is not None
        self._item = plain_dtype(branch).itemsize if is_plain(branch) else 1
        self._one_each = is_plain(branch) and not self._variable
        self.edges = branch.stored.edges
        self.edges_key = branch.stored.key
        groups_others = len(self.edges) == 1 and (self._may_refer or branch.children)
        if self.edges[-1] != num_entries and not groups_others:
            what = f"{where}, branch {branch.name} has {counted(self.edges[-1], 'entry')}, its tree {num_entries}"
            raise SourceError(f"{what}; fill it, or leave it out")

    def span(self, number: int) -> tuple[int, int]:
        """Where basket `number` lies in the file: [start, stop); nothing for one inside the tree's record."""
        if number >= len(self._stored.seeks):
            return (0, 0)
        start = int(self._stored.seeks[number])
        return start, start + int(self._stored.sizes[number])

    def read(self, number: int) -> Entries:
        """Basket `number`; SourceError names file, branch and entries."""
        return self.parse(number, memoryview(self._source(*self.span(number))))

    def parse(self, number: int, raw: memoryview) -> Entries:
        """Basket `number` from the bytes of its span; SourceError names file, branch and entries."""
        try:
            if number >= len(self._stored.seeks):
                return self._embedded(self._stored.embedded[number - len(self._stored.seeks)])
            return self._parse(number, raw)
        except UNPACK_FAULTS as error:
            what = f"branch {self._branch.name}, entries {self.edges[number]} to {self.edges[number + 1] - 1}"
            raise SourceError(
                f"{self._where}, {what} cannot be read: {one_line(error)}; the file is damaged, fetch it again"
            ) from error

    def _embedded(self, basket: EmbeddedBasket) -> Entries:
        data = np.frombuffer(basket.data, np.uint8)
        if basket.positions is None or not self._variable:
            return self._entries(data, basket.count, None, 0)
        positions = np.append(basket.positions, basket.key_length + len(data))
        return self._entries(data, basket.count, positions, basket.key_length, basket.displaced)

    def _parse(self, number: int, raw: memoryview) -> Entries:
        """A basket that lies in the file as a record of its own."""
        nbytes, entries = int(self._stored.sizes[number]), int(self.edges[number + 1] - self.edges[number])
        stored, _, size, _, key_length, _ = _KEY.unpack_from(raw, 0)
        _, _, width, count, last = _TAIL.unpack_from(raw, key_length - _TAIL.size - 1)
        border = last - key_length
        if stored != nbytes or len(raw) != nbytes or not 0 <= border <= size or count != entries:
            says = f"{counted(stored, 'byte')} and {counted(count, 'entry')}"
            raise ValueError(f"its header says {says}, the branch {nbytes} and {entries}")
        if count and not self._variable and width * count != border:  # by which ROOT finds entries of one size
            raise ValueError(f"its header says {counted(width, 'byte')} an entry, there are {border} for {count}")
        payload = np.frombuffer(unpack(raw[key_length:], size), np.uint8)
        if border == size or not self._variable:
            return self._entries(payload[:border], count, None, key_length)
        lists = _position_lists(payload[border:], count)
        positions = lists[0][: count + 1]
        positions[count] = last  # ROOT leaves 0 there
        return self._entries(payload[:border], count, positions, key_length, lists[1] if len(lists) > 1 else None)

    def _entries(
        self, data: Bytes, count: int, positions: Positions | None, key_length: int, displaced: Positions | None = None
    ) -> Entries:
        """Entries from their bytes and, where sizes vary, the positions at which they begin, counted from the key."""
        if positions is None:
            whole = count * self._item
            if len(data) != whole if self._one_each else len(data) % max(whole, 1):
                raise ValueError(f"{counted(len(data), 'byte')} for {counted(count, 'entry')}")
            return Entries(data, count)
        positions = positions - np.int32(key_length)
        layout = self._pool.layout(positions)
        if layout.unit % self._item:
            raise ValueError(f"entries that are no whole numbers of {counted(self._item, 'byte')}")
        if displaced is not None:
            return Entries(data, count, layout, displaced[:count])
        refers = self._may_refer and _CLASS_NAMED.search(data.tobytes()) is not None
        return Entries(data, count, layout, positions[:count] + np.int32(key_length) if refers else None)


def _position_lists(raw: Bytes, count: int) -> list[Positions]:
    """The lists of positions behind a basket's entries: each a number and that many positions, more than `count`."""
    words = np.frombuffer(raw, ">i4").astype(np.int32)
    lists: list[Positions] = []
    while len(words):
        length = int(words[0])
        if not count <= length < len(words) or len(lists) == 2:
            raise ValueError("it holds more than entries and their positions")
        block = words[1 : length + 1]
        lists.append(block if length > count else np.append(block, np.int32(0)))
        words = words[length + 1 :]
    return lists


def raw_entries(values: npt.NDArray[Any]) -> Entries:
    """A column of numbers, one row an entry, as ROOT's big-endian bytes."""
    swapped = np.ascontiguousarray(values.astype(values.dtype.newbyteorder(">"), copy=False))
    return Entries(swapped.reshape(-1).view(np.uint8), len(values))


def raw_lists(values: npt.NDArray[Any], counts: npt.NDArray[np.integer[Any]]) -> Entries:
    """Lists of numbers, `counts` of them in each entry, as ROOT's big-endian bytes."""
    positions = np.zeros(len(counts) + 1, np.int32)
    np.cumsum(counts * values.itemsize, out=positions[1:])
    return Entries(raw_entries(values).data, len(counts), Layout(positions))


def basket_tail(width: int, count: int, last: int) -> bytes:
    """What ends a basket's key: `width` is the bytes of an entry, or the number of positions where entries vary."""
    return _TAIL.pack(3, max(32000, last), width, count, last) + b"\0"


def basket_payload(pieces: Sequence[Entries], key_length: int, *, variable: bool) -> tuple[bytes, bytes]:
    """(tail of the key header, payload) of a basket that holds `pieces` one after the other.

    `key_length` counts the header without that tail; `variable` says whether readers will look for entry positions.
    OutputError if they are more than one basket can hold.
    """
    key_length += _TAIL.size + 1
    count = sum(piece.count for piece in pieces)
    total = sum(len(piece.data) for piece in pieces)
    if total > _LARGEST:
        raise OutputError(f"{counted(count, 'entry')} of {total:,} bytes: too large for one basket")
    data = b"".join([piece.data.tobytes() for piece in pieces])
    last = key_length + len(data)
    if not variable:
        return basket_tail(len(data) // count if count else 0, count, last), data
    positions = np.zeros(count + 1, np.int64)
    sizes = [np.full(p.count, p.width) if p.layout is None else p.layout.sizes for p in pieces]
    np.cumsum(np.concatenate(sizes), out=positions[1:])
    positions += key_length
    lists = [positions[:count]]
    if any(piece.origins is not None for piece in pieces):
        here = np.split(positions[:count], np.cumsum([piece.count for piece in pieces])[:-1])
        lists.append(np.concatenate([o if p.origins is None else p.origins for p, o in zip(pieces, here, strict=True)]))
    tail = basket_tail(count + 1, count, last)
    # the last of each list is 0, as ROOT leaves it: the end is fLast
    lengths, end = struct.pack(">i", count + 1), b"\0\0\0\0"
    return tail, data + b"".join(lengths + values.astype(">i4").tobytes() + end for values in lists)
