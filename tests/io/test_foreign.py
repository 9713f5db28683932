"""What uproot does for us: branches that hold more than plain numbers."""

from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from hepfilter.errors import SourceError
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source
from tests.servers import http_server

NUMBERS = np.random.default_rng(1).integers(0, 2**31, (4_000, 3))


@pytest.fixture
def nested(tmp_path: Path) -> Path:
    """A branch of lists of a fixed length, which is not plain, among ballast."""
    with uproot.recreate(tmp_path / "a.root", compression=None) as file:
        file.mktree("Events", {"x": ("int32", (3,)), "y": "int64"})
        file["Events"].extend({"x": NUMBERS, "y": np.arange(4_000)})
        file["ballast"] = "x" * 200_000
    return tmp_path / "a.root"


def test_a_remote_branch_is_read_in_parts_and_through_faults(nested, monkeypatch):
    monkeypatch.setenv("HEPFILTER_REMOTE_PAUSE", "0.02")
    with http_server(nested.parent) as served, open_file(Source(f"{served.address}a.root")) as file:
        tree = file.tree("Events")
        served.faults += ["503", "cut"]
        assert tree.arrays(["x"])["x"].to_list() == NUMBERS.tolist()
        assert not served.faults
        assert sum(served.sent) < 100_000  # of 48,000 bytes, and the tree again


def test_local_and_remote_branches_are_read_alike(nested):
    with open_file(Source(str(nested))) as file:
        found = file.tree("Events").arrays(["x", "y"], 10, 20)
    assert found["x"].to_list() == NUMBERS[10:20].tolist()
    assert ak.to_list(found["y"]) == list(range(10, 20))


def test_damaged_baskets_are_a_source_error(nested):
    with open_file(Source(str(nested))) as file:
        start, _ = file.tree("Events").reader(file.tree("Events").by_name["x"], None).span(0)
    raw = bytearray(nested.read_bytes())
    raw[start : start + 200] = b"\xff" * 200
    nested.write_bytes(raw)
    said = r"a\.root: tree Events, branch x, entries 0 to 3999 cannot be read: .*; the file is damaged, fetch it again$"
    with open_file(Source(str(nested))) as file, pytest.raises(SourceError, match=said):
        file.tree("Events").arrays(["x"])
