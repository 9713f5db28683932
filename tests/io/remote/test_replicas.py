"""One file at several addresses, on servers that fail in every way."""

import errno
import os
import re
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import uproot

from hepfilter.errors import SourceError
from hepfilter.io.reading import open_file
from hepfilter.io.remote import replicas
from hepfilter.io.remote.replicas import open_replicas
from hepfilter.io.sources import Source
from tests.servers import Served, http_server

DATA = np.random.default_rng(3).bytes(5_000_000)
SPANS = [
    (300, 310),
    (0, 10),
    (7, 500),
    (1_000_000, 4_500_000),
    (4_999_990, 5_000_010),
    (6_000_000, 6_000_001),
    (20, 20),
]
WANTED = [DATA[start:stop] for start, stop in SPANS]


@pytest.fixture
def servers(tmp_path: Path):
    """Two servers, each on a folder of its own with the file `a`."""
    with ExitStack() as stack:
        made = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "a").write_bytes(DATA)
            os.utime(tmp_path / name / "a", (1e9, 1e9))
            made.append(stack.enter_context(http_server(tmp_path / name)))
        yield made


@pytest.fixture(autouse=True)
def shorter_limits(monkeypatch):
    for name in ("OPEN", "READ"):
        monkeypatch.setenv(f"HEPFILTER_REMOTE_{name}", "0.5")


def read(source) -> list[bytes]:
    return [bytes(source(start, stop)) for start, stop in SPANS[:1]] + [bytes(data) for data in source.many(SPANS)[1:]]


@pytest.mark.parametrize("faults", [["503"], ["cut"], ["hang"], ["503", "cut"], [""] * 3 + ["hang"]])
def test_a_fault_that_passes_changes_nothing(servers: list[Served], faults):
    with open_replicas([f"{servers[0].address}a"]) as (_, source):
        assert source.size == len(DATA)
        servers[0].faults += faults
        assert read(source) == WANTED
        assert not servers[0].faults
    servers[0].faults += faults  # and while it is opened
    with open_replicas([f"{servers[0].address}a"]) as (_, source):
        assert read(source) == WANTED


def test_what_is_there_is_not_fetched_again(servers: list[Served]):
    with open_replicas([f"{servers[0].address}a"]) as (_, source):
        servers[0].sent.clear()
        servers[0].faults += ["", "", "503"]
        source.many([(0, 5_000_000)])
        assert sum(servers[0].sent) < 5_000_000 + 200


@pytest.mark.parametrize("fault", ["hang", "503", "cut"])
def test_a_fault_that_stays_is_one_line_in_bounded_time(servers: list[Served], fault):
    address = f"{servers[0].address}a"
    words = {
        "hang": "no answer (in time|within 0.5 s)",
        "503": "HTTP 503, Service Unavailable",
        "cut": "the connection was lost",
    }
    start = time.monotonic()
    with open_replicas([address]) as (_, source):
        servers[0].faults += [fault] * 1000
        with pytest.raises(
            SourceError, match=rf"^{address}: cannot be read: {words[fault]} \(3 attempts\); try again later$"
        ):
            source(200, 210)
    with pytest.raises(SourceError, match=rf"^{address}: cannot be opened: {words[fault]} \(3 attempts\)"):
        open_replicas([address]).__enter__()
    assert time.monotonic() - start < 10


def test_what_will_not_pass_is_not_tried_again(servers: list[Served]):
    address = f"{servers[0].address}b"
    said = rf"^{address}: cannot be opened: HTTP 404, no such file; check the address$"
    with pytest.raises(SourceError, match=said), open_replicas([address]):
        pass
    assert servers[0].requests == 1


@pytest.mark.parametrize("fault", ["hang", "503", "cut", "404"])
def test_a_replica_takes_over_in_the_middle_of_a_file(servers: list[Served], fault):
    with open_replicas([f"{server.address}a" for server in servers]) as (address, source):
        assert address == f"{servers[0].address}a"
        servers[0].faults += ["", fault, *[fault] * 1000]
        assert read(source) == WANTED
        assert sum(servers[1].sent) > 3_000_000
        before = servers[0].requests
        assert read(source) == WANTED  # and stays
        assert servers[0].requests == before


