"""The ROOT file as a container: header, keys, directory. Append-only, and renamed into place when whole.

Layout after the class documentation of TFile, TKey and TDirectory (https://root.cern/doc/master/classTFile.html). All
records use 64-bit positions, so that a file may pass 2 GB without a rewrite, except where a copied record must keep its
source's key length, because references inside it are counted from the key's start.
"""

import datetime
import os
import struct
import uuid
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hepfilter.errors import OutputError
from hepfilter.io.buffer import encode_string
from hepfilter.io.compression import Compression, pack
from hepfilter.io.publishing import Publication, publish, remember_unfinished, unfinished

BEGIN = 100
"""Where the first record of a file begins: that of its directory."""
FORMAT_VERSION = 62400 + 1_000_000  # ROOT 6.24's file format, 64-bit positions
SMALL_LIMIT = 2**31
"""Positions from here on do not fit 32 bits."""


@dataclass(frozen=True)
class Key:
    """The header of a record. Positions and sizes in bytes; `big` keys hold 64-bit positions."""

    class_name: str
    name: str
    title: str
    big: bool = True

    @property
    def length(self) -> int:
        """Bytes that the header takes."""
        strings = sum(len(encode_string(text)) for text in (self.class_name, self.name, self.title))
        return (34 if self.big else 26) + strings

    def header(self, *, position: int, stored: int, size: int, directory: int, stamp: int, cycle: int) -> bytes:
        """The header for a payload of `stored` bytes on disk and `size` bytes uncompressed."""
        version, seeks = (1004, ">qq") if self.big else (4, ">ii")
        numbers = struct.pack(">ihiIhh", self.length + stored, version, size, stamp, self.length, cycle)
        strings = b"".join(encode_string(text) for text in (self.class_name, self.name, self.title))
        return numbers + struct.pack(seeks, position, directory) + strings


def basket_header(key: Key, *, tail: int, position: int, nbytes: int, size: int, stamp: int) -> bytes:
    """The header of a basket's key before its tail of `tail` bytes, of a record of `nbytes` bytes in all."""
    header = bytearray(key.header(position=position, stored=0, size=size, directory=BEGIN, stamp=stamp, cycle=0))
    struct.pack_into(">i", header, 0, nbytes)
    struct.pack_into(">h", header, 14, key.length + tail)
    return bytes(header)


@dataclass(frozen=True)
class PackedBasket:
    """A basket ready for the disk: the `tail` of its key, its payload as `stored`, and the `size` of that unpacked."""

    tail: bytes
    stored: bytes
    size: int


def pack_time(moment: datetime.datetime) -> int:
    """A TDatime: year since 1995, month, day, hour, minute, second in 6, 4, 5, 5, 6, 6 bits."""
    year, month, day = moment.year - 1995, moment.month, moment.day
    return year << 26 | month << 22 | day << 17 | moment.hour << 12 | moment.minute << 6 | moment.second


