"""An XRootD server that is stopped, killed, and comes back."""

import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest

from hepfilter.errors import SourceError
from hepfilter.io.remote.replicas import open_replicas
from hepfilter.io.remote.transport import TransportError
from tests.io.remote.conftest import SHORT
from tests.servers import XRootD, has_xrootd, http_server, xrootd_server

if has_xrootd():
    from hepfilter.io.remote.xrootd import XRootDTransport

pytestmark = pytest.mark.skipif(not has_xrootd(), reason="XRootD is not installed")
DATA = np.random.default_rng(3).bytes(20_000_000)
SPANS = [*((start, start + 700) for start in range(0, 3_000_000, 1000)), (3_000_000, 19_000_000)]
WANTED = [DATA[start:stop] for start, stop in SPANS]


@pytest.fixture
def server(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a").write_bytes(DATA)
    with xrootd_server(tmp_path / "data") as served:
        yield served


@contextmanager
def later(action, *arguments):
    """Do something in the middle of what the block does."""
    timer = threading.Timer(0.4, action, arguments)
    timer.start()
    try:
        yield
    finally:
        timer.join()


def read(source) -> list[bytes]:
    return [bytes(data) for data in source.many(SPANS)]


def test_many_ranges_are_read_at_once(server: XRootD):
    with open_replicas([f"{server.address}a"]) as (_, source):
        assert source.size == len(DATA)
        assert read(source) == WANTED
        assert source(19_999_990, 10**12) == DATA[-10:] and source(10**9, 10**9 + 1) == b""


def test_a_server_that_is_stopped_goes_on_or_is_given_up(server: XRootD):
    with open_replicas([f"{server.address}a"]) as (_, source):
        server.send(signal.SIGSTOP)
        with later(server.send, signal.SIGCONT):
            assert read(source) == WANTED
        server.send(signal.SIGSTOP)
        start = time.monotonic()
        with pytest.raises(SourceError, match=r"^root://.*//a: cannot be read: .* \(3 attempts\); try again later$"):
            read(source)
        assert time.monotonic() - start < 8


def test_a_server_that_is_killed_comes_back_or_is_given_up(server: XRootD, monkeypatch):
    monkeypatch.setenv("HEPFILTER_REMOTE_PAUSE", "0.3")
    with open_replicas([f"{server.address}a"]) as (_, source):
        server.send(signal.SIGKILL)
        with later(server.start):
            assert read(source) == WANTED
        server.send(signal.SIGKILL)
        with pytest.raises(SourceError, match=r"^root://.*//a: cannot be read: Connection error \(3 attempts\)"):
            read(source)


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_a_replica_of_another_protocol_takes_over(server: XRootD, tmp_path, number):
    with http_server(tmp_path / "data") as other:
        with open_replicas([f"{server.address}a", f"{other.address}a"]) as (address, source):
            assert address.startswith("root://")
            with later(server.send, number):
                for _ in range(12):
                    assert read(source) == WANTED
                    time.sleep(0.05)
        assert sum(other.sent) > 16_000_000


def test_a_file_that_is_not_there_is_tried_once(server: XRootD):
    start = time.monotonic()
    with pytest.raises(
        SourceError, match=r"//b: cannot be opened: \[3011\] Unable to open /b; no such file or directory$"
    ):
        open_replicas([f"{server.address}b"]).__enter__()
    assert time.monotonic() - start < 1


def test_a_file_that_the_library_has_closed_counts_as_lost(server: XRootD):
    transport = XRootDTransport(f"{server.address}a", SHORT)
    assert transport.fetch([(0, 10)]) == [DATA[:10]]
    transport.close()
    with pytest.raises(TransportError, match="the connection was lost") as caught:
        transport.fetch([(0, 10)])
    assert caught.value.may_pass


def test_a_process_with_torch_ends_without_a_word(server: XRootD):
    code = "import sys, torch\nfrom hepfilter.io.remote.replicas import open_replicas as o\no(sys.argv[1:]).__enter__()"
    command = [sys.executable, "-c", code, f"{server.address}a"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert run.stderr == ""
