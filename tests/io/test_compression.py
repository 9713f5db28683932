"""Compressed records: packed here and read by others, written by others and read here."""

import lzma
import struct
import subprocess
import sys
import tracemalloc
import zlib
from importlib.util import find_spec

import cramjam
import numpy as np
import pytest
import uproot

from hepfilter.errors import UsageError
from hepfilter.io.compression import UNPACK_FAULTS, Compression, pack, parse_compression, read_code, unpack
from hepfilter.io.writing import Column, create_root

LEVELS = [
    ("ZLIB", 1),
    ("ZLIB", 9),
    ("LZMA", 1),
    ("LZMA", 9),
    ("LZ4", 1),
    ("LZ4", 3),
    ("LZ4", 4),
    ("LZ4", 12),
    ("ZSTD", 1),
    ("ZSTD", 22),
]
BLOCK = 2**24 - 1


def repeating(size: int) -> bytes:
    return (np.arange(size, dtype=np.uint32) // 1000).astype(np.uint8).tobytes()


def noise(size: int) -> bytes:
    return np.random.default_rng(size).integers(0, 256, size, dtype=np.uint8).tobytes()


def by_uproot(stored: bytes, size: int) -> bytes:
    chunk = uproot.source.chunk.Chunk.wrap(None, np.frombuffer(stored, np.uint8))
    return bytes(uproot.compression.decompress(chunk, uproot.source.cursor.Cursor(0), {}, len(stored), size).raw_data)


@pytest.mark.parametrize(("algorithm", "level"), LEVELS)
@pytest.mark.parametrize("size", [0, 1, 20, 5000, 70_000])
def test_what_is_packed_is_read_here_and_by_uproot(algorithm, level, size):
    for payload in (repeating(size), noise(size)):
        stored = pack(payload, Compression(algorithm, level))
        assert bytes(unpack(memoryview(stored), size)) == payload
        if len(stored) != size:
            assert by_uproot(stored, size) == payload
    assert pack(noise(size), Compression(algorithm, level)) == noise(size)  # nothing is gained: left as it is
    assert size < 5000 or len(pack(repeating(size), Compression(algorithm, level))) < size / 20


@pytest.mark.parametrize(("algorithm", "highest"), [("ZLIB", 9), ("LZMA", 9), ("LZ4", 12), ("ZSTD", 22)])
def test_a_higher_level_packs_closer(algorithm, highest):
    words = np.random.default_rng(1).choice([b"muon ", b"electron ", b"jet ", b"photon "], 20_000)
    payload = b"".join(words.tolist())
    low, high = (len(pack(payload, Compression(algorithm, level))) for level in (1, highest))
    assert high < low


@pytest.mark.parametrize("algorithm", ["ZLIB", "LZ4", "ZSTD", "LZMA"])
@pytest.mark.parametrize("size", [BLOCK, BLOCK + 1])
def test_payloads_at_the_border_of_a_block(algorithm, size):
    payload = repeating(size)
    stored = pack(payload, Compression(algorithm, 1))
    first = 9 + int.from_bytes(stored[3:6], "little")
    assert (len(stored) == first) == (size == BLOCK)
    assert bytes(unpack(memoryview(stored), size)) == payload
    assert by_uproot(stored, size) == payload


@pytest.mark.parametrize("algorithm", ["ZLIB", "LZ4", "ZSTD"])
def test_a_block_that_grows_beyond_what_its_header_can_tell(algorithm):
    """Noise grows a little; though the whole would be shorter, such a payload can only be stored as it is."""
    payload = noise(BLOCK) + repeating(BLOCK)
    stored = pack(payload, Compression(algorithm, 1))
    assert stored == payload
    assert bytes(unpack(memoryview(stored), len(payload))) == payload


def test_a_block_that_grows_a_little_beside_one_that_shrinks():
    payload = repeating(BLOCK) + noise(1000)
    stored = pack(payload, Compression("ZLIB", 1))
    assert len(stored) < 100_000
    assert bytes(unpack(memoryview(stored), len(payload))) == payload == by_uproot(stored, len(payload))


@pytest.mark.parametrize("code", ["ZLIB:9", "LZMA:1", "LZMA:9", "LZ4:3", "LZ4:12", "ZSTD:22", "none"])
def test_a_file_of_each_algorithm_is_read_by_uproot(tmp_path, code):
    values = np.arange(20_000, dtype=np.int64) // 100
    with create_root(tmp_path / "a.root", compression=code) as out, out.new_tree("t", [Column("x", "int64")]) as tree:
        tree.extend({"x": values})
    with uproot.open(tmp_path / "a.root") as file:
        assert np.array_equal(file["t/x"].array(library="np"), values)


READ = """
import sys, warnings
warnings.filterwarnings("ignore")
import ROOT
for path in sys.argv[1:]:
    file = ROOT.TFile.Open(path)
    tree = file.Get("t")
    total = 0
    for entry in range(0, tree.GetEntries(), 99):
        tree.GetEntry(entry)
        total += tree.x
    print(total)
"""


@pytest.mark.skipif(find_spec("ROOT") is None, reason="ROOT is not installed")
def test_a_file_of_each_algorithm_is_read_by_root(tmp_path):
    values = np.arange(2_200_000, dtype=np.int64) // 100  # a basket of two blocks
    paths = []
    for number, (algorithm, level) in enumerate([("ZLIB", 1), ("LZMA", 1), ("LZ4", 4), ("LZ4", 1), ("ZSTD", 5)]):
        paths.append(tmp_path / f"{number}.root")
        text = f"{algorithm}:{level}"
        with create_root(paths[-1], compression=text) as out, out.new_tree("t", [Column("x", "int64")]) as tree:
            tree.extend({"x": values})
    run = subprocess.run([sys.executable, "-c", READ, *paths], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    assert [int(line) for line in run.stdout.split()] == [values[::99].sum()] * len(paths)


@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        (0, None), (-1, None), (100, None), (1, Compression("ZLIB", 1)), (101, Compression("ZLIB", 1)),
        (207, Compression("LZMA", 7)), (404, Compression("LZ4", 4)), (505, Compression("ZSTD", 5)),
        (99999, Compression("ZLIB", 9)), (413, Compression("LZ4", 12)), (599, Compression("ZSTD", 22)),
    ],
)  # fmt: skip
def test_roots_numbers(code, wanted):
    assert read_code(code) == wanted
    if code in (101, 207, 404, 505):
        theirs = uproot.compression.Compression.from_code(code)
        assert (type(theirs).__name__, theirs.level) == (wanted.algorithm, wanted.level)
        assert wanted.code == code


