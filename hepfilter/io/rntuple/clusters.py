"""A cluster of an RNTuple being written: items gathered per column, then encoded as pages of at most 1 MiB."""

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash

from hepfilter.errors import OutputError
from hepfilter.io.compression import pack
from hepfilter.io.container import RootFile
from hepfilter.io.rntuple.format import Column, pack_list, pack_locator
from hepfilter.io.rntuple.pages import ENCODINGS, SWITCH, Items

PAGE_BYTES = 2**20
"""Largest page, unpacked; ROOT's default."""
LARGEST_KEY = 2**30
"""Largest payload of a key, as in ROOT; a longer one would have to be split."""
_SUPPRESSED = struct.pack("<q", -(2**63))


class ClusterBuilder:
    """Gathers the items of a cluster's columns; `write` makes pages of them and begins the next cluster.

    `suppressed` are the columns without items because another representation of their field has them; it may be set
    where a cluster begins.
    """

    def __init__(self, columns: Sequence[Column], out: RootFile) -> None:
        self._columns = columns
        self._out = out
        self._slots = _slots(columns)
        self._first = [0] * len(columns)  # by slot: items in earlier clusters
        self.suppressed: frozenset[int] = frozenset()
        self._begin()

    def add(self, number: int, items: Items) -> None:
        """Append items to a column: counts to an index column, tags to a switch column, else what it stores."""
        column = self._columns[number]
        encoding = ENCODINGS[column.kind]
        if encoding.is_index:
            offsets = self._bases[number] + np.cumsum(items, dtype=np.int64)
            self._bases[number] = int(offsets[-1]) if len(offsets) else self._bases[number]
            if self._bases[number] >= 2**encoding.bits:
                raise OutputError(f"{self._out.path}: a cluster has too many items for its 32-bit offsets")
            items = offsets.astype(encoding.dtype)
        elif encoding.name == "Switch":
            items = self._switches(number, items)
        self._pieces[number].append(items)
        self.bytes += items.nbytes

    def add_values(self, number: int, values: npt.NDArray[Any]) -> None:
        """Append values of the column's own type, one an entry, such as float32 to a Real32 column."""
        dtype = np.dtype(ENCODINGS[self._columns[number].kind].dtype)
        self.add(number, np.ascontiguousarray(values).view(dtype))

    def write(self) -> bytes:
        """Write the pages into the file; return the frame of the page list that tells where they lie."""
        pages, blob = self._pages()
        if len(blob) >= LARGEST_KEY:
            raise OutputError(f"{self._out.path}: an entry of the ntuple is too large: a cluster of {len(blob)} bytes")
        position = self._out.add_blob(blob)
        code = 0 if self._out.compression is None else self._out.compression.code
        frames = []
        for number, own in enumerate(pages):
            slot = self._slots[number]
            listed = [struct.pack("<i", -count) + pack_locator(position + at, stored) for count, at, stored in own]
            told = struct.pack("<qI", self._first[slot], code)
            frames.append(pack_list(listed, tail=_SUPPRESSED if number in self.suppressed else told))
        for number, own in enumerate(pages):
            self._first[self._slots[number]] += sum(count for count, _, _ in own)
        self._begin()
        return pack_list(frames)

    def _begin(self) -> None:
        self._pieces: list[list[Items]] = [[] for _ in self._columns]
        self._bases = [0] * len(self._columns)
        self._tags: dict[tuple[int, int], int] = {}
        self.entries = 0
        self.bytes = 0

    def _switches(self, number: int, tags: Items) -> Items:
        """Items of a switch column: for each tag the number of its alternative's item in this cluster."""
        items = np.zeros(len(tags), SWITCH)
        items["tag"] = tags
        for tag in np.unique(tags[tags > 0]):
            own = tags == tag
            begin = self._tags.get((number, int(tag)), 0)
            end = self._tags[number, int(tag)] = begin + int(own.sum())
            items["index"][own] = np.arange(begin, end)
        return items

    def _pages(self) -> tuple[list[list[tuple[int, int, int]]], bytes]:
        """(for each column its pages: items, place in the blob, bytes stored; the blob of all pages).

        Pages that are the same lie there once, as in ROOT: a NanoAOD file has hundreds of triggers that never fire.
        """
        blob = bytearray()
        known: dict[bytes, tuple[int, int]] = {}
        result: list[list[tuple[int, int, int]]] = []
        for column, pieces in zip(self._columns, self._pieces, strict=True):
            own = []
            items = np.concatenate(pieces) if pieces else np.zeros(0, np.uint8)
            pieces.clear()
            room = PAGE_BYTES * 8 // column.bits
            for start in range(0, len(items), room):
                part = items[start : start + room]
                page = ENCODINGS[column.kind].encode(part, column.bits)
                key = xxhash.xxh3_128_digest(page) + len(page).to_bytes(4, "little")
                if key not in known:
                    stored = pack(page, self._out.compression)
                    known[key] = len(blob), len(stored)
                    blob += stored + struct.pack("<Q", xxhash.xxh3_64_intdigest(stored))
                own.append((len(part), *known[key]))
            result.append(own)
        return result, bytes(blob)


def _slots(columns: Sequence[Column]) -> list[int]:
    """For each column the one of its field's first representation whose place it takes, so that they count together."""
    seen: dict[tuple[int, int], int] = {}
    places: dict[tuple[int, int], int] = {}
    result = []
    for number, column in enumerate(columns):
        part = column.field, column.representation
        place = seen[part] = seen.get(part, -1) + 1
        result.append(places.setdefault((column.field, place), number))
    return result
