"""Reading chosen items of one column in one cluster of an RNTuple: page by page, only those that hold a chosen one."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import numpy.typing as npt
import xxhash

from hepfilter.io.compression import unpack
from hepfilter.io.rntuple.format import Column
from hepfilter.io.rntuple.pages import ENCODINGS, Items, page_size
from hepfilter.io.rntuple.reading import ColumnPages

_CHECKSUM = 8
_LARGEST_SPAN = 8_000_000  # bytes read at once
_LARGEST_GAP = 4096
Numbers = npt.NDArray[np.int64]


class Spans:
    """Reads pages that lie close together at once, where a column has but one page, which is needed anyway."""

    def __init__(self, fetch: Callable[[int, int], bytes], columns: Iterable[ColumnPages]) -> None:
        self._fetch = fetch
        self._spans: dict[int, tuple[int, int]] = {}
        self._last = (0, b"")
        singles = sorted({own.pages[0][2:] for own in columns if len(own.pages) == 1})
        start = stop = -1
        members: list[int] = []
        for position, stored in singles:
            end = position + stored + _CHECKSUM
            near = bool(members) and stop <= position <= stop + _LARGEST_GAP
            if not near or end - start > _LARGEST_SPAN:
                self._spans.update(dict.fromkeys(members, (start, stop)))
                start, members = position, []
            stop = end
            members.append(position)
        self._spans.update(dict.fromkeys(members, (start, stop)))

    def read(self, position: int, size: int) -> memoryview:
        """The bytes [position, position + size); ValueError if the file ends before."""
        start, data = self._last
        if not start <= position <= position + size <= start + len(data):
            start, stop = self._spans.get(position, (position, position + size))
            data = self._fetch(start, max(stop, position + size))
            self._last = (start, data)
        part = memoryview(data)[position - start : position - start + size]
        if len(part) != size:
            raise ValueError("the file ends before it")
        return part


@dataclass(frozen=True)
class ColumnReader:
    """A column's items in one cluster.

    The first `zeros` of them are 0 and never stored: the column came later. `limit` is more than any column has.
    """

    column: Column
    pages: ColumnPages
    spans: Spans
    zeros: int
    limit: int

    def gather(self, items: Numbers) -> Items:
        """The items of these numbers (ascending). One of reading's READ_FAULTS if a page is damaged."""
        result = np.zeros(len(items), ENCODINGS[self.column.kind].dtype)
        for _, first, part, page in self._by_page(items):
            result[first : first + len(part)] = page[part]
        return result

    def ranges(self, items: Numbers) -> tuple[Numbers, Numbers]:
        """(how many items of its content each of these items of an index column has, the numbers of those items)."""
        begins, ends = np.zeros(len(items), np.int64), np.zeros(len(items), np.int64)
        before: dict[int, int] = {}  # the last offset of the page just read, by its number
        for number, first, part, page in self._by_page(items):
            own = page.astype(np.int64)
            ends[first : first + len(part)] = own[part]
            begins[first : first + len(part)] = own[part - 1]
            if part[0] == 0:
                begins[first] = before.get(number - 1) or self._offset_before(number)
            before = {number: int(own[-1])}
        counts = ends - begins
        total = int(counts.sum()) if len(counts) else 0
        if np.any(counts < 0) or np.any(begins < 0) or np.any(begins[1:] < ends[:-1]) or total > self.limit:
            raise ValueError("offsets that do not ascend")
        return counts, spread(begins, counts)

    @property
    def _starts(self) -> Numbers:
        return np.array(list(accumulate((page[0] for page in self.pages.pages), initial=0)), np.int64)

    def _by_page(self, items: Numbers) -> Iterator[tuple[int, int, Numbers, Items]]:
        """For each page with wanted items: its number, the index of the first, their numbers in it, its items."""
        starts = self._starts
        stored = items - self.zeros
        if len(items) and stored[-1] >= starts[-1]:
            raise ValueError(f"item {items[-1]} is wanted of {starts[-1] + self.zeros}")
        borders = np.searchsorted(stored, starts)
        for number in np.flatnonzero(np.diff(borders)):
            first, last = borders[number : number + 2]
            yield int(number), int(first), stored[first:last] - starts[number], self._page(int(number))

    def _offset_before(self, number: int) -> int:
        return int(self._page(number - 1)[-1]) if number else 0

    def _page(self, number: int) -> Items:
        count, has_checksum, position, stored = self.pages.pages[number]
        size = page_size(count, self.column.bits)
        raw = self.spans.read(position, stored + _CHECKSUM * has_checksum)
        data = raw[:stored]
        if has_checksum and xxhash.xxh3_64_intdigest(data) != int.from_bytes(raw[stored:], "little"):
            raise ValueError(f"the checksum of page {number} is wrong")
        return ENCODINGS[self.column.kind].decode(unpack(data, size), count, self.column.bits)


def spread(begins: Numbers, counts: Numbers) -> Numbers:
    """The numbers begin, begin + 1, … of each range of `counts` items, one range after the other."""
    if not len(counts):
        return np.zeros(0, np.int64)
    stops = np.cumsum(counts)
    return np.repeat(begins - stops + counts, counts) + np.arange(stops[-1])
