"""RNTuple's metadata as bytes: envelopes, frames, locators, and the records of the schema.

After the RNTuple Binary Format Specification 1.0 (tree/ntuple/doc/BinaryFormatSpecification.md of ROOT). Records keep
their bytes: what this version does not know of them is written as it was read. Damage raises one of FORMAT_FAULTS.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import xxhash

from hepfilter.wording import counted

HEADER, FOOTER, PAGE_LIST = 1, 2, 3
LEAF, COLLECTION, RECORD, STREAMER = 0, 1, 2, 4  # structural roles; the last is the highest
_REPETITIVE, _PROJECTED = 1, 2
_DEFERRED = 1
_LARGE_LOCATOR = 1
FORMAT_FAULTS = (ValueError, IndexError, OverflowError, struct.error)
"""What damaged metadata raises here."""


class Reader:
    """A position in the bytes of an envelope or a frame; never reads beyond its end."""

    def __init__(self, data: bytes, start: int = 0, stop: int | None = None) -> None:
        self.data = data
        self.at = start
        self.stop = len(data) if stop is None else stop

    def take(self, layout: str) -> tuple[Any, ...]:
        """The next values by a little-endian `struct` layout."""
        end = self.at + struct.calcsize("<" + layout)
        if end > self.stop:
            raise ValueError("a record ends too early")
        values = struct.unpack_from("<" + layout, self.data, self.at)
        self.at = end
        return values

    def string(self) -> str:
        """The next string: 32-bit length and UTF-8."""
        (length,) = self.take("I")
        if self.at + length > self.stop:
            raise ValueError("a string is longer than its record")
        self.at += length
        return self.data[self.at - length : self.at].decode(errors="surrogateescape")

    def frame(self) -> tuple["Reader", int]:
        """(a reader of the next frame's payload, its number of items, -1 for a record frame); moves behind it."""
        start = self.at
        (size,) = self.take("q")
        end = start + abs(size)
        if end > self.stop or abs(size) < 8:
            raise ValueError("a frame is longer than its record")
        count = self.take("I")[0] if size < 0 else -1
        inside = Reader(self.data, self.at, end)
        self.at = end
        return inside, count

    def records(self) -> Iterator[bytes]:
        """The payloads of a list frame of record frames; moves behind the list."""
        inside, count = self.frame()
        for _ in range(count):
            yield inside.frame()[0].rest

    def locator(self) -> tuple[int, int]:
        """(position in the file, bytes stored)."""
        (size,) = self.take("i")
        if size >= 0:
            return int(self.take("Q")[0]), size
        length, kind = size & 0xFFFF, size >> 24 & 0x7F
        if kind != _LARGE_LOCATOR or length != 20:
            raise ValueError(f"a locator of unknown type {kind}")
        stored, position = self.take("QQ")
        return position, stored

    def flags(self) -> int:
        """The feature flags, of which none is defined so far; ValueError if one is set."""
        (flags,) = self.take("Q")
        if flags:
            raise ValueError(f"it uses features {flags:#x} of a later format, which this version does not know")
        return 0

    @property
    def rest(self) -> bytes:
        """The bytes up to the end."""
        return self.data[self.at : self.stop]


def open_envelope(data: bytes, kind: int) -> tuple[Reader, int]:
    """(a reader of an envelope's payload, its checksum, which is verified)."""
    if len(data) < 16:
        raise ValueError("an envelope is cut short")
    (head,) = struct.unpack_from("<Q", data)
    (checksum,) = struct.unpack_from("<Q", data, len(data) - 8)
    if head & 0xFFFF != kind or head >> 16 != len(data):
        raise ValueError(f"there is no envelope of type {kind} and {counted(len(data), 'byte')}")
    if checksum != xxhash.xxh3_64_intdigest(data[:-8]):
        raise ValueError("the checksum of an envelope is wrong")
    return Reader(data, 8, len(data) - 8), checksum


def seal_envelope(kind: int, payload: bytes) -> tuple[bytes, int]:
    """(the envelope's bytes, its checksum)."""
    body = struct.pack("<Q", kind | len(payload) + 16 << 16) + payload
    checksum = xxhash.xxh3_64_intdigest(body)
    return body + struct.pack("<Q", checksum), checksum


def pack_string(text: str) -> bytes:
    """A string as `Reader.string` reads it."""
    raw = text.encode(errors="surrogateescape")
    return struct.pack("<I", len(raw)) + raw


def pack_record(payload: bytes) -> bytes:
    """A record frame."""
    return struct.pack("<q", len(payload) + 8) + payload


def pack_list(items: Iterable[bytes], tail: bytes = b"") -> bytes:
    """A list frame of these items; `tail` lies inside the frame behind them."""
    items = list(items)
    payload = b"".join(items) + tail
    return struct.pack("<qI", -(len(payload) + 12), len(items)) + payload


def pack_locator(position: int, stored: int) -> bytes:
    """A locator; blocks of 2 GB and more do not occur here."""
    return struct.pack("<iQ", stored, position)


@dataclass(frozen=True)
class Field:
    """A field's record. `parent` is its own number at the top level; `source` the field it projects, or None."""

    raw: bytes
    parent: int
    role: int
    name: str
    type_name: str
    description: str
    repetition: int
    source: int | None
    source_at: int

    @classmethod
    def parse(cls, raw: bytes) -> "Field":
        """Read the payload of a field's record frame."""
        record = Reader(raw)
        _, _, parent, role, flags = record.take("IIIHH")
        name, type_name, _, description = (record.string() for _ in range(4))
        repetition = record.take("Q")[0] if flags & _REPETITIVE else 1
        source_at = record.at
        source = record.take("I")[0] if flags & _PROJECTED else None
        return cls(raw, parent, role, name, type_name, description, repetition, source, source_at)

    @classmethod
    def new(
        cls,
        parent: int,
        name: str,
        type_name: str,
        description: str = "",
        *,
        role: int = LEAF,
        length: int | None = None,
        source: int | None = None,
    ) -> "Field":
        """A field; at the top level `parent` is its own number. `length` is that of an array, `source` projected."""
        strings = b"".join(pack_string(text) for text in (name, type_name, "", description))
        flags = _REPETITIVE * (length is not None) | _PROJECTED * (source is not None)
        tail = b"" if length is None else struct.pack("<Q", length)
        tail += b"" if source is None else struct.pack("<I", source)
        return cls.parse(struct.pack("<IIIHH", 0, 0, parent, role, flags) + strings + tail)

    def renumbered(self, numbers: dict[int, int]) -> bytes:
        """The record's bytes with the numbers of other fields translated."""
        raw = bytearray(self.raw)
        struct.pack_into("<I", raw, 8, numbers[self.parent])
        if self.source is not None:
            struct.pack_into("<I", raw, self.source_at, numbers[self.source])
        return bytes(raw)

    @property
    def layout(self) -> tuple[object, ...]:
        """What must agree for two fields' items to stand in one: versions, role, flags, type, and what follows."""
        tail = bytearray(self.raw[self.source_at :])
        if self.source is not None:
            tail[:4] = b"\0\0\0\0"
        return self.raw[:8], self.raw[12:16], self.type_name, self.repetition, bytes(tail)


@dataclass(frozen=True)
class Column:
    """A physical column's record. `first` is the first stored item of a deferred column (negative: and suppressed)."""

    raw: bytes
    kind: int
    bits: int
    field: int
    representation: int
    first: int

    @classmethod
    def parse(cls, raw: bytes) -> "Column":
        """Read the payload of a column's record frame, which is kept without the deferral: we write clusters whole."""
        record = Reader(raw)
        kind, bits, field, flags, representation = record.take("HHIHH")
        first = 0
        if flags & _DEFERRED:
            (first,) = record.take("q")
            raw = raw[:8] + struct.pack("<HH", flags & ~_DEFERRED, representation) + raw[20:]
        return cls(raw, kind, bits, field, representation, first)

    @classmethod
    def new(cls, kind: int, bits: int, field: int) -> "Column":
        """A column with one representation."""
        return cls(struct.pack("<HHIHH", kind, bits, field, 0, 0), kind, bits, field, 0, 0)

    def renumbered(self, numbers: dict[int, int]) -> bytes:
        """The record's bytes with its field's number translated."""
        raw = bytearray(self.raw)
        struct.pack_into("<I", raw, 4, numbers[self.field])
        return bytes(raw)

    @property
    def layout(self) -> tuple[bytes, bytes]:
        """What must agree for two columns' items to stand in one column: type, bits, representation and range."""
        return self.raw[:4], self.raw[8:]


@dataclass(frozen=True)
class Alias:
    """An alias column: the physical column that a projected field shows."""

    raw: bytes
    column: int
    field: int

    @classmethod
    def new(cls, column: int, field: int) -> "Alias":
        """What shows a column as that of a field."""
        return cls.parse(struct.pack("<II", column, field))

    @classmethod
    def parse(cls, raw: bytes) -> "Alias":
        """Read the payload of an alias column's record frame."""
        return cls(raw, *Reader(raw).take("II"))

    def renumbered(self, columns: dict[int, int], fields: dict[int, int]) -> bytes:
        """The record's bytes with both numbers translated."""
        return struct.pack("<II", columns[self.column], fields[self.field]) + self.raw[8:]
