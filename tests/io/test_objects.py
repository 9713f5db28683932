"""Reading texts and cutflows back, ours and ROOT's."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from hepfilter.errors import SourceError
from hepfilter.io.compression import Compression
from hepfilter.io.container import RootFile
from hepfilter.io.histogram import write_cutflow
from hepfilter.io.objects import read_cutflow, read_string
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source
from hepfilter.io.writing import write_empty_streamers, write_string

STEPS = [("read", 40.0), ("luminosity mask", 12.5), ("where", -0.0)]


def make_file(path: Path, *, compression: Compression | None = None) -> Path:
    with RootFile(path, compression=compression) as out:
        write_empty_streamers(out)
        write_string(out, "text", "an older one")
        write_string(out, "text", "µ" * 300)
        write_cutflow(out, "flow", "a title", STEPS)
        write_cutflow(out, "none", "", [])
    return path


@pytest.mark.parametrize("compression", [None, Compression("ZSTD", 5)])
def test_what_was_written_is_read(tmp_path, compression):
    with open_file(Source(str(make_file(tmp_path / "a.root", compression=compression)))) as file:
        assert read_string(file, "text") == "µ" * 300  # the newest
        assert read_cutflow(file, "flow") == STEPS
        assert read_cutflow(file, "none") == [("", 0.0)] or read_cutflow(file, "none") == []
        assert read_string(file, "flow") is None and read_cutflow(file, "text") is None
        assert read_string(file, "absent") is None


def test_a_damaged_object_is_an_error(tmp_path):
    path = make_file(tmp_path / "a.root")
    data = bytearray(path.read_bytes())
    data[data.index(b"luminosity mask") - 1] = 254  # the length of a label
    path.write_bytes(data)
    with open_file(Source(str(path))) as file:
        assert read_string(file, "text") == "µ" * 300
        with pytest.raises(SourceError, match=r"a\.root: flow cannot be read") as caught:
            read_cutflow(file, "flow")
        assert "\n" not in str(caught.value)


ROOT_WRITES = """
import sys
import ROOT
ROOT.TH1.AddDirectory(False)
file = ROOT.TFile(sys.argv[1], "recreate")
h = ROOT.TH1D("flow", "t", 3, 0, 3)
for number, (label, value) in enumerate([("read", 5), ("a cut", 3)], start=1):
    h.GetXaxis().SetBinLabel(number, label)
    h.SetBinContent(number, value)
file.WriteObject(h, "flow")
text = ROOT.TObjString("by ROOT")
file.WriteObject(text, "text")
file.Close()
"""


def test_roots_own_objects_are_read(tmp_path):
    if find_spec("ROOT") is None:
        pytest.skip("ROOT is not installed")
    subprocess.run([sys.executable, "-c", ROOT_WRITES, str(tmp_path / "r.root")], check=True, capture_output=True)
    with open_file(Source(str(tmp_path / "r.root"))) as file:
        assert read_cutflow(file, "flow") == [("read", 5.0), ("a cut", 3.0), ("", 0.0)]
        assert read_string(file, "text") == "by ROOT"
