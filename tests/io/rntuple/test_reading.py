"""Opening RNTuples: what their metadata say, and that damage is told in one line."""

import struct
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
import uproot
import xxhash

from hepfilter.errors import OutputError, SourceError
from hepfilter.io.rntuple.format import HEADER, seal_envelope
from hepfilter.io.rntuple.reading import ANCHOR, read_ntuple
from hepfilter.io.rntuple.selection import column_values
from tests.io.rntuples import Bytes, choose, make_ntuple, open_ntuple, skim_ntuple

REAL = [
    ("nano_dy_rntuple.root", "Events", 40, 1524, 2307, 1499),
    ("nano_dimuon_rntuple.root", "Events", 40, 1615, 2273, 1601),
    ("nano_dy_empty_rntuple.root", "Events", 0, 1524, 2307, 1499),
    ("pfnano_rntuple.root", "Events", 10, 1834, 3100, 1802),
    ("physlite_rntuple.root", "EventData", 100, 854, 2401, 1772),
    ("physlite_rntuple.root", "EventTag", 100, 14, 14, 15),
]


@pytest.mark.parametrize(("file", "name", "entries", "tops", "fields", "columns"), REAL)
def test_real_files_open(shared_data, file, name, entries, tops, fields, columns):
    ntuple = open_ntuple(shared_data / file, name)
    assert (ntuple.name, ntuple.num_entries) == (name, entries)
    found = (len(ntuple.field_names), len(ntuple.schema.fields), len(ntuple.schema.columns))
    assert found == (tops, fields, columns)
    with uproot.open({shared_data / file: name}) as other:
        assert sorted(ntuple.field_names) == sorted(other.keys(recursive=False))
        assert ntuple.description == other.header.ntuple_description


def test_clusters_and_names(tmp_path):
    ntuple = open_ntuple(make_ntuple(tmp_path / "in.root", (10, 20, 5)))
    assert ntuple.cluster_edges() == [0, 10, 30, 35]
    assert set(ntuple.field_names) == {"id", "x", "flag", "small", "xs", "text", "deep"}
    assert [field for field in ntuple.schema.paths if field.startswith("deep")] == ["deep", "deep._0", "deep._0._0"]


def anchor_of(path):
    with uproot.open(path) as file:
        key = file.key("Events")
        return key.fSeekKey, key.fSeekKey + key.fKeylen


def rewritten(path, change):
    """The file with its header envelope's payload changed, stored uncompressed at the end, all checksums right."""
    data = bytearray(path.read_bytes())
    _, at = anchor_of(path)
    numbers = list(ANCHOR.unpack_from(data, at))
    seek, stored, size = numbers[6:9]
    assert stored == size  # so that the test need not unpack
    header, _ = seal_envelope(HEADER, change(bytes(data[seek + 8 : seek + size - 8])))
    numbers[6:9] = len(data), len(header), len(header)
    anchor = ANCHOR.pack(*numbers)
    data[at : at + ANCHOR.size + 8] = anchor + struct.pack(">Q", xxhash.xxh3_64_intdigest(anchor[6:]))
    path.write_bytes(data + header)
    return path


def test_a_damaged_anchor_is_refused(tmp_path):
    path = make_ntuple(tmp_path / "in.root")
    position, at = anchor_of(path)
    for byte in range(at + 6, at + ANCHOR.size + 8):
        data = bytearray(path.read_bytes())
        data[byte] ^= 1
        with pytest.raises(SourceError, match="the checksum of its anchor is wrong"):
            read_ntuple(lambda a, b, data=data: bytes(data[a:b]), "x.root", "Events", position)


def test_pages_of_a_column_that_is_not_known_are_refused(tmp_path):
    ntuple = open_ntuple(make_ntuple(tmp_path / "in.root"))
    with pytest.raises(ValueError, match="the pages of 11 columns, of which 10 are known"):
        ntuple.clusters[0].read_pages(10)


def test_a_format_of_a_later_version_is_refused(tmp_path):
    skim_ntuple(
        open_ntuple(make_ntuple(tmp_path / "in.root")), choose(100, 0.5), tmp_path / "out.root", compression="none"
    )
    path = rewritten(tmp_path / "out.root", lambda payload: struct.pack("<Q", 1 << 5) + payload[8:])
    with pytest.raises(SourceError, match=r"out\.root: ntuple Events cannot be read: it uses features 0x20 of a later"):
        open_ntuple(path)
    position, at = anchor_of(path)
    data = bytearray(path.read_bytes())
    data[at + 6 : at + 8] = struct.pack(">H", 2)
    data[at + ANCHOR.size : at + ANCHOR.size + 8] = struct.pack(
        ">Q", xxhash.xxh3_64_intdigest(bytes(data[at + 6 : at + ANCHOR.size]))
    )
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"its format version 2\.0\.0\.1 is not 1"):
        read_ntuple(Bytes(path), "out.root", "Events", position)


def test_any_flipped_byte_is_seen_or_means_nothing(tmp_path):
    """Whatever byte of a file is damaged: an error of ours, or the same values (uproot writes pages unchecked)."""
    path = make_ntuple(tmp_path / "in.root", (30, 20))
    skim_ntuple(open_ntuple(path), choose(50, 0.7), tmp_path / "out.root", compression="ZLIB:1")
    for file in (path, tmp_path / "out.root"):
        whole = file.read_bytes()
        position, _ = anchor_of(file)
        good = open_ntuple(file)
        expected = column_values(good, good.field_names, range(good.num_entries))
        rng = np.random.default_rng(5)
        seen = 0
        for at in rng.integers(0, len(whole), 120):
            data = bytearray(whole)
            data[at] ^= 1 << rng.integers(8)
            with suppress(SourceError):
                seen += 1
                ntuple = read_ntuple(lambda a, b, data=data: bytes(data[a:b]), "x.root", "Events", position)
                found = column_values(ntuple, ntuple.field_names, range(ntuple.num_entries))
                seen -= 1
                assert found == expected or file == path
        assert seen > 15


def test_a_file_that_ends_early_is_told(tmp_path):
    path = make_ntuple(tmp_path / "in.root")
    position, _ = anchor_of(path)
    for cut in (100, 200, position, position + 30, len(path.read_bytes()) - 1):
        data = path.read_bytes()[:cut]
        with pytest.raises(SourceError, match=r"x\.root: ntuple Events"):
            ntuple = read_ntuple(lambda a, b, data=data: data[a:b], "x.root", "Events", position)
            column_values(ntuple, ntuple.field_names, range(100))
            raise SourceError("x.root: ntuple Events: nothing that matters was cut off")


def test_attribute_sets_are_not_lost_unseen(tmp_path):
    ntuple = replace(open_ntuple(make_ntuple(tmp_path / "in.root")), attribute_sets=("lumi",))
    with pytest.raises(OutputError, match=r"has attribute sets \(lumi\), which cannot be copied"):
        skim_ntuple(ntuple, choose(100, 0.5), tmp_path / "out.root")
