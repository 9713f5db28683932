"""Skims on the workers of a Dask scheduler, and of SLURM: the same output, whoever dies."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

pytest.importorskip("distributed", reason="Dask is not installed: pip install 'hepfilter[dask]'")

from hepfilter.cli.app import run as command
from hepfilter.skim.pipeline import skim
from hepfilter.skim.recipe import Recipe
from hepfilter.work.execution import Execution
from tests.batch_servers import DaskServers, dask_servers, slurm, slurm_is_missing
from tests.skim.disturbed import Once, check_output, check_whole, make_inputs, run, work_in_small_portions

ROOT = Path(__file__).resolve().parents[2]
WHERE = ["--where", "nMuon >= 2"]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskServers]:
    with dask_servers(tmp_path_factory.mktemp("dask")) as started:
        yield started


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Files, of which an undisturbed run has made whole.root."""
    work_in_small_portions(monkeypatch)
    found = make_inputs(tmp_path)
    run(found, tmp_path / "whole.root")
    return found


def on(servers: DaskServers) -> Execution:
    return Execution(scheduler=servers.address)


def test_the_output_is_that_of_the_calling_process(servers, inputs, tmp_path):
    report = run(inputs, tmp_path / "out.root", execution=on(servers))
    check_whole(report, tmp_path / "out.root", tmp_path / "whole.root")


def test_so_it_is_with_the_model_that_ships(servers, inputs, tmp_path):
    recipe = Recipe(keep=0.05)
    reports = [
        skim(list(map(str, inputs)), tmp_path / f"{name}.root", recipe, execution=execution)
        for name, execution in (("model", Execution()), ("out", on(servers)))
    ]
    assert [report.written for report in reports] == [150, 150] and reports[0].threshold == reports[1].threshold
    check_whole(reports[1], tmp_path / "out.root", tmp_path / "model.root")


@pytest.mark.parametrize("stage", ["selecting", "writing"])
def test_a_worker_that_is_killed_changes_nothing(servers, inputs, tmp_path, stage):
    servers.start_worker("w7")
    wait_for_workers(servers, 3)

    def kill() -> None:
        servers.kill("w7")
        servers.start_worker("w8")

    once = Once(kill, stage=stage)
    report = run(inputs, tmp_path / "out.root", execution=on(servers), progress=once)
    assert once.done
    check_whole(report, tmp_path / "out.root", tmp_path / "whole.root")
    servers.kill("w8")


def wait_for_workers(servers: DaskServers, count: int) -> None:
    from distributed import Client

    with Client(servers.address, set_as_default=False) as client:
        client.wait_for_workers(count, timeout=30)


@contextmanager
def told(once: Once) -> Iterator[Once]:
    """As `event_progress`."""
    yield once


@pytest.mark.parametrize(
    ("stage", "then"),
    [("selecting", "processes"), ("writing", "processes"), pytest.param("selecting", "dask", marks=pytest.mark.long)],
)
def test_a_scheduler_that_is_killed_ends_the_run_in_one_line_and_another_executor_goes_on(
    inputs, tmp_path, monkeypatch, capsys, stage, then
):
    output = tmp_path / "out.root"
    arguments = ["skim", *map(str, inputs), "-o", str(output), *WHERE]
    with dask_servers(tmp_path, workers=1) as servers, monkeypatch.context() as patched:
        begun: list[float] = []

        def kill() -> None:
            servers.scheduler.kill()
            begun.append(time.monotonic())

        patched.setattr("hepfilter.cli.terminal.event_progress", lambda: told(Once(kill, stage=stage)))
        assert command([*arguments, "--scheduler", servers.address]) == 1
        assert time.monotonic() - begun[0] < 6
    lines = capsys.readouterr().err.splitlines()
    gone = f"{servers.address}: the Dask scheduler is gone, or has dropped our tasks; with one there the same command"
    assert lines[-2].startswith(f"hepfilter: {gone}")
    assert lines[-1] == f"hepfilter: {output}.ledger holds what was done; the same command goes on from there"
    assert all(line.startswith("hepfilter: ") for line in lines) and not output.exists()
    if then == "dask":
        with dask_servers(tmp_path / "again", workers=1) as servers:
            assert command([*arguments, "--scheduler", servers.address]) == 0
    else:
        assert command([*arguments, "--executor", "processes", "--workers", "2"]) == 0
    assert "had been read by an earlier run" in capsys.readouterr().out
    check_output(output, tmp_path / "whole.root")


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_a_signal_ends_the_run_within_seconds_and_worker_processes_go_on(servers, tmp_path, number):
    inputs, output = make_inputs(tmp_path, 8, 5000), tmp_path / "out.root"
    arguments = ["skim", *map(str, inputs), "-o", str(output), *WHERE]
    interrupt([*arguments, "--scheduler", servers.address], output, number)
    assert command([*arguments, "--workers", "2"]) == 0
    run(inputs, tmp_path / "whole.root")
    check_output(output, tmp_path / "whole.root")


def interrupt(arguments: list[str], output: Path, number: signal.Signals) -> None:
    """Send a signal to a skim of which something is in the ledger."""
    started = [sys.executable, "-m", "hepfilter", *arguments]
    with subprocess.Popen(started, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None and len(list(output.parent.glob(f"{output.name}.ledger/*.part"))) < 2:
            time.sleep(0.005)
        process.send_signal(number)
        begun = time.monotonic()
        printed, said = process.communicate(timeout=30)
    assert time.monotonic() - begun < 5
    assert (process.returncode, printed) == (128 + number, "")
    assert said.splitlines()[-2:] == [
        f"hepfilter: ended by {signal.Signals(number).name}; nothing half-written is left",
        f"hepfilter: {output}.ledger holds what was done; the same command goes on from there",
    ]


@pytest.fixture
def on_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The options that run a skim on SLURM."""
    if why := slurm_is_missing():
        pytest.skip(why)
    facts = {"kind": "slurm", "workers": 2, "memory": "1 GB", "walltime": "00:10:00", "interface": "lo"}
    (tmp_path / "cluster.yaml").write_text(yaml.safe_dump({**facts, "logs": str(tmp_path / "logs")}))
    with slurm(tmp_path / "slurm") as env:
        for name, value in {**env, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}.items():
            monkeypatch.setenv(name, value)
        yield ["--cluster", str(tmp_path / "cluster.yaml")]


def test_jobs_of_slurm_make_the_same_output_after_a_ctrl_c_too(on_slurm, tmp_path, capsys):
    inputs, output = make_inputs(tmp_path, 8, 5000), tmp_path / "out.root"
    arguments = ["skim", *map(str, inputs), "-o", str(output), *WHERE, *on_slurm]
    interrupt(arguments, output, signal.SIGINT)
    assert command(arguments) == 0
    said = capsys.readouterr()
    assert "had been read by an earlier run" in said.out
    assert set(said.err.splitlines()) == {
        "hepfilter: slurm: 2 jobs asked for, no worker is there yet; waiting",
        "hepfilter: slurm: the first worker is there",
    }
    run(inputs, tmp_path / "whole.root")
    check_output(output, tmp_path / "whole.root")
