"""Skims over HTTP and XRootD: what is read of a remote file, and what is said where it cannot be."""

from pathlib import Path

import numpy as np
import pytest
import uproot

from hepfilter.errors import SourceError
from hepfilter.io.writing import Column, create_root
from hepfilter.skim.pipeline import skim
from hepfilter.skim.recipe import Recipe
from tests.nano import make_nano
from tests.servers import has_xrootd, http_server, xrootd_server

SERVERS = ["http", pytest.param("xrootd", marks=pytest.mark.skipif(not has_xrootd(), reason="XRootD is not installed"))]


@pytest.fixture(params=SERVERS)
def serve(request, tmp_path):
    """The folder that is served, and a context manager that serves it."""
    (tmp_path / "data").mkdir()
    if request.param == "http":
        return tmp_path / "data", http_server(tmp_path / "data")
    return tmp_path / "data", xrootd_server(tmp_path / "data", tmp_path / "server")


def contents(path: Path) -> dict[str, bytes]:
    """Of each branch all bytes of its baskets."""
    with uproot.open({path: "Events"}) as tree:
        return {
            branch.name: b"".join(branch.basket(i).data.tobytes() for i in range(branch.num_baskets))
            for branch in tree.branches
        }


def test_a_remote_file_gives_what_the_local_one_gives(serve, tmp_path):
    folder, server = serve
    make_nano(folder / "in.root", 500)
    recipe = Recipe(where="nMuon >= 2")
    local = skim([str(folder / "in.root")], tmp_path / "local.root", recipe)
    with server as served:
        remote = skim([f"{served.address}in.root"], tmp_path / "remote.root", recipe, workers=2)
    assert remote.cutflow() == local.cutflow()
    assert contents(tmp_path / "remote.root") == contents(tmp_path / "local.root")


def wide_file(path: Path) -> Path:
    """100 baskets of 100 events in each of 50 branches of noise, which does not compress."""
    rng = np.random.default_rng(5)
    columns = [Column("event", "uint64"), *(Column(f"x{n}", "float64") for n in range(50))]
    with create_root(path) as out, out.new_tree("Events", columns) as tree:
        for first in range(0, 10_000, 100):
            noise = {f"x{n}": rng.random(100) for n in range(50)}
            tree.extend({"event": np.arange(first, first + 100), **noise})
            tree.writer.flush()
    return path


def test_of_a_remote_file_only_baskets_with_chosen_events_are_read(serve, tmp_path):
    folder, server = serve
    wide_file(folder / "in.root")
    size = (folder / "in.root").stat().st_size
    with server as served:
        report = skim([f"{served.address}in.root"], tmp_path / "out.root", Recipe(where="event % 2500 == 7"))
        sent = sum(served.sent)
    assert report.written == 4  # in 4 of 100 clusters
    assert report.bytes_read < 0.15 * report.payload_bytes
    assert sent < 0.15 * size  # XRootD does not tell, and counts 0
    with uproot.open({tmp_path / "out.root": "Events"}) as tree:
        assert tree["event"].array(library="np").tolist() == [7, 2507, 5007, 7507]


def test_a_replica_serves_where_the_first_address_does_not(serve, tmp_path):
    folder, server = serve
    make_nano(folder / "in.root", 50)
    with server as served:
        (tmp_path / "all.yaml").write_text(
            f"datasets:\n  a:\n    files: [[{served.address}nowhere.root, {served.address}in.root]]\n"
        )
        report = skim([str(tmp_path / "all.yaml")], tmp_path / "out.root", Recipe(where="nMuon >= 0"))
    assert report.written == 50


def test_a_file_that_the_server_lacks_is_one_line(serve, tmp_path):
    _, server = serve
    with server as served, pytest.raises(SourceError, match=r"nowhere\.root: cannot be opened") as caught:
        skim([f"{served.address}nowhere.root"], tmp_path / "out.root", Recipe(where="nMuon >= 0"))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out.root").exists()


def test_a_server_without_ranges_is_told(tmp_path):
    (tmp_path / "data").mkdir()
    make_nano(tmp_path / "data" / "in.root", 50)
    said = r"in\.root: its server sends the whole file where a part is asked for; copy the file first"
    with http_server(tmp_path / "data", ranges=False) as served, pytest.raises(SourceError, match=said):
        skim([f"{served.address}in.root"], tmp_path / "out.root", Recipe(where="nMuon >= 1"))
    assert not (tmp_path / "out.root").exists()
