"""Servers that fail in the middle of a skim, for a while or for good, in the first pass and in the second."""

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hepfilter.errors import SourceError
from hepfilter.io.remote import replicas
from hepfilter.io.remote.limits import RemoteLimits
from hepfilter.io.sources import Source
from hepfilter.skim.pipeline import skim
from hepfilter.skim.proof.verification import verify
from hepfilter.skim.report import SkimReport
from tests.servers import has_xrootd, http_server, xrootd_server
from tests.skim.disturbed import EVENTS, RECIPE, Once, check_whole, make_inputs, run, work_in_small_portions
from tests.skim.outputs import contents

needs_xrootd = pytest.mark.skipif(not has_xrootd(), reason="XRootD is not installed")
STAGES = ["selecting", "writing"]


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Three files in the folder that is served, of which an undisturbed run has made whole.root; limits of a second."""
    work_in_small_portions(monkeypatch)
    for name, value in RemoteLimits(open=1, read=1, attempts=4, pause=0.3).to_environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(replicas, "_failed", {})
    (tmp_path / "data").mkdir()
    found = make_inputs(tmp_path / "data")
    run(found, tmp_path / "whole.root")
    return found


def later(seconds: float, action: Callable[..., object], *arguments: object) -> None:
    threading.Timer(seconds, action, arguments).start()


def check_remote(report: SkimReport, output: Path, undisturbed: Path) -> None:
    """As `check_whole`, without the sources, which are gone."""
    assert report.bad == () and report.read == 3 * EVENTS and report.passed == report.written
    assert contents(output) == contents(undisturbed)
    assert sorted(path.name for path in output.parent.glob(f"{output.stem}*")) == [output.name]


@needs_xrootd
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("fault", ["stopped", "killed"])
def test_a_server_that_comes_back_changes_nothing(served, tmp_path, stage, fault):
    with xrootd_server(tmp_path / "data") as server:

        def fail() -> None:
            server.send(signal.SIGSTOP if fault == "stopped" else signal.SIGKILL)
            later(0.6, *((server.send, signal.SIGCONT) if fault == "stopped" else (server.start,)))

        once = Once(fail, stage=stage)
        addresses = [f"{server.address}{path.name}" for path in served]
        report = skim(addresses, tmp_path / "out.root", RECIPE, progress=once)
    assert once.done
    check_remote(report, tmp_path / "out.root", tmp_path / "whole.root")


@needs_xrootd
@pytest.mark.parametrize("stage", STAGES)
def test_a_server_that_is_gone_stops_the_run_in_bounded_time_and_the_same_command_goes_on(served, tmp_path, stage):
    output, begun = tmp_path / "out.root", 0.0
    with xrootd_server(tmp_path / "data") as server:
        addresses = [f"{server.address}{path.name}" for path in served]

        def fail() -> None:
            nonlocal begun
            server.send(signal.SIGKILL)
            begun = time.monotonic()

        once = Once(fail, stage=stage)
        with pytest.raises(
            SourceError, match=r"\.root: cannot be (opened|read): .* \(4 attempts\); try again later"
        ) as caught:
            skim(addresses, output, RECIPE, progress=once)
        assert time.monotonic() - begun < 12
        assert "\n" not in str(caught.value) and "the same command goes on from there" in caught.value.__notes__[0]
        assert not output.exists()
        server.start()
        report = skim(addresses, output, RECIPE)
        assert report.resumed >= EVENTS
        assert not verify([Source(str(output))]).failed
    check_remote(report, output, tmp_path / "whole.root")


@needs_xrootd
@pytest.mark.parametrize("stage", STAGES)
def test_what_a_server_that_is_gone_had_is_quarantined(served, tmp_path, stage):
    output = tmp_path / "out.root"
    with xrootd_server(tmp_path / "data") as server:
        addresses = [str(served[0]), f"{server.address}{served[1].name}", str(served[2])]
        once = Once(lambda: server.send(signal.SIGKILL), stage=stage)
        report = skim(addresses, output, RECIPE, progress=once, on_bad_file="quarantine")
        assert once.done
        assert {bad.path for bad in report.bad} == {addresses[1]}
        assert report.passed == report.written
        assert addresses[1] in (tmp_path / "out.root.retry.txt").read_text()
        run([served[0], served[2]], tmp_path / "without.root")
        assert contents(output) == contents(tmp_path / "without.root")
        server.start()
        healed = skim(addresses, output, RECIPE, on_bad_file="quarantine", resume=True)
        check_whole(healed, output, tmp_path / "whole.root")


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("faults", [pytest.param(["503", "cut"], marks=pytest.mark.long), ["hang"]])
def test_an_http_server_that_fails_for_a_while_changes_nothing(served, tmp_path, stage, faults):
    with http_server(tmp_path / "data") as server:
        once = Once(lambda: server.faults.extend(faults), stage=stage)
        addresses = [str(served[0]), f"{server.address}{served[1].name}", str(served[2])]
        report = skim(addresses, tmp_path / "out.root", RECIPE, progress=once)
        assert once.done and server.faults == []
    check_remote(report, tmp_path / "out.root", tmp_path / "whole.root")


@needs_xrootd
@pytest.mark.parametrize("stage", STAGES)
def test_one_replica_that_dies_changes_nothing(served, tmp_path, stage):
    with xrootd_server(tmp_path / "data") as server, http_server(tmp_path / "data") as other:
        replicated = f"{server.address}{served[1].name}|{other.address}{served[1].name}"
        addresses = [str(served[0]), replicated, str(served[2])]
        once = Once(lambda: server.send(signal.SIGKILL), stage=stage)
        report = skim(addresses, tmp_path / "out.root", RECIPE, progress=once)
        assert once.done and sum(other.sent) > 10_000
    check_remote(report, tmp_path / "out.root", tmp_path / "whole.root")


@needs_xrootd
@pytest.mark.parametrize("fault", ["stopped", "killed"])
def test_so_it_is_with_worker_processes(served, tmp_path, fault):
    with xrootd_server(tmp_path / "data") as server:

        def fail() -> None:
            server.send(signal.SIGSTOP if fault == "stopped" else signal.SIGKILL)
            later(0.6, *((server.send, signal.SIGCONT) if fault == "stopped" else (server.start,)))

        once = Once(fail, stage="selecting")
        addresses = [f"{server.address}{path.name}" for path in served]
        report = skim(addresses, tmp_path / "out.root", RECIPE, progress=once, workers=2)
        check_whole(report, tmp_path / "out.root", tmp_path / "whole.root")
