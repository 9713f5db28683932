"""The container of a file that is read."""

import struct
import uuid
from pathlib import Path

import pytest
import uproot

from hepfilter.errors import SourceError
from hepfilter.io.buffer import encode_string
from hepfilter.io.bytesource import open_local
from hepfilter.io.compression import Compression
from hepfilter.io.container import Key, RootFile
from hepfilter.io.directory import Directory, read_directory, read_end, read_record
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source
from hepfilter.io.writing import write_string

FAULTS = (ValueError, IndexError, struct.error, OSError)


def read(path: Path) -> Directory:
    with open_local(path) as source:
        return read_directory(source)


def make_file(path: Path, strings: dict[str, list[str]], code: str | None = "ZSTD") -> Path:
    with RootFile(path, compression=Compression(code, 5) if code else None) as out:
        for name, texts in strings.items():
            for text in texts:
                write_string(out, name, text)
    return path


def test_real_files_are_read_as_uproot_reads_them(shared_data):
    paths = sorted(shared_data.glob("*.root"))
    assert len(paths) > 20
    for path in paths:
        directory = read(path)
        with uproot.open(path) as wanted:
            assert {entry.key.name for entry in directory.entries} == set(wanted.keys(recursive=False, cycle=False))
            for entry in directory.entries:
                newest = wanted.key(entry.key.name)
                assert (entry.cycle, entry.position) == (newest.fCycle, newest.fSeekKey), entry.key.name
                assert (entry.key.class_name, entry.key.title) == (newest.fClassName, newest.fTitle)
            assert directory.uuid == str(wanted.file.uuid)
            assert directory.code == wanted.file.fCompress
            assert directory.info == wanted.file.fSeekInfo
            assert directory.end == wanted.file.fEND


def test_the_newest_cycle_and_the_files_order(tmp_path):
    path = make_file(tmp_path / "a.root", {"b": ["1", "2", "3"], "a": ["x"], "c": ["y", "z"]})
    entries = read(path).entries
    assert [(entry.key.name, entry.cycle, entry.key.class_name) for entry in entries] == [
        ("b", 3, "TObjString"),
        ("a", 1, "TObjString"),
        ("c", 2, "TObjString"),
    ]


def test_an_older_cycle_behind_the_newer_one(tmp_path):
    """ROOT lists the newest first."""
    path = make_file(tmp_path / "a.root", {"b": ["1", "2"]})
    data = path.read_bytes()
    first, second = (
        data.rindex(struct.pack(">hh", Key("TObjString", "b", "Collectable string class").length, n)) for n in (1, 2)
    )
    swapped = bytearray(data)
    swapped[first + 2 : first + 4], swapped[second + 2 : second + 4] = struct.pack(">h", 2), struct.pack(">h", 1)
    path.write_bytes(swapped)
    assert [entry.cycle for entry in read(path).entries] == [2]


@pytest.mark.parametrize("code", [None, "ZLIB"])
@pytest.mark.parametrize("length", [1, 254, 255, 3000])
def test_records_with_names_of_any_length(tmp_path, code, length):
    name, text = "n" * length, "text " * 500
    path = make_file(tmp_path / "a.root", {name: [text]}, code)
    with open_local(path) as source:
        (entry,) = read_directory(source).entries
        record = read_record(source, entry.position)
    assert (record.key, record.cycle, record.position) == (entry.key, 1, entry.position)
    assert record.key.name == name
    assert len(record.payload()) == record.size
    assert record.payload().endswith(encode_string(text))
    assert (len(record.stored) < record.size) == (code is not None)


def test_no_object_at_all(tmp_path):
    directory = read(make_file(tmp_path / "a.root", {}))
    assert directory.entries == ()
    assert uuid.UUID(directory.uuid).int


def test_headers_of_both_sizes(tmp_path):
    """Ours has 64-bit positions; ROOT writes them as 32-bit ones into a file below 2 GB."""
    path = make_file(tmp_path / "a.root", {"b": ["1"]})
    large, data = read(path), path.read_bytes()
    version, *numbers = struct.unpack_from(">iiqqiiiBiqi", data, 4)
    small = b"root" + struct.pack(">iiiiiiiBiii", version - 1_000_000, *numbers)
    path.write_bytes((small + data[4 + struct.calcsize(">iiqqiiiBiqi") :])[:100].ljust(100, b"\0") + data[100:])
    assert read(path) == large


@pytest.mark.parametrize("data", [b"", b"root", b"root" + bytes(15), b"not a ROOT file at all", b"ROOT" + bytes(100)])
def test_what_does_not_begin_as_a_file(data):
    with pytest.raises(ValueError, match="does not begin with 'root'"):
        read_end(data)


@pytest.mark.parametrize("position", [-1, -(2**40), 0, 5, 10**6, 2**62])
def test_a_position_without_a_record(tmp_path, position):
    path = make_file(tmp_path / "a.root", {"b": ["1"]})
    with open_local(path) as source, pytest.raises((ValueError, struct.error)):
        read_record(source, position)
    with (
        open_file(Source(str(path))) as file,
        pytest.raises(SourceError, match=rf"the record at byte {position} cannot be read: .*; the file is damaged"),
    ):
        file.record(position)


@pytest.mark.parametrize(("offset", "value"), [(0, 2**31 - 1), (0, 20), (0, -5), (6, 10**6), (14, 0)])
def test_a_key_that_does_not_fit_its_record(tmp_path, offset, value):
    path = make_file(tmp_path / "a.root", {"b": ["1"]})
    entry = read(path).entries[0]
    data = bytearray(path.read_bytes())
    struct.pack_into(">h" if offset == 14 else ">i", data, entry.position + offset, value)
    path.write_bytes(data)
    with open_local(path) as source, pytest.raises((ValueError, struct.error)):
        read_record(source, entry.position).payload()


def test_every_cut_and_every_byte_of_the_header_and_the_keys(tmp_path):
    path = make_file(tmp_path / "a.root", {"b": ["1"], "c": ["2"]})
    data = path.read_bytes()
    outcomes = set()
    for at in [*range(160), *range(len(data) - 250, len(data))]:
        for broken in (data[:at], data[:at] + b"\xff" + data[at + 1 :], data[:at] + b"\0" + data[at + 1 :]):
            path.write_bytes(broken)
            try:
                outcomes.add(len(read(path).entries) <= 2)
            except FAULTS as error:
                outcomes.add(type(error))
    assert True in outcomes
    assert False not in outcomes
    assert len(outcomes) > 2
