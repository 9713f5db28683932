"""Skims over HTTP, XRootD and S3: what is read of a remote file, and what is said where it cannot be."""

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import uproot

from hepfilter.errors import SourceError
from hepfilter.io.remote import replicas
from hepfilter.io.remote.limits import RemoteLimits
from hepfilter.io.writing import Column, create_root
from hepfilter.skim.pipeline import skim
from hepfilter.skim.recipe import Recipe
from tests.nano import make_nano
from tests.servers import has_xrootd, http_server, s3_environment, s3_server, xrootd_server

SERVERS = ["http", pytest.param("xrootd", marks=pytest.mark.skipif(not has_xrootd(), reason="XRootD is not installed"))]


@pytest.fixture(params=SERVERS)
def serve(request, tmp_path):
    """The folder that is served, and a context manager that serves it."""
    (tmp_path / "data").mkdir()
    if request.param == "http":
        return tmp_path / "data", http_server(tmp_path / "data")
    return tmp_path / "data", xrootd_server(tmp_path / "data")


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
    said = r"in\.root: cannot be opened: its server sends the whole file where a part is asked for; copy the file first"
    with http_server(tmp_path / "data", ranges=False) as served, pytest.raises(SourceError, match=said):
        skim([f"{served.address}in.root"], tmp_path / "out.root", Recipe(where="nMuon >= 1"))
    assert not (tmp_path / "out.root").exists()


@pytest.fixture
def short_limits(monkeypatch):
    """Limits of a second, and no memory of servers that failed."""
    for name, value in RemoteLimits(open=1, read=1, attempts=4, pause=0.3).to_environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(replicas, "_failed", {})


class Once:
    """Does something when it is first told of progress, in the middle of a skim."""

    def __init__(self, *actions: Callable[[], object]) -> None:
        self.actions = list(actions)

    def __call__(self, *_: object) -> None:
        while self.actions:
            self.actions.pop(0)()


def later(action: Callable[..., object], *arguments: object) -> Callable[[], None]:
    """What begins an action 0.4 s later."""
    return threading.Timer(0.4, action, arguments).start


@pytest.mark.skipif(not has_xrootd(), reason="XRootD is not installed")
@pytest.mark.parametrize("fault", ["stopped", "killed", "dead"])
def test_a_server_that_fails_during_a_skim_changes_nothing(short_limits, tmp_path, fault):
    (tmp_path / "data").mkdir()
    local = wide_file(tmp_path / "data" / "in.root")
    recipe = Recipe(where="event % 2500 == 7")
    skim([str(local)], tmp_path / "local.root", recipe)
    with xrootd_server(tmp_path / "data") as server, http_server(tmp_path / "data") as other:
        actions = {
            "stopped": (lambda: server.send(signal.SIGSTOP), later(server.send, signal.SIGCONT)),
            "killed": (lambda: server.send(signal.SIGKILL), later(server.start)),
            "dead": (lambda: server.send(signal.SIGKILL),),
        }
        progress = Once(*actions[fault])
        address = f"{server.address}in.root" + (f"|{other.address}in.root" if fault == "dead" else "")
        report = skim([address], tmp_path / "remote.root", recipe, progress=progress)
        assert not progress.actions
        assert (sum(other.sent) > 100_000) == (fault == "dead")
    assert report.written == 4
    assert contents(tmp_path / "remote.root") == contents(tmp_path / "local.root")


@pytest.mark.skipif(not has_xrootd(), reason="XRootD is not installed")
def test_a_server_that_is_gone_is_one_line_in_bounded_time(short_limits, tmp_path):
    (tmp_path / "data").mkdir()
    make_nano(tmp_path / "data" / "in.root", 50)
    with xrootd_server(tmp_path / "data") as server:
        server.send(signal.SIGSTOP)
        start = time.monotonic()
        with pytest.raises(
            SourceError, match=r"in\.root: cannot be opened: .* \(4 attempts\); try again later"
        ) as caught:
            skim([f"{server.address}in.root"], tmp_path / "out.root", Recipe(where="nMuon >= 0"))
    assert "\n" not in str(caught.value)
    assert time.monotonic() - start < 12
    assert not (tmp_path / "out.root").exists()


def test_an_object_in_s3_gives_what_the_local_file_gives(monkeypatch, tmp_path):
    boto3 = pytest.importorskip("boto3")
    make_nano(tmp_path / "in.root", 500)
    recipe = Recipe(where="nMuon >= 2")
    skim([str(tmp_path / "in.root")], tmp_path / "local.root", recipe)
    with s3_server() as endpoint:
        for name, value in s3_environment(endpoint).items():
            monkeypatch.setenv(name, value)
        client = boto3.client("s3")
        client.create_bucket(Bucket="skims")
        client.put_object(Bucket="skims", Key="a/in.root", Body=(tmp_path / "in.root").read_bytes())
        report = skim(["s3://skims/a/in.root:Events"], tmp_path / "remote.root", recipe, workers=2)
    assert report.read == 500
    assert contents(tmp_path / "remote.root") == contents(tmp_path / "local.root")
