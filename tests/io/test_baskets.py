"""Entries as bytes: taken, joined, written and read again."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hepfilter.errors import OutputError, SourceError
from hepfilter.io import baskets
from hepfilter.io.baskets import (
    BasketReader,
    Entries,
    Layout,
    LayoutPool,
    Selector,
    basket_payload,
    raw_entries,
    raw_lists,
)
from hepfilter.io.bytesource import ByteSource
from hepfilter.io.compression import Compression, pack
from hepfilter.io.container import Key
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source
from hepfilter.io.ttree import Branch, Element, Leaf
from hepfilter.io.ttree_reading import EmbeddedBasket, StoredBaskets
from hepfilter.io.writing import Column, create_root

UNITS = st.sampled_from([1, 2, 4, 8])
SIZES = st.lists(st.integers(0, 5), max_size=12)


def make_entries(sizes: list[int], unit: int, *, origins: bool = False, seed: int = 0) -> Entries:
    """Entries of these sizes in units of `unit` bytes."""
    positions = np.append(0, np.cumsum(sizes)).astype(np.int32) * np.int32(unit)
    data = np.random.default_rng(seed).integers(0, 256, positions[-1], dtype=np.uint8)
    first = np.arange(1000, 1000 + len(sizes), dtype=np.int32) if origins else None
    return Entries(data, len(sizes), Layout(positions), first)


def split(entries: Entries) -> list[bytes]:
    """The bytes of each entry, one by one."""
    if entries.layout is None:
        width = len(entries.data) // max(entries.count, 1)
        return [entries.data[i * width : (i + 1) * width].tobytes() for i in range(entries.count)]
    edges = entries.layout.positions
    return [entries.data[edges[i] : edges[i + 1]].tobytes() for i in range(entries.count)]


@given(SIZES, UNITS, st.booleans(), st.data())
def test_what_is_taken_is_each_chosen_entry(sizes, unit, origins, draw):
    entries = make_entries(sizes, unit, origins=origins)
    chosen = np.flatnonzero(draw.draw(st.lists(st.booleans(), min_size=len(sizes), max_size=len(sizes))))
    selector = Selector(chosen)
    for _ in range(2):  # the second time from what the selector knows
        taken = selector.take(entries)
        assert taken.count == len(chosen)
        assert split(taken) == [split(entries)[i] for i in chosen]
        assert (taken.origins is None) == (not origins)
        if taken.origins is not None and entries.origins is not None:
            assert taken.origins.tolist() == entries.origins[chosen].tolist()


@given(st.integers(0, 10), st.sampled_from([0, 1, 2, 3, 4, 8, 12]), st.data())
def test_what_is_taken_of_entries_of_one_width(count, width, draw):
    entries = Entries(np.random.default_rng(1).integers(0, 256, count * width, dtype=np.uint8), count)
    chosen = np.flatnonzero(draw.draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    assert split(Selector(chosen).take(entries)) == [split(entries)[i] for i in chosen]


@given(SIZES, st.data())
def test_a_slice_is_those_entries(sizes, draw):
    entries = make_entries(sizes, 2)
    start = draw.draw(st.integers(0, len(sizes)))
    stop = draw.draw(st.integers(start, len(sizes)))
    assert split(entries.slice(start, stop)) == split(entries)[start:stop]


def test_one_selector_for_baskets_of_different_layouts():
    selector = Selector(np.array([0, 2]))
    for sizes in ([1, 2, 3], [3, 2, 1], [0, 0, 0], [2, 2, 2]):
        entries = make_entries(sizes, 4)
        assert split(selector.take(entries)) == [split(entries)[0], split(entries)[2]]


@pytest.mark.parametrize(
    ("positions", "unit"), [([0], 8), ([0, 8, 24], 8), ([0, 8, 12], 4), ([0, 2], 2), ([0, 8, 9], 1)]
)
def test_the_unit_divides_all_entries(positions, unit):
    assert Layout(np.array(positions, np.int32)).unit == unit


def test_the_pool_knows_a_layout_again(monkeypatch):
    pool = LayoutPool()
    first = pool.layout(np.array([0, 4, 8], np.int32))
    assert pool.layout(np.array([0, 4, 8], np.int32)) is first
    other = pool.layout(np.array([0, 2, 8], np.int32))  # as many, as long, yet another
    assert other.positions.tolist() == [0, 2, 8]
    monkeypatch.setattr(baskets, "_KNOWN_LAYOUTS", 2)
    made = [pool.layout(np.arange(n, dtype=np.int32)) for n in range(1, 10)]
    assert [len(layout.positions) for layout in made] == list(range(1, 10))


@pytest.mark.parametrize(
    "positions",
    [[1, 2], [0, 3, 2], [-4, 0], [0, 2**31 - 1, -(2**31), -1, 0, 8]],
    ids=["start", "fall", "below", "overflow"],
)
def test_positions_that_do_not_rise_are_refused(positions):
    """The last ones rise in 32 bits, from one overflow to the next, and would be gigabytes of entries."""
    with pytest.raises(ValueError, match="do not rise"):
        LayoutPool().layout(np.array(positions, np.int32))


def branch_of(kind: str) -> Branch:
    counter = Leaf("TLeafI", "n", "n")
    if kind == "objects":
        return Branch(
            "b",
            "",
            [Leaf("TLeafElement", "b", "b")],
            element=Element("C", *[""] * 2, *[0] * 6, None, None),
            entry_offset_length=1,
        )
    if kind == "fixed":
        return Branch("b", "", [Leaf("TLeafI", "b", "b", type_size=4)])
    return Branch("b", "", [Leaf("TLeafI", "b", "b", count=counter)], entry_offset_length=1)


def stored_basket(pieces: list[Entries], branch: Branch, compression: Compression | None = None) -> bytes:
    """A basket as it lies in a file."""
    key = Key("TBasket", branch.name, "Events")
    tail, payload = basket_payload(pieces, key.length, variable=branch.entry_offset_length > 0)
    stored = pack(payload, compression)
    header = bytearray(key.header(position=100, stored=0, size=len(payload), directory=100, stamp=0, cycle=0))
    struct.pack_into(">i", header, 0, len(header) + len(tail) + len(stored))
    struct.pack_into(">h", header, 14, len(header) + len(tail))
    return bytes(header) + tail + stored


def reader_of(raw: bytes, branch: Branch, count: int) -> BasketReader:
    branch.stored = StoredBaskets(np.array([0, count]), np.array([0]), np.array([len(raw)]), ())
    source = ByteSource(lambda start, stop: raw[start:stop], lambda spans: [raw[a:b] for a, b in spans], len(raw))
    return BasketReader(branch, source, where="a.root: tree Events", num_entries=count, pool=LayoutPool())


@given(st.lists(SIZES, min_size=1, max_size=4), st.booleans(), st.booleans())
def test_baskets_come_back_from_their_bytes(parts, origins, compressed):
    pieces = [make_entries(sizes, 4, origins=origins, seed=i) for i, sizes in enumerate(parts)]
    count = sum(piece.count for piece in pieces)
    branch = branch_of("objects" if origins else "lists")
    raw = stored_basket(pieces, branch, Compression("ZLIB", 1) if compressed else None)
    found = reader_of(raw, branch, count).read(0)
    assert (found.count, split(found)) == (count, [entry for piece in pieces for entry in split(piece)])
    if origins and count:
        assert found.origins.tolist() == [origin for piece in pieces for origin in piece.origins.tolist()]


@given(st.lists(st.integers(0, 8), min_size=1, max_size=4))
def test_baskets_of_one_width_come_back_from_their_bytes(counts):
    pieces = [raw_entries(np.arange(count, dtype=np.int32)) for count in counts]
    raw = stored_basket(pieces, branch := branch_of("fixed"))
    found = reader_of(raw, branch, sum(counts)).read(0)
    assert (found.layout, split(found)) == (None, [entry for piece in pieces for entry in split(piece)])


def test_moved_objects_remember_where_they_first_stood():
    """An entry that names a class is where later references inside it count from, also after a second copy."""
    named = b"\x40\0\0\x20\xff\xff\xff\xffTNamed\0" + b"payload"
    data = np.frombuffer(b"1234" + named + b"56" + named, np.uint8)
    positions = np.cumsum([0, 4, len(named), 2, len(named)]).astype(np.int32)
    branch = branch_of("objects")
    raw = stored_basket([Entries(data, 4, Layout(positions))], branch)
    first = reader_of(raw, branch, 4).read(0)
    start = len(raw) - 4 * (4 + 2) - len(data)
    assert first.origins.tolist() == (positions[:4] + start).tolist()
    second = reader_of(stored_basket([Selector(np.array([1, 3])).take(first)], branch), branch, 2).read(0)
    assert second.origins.tolist() == first.origins[[1, 3]].tolist()
    assert split(second) == [named, named]


def embedded_reader(basket: EmbeddedBasket, branch: Branch) -> BasketReader:
    branch.stored = StoredBaskets(np.array([0, basket.count]), np.array([], int), np.array([], int), (basket,))
    return BasketReader(branch, ByteSource(None, None, 0), where="a.root", num_entries=basket.count, pool=LayoutPool())


def test_embedded_baskets():
    entries = make_entries([1, 0, 2], 4)
    positions = entries.layout.positions[:3] + np.int32(70)
    basket = EmbeddedBasket(entries.data.tobytes(), 3, 70, positions, None)
    reader = embedded_reader(basket, branch_of("lists"))
    assert reader.span(0) == (0, 0)
    assert split(reader.parse(0, memoryview(b""))) == split(entries)
    fixed = EmbeddedBasket(np.arange(3, dtype=">i4").tobytes(), 3, 70, None, None)
    assert split(embedded_reader(fixed, branch_of("fixed")).parse(0, memoryview(b""))) == [
        struct.pack(">i", i) for i in range(3)
    ]
    displaced = EmbeddedBasket(entries.data.tobytes(), 3, 70, positions, np.array([7, 8, 9], np.int32))
    assert embedded_reader(displaced, branch_of("objects")).parse(0, memoryview(b"")).origins.tolist() == [7, 8, 9]


@pytest.mark.parametrize(
    ("kind", "width", "count"), [("fixed", 3, 4), ("fixed", 8, 4), ("fixed", 0, 4), ("lists", 3, 4)], ids=str
)
def test_entries_of_another_width_than_the_type_are_damage(kind, width, count):
    """Else the numbers of two entries would be read as one, and all that follow be those of other events."""
    branch = branch_of(kind)
    data = np.zeros(width * count, np.uint8)
    positions = np.arange(count + 1, dtype=np.int32) * np.int32(width)
    raw = stored_basket([Entries(data, count, None if kind == "fixed" else Layout(positions))], branch)
    with pytest.raises(SourceError, match=r"^a\.root: tree Events, branch b, entries 0 to 3 cannot be read: .*damaged"):
        reader_of(raw, branch, count).read(0)


def test_any_damage_of_a_basket_is_a_source_error_or_reads():
    branch = branch_of("lists")
    raw = stored_basket([make_entries([1, 2, 0, 3], 4)], branch)
    rng = np.random.default_rng(3)
    refused = 0
    for _ in range(300):
        broken = bytearray(raw)
        for at in rng.integers(0, len(raw), rng.integers(1, 3)):
            broken[at] = rng.choice([0, 0x7F, 0x80, 0xFF, broken[at] ^ 1])
        try:
            found = reader_of(bytes(broken), branch, 4).read(0)
        except SourceError:
            refused += 1
        else:
            assert sum(map(len, split(found))) == len(found.data)
            assert found.layout is None or found.layout.unit % 4 == 0
    assert refused > 100


def test_a_cut_basket_is_a_source_error():
    branch = branch_of("lists")
    raw = stored_basket([make_entries([1, 2, 0, 3], 4)], branch)
    for length in range(len(raw)):
        reader = reader_of(raw, branch, 4)
        with pytest.raises(SourceError, match="branch b, entries 0 to 3 cannot be read"):
            reader.parse(0, memoryview(raw[:length]))


def test_a_branch_with_fewer_entries_than_its_tree():
    branch = branch_of("fixed")
    raw = stored_basket([raw_entries(np.arange(3, dtype=np.int32))], branch)
    reader_of(raw, branch, 3)
    assert branch.stored is not None
    source = ByteSource(None, None, 0)
    with pytest.raises(SourceError, match=r"^a\.root, branch b has 3 entries, its tree 5; fill it, or leave it out$"):
        BasketReader(branch, source, where="a.root", num_entries=5, pool=LayoutPool())
    branch.stored = StoredBaskets(np.array([0]), np.array([], int), np.array([], int), ())
    with pytest.raises(SourceError, match="branch b has 0 entries"):
        BasketReader(branch, source, where="a.root", num_entries=5, pool=LayoutPool())
    branch.children = [branch_of("fixed")]  # it only groups others
    assert BasketReader(branch, source, where="a.root", num_entries=5, pool=LayoutPool()).edges.tolist() == [0]


def test_a_basket_too_large_is_an_output_error(monkeypatch):
    monkeypatch.setattr(baskets, "_LARGEST", 100)
    assert basket_payload([make_entries([5, 5], 8)], 70, variable=True)
    with pytest.raises(OutputError, match=r"^3 entries of 120 bytes: too large for one basket$"):
        basket_payload([make_entries([5, 5, 5], 8)], 70, variable=True)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int32", "uint64", "float32", "float64"])
def test_numbers_are_stored_big_endian(dtype):
    values = np.arange(6).astype(dtype)
    wanted = values.astype(np.dtype(dtype).newbyteorder(">")).tobytes()
    assert raw_entries(values).data.tobytes() == wanted
    assert raw_entries(values.reshape(2, 3)).count == 2
    lists = raw_lists(values, np.array([0, 4, 0, 2]))
    assert (lists.data.tobytes(), lists.count) == (wanted, 4)
    assert lists.layout.sizes.tolist() == [n * np.dtype(dtype).itemsize for n in (0, 4, 0, 2)]


def test_a_width_that_root_would_read_by_is_checked(tmp_path):
    """ROOT finds entries of one size by the header's number, not by what the basket holds."""
    with create_root(tmp_path / "a.root", compression="none") as out, out.new_tree("t", [Column("x", "int32")]) as tree:
        tree.extend({"x": np.arange(9)})
    with open_file(Source(str(tmp_path / "a.root"))) as file:
        seek = int(file.tree("t").by_name["x"].stored.seeks[0])
        key_length = int.from_bytes(file.source(seek + 14, seek + 16), "big")
    data = bytearray((tmp_path / "a.root").read_bytes())
    data[seek + key_length - 10] ^= 1
    (tmp_path / "a.root").write_bytes(data)
    said = "its header says 5 bytes an entry, there are 36 for 9"
    with open_file(Source(str(tmp_path / "a.root"))) as file, pytest.raises(SourceError, match=said):
        file.tree("t").values(["x"])
