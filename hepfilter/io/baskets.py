"""Baskets as raw bytes: an entry is a run of bytes, never interpreted, so that any type survives bit for bit.

A basket's payload is the entries' bytes one after the other; where their sizes vary, a count and the position of each
entry (from the key's start) follow (TBasket's documentation, https://root.cern/doc/master/classTBasket.html). Objects
behind pointers name their class once an entry and refer back to it by position, so an entry that holds such a reference
carries along where it once stood: the displacement, a second list of positions behind the first.
"""

import re
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hepfilter.errors import OutputError, SourceError
from hepfilter.io.compression import UNPACK_FAULTS, unpack
from hepfilter.io.reading import READ_FAULTS, Fetch, one_line

Bytes = npt.NDArray[np.uint8]
Positions = npt.NDArray[np.int64]
_KEY = struct.Struct(">ihiIhh")
_TAIL = struct.Struct(">Hiiii")
_LARGEST = 1_000_000_000  # bytes in one basket; ROOT's own limit is 2 GB
_CLASS_NAMED = re.compile(rb"\x40[\x00-\xff]{3}\xff{4}[A-Za-z_][\w:<>,* ]*\x00")  # byte count, new class, its name


@dataclass(frozen=True)
class Entries:
    """The bytes of consecutive entries: `data`, and `sizes` (int64, one an entry) or the `width` that all share.

    `origins` (int64, one an entry) is where each entry first stood, counted from its key's start, for entries with
    references inside; else None.
    """

    data: Bytes
    count: int
    sizes: Positions | None = None
    origins: Positions | None = None

    @property
    def width(self) -> int:
        """Bytes of one entry where all have the same; 0 if there are none."""
        return len(self.data) // self.count if self.count else 0

    def take(self, index: Positions) -> "Entries":
        """Only the entries at `index` (rising positions)."""
        if len(index) == self.count:
            return self
        if self.sizes is None:
            return Entries(self.data.reshape(self.count, self.width)[index].reshape(-1), len(index))
        sizes = self.sizes[index]
        starts = np.cumsum(self.sizes)[index] - sizes
        shift = starts - (np.cumsum(sizes) - sizes)
        data = self.data[np.arange(sizes.sum()) + np.repeat(shift, sizes)]
        return Entries(data, len(index), sizes, None if self.origins is None else self.origins[index])


class BasketReader:
    """Reads the baskets of one branch (uproot's); `fetch` gives the bytes of its file.

    `edges` (int64) holds the first entry of each basket, and at the end the number of entries. SourceError if those are
    not the tree's `num_entries` (a branch without any basket, such as one that only groups others, is left alone).
    """

    def __init__(self, branch: Any, fetch: Fetch, *, num_entries: int) -> None:
        self._branch = branch
        self._fetch = fetch
        self._stored = branch.num_baskets - len(branch.embedded_baskets)
        self._seeks: list[int] = branch.member("fBasketSeek").tolist()
        self._bytes: list[int] = branch.member("fBasketBytes").tolist()
        self._variable = branch.member("fEntryOffsetLen") != 0
        self._may_refer = branch.classname != "TBranch"
        self._last: tuple[int, Entries] | None = None
        self.edges = np.asarray(branch.entry_offsets, np.int64)
        groups_others = branch.num_baskets == 0 and (self._may_refer or len(branch.branches) > 0)
        if self.edges[-1] != num_entries and not groups_others:
            where = f"{branch.file.file_path}: branch {branch.name}"
            raise SourceError(f"{where} has {self.edges[-1]} entries, its tree {num_entries}; fill it, or leave it out")

    def read(self, number: int) -> Entries:
        """Basket `number`, kept until another is asked for; SourceError names file, branch and entries."""
        if self._last is None or self._last[0] != number:
            self._last = (number, self._read(number))
        return self._last[1]

    def _read(self, number: int) -> Entries:
        try:
            return self._read_stored(number) if number < self._stored else self._read_embedded(number)
        except UNPACK_FAULTS as error:
            what = f"branch {self._branch.name}, entries {self.edges[number]} to {self.edges[number + 1] - 1}"
            where = f"{self._branch.file.file_path}: {what}"
            raise SourceError(
                f"{where} cannot be read: {one_line(error)}; the file is damaged, fetch it again"
            ) from error

    def _read_embedded(self, number: int) -> Entries:
        """A basket that lies inside the tree's own record, where uproot has read it."""
        try:
            basket = self._branch.basket(number)
        except READ_FAULTS as error:
            raise ValueError(one_line(error)) from error
        offsets = None if basket.byte_offsets is None else np.asarray(basket.byte_offsets, np.int64)
        return self._entries(np.asarray(basket.data), basket.num_entries, offsets, int(basket.member("fKeylen")))

    def _read_stored(self, number: int) -> Entries:
        """A basket that lies in the file as a record of its own."""
        start, nbytes = self._seeks[number], self._bytes[number]
        entries = int(self.edges[number + 1] - self.edges[number])
        raw = self._fetch(start, start + nbytes)
        stored, _, size, _, key_length, _ = _KEY.unpack_from(raw, 0)
        _, _, _, count, last = _TAIL.unpack_from(raw, key_length - _TAIL.size - 1)
        border = last - key_length
        if stored != nbytes or len(raw) != nbytes or not 0 <= border <= size or count != entries:
            raise ValueError(f"its header says {stored} bytes and {count} entries, the branch {nbytes} and {entries}")
        payload = np.frombuffer(unpack(memoryview(raw)[key_length:], size), np.uint8)
        if border == size or not self._variable:
            return self._entries(payload[:border], count, None, key_length)
        lists = _position_lists(payload[border:], count)
        positions = np.append(lists[0][:count] - key_length, border)
        return self._entries(payload[:border], count, positions, key_length, lists[1] if len(lists) > 1 else None)

    def _entries(
        self, data: Bytes, count: int, positions: Positions | None, key_length: int, displaced: Positions | None = None
    ) -> Entries:
        """Entries from their bytes and, where sizes vary, the count + 1 positions at which they begin and end."""
        if positions is None:
            if count and len(data) % count:
                raise ValueError(f"{len(data)} bytes do not divide into {count} entries")
            return Entries(data, count)
        sizes = np.diff(positions)
        if count and (sizes.min() < 0 or positions[0] != 0):
            raise ValueError("the positions of its entries do not rise")
        if displaced is not None:
            return Entries(data, count, sizes, displaced[:count])
        refers = self._may_refer and _CLASS_NAMED.search(data.tobytes()) is not None
        return Entries(data, count, sizes, positions[:count] + key_length if refers else None)


