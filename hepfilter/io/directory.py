"""The container of an existing ROOT file: header, directory, keys. Reading only; container.py writes.

Layout after the class documentation of TFile, TKey and TDirectory (https://root.cern/doc/master/classTFile.html).
"""

import struct
import uuid
from dataclasses import dataclass

from hepfilter.io.buffer import decode_string
from hepfilter.io.bytesource import Fetch
from hepfilter.io.compression import unpack
from hepfilter.io.container import Key
from hepfilter.wording import counted

_HEADER_BYTES = 100
_KEY = struct.Struct(">ihiIhh")
_LARGEST_RECORD = 1_000_000_000


@dataclass(frozen=True)
class Record:
    """A record of a file: its key, cycle, position, its payload as stored, and the size of that unpacked, in bytes."""

    key: Key
    cycle: int
    position: int
    stored: bytes
    size: int

    def payload(self) -> bytes:
        """The payload, unpacked; one of UNPACK_FAULTS if it is damaged."""
        return bytes(unpack(memoryview(self.stored), self.size))


@dataclass(frozen=True)
class Entry:
    """A line of a directory: the key of an object, its cycle, and where its record lies; `header` is the line itself.

    The record there begins with just those bytes.
    """

    key: Key
    cycle: int
    position: int
    header: bytes


@dataclass(frozen=True)
class Directory:
    """What a file's first bytes and its list of keys say.

    `code` is ROOT's number of the compression, `info` the position of the StreamerInfo record (0: none), `end` the
    length that the file should have, `entries` the newest cycle of each top-level object, in the file's order, `cycles`
    all of them.
    """

    uuid: str
    code: int
    info: int
    end: int
    entries: tuple[Entry, ...]
    cycles: tuple[Entry, ...]


def read_end(head: bytes) -> int:
    """The length that a file should have by its first 20 bytes; ValueError if they are no ROOT file's."""
    if len(head) < 20 or head[:4] != b"root":
        raise ValueError("it does not begin with 'root'")
    (version,) = struct.unpack_from(">i", head, 4)
    return int(struct.unpack_from(">q" if version >= 1_000_000 else ">i", head, 12)[0])


def read_directory(fetch: Fetch) -> Directory:
    """The directory of the file behind `fetch`; ValueError, IndexError or struct.error where it is damaged."""
    head = fetch(0, _HEADER_BYTES)
    end = read_end(head)
    version, begin = struct.unpack_from(">ii", head, 4)
    big = version >= 1_000_000
    numbers = struct.unpack_from(">qqiiiBiqi" if big else ">iiiiiBiii", head, 12)
    name_bytes, code, info = numbers[4], numbers[6], numbers[7]
    identity = str(uuid.UUID(bytes=head[59 if big else 47 :][:16])) if _has_uuid(head, big=big) else ""
    top = fetch(begin + name_bytes, begin + name_bytes + 42)
    (kind,) = struct.unpack_from(">h", top, 0)
    (keys_position,) = struct.unpack_from(">q", top, 34) if kind > 1000 else struct.unpack_from(">i", top, 26)
    listed = read_record(fetch, keys_position).stored if keys_position else bytes(4)
    (count,) = struct.unpack_from(">i", listed, 0)
    at, entries, cycles = 4, dict[str, Entry](), list[Entry]()
    for _ in range(count):
        entry, at = _entry(listed, at)
        cycles.append(entry)
        known = entries.get(entry.key.name)
        if known is None or known.cycle < entry.cycle:
            entries[entry.key.name] = entry
    return Directory(identity, code, info, end, tuple(entries.values()), tuple(cycles))


def _has_uuid(head: bytes, *, big: bool) -> bool:
    """A TUUID of version 1 stands behind the numbers since ROOT 3.02."""
    return bool(struct.unpack_from(">h", head, 57 if big else 45)[0] == 1)


def read_record(fetch: Fetch, position: int) -> Record:
    """The record at `position`; ValueError, IndexError or struct.error if its header is no key's."""
    if position < 0:
        raise ValueError("a position before the file's beginning")
    nbytes, version, size, _, length, cycle = _KEY.unpack(fetch(position, position + _KEY.size))
    if not 0 < length < nbytes <= _LARGEST_RECORD:
        raise ValueError(f"a key of {counted(length, 'byte')} in a record of {nbytes}")
    raw = fetch(position, position + nbytes)
    if len(raw) != nbytes:
        raise ValueError(f"a record of {counted(nbytes, 'byte')}, of which {len(raw)} are there")
    key, _ = _strings(raw, 34 if version > 1000 else 26, big=version > 1000)
    if key.length != length:
        raise ValueError(f"the record of {key.name!r} has a key of another form")
    return Record(key, cycle, position, raw[length:], size)


def _entry(listed: bytes, at: int) -> tuple[Entry, int]:
    """(the line that begins at `at`, where it ends)."""
    _, version, _, _, _, cycle = _KEY.unpack_from(listed, at)
    big = version > 1000
    (position,) = struct.unpack_from(">q" if big else ">i", listed, at + _KEY.size)
    key, end = _strings(listed, at + (34 if big else 26), big=big)
    return Entry(key, cycle, position, listed[at:end]), end


def _strings(raw: bytes, at: int, *, big: bool) -> tuple[Key, int]:
    """The key whose three strings begin at `at`, and where they end."""
    class_name, at = decode_string(raw, at)
    name, at = decode_string(raw, at)
    title, at = decode_string(raw, at)
    return Key(class_name, name, title, big=big), at
