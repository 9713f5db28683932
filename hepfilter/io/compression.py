"""ROOT's compressed records: blocks of a 9-byte header (algorithm, method, both sizes) and data."""

import lzma
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cramjam
import lz4.block
import numpy as np
import xxhash

from hepfilter.errors import UsageError
from hepfilter.wording import counted

_HEADER = 9
_LZ4_CHECKSUM = 8
_LARGEST_BLOCK = 2**24 - 1
_LARGEST_DICTIONARY = 2**26  # that of LZMA's highest level
_RATIO = 33_000  # bytes that one packed byte can stand for: constant data in ZSTD reach 31,715 (LZMA 6,500, ZLIB 1,030)
_LARGEST_GAIN = 2**26  # bytes of one record beyond a thousand times its length: so large are no constant ones
_CODES = {"ZLIB": 1, "LZMA": 2, "LZ4": 4, "ZSTD": 5}
_HIGHEST_LEVEL = {"ZLIB": 9, "LZMA": 9, "LZ4": 12, "ZSTD": 22}
Unpacker = Callable[[memoryview, int], Any]
_UNPACKERS: dict[bytes, Unpacker] = {
    b"ZL": lambda data, size: _unpack_zlib(data, size),
    b"XZ": lambda data, size: _unpack_lzma(data, size),
    b"ZS": lambda data, size: _unpack_into(cramjam.zstd, data, size),
    b"L4": lambda data, size: _unpack_lz4(data, size),
}
UNPACK_FAULTS = (OSError, ValueError, struct.error, zlib.error, lzma.LZMAError, cramjam.DecompressionError)
"""What damaged records raise in our own reading of them."""


@dataclass(frozen=True)
class Compression:
    """An algorithm by name (ZLIB, LZMA, LZ4, ZSTD) and its level."""

    algorithm: str
    level: int

    @property
    def code(self) -> int:
        """ROOT's number for both: 100 × algorithm + level."""
        return 100 * _CODES[self.algorithm] + self.level


def read_code(code: int) -> Compression | None:
    """What ROOT's number means; None for no compression, and the default where the algorithm is left open."""
    algorithm, level = divmod(code, 100)
    if level == 0 or code < 0:
        return None
    names = {number: name for name, number in _CODES.items()}
    name = names.get(algorithm, "ZLIB")
    return Compression(name, min(level, _HIGHEST_LEVEL[name]))


def pack(payload: bytes, compression: Compression | None) -> bytes:
    """`payload` in ROOT's blocks; as it is where that would be no shorter, which readers tell from the sizes.

    So it is, too, where a block grew beyond the length that its header can tell.
    """
    if compression is None or not payload:
        return payload
    pieces = [payload[start : start + _LARGEST_BLOCK] for start in range(0, len(payload), _LARGEST_BLOCK)]
    blocks = [_pack_block(piece, compression) for piece in pieces]
    fitting = all(len(block) - _HEADER <= _LARGEST_BLOCK for block in blocks)
    return b"".join(blocks) if fitting and sum(map(len, blocks)) < len(payload) else payload


def _pack_block(piece: bytes, compression: Compression) -> bytes:
    """One block; its header as RZip.cxx of ROOT writes it."""
    level = compression.level
    if compression.algorithm == "ZSTD":
        magic, packed = b"ZS\x01", bytes(cramjam.zstd.compress(piece, level=level))
    elif compression.algorithm == "LZ4":
        mode = {"mode": "high_compression", "compression": level} if level > 3 else {"mode": "default"}
        block = lz4.block.compress(piece, store_size=False, **mode)
        magic, packed = b"L4\x01", xxhash.xxh64(block).digest() + block
    elif compression.algorithm == "LZMA":
        # a dictionary larger than the data costs milliseconds a basket and gains nothing
        room = max(4096, 1 << (len(piece) - 1).bit_length())
        preset = {"id": lzma.FILTER_LZMA2, "preset": level, "dict_size": min(room, _LARGEST_DICTIONARY)}
        magic, packed = b"XZ\x00", lzma.compress(piece, check=lzma.CHECK_CRC32, filters=[preset])
    else:
        magic, packed = b"ZL\x08", zlib.compress(piece, level)
    if len(packed) > _LARGEST_BLOCK:
        return magic + bytes(6) + packed  # only to be seen as too long
    return magic + len(packed).to_bytes(3, "little") + len(piece).to_bytes(3, "little") + packed


