"""Baskets as raw bytes: an entry is a run of bytes, never interpreted, so that any type survives bit for bit.

A basket's payload is the entries' bytes one after the other; where their sizes vary, a count and the position of each
entry (from the key's start) follow (TBasket's documentation, https://root.cern/doc/master/classTBasket.html).
"""

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import uproot

from hepfilter.errors import SourceError
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

    def select(self, kept: npt.NDArray[np.bool_]) -> "Entries":
        """Only the entries where `kept` (bool, one an entry) is true, in their order."""
        count = int(np.count_nonzero(kept))
        if count == self.count:
            return self
        if self.sizes is None:
            return Entries(self.data.reshape(self.count, self.width)[kept].reshape(-1), count)
        return Entries(self.data[np.repeat(kept, self.sizes)], count, self.sizes[kept])


def read_basket(branch: Any, number: int, fetch: Fetch) -> Entries:
    """Basket `number` of an uproot branch; `fetch` is its file's. SourceError names file, branch and entries."""
    try:
        if number >= branch.num_baskets - len(branch.embedded_baskets):
            basket = branch.basket(number)
            return _entries(np.asarray(basket.data), basket.num_entries, basket.byte_offsets)
        return _read_stored(branch, number, fetch)
    except READ_FAULTS as error:
        first, stop = branch.basket_entry_start_stop(number)
        where = f"{branch.file.file_path}: branch {branch.name}, entries {first} to {stop - 1}"
        raise SourceError(f"{where} cannot be read: {one_line(error)}; the file is damaged, fetch it again") from error


def _read_stored(branch: Any, number: int, fetch: Fetch) -> Entries:
    """A basket that lies in the file as a record of its own."""
    start = int(branch.member("fBasketSeek")[number])
    nbytes = int(branch.member("fBasketBytes")[number])
    raw = fetch(start, start + nbytes)
    stored, _, size, _, key_length, _ = _KEY.unpack_from(raw, 0)
    _, _, _, count, last = _TAIL.unpack_from(raw, key_length - _TAIL.size - 1)
    border = last - key_length
    first, stop = branch.basket_entry_start_stop(number)
    if stored != nbytes or not 0 <= border <= size or count != stop - first:
        raise ValueError(f"its header says {stored} bytes and {count} entries, the branch {nbytes} and {stop - first}")
    payload = np.frombuffer(raw, np.uint8)[key_length:]
    if len(payload) != size:
        payload = _unpack(payload, size)
    if border == size or not branch.member("fEntryOffsetLen"):
        return _entries(payload[:border], count, None)
    words = payload[border:].view(">i4")
    if words[0] < count or len(words) != words[0] + 1:
        raise ValueError("it holds more than entries and their positions")
    positions = words[1 : count + 2].astype(np.int64) - key_length
    positions = np.append(positions[:count], border)
    return _entries(payload[:border], count, positions)


def _unpack(payload: Bytes, size: int) -> Bytes:
    """The decompressed payload of `size` bytes."""
    chunk = uproot.source.chunk.Chunk.wrap(None, payload)
    unpacked = uproot.compression.decompress(chunk, uproot.source.cursor.Cursor(0), {}, len(payload), size)
    return np.asarray(unpacked.raw_data)


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
