"""Baskets as raw bytes: an entry is a run of bytes, never interpreted, so that any type survives bit for bit.

A basket's payload is the entries' bytes one after the other; where their sizes vary, a count and the position of each
entry (from the key's start) follow (TBasket's documentation, https://root.cern/doc/master/classTBasket.html).
"""

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hepfilter.errors import SourceError
from hepfilter.io.compression import unpack
from hepfilter.io.reading import READ_FAULTS, Fetch, one_line

Bytes = npt.NDArray[np.uint8]
_KEY = struct.Struct(">ihiIhh")
_TAIL = struct.Struct(">Hiiii")


@dataclass(frozen=True)
class Entries:
    """The bytes of consecutive entries: `data`, and `sizes` (int64, one an entry) or the `width` that all share."""

    data: Bytes
    count: int
    sizes: npt.NDArray[np.int64] | None = None

    @property
    def width(self) -> int:
        """Bytes of one entry where all have the same; 0 if there are none."""
        return len(self.data) // self.count if self.count else 0

    def take(self, index: npt.NDArray[np.int64]) -> "Entries":
        """Only the entries at `index` (rising positions)."""
        if len(index) == self.count:
            return self
        if self.sizes is None:
            return Entries(self.data.reshape(self.count, self.width)[index].reshape(-1), len(index))
        sizes = self.sizes[index]
        starts = np.cumsum(self.sizes)[index] - sizes
        shift = starts - (np.cumsum(sizes) - sizes)
        return Entries(self.data[np.arange(sizes.sum()) + np.repeat(shift, sizes)], len(index), sizes)


class BasketReader:
    """Reads the baskets of one branch (uproot's); `fetch` gives the bytes of its file.

    `edges` (int64) holds the first entry of each basket, and at the end the number of entries.
    """

    def __init__(self, branch: Any, fetch: Fetch) -> None:
        self._branch = branch
        self._fetch = fetch
        self._stored = branch.num_baskets - len(branch.embedded_baskets)
        self._seeks: list[int] = branch.member("fBasketSeek").tolist()
        self._bytes: list[int] = branch.member("fBasketBytes").tolist()
        self._variable = branch.member("fEntryOffsetLen") != 0
        self.edges = np.asarray(branch.entry_offsets, np.int64)

    def read(self, number: int) -> Entries:
        """Basket `number`; SourceError names file, branch and entries if it is damaged."""
        try:
            if number < self._stored:
                return self._read_stored(number)
            basket = self._branch.basket(number)
            return _entries(np.asarray(basket.data), basket.num_entries, basket.byte_offsets)
        except READ_FAULTS as error:
            what = f"branch {self._branch.name}, entries {self.edges[number]} to {self.edges[number + 1] - 1}"
            where = f"{self._branch.file.file_path}: {what}"
            raise SourceError(
                f"{where} cannot be read: {one_line(error)}; the file is damaged, fetch it again"
            ) from error

    def _read_stored(self, number: int) -> Entries:
        """A basket that lies in the file as a record of its own."""
        start, nbytes = self._seeks[number], self._bytes[number]
        entries = int(self.edges[number + 1] - self.edges[number])
        raw = self._fetch(start, start + nbytes)
        stored, _, size, _, key_length, _ = _KEY.unpack_from(raw, 0)
        _, _, _, count, last = _TAIL.unpack_from(raw, key_length - _TAIL.size - 1)
        border = last - key_length
        if stored != nbytes or not 0 <= border <= size or count != entries:
            raise ValueError(f"its header says {stored} bytes and {count} entries, the branch {nbytes} and {entries}")
        payload = np.frombuffer(unpack(memoryview(raw)[key_length:], size), np.uint8)
        if border == size or not self._variable:
            return _entries(payload[:border], count, None)
        words = payload[border:].view(">i4")
        if words[0] < count or len(words) != words[0] + 1:
            raise ValueError("it holds more than entries and their positions")
        positions = words[1 : count + 2].astype(np.int64) - key_length
        return _entries(payload[:border], count, np.append(positions[:count], border))


def _entries(data: Bytes, count: int, positions: npt.NDArray[Any] | None) -> Entries:
    """Entries from their bytes and, where sizes vary, the count + 1 positions at which they begin and end."""
    if positions is None:
        if count and len(data) % count:
            raise ValueError(f"{len(data)} bytes do not divide into {count} entries")
        return Entries(data, count)
    sizes = np.diff(np.asarray(positions, np.int64)).astype(np.int64)
    if count and (sizes.min() < 0 or positions[0] != 0):
        raise ValueError("the positions of its entries do not rise")
    return Entries(data, count, sizes)


def raw_entries(values: npt.NDArray[Any]) -> Entries:
    """A column of numbers, one row an entry, as ROOT's big-endian bytes."""
    swapped = np.ascontiguousarray(values.astype(values.dtype.newbyteorder(">"), copy=False))
    return Entries(swapped.reshape(-1).view(np.uint8), len(values))


def basket_payload(pieces: list[Entries], key_length: int, *, variable: bool) -> tuple[bytes, bytes]:
    """(tail of the key header, payload) of a basket that holds `pieces` one after the other.

    `key_length` counts the header without that tail; `variable` says whether readers will look for entry positions.
    """
    key_length += _TAIL.size + 1
    count = sum(piece.count for piece in pieces)
    data = b"".join(piece.data.tobytes() for piece in pieces)
    last = key_length + len(data)
    if not variable:
        return _TAIL.pack(3, max(32000, last), len(data) // count if count else 0, count, last) + b"\0", data
    sizes = np.concatenate([np.full(p.count, p.width) if p.sizes is None else p.sizes for p in pieces])
    positions = np.zeros(count + 1, ">i4")
    positions[0] = key_length
    positions[1:] = np.cumsum(sizes) + key_length
    positions[-1] = 0  # as ROOT leaves it: the end is fLast
    tail = _TAIL.pack(3, max(32000, last), count + 1, count, last) + b"\0"
    return tail, data + struct.pack(">i", count + 1) + positions.tobytes()