def most_unpacked(stored: int) -> int:
    """The most bytes that a record of `stored` packed ones can hold."""
    return min(_RATIO * stored, max(_LARGEST_GAIN, 1000 * stored))


def unpack(stored: memoryview, size: int) -> bytes | memoryview:
    """The `size` bytes that `stored` holds, compressed or (where both are as long) not.

    ValueError, or the decompressor's own error, if they are damaged, or more than so few can hold.
    """
    if len(stored) == size:
        return stored
    if size > most_unpacked(len(stored)):
        raise ValueError(f"{counted(size, 'byte')} in {len(stored):,}, more than a record can hold")
    blocks = []
    start, left = 0, size
    while start < len(stored):
        algorithm = bytes(stored[start : start + 2])
        packed, unpacked = (int.from_bytes(stored[start + i : start + i + 3], "little") for i in (3, 6))
        start += _HEADER
        if algorithm not in _UNPACKERS or start + packed > len(stored):
            raise ValueError(f"a block of unknown compression {algorithm!r} or beyond the end of its record")
        left -= unpacked
        if left < 0:
            raise ValueError(f"more than {counted(size, 'byte')}")
        block = memoryview(_UNPACKERS[algorithm](stored[start : start + packed], unpacked))
        if len(block) != unpacked:
            raise ValueError(f"a block of {counted(len(block), 'byte')} instead of {unpacked}")
        blocks.append(block)
        start += packed
    whole = blocks[0] if len(blocks) == 1 else memoryview(b"".join(blocks))
    if len(whole) != size:
        raise ValueError(f"{counted(len(whole), 'byte')} instead of {size}")
    return whole


def _unpack_zlib(data: memoryview, size: int) -> bytes:
    """A zlib stream, no further than one byte beyond `size`: a damaged one may hold a thousand times its length."""
    stream = zlib.decompressobj()
    block = stream.decompress(data, size + 1)
    if not stream.eof:
        raise ValueError(f"a block that does not end after {counted(size, 'byte')}")
    return block


def _unpack_lzma(data: memoryview, size: int) -> memoryview:
    """An xz stream, no further than one byte beyond `size`, whose checksum is checked.

    The liblzma of imagecodecs takes four fifths of the time of Python's own, which is often an older one.
    """
    from imagecodecs import LzmaError, lzma_decode  # only those who read LZMA need it

    decode: Callable[..., Any] = lzma_decode  # takes and gives any buffers, though its stubs say otherwise
    try:
        block: memoryview = decode(data, out=memoryview(bytearray(size + 1)))
        return block
    except LzmaError as error:
        raise ValueError(f"a damaged LZMA block: {error}") from error


def _unpack_into(library: Any, data: memoryview, size: int) -> memoryview:
    """What a decompressor of cramjam writes into `size` bytes; it refuses more."""
    block = np.empty(size, np.uint8)
    return block.data[: library.decompress_into(data, block)]


def _unpack_lz4(data: memoryview, size: int) -> Any:
    """An LZ4 block, behind the xxHash64 of its bytes (ROOT's ZipLZ4), which is checked."""
    if xxhash.xxh64(data[_LZ4_CHECKSUM:]).digest() != bytes(data[:_LZ4_CHECKSUM]):
        raise ValueError("the checksum of an LZ4 block is wrong")
    return cramjam.lz4.decompress_block(data[_LZ4_CHECKSUM:], output_len=size)


def parse_compression(text: str) -> Compression | None:
    """``ZSTD:5`` → its Compression, ``none`` → None; UsageError for anything else."""
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
    return Compression(name, int(level))