def _position_lists(raw: Bytes, count: int) -> list[Positions]:
    """The lists of positions behind a basket's entries: each a number and that many positions, at least `count`."""
    words = raw.view(">i4").astype(np.int64)
    lists: list[Positions] = []
    while len(words):
        length = int(words[0])
        if not count <= length < len(words) or len(lists) == 2:
            raise ValueError("it holds more than entries and their positions")
        lists.append(words[1 : length + 1])
        words = words[length + 1 :]
    return lists


def raw_entries(values: npt.NDArray[Any]) -> Entries:
    """A column of numbers, one row an entry, as ROOT's big-endian bytes."""
    swapped = np.ascontiguousarray(values.astype(values.dtype.newbyteorder(">"), copy=False))
    return Entries(swapped.reshape(-1).view(np.uint8), len(values))


def basket_payload(pieces: list[Entries], key_length: int, *, variable: bool) -> tuple[bytes, bytes]:
    """(tail of the key header, payload) of a basket that holds `pieces` one after the other.

    `key_length` counts the header without that tail; `variable` says whether readers will look for entry positions.
    OutputError if they are more than one basket can hold.
    """
    key_length += _TAIL.size + 1
    count = sum(piece.count for piece in pieces)
    total = sum(len(piece.data) for piece in pieces)
    if total > _LARGEST:
        raise OutputError(f"{count} entries of {total:,} bytes are too large for one basket")
    data = b"".join(piece.data.tobytes() for piece in pieces)
    last = key_length + len(data)
    if not variable:
        return _TAIL.pack(3, max(32000, last), len(data) // count if count else 0, count, last) + b"\0", data
    sizes = np.concatenate([np.full(p.count, p.width) if p.sizes is None else p.sizes for p in pieces])
    positions = np.append(0, np.cumsum(sizes)) + key_length
    lists = [np.append(positions[:count], 0)]  # the last is 0, as ROOT leaves it: the end is fLast
    if any(piece.origins is not None for piece in pieces):
        here = np.split(positions[:count], np.cumsum([piece.count for piece in pieces])[:-1])
        origins = [own if piece.origins is None else piece.origins for piece, own in zip(pieces, here, strict=True)]
        lists.append(np.append(np.concatenate(origins), 0))
    tail = _TAIL.pack(3, max(32000, last), count + 1, count, last) + b"\0"
    return tail, data + b"".join(struct.pack(">i", count + 1) + values.astype(">i4").tobytes() for values in lists)
