"""Clusters being written: pages, what they share, offsets and variants counted from the cluster's first."""

import numpy as np
import pytest

from hepfilter.errors import OutputError
from hepfilter.io.compression import parse_compression
from hepfilter.io.container import RootFile
from hepfilter.io.rntuple.clusters import PAGE_BYTES, ClusterBuilder
from hepfilter.io.rntuple.format import Column, Reader
from hepfilter.io.rntuple.pages import ENCODINGS
from hepfilter.io.rntuple.reading import Cluster

BY_NAME = {encoding.name: number for number, encoding in enumerate(ENCODINGS)}


class Written:
    """A builder of columns of these types, one a field, and what it wrote."""

    def __init__(self, path, *kinds, compression="none", fields=None, representations=None):
        self.path = path
        self.out = RootFile(path, compression=parse_compression(compression))
        self.columns = []
        for number, kind in enumerate(kinds):
            field = number if fields is None else fields[number]
            column = Column.new(BY_NAME[kind], ENCODINGS[BY_NAME[kind]].bits or 12, field)
            representation = 0 if representations is None else representations[number]
            raw = column.raw[:10] + bytes([representation, 0]) + column.raw[12:]
            self.columns.append(Column.parse(raw))
        self.builder = ClusterBuilder(self.columns, self.out)

    def pages(self, listed):
        return Cluster(0, 0, 1, Reader(listed)).read_pages(len(self.columns))

    def items(self, listed):
        with self.out:
            pass
        data = self.path.read_bytes()
        result = []
        for column, own in zip(self.columns, self.pages(listed), strict=True):
            encoding = ENCODINGS[column.kind]
            parts = [encoding.decode(data[at : at + size], n, column.bits) for n, _, at, size in own.pages]
            result.append(np.concatenate(parts).tolist() if parts else [])
        return result


def test_offsets_and_variants_count_from_the_clusters_first(tmp_path):
    written = Written(tmp_path / "a.root", "SplitIndex64", "Switch", "Index32")
    for _ in range(2):
        written.builder.add(0, np.array([2, 0, 1]))
        written.builder.add(0, np.array([], np.int64))
        written.builder.add(0, np.array([4]))
        written.builder.add(1, np.array([1, 2, 0], np.uint32))
        written.builder.add(1, np.array([2, 1, 1], np.uint32))
        written.builder.add(2, np.array([1, 1]))
        listed = written.builder.write()
    assert written.items(listed) == [
        [2, 2, 3, 7],
        [(0, 1), (0, 2), (0, 0), (1, 2), (1, 1), (2, 1)],
        [1, 2],
    ]


def element_offsets(listed):
    outer, count = Reader(listed).frame()
    result = []
    for _ in range(count):
        inner, pages = outer.frame()
        for _ in range(pages):
            inner.take("i")
            inner.locator()
        result.append(inner.take("q")[0])
        assert len(inner.rest) == (0 if result[-1] < 0 else 4)
    return result


def test_elements_are_counted_over_clusters_whichever_representation_holds_them(tmp_path):
    kinds = ("Real32", "UInt8", "Real16")
    written = Written(tmp_path / "a.root", *kinds, fields=[0, 1, 0], representations=[0, 0, 1])
    builder, found = written.builder, []
    for suppressed, number, size in ((2, 0, 3), (0, 2, 4), (2, 0, 5)):
        builder.suppressed = frozenset([suppressed])
        builder.add(number, np.arange(size, dtype=ENCODINGS[written.columns[number].kind].dtype))
        builder.add(1, np.arange(10, dtype=np.uint8))
        found.append(element_offsets(builder.write()))
    least = -(2**63)
    assert found == [[0, 0, least], [least, 10, 3], [7, 20, least]]
    with written.out:
        pass


@pytest.mark.parametrize("kind", ["Bit", "UInt8", "SplitReal64", "Real32Trunc"])
def test_pages_are_no_larger_than_a_mebibyte(tmp_path, kind):
    written = Written(tmp_path / "a.root", kind, compression="ZSTD:1")
    column = written.columns[0]
    most = PAGE_BYTES * 8 // column.bits
    items = np.random.default_rng(1).integers(0, 2, most + 5).astype(ENCODINGS[column.kind].dtype)
    written.builder.add(0, items[:7])
    written.builder.add(0, items[7:])
    (pages,) = written.pages(written.builder.write())
    assert [page[0] for page in pages.pages] == [most, 5] and all(page[1] for page in pages.pages)
    with written.out:
        pass


def test_pages_that_are_the_same_lie_there_once(tmp_path):
    written = Written(tmp_path / "a.root", *(["Bit"] * 300), "UInt8", compression="ZSTD:1")
    for number in range(300):
        written.builder.add(number, np.full(1000, number == 7, np.uint8))
    written.builder.add(300, np.zeros(125, np.uint8))
    before = written.out.position
    pages = written.pages(written.builder.write())
    assert len({own.pages for own in pages}) == 3  # the one that differs, and two counts of the same bytes
    assert len({own.pages[0][2] for own in pages}) == 2
    assert written.out.position - before < 200
    with written.out:
        pass


def test_more_items_than_32_bits_count_are_refused(tmp_path):
    written = Written(tmp_path / "a.root", "Index32")
    with pytest.raises(OutputError, match="too many items for its 32-bit offsets"), written.out:
        written.builder.add(0, np.array([2**31, 2**31]))