def test_a_server_that_failed_is_asked_last_for_the_next_file(servers: list[Served]):
    addresses = [f"{server.address}a" for server in servers]
    servers[0].faults += ["503"]
    for _ in range(2):
        with open_replicas(addresses) as (address, _):
            assert address == addresses[1]
    assert servers[0].requests == 1


def test_a_replica_that_is_another_file_does_not_take_over(servers: list[Served], tmp_path):
    addresses = [f"{server.address}a" for server in servers]
    for data, words in (
        (b"x" + DATA[1:], "it has another UUID"),
        (DATA + b"x", "it has 5,000,001 bytes, not 5,000,000 bytes"),
    ):
        (tmp_path / "two" / "a").write_bytes(data)
        servers[0].faults.clear()
        replicas._failed.clear()
        with open_replicas(addresses) as (_, source):
            servers[0].faults += ["503"] * 1000
            with pytest.raises(SourceError) as caught:
                source(200, 210)
        said = f"{addresses[0]}: cannot be read at any of its 2 addresses (4 attempts): {addresses[0]}: HTTP 503, "
        said += f"Service Unavailable; {addresses[1]}: is not the file that was opened: {words}; try again later"
        assert str(caught.value) == said


def test_a_file_that_changes_on_its_server_is_told(servers: list[Served], tmp_path):
    address = f"{servers[0].address}a"
    with open_replicas([address]) as (_, source):
        (tmp_path / "one" / "a").write_bytes(DATA)  # with another time
        with pytest.raises(SourceError, match=r"cannot be read: the file changed while it was read$"):
            source(200, 210)


def test_local_storage_that_fails_has_a_replica(servers: list[Served], tmp_path, monkeypatch):
    local, other = str(tmp_path / "one" / "a"), f"{servers[1].address}a"
    real = os.pread

    def fail(number: int, length: int, start: int) -> bytes:
        if start:
            raise OSError(errno.EIO, "Input/output error")
        return real(number, length, start)

    with open_replicas([local, other]) as (address, source):
        assert address == local and read(source) == WANTED
        monkeypatch.setattr("os.pread", fail)
        assert read(source) == WANTED
    monkeypatch.undo()
    with open_replicas([str(tmp_path / "none"), f"file://{local}"]) as (address, source):
        assert address == f"file://{local}" and read(source) == WANTED


def test_addresses_that_nobody_can_open():
    for address, words in (
        ("gopher://h/a", r"gopher:// is not known; root://, http://"),
        ("http://127.0.0.1:1/a", r"the connection is refused \(3 attempts\); try again later"),
        ("s3://bucket", r"an object's address is s3://BUCKET/KEY"),
    ):
        with (
            pytest.raises(SourceError, match=f"^{re.escape(address)}: cannot be opened: {words}"),
            open_replicas([address]),
        ):
            pass


def small_file(path: Path) -> None:
    """Numbers, and lists of lists that only uproot reads."""
    with uproot.recreate(path) as file:
        file.mktree("Events", {"x": "int64"})
        file["Events"].extend({"x": np.arange(1000)})
        file["t"] = "a text"


def test_a_damaged_file_is_read_at_another_address(servers: list[Served], tmp_path):
    small_file(tmp_path / "two" / "b.root")
    good = (tmp_path / "two" / "b.root").read_bytes()
    addresses = [f"{server.address}b.root" for server in servers]
    for bad, words in ((b"<html>" * 50, "is no ROOT file"), (good[:-50], "is cut short")):
        (tmp_path / "one" / "b.root").write_bytes(bad)
        with open_file(Source(addresses[0], replicas=(addresses[1],))) as file:
            assert file.path == addresses[1]
            assert file.tree("Events").values(["x"])["x"].values.tolist() == list(range(1000))
        with pytest.raises(SourceError, match=f"^{addresses[0]}: {words}"), open_file(Source(addresses[0])):
            pass
