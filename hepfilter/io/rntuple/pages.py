"""The pages of RNTuple's columns: from bytes to items of one fixed size and back, values never interpreted.

An item is what the column stores of a value, undone only as far as choosing needs it: bytes gathered from their planes,
bits from their bytes, offsets from their differences. So whatever is copied is the same to the last bit.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hepfilter.wording import counted

Items = npt.NDArray[Any]

SWITCH = np.dtype([("index", "<u8"), ("tag", "<u4")])
_LARGEST_PAGE = 2**31  # bytes unpacked; a claim beyond it is damage (ROOT's own writer makes pages of 1 MB)


@dataclass(frozen=True)
class Encoding:
    """How a column type is stored. `bits` of 0 are told by each column (10 to 31, or 1 to 32)."""

    name: str
    bits: int
    dtype: npt.DTypeLike
    split: bool = False
    is_index: bool = False

    def decode(self, page: Any, count: int, bits: int) -> Items:
        """The `count` items of an unpacked page; index columns give offsets. ValueError if its size does not fit."""
        if len(page) != page_size(count, bits):
            wanted = f"{counted(count, 'item')} of {counted(bits, 'bit')}"
            raise ValueError(f"a page of {counted(len(page), 'byte')} for {wanted}")
        if self.name == "Bit":
            return np.unpackbits(np.frombuffer(page, np.uint8), count=count, bitorder="little")
        if not self.bits:
            return _unpack_bits(page, count, bits)
        items = np.frombuffer(page, self.dtype)
        if self.split:
            planes = np.frombuffer(page, np.uint8).reshape(-1, count)
            items = np.ascontiguousarray(planes.T).view(self.dtype).reshape(-1)
        return np.cumsum(items, dtype=items.dtype) if self.split and self.is_index else items

    def encode(self, items: Items, bits: int) -> bytes:
        """A page of these items, the inverse of `decode`."""
        if self.name == "Bit":
            return np.packbits(items, bitorder="little").tobytes()
        if not self.bits:
            return _pack_bits(items, bits)
        if self.split and self.is_index:
            items = np.diff(items, prepend=items.dtype.type(0))
        if self.split:
            planes = np.ascontiguousarray(items).view(np.uint8).reshape(len(items), -1).T
            return np.ascontiguousarray(planes).tobytes()
        return items.tobytes()


# by the specification's numbers of column types
ENCODINGS = (
    Encoding("Bit", 1, np.uint8),
    Encoding("Byte", 8, np.uint8),
    Encoding("Char", 8, np.uint8),
    Encoding("Int8", 8, np.uint8),
    Encoding("UInt8", 8, np.uint8),
    Encoding("Int16", 16, "<u2"),
    Encoding("UInt16", 16, "<u2"),
    Encoding("Int32", 32, "<u4"),
    Encoding("UInt32", 32, "<u4"),
    Encoding("Int64", 64, "<u8"),
    Encoding("UInt64", 64, "<u8"),
    Encoding("Real16", 16, "<u2"),
    Encoding("Real32", 32, "<u4"),
    Encoding("Real64", 64, "<u8"),
    Encoding("Index32", 32, "<u4", is_index=True),
    Encoding("Index64", 64, "<u8", is_index=True),
    Encoding("Switch", 96, SWITCH),
    Encoding("SplitInt16", 16, "<u2", split=True),
    Encoding("SplitUInt16", 16, "<u2", split=True),
    Encoding("SplitInt32", 32, "<u4", split=True),
    Encoding("SplitUInt32", 32, "<u4", split=True),
    Encoding("SplitInt64", 64, "<u8", split=True),
    Encoding("SplitUInt64", 64, "<u8", split=True),
    Encoding("SplitReal16", 16, "<u2", split=True),
    Encoding("SplitReal32", 32, "<u4", split=True),
    Encoding("SplitReal64", 64, "<u8", split=True),
    Encoding("SplitIndex32", 32, "<u4", split=True, is_index=True),
    Encoding("SplitIndex64", 64, "<u8", split=True, is_index=True),
    Encoding("Real32Trunc", 0, "<u4"),
    Encoding("Real32Quant", 0, "<u4"),
)


def page_size(count: int, bits: int) -> int:
    """Bytes of an unpacked page of `count` items; ValueError for a claim that no page can meet."""
    size = (count * bits + 7) // 8
    if size > _LARGEST_PAGE:
        raise ValueError(f"a page of {counted(size, 'byte')}")
    return size


def _unpack_bits(page: Any, count: int, bits: int) -> Items:
    """Items of `bits` bits each, packed without gaps from the lowest bit on, as 32-bit integers."""
    flat = np.unpackbits(np.frombuffer(page, np.uint8), count=count * bits, bitorder="little")
    wide = np.zeros((count, 32), np.uint8)
    wide[:, :bits] = flat.reshape(count, bits)
    return np.packbits(wide, axis=1, bitorder="little").view("<u4").reshape(-1)


def _pack_bits(items: Items, bits: int) -> bytes:
    wide = np.unpackbits(items.astype("<u4").view(np.uint8).reshape(-1, 4), axis=1, bitorder="little")
    return np.packbits(wide[:, :bits], bitorder="little").tobytes()
