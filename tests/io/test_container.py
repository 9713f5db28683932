"""The file as a container."""

import datetime
import subprocess
import sys

import numpy as np
import pytest
import uproot

from hepfilter.errors import OutputError, UsageError
from hepfilter.io.compression import parse_compression
from hepfilter.io.container import RootFile, pack_time
from hepfilter.io.writing import Column, create_root, write_string


def test_an_error_leaves_nothing_behind(tmp_path):
    path = tmp_path / "a.root"
    with pytest.raises(RuntimeError), RootFile(path, compression=None) as out:
        write_string(out, "tag", "text")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_an_error_leaves_an_older_output_as_it_was(tmp_path):
    path = tmp_path / "a.root"
    path.write_bytes(b"older")
    with pytest.raises(RuntimeError), RootFile(path, compression=None):
        raise RuntimeError
    assert path.read_bytes() == b"older"


def test_a_folder_that_is_none_is_an_output_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        RootFile(tmp_path / "file" / "a.root", compression=None)


def test_the_same_name_twice_gives_two_cycles(tmp_path):
    with RootFile(tmp_path / "a.root", compression=None) as out:
        write_string(out, "tag", "first")
        write_string(out, "tag", "second")
    with uproot.open(tmp_path / "a.root") as file:
        assert file.keys() == ["tag;2", "tag;1"] or sorted(file.keys()) == ["tag;1", "tag;2"]
        assert (str(file["tag;1"]), str(file["tag;2"])) == ("first", "second")


@pytest.mark.parametrize("text", ["ZSTD:5", "ZLIB:1", "LZMA:6", "LZ4:4", "none"])
def test_every_compression_is_read_back(tmp_path, text):
    values = np.arange(50_000, dtype=np.int64) // 10
    with create_root(tmp_path / "a.root", compression=text) as out, out.new_tree("t", [Column("x", "int64")]) as tree:
        tree.extend({"x": values})
    with uproot.open(tmp_path / "a.root") as file:
        assert np.array_equal(file["t/x"].array(library="np"), values)
        assert (file["t/x"].compressed_bytes < values.nbytes / 2) == (text != "none")


@pytest.mark.parametrize("text", ["ZSTD", "ZSTD:0", "ZLIB:10", "GZIP:1", "ZSTD:x", ""])
def test_an_unknown_compression_names_the_known(text):
    with pytest.raises(UsageError, match="LZMA:1-9"):
        parse_compression(text)


def test_time_is_packed_as_tdatime_does():
    code = pack_time(datetime.datetime(2026, 11, 23, 19, 30, 59))
    fields = [code >> 26, code >> 22 & 15, code >> 17 & 31, code >> 12 & 31, code >> 6 & 63, code & 63]
    assert fields == [31, 11, 23, 19, 30, 59]


def test_a_signal_between_making_a_file_and_its_with_leaves_nothing(tmp_path):
    script = "from pathlib import Path\nfrom hepfilter.io.container import RootFile\n"
    script += f"RootFile(Path({str(tmp_path / 'a.root')!r}), compression=None)\nraise SystemExit(130)\n"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 130
    assert list(tmp_path.iterdir()) == []
