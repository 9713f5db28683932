"""ROOT's object streaming in writing (what TBufferFile does), as far as the metadata of a TTree needs it."""

import struct
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")

_BYTE_COUNT = 0x40000000
_NEW_CLASS = 0xFFFFFFFF
_CLASS_MASK = 0x80000000
_MAP_OFFSET = 2
_IN_MEMORY_BITS = 0x03000000  # kIsOnHeap | kNotDeleted, set in every object that ROOT streams


def encode_string(text: str) -> bytes:
    """A TString as ROOT stores it: one length byte, or 255 and four; bytes that are no UTF-8 survive a round trip."""
    raw = text.encode("utf-8", errors="surrogateescape")
    return (bytes([len(raw)]) if len(raw) < 255 else struct.pack(">BI", 255, len(raw))) + raw


def decode_string(raw: bytes, start: int) -> tuple[str, int]:
    """(the TString that begins at `start`, the position behind it)."""
    count, first = raw[start], start + 1
    if count == 255:
        count, first = int.from_bytes(raw[first : first + 4], "big"), first + 4
    return raw[first : first + count].decode("utf-8", errors="surrogateescape"), first + count


class ObjectBuffer:
    """One object's bytes, big-endian, with ROOT's table of classes and objects already written.

    References are counted from the start of the key that will carry the object, so the key's length must be known.
    """

    def __init__(self, key_length: int) -> None:
        self.data = bytearray()
        self._key_length = key_length
        self._classes: dict[str, int] = {}
        self._objects: dict[Hashable, int] = {}

    def pack(self, layout: str, *values: float | bytes) -> None:
        """Append values by a `struct` layout without its byte-order sign."""
        self.data += struct.pack(">" + layout, *values)

    def string(self, text: str) -> None:
        """Append a TString."""
        self.data += encode_string(text)

    @contextmanager
    def versioned(self, version: int) -> Iterator[None]:
        """Bracket an object's members with its byte count and class version."""
        start = len(self.data)
        self.pack("IH", 0, version)
        yield
        struct.pack_into(">I", self.data, start, (len(self.data) - start - 4) | _BYTE_COUNT)

    def tobject(self, bits: int = _IN_MEMORY_BITS, unique_id: int = 0) -> None:
        """Append a TObject, version 1."""
        self.pack("HII", 1, unique_id, bits)

    def tnamed(self, name: str, title: str, bits: int = _IN_MEMORY_BITS) -> None:
        """Append a TNamed, version 1."""
        with self.versioned(1):
            self.tobject(bits)
            self.string(name)
            self.string(title)

    def array(self, layout: str, values: Sequence[int]) -> None:
        """Append a counted array member (``[fN]``): a byte that says whether it is there, then its values."""
        self.pack("B", 1 if len(values) else 0)
        self.pack(f"{len(values)}{layout}", *values)

    def pointer(self, identity: Hashable | None, class_name: str, write: Callable[[], None]) -> None:
        """Append a pointer: null, a reference to what was written before under `identity`, or the object itself."""
        if identity is None:
            self.pack("I", 0)
            return
        if identity in self._objects:
            self.pack("I", self._objects[identity])
            return
        start = len(self.data)
        self._objects[identity] = start + self._key_length + _MAP_OFFSET
        self.pack("I", 0)
        if class_name in self._classes:
            self.pack("I", self._classes[class_name] | _CLASS_MASK)
        else:
            self._classes[class_name] = len(self.data) + self._key_length + _MAP_OFFSET
            self.pack("I", _NEW_CLASS)
            self.data += class_name.encode() + b"\0"
        write()
        struct.pack_into(">I", self.data, start, (len(self.data) - start - 4) | _BYTE_COUNT)

    def object_array(self, items: Sequence[Item], write: Callable[[Item], None]) -> None:
        """Append a TObjArray; `write` appends the pointer to each item."""
        with self.versioned(3):
            self.tobject()
            self.string("")
            self.pack("ii", len(items), 0)
            for item in items:
                write(item)
