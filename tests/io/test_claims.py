"""What a file claims is not believed: small files that say they hold very much take no memory to speak of."""

import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import cramjam
import numpy as np
import pytest

from hepfilter.errors import SourceError
from hepfilter.io.compression import Compression, pack, unpack
from hepfilter.io.container import RootFile
from hepfilter.io.reading import open_file
from hepfilter.io.rntuple.writing import NTupleWriter
from hepfilter.io.sources import Source
from hepfilter.io.writing import Column, create_root, write_empty_streamers
from hepfilter.skim.pipeline import skim
from hepfilter.skim.recipe import Recipe
from tests.io.rntuples import make_ntuple, open_ntuple

ENTRIES = 12_345
CLAIM = 100_000_000
MEGABYTE = 1_000_000


def peak(action: Callable[[], object]) -> int:
    """The most bytes that are allocated at a time while `action` runs; one of its errors must be ours."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def refused(path: Path, words: str) -> Callable[[], None]:
    """Reads all of a file, which must be told."""

    def read() -> None:
        with pytest.raises(SourceError, match=words), open_file(Source(str(path))) as file:
            file.table("Events").values(["id"])

    return read


def tree_that_claims(path: Path, entries: int) -> Path:
    """A TTree of 12,345 numbers whose record says that they are more."""
    with create_root(path, compression="none") as out, out.new_tree("Events", [Column("id", "uint8")]) as tree:
        tree.extend({"id": np.zeros(ENTRIES, np.uint8)})
    raw, said = path.read_bytes(), struct.pack(">q", ENTRIES)
    assert raw.count(said) >= 2  # the tree and its branch
    path.write_bytes(raw.replace(said, struct.pack(">q", entries)))
    return path


class Claiming(list[tuple[bytes, bytes]]):
    """Clusters that say of themselves, and of their pages if these are to agree, that they have more entries."""

    def __init__(self, entries: int, *, pages: bool) -> None:
        super().__init__()
        self._entries, self._pages = entries, pages

    def append(self, item: tuple[bytes, bytes]) -> None:
        first, count = struct.unpack("<QQ", item[0])
        old, new = struct.pack("<i", -count), struct.pack("<i", -min(self._entries, 2**31 - 1))
        assert old in item[1]
        pages = item[1].replace(old, new) if self._pages else item[1]
        super().append((struct.pack("<QQ", first, self._entries), pages))


def ntuple_that_claims(path: Path, entries: int, *, pages: bool = False) -> Path:
    """An RNTuple of 2 kB with 100 entries that says it has more; all checksums are right."""
    source = open_ntuple(make_ntuple(path.with_suffix(".source.root"), (100,)))
    others = frozenset(source.field_names) - {"id", "flag"}
    with RootFile(path, compression=Compression("ZSTD", 5)) as out:
        write_empty_streamers(out)
        with NTupleWriter(out, source, drop=others) as writer:
            writer._listed = Claiming(entries, pages=pages)
            writer.copy(source, np.ones(100, bool))
    assert path.stat().st_size < 4000
    return path


def test_a_tree_that_claims_entries_that_it_has_not(tmp_path):
    path = tree_that_claims(tmp_path / "a.root", CLAIM)
    assert peak(refused(path, "branch id, entries 0 to 99999999 cannot be read: its header says")) < 2 * MEGABYTE
    path = tree_that_claims(tmp_path / "b.root", 10**15)
    said = r"b\.root: Events claims 1,000,000,000,000,000 entries, a file of [\d,]+ bytes holds at most [\d,]+; fetch"
    assert peak(refused(path, said)) < MEGABYTE


def test_an_ntuple_that_claims_entries_that_it_has_not(tmp_path):
    path = ntuple_that_claims(tmp_path / "a.root", CLAIM)
    said = r"field id, cluster 0 \(entries 0 to 99999999\) cannot be read: 100 items instead of 100000000"
    assert peak(refused(path, said)) < MEGABYTE
    path = ntuple_that_claims(tmp_path / "b.root", CLAIM, pages=True)
    said = r"field id, cluster 0 .* cannot be read: a page of \d+ bytes that claims 100,000,000 items"
    assert peak(refused(path, said)) < MEGABYTE
    path = ntuple_that_claims(tmp_path / "c.root", 2**50)
    said = r"c\.root: Events claims 1,125,899,906,842,624 entries, a file of [\d,]+ bytes holds at most [\d,]+"
    assert peak(refused(path, said)) < MEGABYTE


@pytest.mark.parametrize("make", [tree_that_claims, ntuple_that_claims])
def test_a_skim_of_a_file_that_claims_too_much_needs_no_memory(tmp_path, make):
    path = make(tmp_path / "a.root", CLAIM)

    def run() -> None:
        with pytest.raises(SourceError):
            skim([str(path)], tmp_path / "out.root", Recipe(where="id >= 0"))

    assert peak(run) < 20 * MEGABYTE
    assert not (tmp_path / "out.root").exists()


def block(magic: bytes, packed: bytes, size: int) -> bytes:
    return magic + len(packed).to_bytes(3, "little") + size.to_bytes(3, "little") + packed


@pytest.mark.parametrize("magic", [b"ZL\x08", b"XZ\x00", b"ZS\x01", b"L4\x01"])
def test_blocks_that_claim_too_much_are_not_unpacked(magic):
    raw = memoryview(block(magic, bytes(20), 2**24 - 1) * 128)

    def run() -> None:
        with pytest.raises(ValueError, match=r"2,147,483,520 bytes in 3,712, more than a record can hold"):
            unpack(raw, (2**24 - 1) * 128)

    assert peak(run) < MEGABYTE


def test_a_bomb_is_unpacked_no_further_than_its_record_says():
    bomb = zlib.compress(bytes(200 * MEGABYTE))
    raw = memoryview(block(b"ZL\x08", bomb, 1000))

    def run() -> None:
        with pytest.raises(ValueError, match="does not end after 1,000 bytes"):
            unpack(raw, 1000)

    assert peak(run) < MEGABYTE
    bomb = bytes(cramjam.zstd.compress(bytes(200 * MEGABYTE)))
    with pytest.raises(cramjam.DecompressionError):
        unpack(memoryview(block(b"ZS\x01", bomb, 1000)), 1000)


@pytest.mark.parametrize("algorithm", ["ZLIB", "LZMA", "LZ4", "ZSTD"])
@pytest.mark.parametrize("size", [1, 32_000, 2**24 - 1, 60_000_000])
def test_constant_data_are_never_taken_for_a_claim(algorithm, size):
    packed = pack(bytes(size), Compression(algorithm, 4))
    assert len(unpack(memoryview(packed), size)) == size
