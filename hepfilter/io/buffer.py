"""ROOT's object streaming (what TBufferFile does), as far as the metadata of a TTree needs it: both ways."""

import struct
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

Item = TypeVar("Item")

_BYTE_COUNT = 0x40000000
_NEW_CLASS = 0xFFFFFFFF
_CLASS_MASK = 0x80000000
_MAP_OFFSET = 2
_IS_REFERENCED = 0x10  # behind the bits of such an object stands the number of a TProcessID
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


@cache
def _layout(layout: str) -> struct.Struct:
    return struct.Struct(">" + layout)


class ObjectReader:
    """Reads what ObjectBuffer writes. ValueError, IndexError or struct.error where the bytes do not fit.

    `at` is the position of the next byte; `key_length` that of the key before the object, as references count from it.
    """

    def __init__(self, data: bytes, key_length: int) -> None:
        self.data = data
        self.at = 0
        self._key_length = key_length
        self._classes: dict[int, str] = {}
        self._objects: dict[int, Any] = {}

    def unpack(self, layout: str) -> tuple[Any, ...]:
        """Values by a `struct` layout without its byte-order sign."""
        form = _layout(layout)
        values = form.unpack_from(self.data, self.at)
        self.at += form.size
        return values

    def string(self) -> str:
        """A TString."""
        text, self.at = decode_string(self.data, self.at)
        return text

    def version(self) -> tuple[int, int]:
        """(class version, position behind the object)."""
        count, version = self.unpack("IH")
        if not count & _BYTE_COUNT:
            raise ValueError("an object without a byte count")
        return version, self.at - 2 + (count & ~_BYTE_COUNT)

    def skip(self) -> None:
        """Step over an object that begins with its byte count."""
        _, self.at = self.version()

    def tobject(self) -> int:
        """The bits of a TObject."""
        _, _, bits = self.unpack("HII")
        if bits & _IS_REFERENCED:
            self.at += 2  # the number of a TProcessID
        return int(bits)

    def tnamed(self) -> tuple[str, str, int]:
        """Name, title and bits of a TNamed."""
        _, end = self.version()
        bits = self.tobject()
        name, title = self.string(), self.string()
        self.at = end
        return name, title, bits

    def pointer(self, make: Callable[[str], Any], fill: Callable[[str, Any], None]) -> Any:
        """What a pointer leads to: None, an object met before, or a new one.

        A new object is made by `make(class name)` and known from then on, also to those inside it, and read by
        `fill(class name, object)`.
        """
        start = self.at
        (count,) = self.unpack("I")
        if not count & _BYTE_COUNT or count == _NEW_CLASS:
            return None if count == 0 else self._objects[count]
        end = start + 4 + (count & ~_BYTE_COUNT)
        name = self._class_name()
        made = self._objects[start + self._key_length + _MAP_OFFSET] = make(name)
        fill(name, made)
        if self.at > end:
            raise ValueError(f"a {name} that is longer than it says")
        self.at = end
        return made

    def _class_name(self) -> str:
        """The class of the object that follows: by name the first time, by reference later."""
        start = self.at
        (tag,) = self.unpack("I")
        if tag != _NEW_CLASS:
            return self._classes[tag & ~_CLASS_MASK]
        end = self.data.index(b"\0", self.at)
        name = self._classes[start + self._key_length + _MAP_OFFSET] = self.data[self.at : end].decode("ascii")
        self.at = end + 1
        return name

    def object_array(self, read: Callable[[], Item]) -> list[Item]:
        """The items of a TObjArray; `read` reads the pointer to each."""
        _, end = self.version()
        self.tobject()
        self.string()
        length, _ = self.unpack("ii")
        items = [read() for _ in range(length)]
        self.at = end
        return items