@pytest.mark.parametrize("text", ["zstd:5", "LZ4:12", "lzma:1"])
def test_names_are_read_in_any_case(text):
    name, level = text.upper().split(":")
    assert parse_compression(text) == Compression(name, int(level))


@pytest.mark.parametrize("text", ["none", "Uncompressed"])
def test_no_compression(text):
    assert parse_compression(text) is None
    assert pack(b"x" * 1000, None) == b"x" * 1000


@pytest.mark.parametrize("text", ["ZSTD", "ZSTD:0", "ZSTD:23", "LZ4:13", "ZLIB:¹", "CS:1", "ZLIB:-1"])
def test_what_is_no_compression_names_what_is(text):
    with pytest.raises(UsageError, match=r"give ZLIB:1-9, LZMA:1-9, LZ4:1-12, ZSTD:1-22, or none$"):
        parse_compression(text)


def block(magic: bytes, packed: bytes, size: int) -> bytes:
    return magic + len(packed).to_bytes(3, "little") + size.to_bytes(3, "little") + packed


BOMBS = {
    "ZLIB": lambda: block(b"ZL\x08", zlib.compress(bytes(200_000_000), 9), 1000),
    "LZMA": lambda: block(b"XZ\x00", lzma.compress(bytes(200_000_000), preset=0), 1000),
    "ZSTD": lambda: block(b"ZS\x01", bytes(cramjam.zstd.compress(bytes(200_000_000))), 1000),
    "many blocks": lambda: block(b"ZS\x01", bytes(cramjam.zstd.compress(bytes(10_000_000))), 10_000_000) * 100,
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_does_not_go_off(kind):
    """A block that unpacks to far more than its header says is given up where it passes that."""
    stored = memoryview(BOMBS[kind]())
    tracemalloc.start()
    try:
        with pytest.raises(UNPACK_FAULTS):
            unpack(stored, 1000)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("algorithm", ["ZLIB", "LZMA", "LZ4", "ZSTD"])
def test_damage_is_one_of_the_faults_that_are_named(algorithm):
    payload = repeating(3000)
    stored = pack(payload, Compression(algorithm, 4))
    rng = np.random.default_rng(5)
    unnoticed = 0
    for number in range(200):
        broken = bytearray(stored)
        broken[rng.integers(len(stored))] ^= 1 << rng.integers(8)
        if number % 4 == 0:
            broken = broken[: rng.integers(len(stored))]
        try:
            unnoticed += bytes(unpack(memoryview(broken), 3000)) != payload
        except UNPACK_FAULTS:
            continue
    assert unnoticed == 0 or algorithm == "ZSTD"  # which has no checksum, as ROOT writes it


@pytest.mark.parametrize("change", [(0, b"QQ"), (3, b"\xff\xff\xff"), (6, b"\1\0\0")])
def test_a_header_that_does_not_fit_is_refused(change):
    at, other = change
    stored = bytearray(pack(repeating(3000), Compression("ZLIB", 1)))
    stored[at : at + len(other)] = other
    with pytest.raises(ValueError, match="block"):
        unpack(memoryview(stored), 3000)


def test_a_record_of_another_size_is_refused():
    stored = pack(repeating(3000), Compression("ZLIB", 1))
    for size in (2999, 3001):
        with pytest.raises(ValueError, match=r"more than 2,999 bytes|3,000 bytes instead of 3001"):
            unpack(memoryview(stored), size)
    with pytest.raises((ValueError, struct.error)):
        unpack(memoryview(b""), 10)
