"""ROOT's compressed records: blocks of a 9-byte header (algorithm, method, both sizes) and data."""

import lzma
import struct
import zlib
from collections.abc import Callable
from typing import Any

import cramjam
import uproot
import xxhash

from hepfilter.errors import UsageError

_HEADER = 9
_LZ4_CHECKSUM = 8
_HIGHEST_LEVEL = {"ZLIB": 9, "LZMA": 9, "LZ4": 12, "ZSTD": 22}
Unpacker = Callable[[memoryview, int], Any]
_UNPACKERS: dict[bytes, Unpacker] = {
    b"ZL": lambda data, size: zlib.decompress(data, bufsize=size),
    b"XZ": lambda data, size: cramjam.xz.decompress(data, output_len=size),
    b"ZS": lambda data, size: cramjam.zstd.decompress(data, output_len=size),
    b"L4": lambda data, size: _unpack_lz4(data, size),
}
UNPACK_FAULTS = (OSError, ValueError, struct.error, zlib.error, lzma.LZMAError, cramjam.DecompressionError)
"""What damaged records raise in our own reading of them."""


def unpack(stored: memoryview, size: int) -> bytes | memoryview:
    """The `size` bytes that `stored` holds, compressed or (where both are as long) not.

    ValueError, or the decompressor's own error, if they are damaged.
    """
    if len(stored) == size:
        return stored
    blocks = []
    start = 0
    while start < len(stored):
        algorithm = bytes(stored[start : start + 2])
        packed, unpacked = (int.from_bytes(stored[start + i : start + i + 3], "little") for i in (3, 6))
        start += _HEADER
        if algorithm not in _UNPACKERS or start + packed > len(stored):
            raise ValueError(f"a block of unknown compression {algorithm!r} or beyond the end of its record")
        block = memoryview(_UNPACKERS[algorithm](stored[start : start + packed], unpacked))
        if len(block) != unpacked:
            raise ValueError(f"a block of {len(block)} bytes instead of {unpacked}")
        blocks.append(block)
        start += packed
    whole = blocks[0] if len(blocks) == 1 else memoryview(b"".join(blocks))
    if len(whole) != size:
        raise ValueError(f"{len(whole)} bytes instead of {size}")
    return whole


def _unpack_lz4(data: memoryview, size: int) -> Any:
    """An LZ4 block, behind the xxHash64 of its bytes (ROOT's ZipLZ4), which is checked."""
    if xxhash.xxh64(data[_LZ4_CHECKSUM:]).digest() != bytes(data[:_LZ4_CHECKSUM]):
        raise ValueError("the checksum of an LZ4 block is wrong")
    return cramjam.lz4.decompress_block(data[_LZ4_CHECKSUM:], output_len=size)


def parse_compression(text: str) -> Any:
    """``ZSTD:5`` → uproot's compression, ``none`` → None; UsageError for anything else."""
    name, _, level = text.upper().partition(":")
    if name in ("NONE", "UNCOMPRESSED"):
        return None
    if (
        name not in _HIGHEST_LEVEL
        or not (level.isascii() and level.isdigit())
        or not 1 <= int(level) <= _HIGHEST_LEVEL[name]
    ):
        known = ", ".join(f"{name}:1-{highest}" for name, highest in _HIGHEST_LEVEL.items())
        raise UsageError(f"compression {text!r}: give {known}, or none")
    return getattr(uproot, name)(int(level))
