"""Items of a column by their numbers, page by page."""

import struct

import numpy as np
import pytest
import xxhash

from hepfilter.io.rntuple.columns import ColumnReader, Spans, spread
from hepfilter.io.rntuple.format import Column
from hepfilter.io.rntuple.pages import ENCODINGS
from hepfilter.io.rntuple.reading import ColumnPages

BY_NAME = {encoding.name: number for number, encoding in enumerate(ENCODINGS)}


class Store:
    """Pages one behind the other in a pretended file, with gaps."""

    def __init__(self, gap=0):
        self.data = bytearray(64)
        self.asked = []
        self.gap = gap

    def add(self, kind, items, sizes):
        encoding, pages, start = ENCODINGS[BY_NAME[kind]], [], 0
        for size in sizes:
            page = encoding.encode(np.asarray(items[start : start + size], encoding.dtype), encoding.bits)
            pages.append((size, True, len(self.data), len(page)))
            self.data += page + struct.pack("<Q", xxhash.xxh3_64_intdigest(page)) + bytes(self.gap)
            start += size
        return Column.new(BY_NAME[kind], encoding.bits, 0), ColumnPages(tuple(pages))

    def __call__(self, start, stop):
        self.asked.append((start, stop))
        return bytes(self.data[start:stop])

    def reader(self, column, pages, zeros=0):
        return ColumnReader(column, pages, Spans(self, [pages]), zeros, limit=10_000)


@pytest.mark.parametrize("sizes", [(100,), (10, 30, 60), (1,) * 100])
@pytest.mark.parametrize("zeros", [0, 5])
def test_items_come_by_their_numbers(sizes, zeros):
    values = np.arange(1000, 1100)
    store = Store()
    reader = store.reader(*store.add("SplitUInt32", values, sizes), zeros)
    whole = np.concatenate([np.zeros(zeros, int), values])
    for wanted in ([], [0], [99 + zeros], [3, 4, 9, 10, 11, 70], list(range(100 + zeros))):
        assert reader.gather(np.array(wanted, np.int64)).tolist() == whole[wanted].tolist()
    with pytest.raises(ValueError, match="item"):
        reader.gather(np.array([100 + zeros]))


@pytest.mark.parametrize("kind", ["SplitIndex64", "Index32"])
@pytest.mark.parametrize("sizes", [(100,), (10, 30, 60), (1,) * 100])
@pytest.mark.parametrize("zeros", [0, 5])
def test_offsets_give_counts_and_contents(kind, sizes, zeros):
    counts = np.random.default_rng(1).integers(0, 4, 100)
    store = Store()
    reader = store.reader(*store.add(kind, np.cumsum(counts), sizes), zeros)
    counts = np.concatenate([np.zeros(zeros, int), counts])
    ends = np.cumsum(counts)
    for wanted in (
        [],
        [0],
        [99 + zeros],
        [9, 10, 11, 40, 41],
        list(range(0, 100 + zeros, 7)),
        list(range(100 + zeros)),
    ):
        found, contents = reader.ranges(np.array(wanted, np.int64))
        assert found.tolist() == counts[wanted].tolist()
        assert contents.tolist() == [n for i in wanted for n in range(ends[i] - counts[i], ends[i])]


def test_offsets_that_descend_or_leap_are_refused():
    store = Store()
    for offsets in ([3, 1, 4], [1, 20_000], [2**63 + 1, 2**63 + 2]):
        reader = store.reader(*store.add("Index64", np.array(offsets, np.uint64), (len(offsets),)))
        with pytest.raises(ValueError, match="offsets that do not ascend"):
            reader.ranges(np.arange(len(offsets)))


def test_pages_without_a_wanted_item_are_not_read():
    store = Store(gap=100)
    column, pages = store.add("UInt8", np.arange(90) % 256, (30, 30, 30))
    reader = store.reader(column, pages)
    assert reader.gather(np.array([3, 70, 71])).tolist() == [3, 70, 71]
    assert [start for start, _ in store.asked] == [pages.pages[0][2], pages.pages[2][2]]


def test_pages_that_are_neighbours_are_read_at_once():
    store = Store(gap=50)
    columns = [store.add("UInt8", np.arange(30) + n, (30,)) for n in range(20)]
    spans = Spans(store, [pages for _, pages in columns])
    for n, (column, pages) in enumerate(columns):
        assert ColumnReader(column, pages, spans, 0, 100).gather(np.array([7])).tolist() == [7 + n]
    assert len(store.asked) == 1
    far = Store(gap=10_000)
    columns = [far.add("UInt8", np.arange(30) + n, (30,)) for n in range(20)]
    spans = Spans(far, [pages for _, pages in columns])
    for column, pages in columns:
        ColumnReader(column, pages, spans, 0, 100).gather(np.array([7]))
    assert len(far.asked) == 20 and sum(stop - start for start, stop in far.asked) == 20 * 38


def test_a_page_whose_checksum_is_wrong_is_refused():
    store = Store()
    column, pages = store.add("UInt8", np.arange(30), (10, 20))
    store.data[pages.pages[1][2] + 4] ^= 1
    reader = store.reader(column, pages)
    assert reader.gather(np.array([3])).tolist() == [3]
    with pytest.raises(ValueError, match="the checksum of page 1 is wrong"):
        reader.gather(np.array([3, 15]))


def test_spread():
    assert spread(np.array([5, 0, 9]), np.array([2, 0, 3])).tolist() == [5, 6, 9, 10, 11]
    assert spread(np.zeros(0, np.int64), np.zeros(0, np.int64)).tolist() == []