class RootFile:
    """A ROOT file being written.

    Leaving the `with` block renames it into place, or leaves that to its `publication`; an exception removes it.
    """

    def __init__(self, path: Path, *, compression: Compression | None, publication: Publication | None = None) -> None:
        self.path = path
        self.compression = compression
        self._publication = publication
        self._partial = unfinished(path)
        self._stamp = pack_time(datetime.datetime.now())
        self._uuid = uuid.uuid4().bytes
        self._listed: list[bytes] = []
        self._cycles: dict[str, int] = {}
        self._info = (0, 0)
        self._root = Key("TFile", path.name, "")
        remember_unfinished(self._partial)
        self._file: IO[bytes] = self._create()
        self._position = BEGIN
        self._append(self._root, self._directory(0, 0))

    def __enter__(self) -> "RootFile":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with ExitStack() as clean_up:
            clean_up.callback(self._partial.unlink, missing_ok=True)
            clean_up.callback(self._close)
            if kind is not None:
                return
            self._finish()
            self._file.close()
            if self._publication is None:
                publish(self._partial, self.path)
            else:
                self._publication.add(self._partial, self.path)
                clean_up.pop_all()

    def _close(self) -> None:
        with suppress(OSError):  # a full disk was told before; closing would tell it again
            self._file.close()

    @property
    def position(self) -> int:
        """Where the next record will begin."""
        return self._position

    def add(self, key: Key, payload: bytes, *, compress: bool = True) -> None:
        """Append an object and list it in the file's directory; a name used before gets the next cycle."""
        cycle = self._cycles[key.name] = self._cycles.get(key.name, 0) + 1
        stored = pack(payload, self.compression) if compress else payload
        self._listed.append(self._append(key, stored, size=len(payload), cycle=cycle))

    def add_stored(self, key: Key, stored: bytes, size: int) -> None:
        """Append an object whose payload is already as it shall lie on disk: a record copied from another file."""
        cycle = self._cycles[key.name] = self._cycles.get(key.name, 0) + 1
        self._listed.append(self._append(key, stored, size=size, cycle=cycle))

    def add_basket(self, tree: str, branch: str, basket: PackedBasket) -> tuple[int, int, int]:
        """Append a TBasket; return its position, bytes on disk and bytes unpacked."""
        key = Key("TBasket", branch, tree)
        length = key.length + len(basket.tail)
        position, nbytes = self._position, length + len(basket.stored)
        header = basket_header(
            key, tail=len(basket.tail), position=position, nbytes=nbytes, size=basket.size, stamp=self._stamp
        )
        self._write(header + basket.tail + basket.stored)
        return position, nbytes, length + basket.size

    def add_blob(self, payload: bytes) -> int:
        """Append bytes that no directory lists, as an RNTuple's pages and envelopes lie; return where they begin."""
        self._append(Key("RBlob", "", ""), payload)
        return self._position - len(payload)

    def set_streamers(self, key: Key, stored: bytes, size: int) -> None:
        """Append the StreamerInfo record, copied from a source as it lies there."""
        self._info = (self._position, key.length + len(stored))
        self._append(key, stored, size=size)

    def _create(self) -> IO[bytes]:
        try:
            stream = self._partial.open("wb")
            stream.write(b"\0" * BEGIN)
        except OSError as error:
            raise OutputError(
                f"{self.path}: cannot be written: {error.strerror}; choose a folder that exists and is writable"
            ) from error
        return stream

    def _write(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be written: {error.strerror}; nothing is left behind") from error
        self._position += len(data)

    def _append(self, key: Key, stored: bytes, *, size: int | None = None, cycle: int = 1) -> bytes:
        if not key.big and self._position >= SMALL_LIMIT:
            raise OutputError(f"{self.path}: object {key.name!r} of a small file cannot be copied behind 2 GB")
        parent = 0 if self._position == BEGIN else BEGIN
        size = len(stored) if size is None else size
        header = key.header(
            position=self._position, stored=len(stored), size=size, directory=parent, stamp=self._stamp, cycle=cycle
        )
        self._write(header + stored)
        return header

    def _directory(self, keys_position: int, keys_bytes: int) -> bytes:
        """The root directory's record: names, times, where the list of keys lies."""
        names = encode_string(self.path.name) + encode_string("")
        name_bytes = self._root.length + len(names)
        numbers = struct.pack(">hIIii", 1005, self._stamp, self._stamp, keys_bytes, name_bytes)
        return names + numbers + struct.pack(">qqq", BEGIN, 0, keys_position) + struct.pack(">h", 1) + self._uuid

    def _finish(self) -> None:
        """Write the list of keys, the free list and the header; flush to disk; rename."""
        keys_position = self._position
        self._append(self._root, struct.pack(">i", len(self._listed)) + b"".join(self._listed))
        keys_bytes = self._position - keys_position
        free_position = self._position
        free_bytes = self._root.length + 18
        end = free_position + free_bytes
        self._append(self._root, struct.pack(">hqq", 1001, end, max(2_000_000_000, end + 1_000_000_000)))
        code = 0 if self.compression is None else self.compression.code
        name_bytes = self._root.length + len(encode_string(self.path.name)) + 1
        header = b"root" + struct.pack(
            ">iiqqiiiBiqi", FORMAT_VERSION, BEGIN, end, free_position, free_bytes, 1, name_bytes, 8, code, *self._info
        )
        try:
            self._file.seek(BEGIN + self._root.length)
            self._file.write(self._directory(keys_position, keys_bytes))
            self._file.seek(0)
            self._file.write(header + struct.pack(">h", 1) + self._uuid)
            self._file.flush()
            os.fsync(self._file.fileno())
            if self._partial.stat().st_size != end:
                raise OutputError(f"{self.path}: {self._partial.stat().st_size} of {end} bytes reached the disk")
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be written: {error.strerror}; nothing is left behind") from error
