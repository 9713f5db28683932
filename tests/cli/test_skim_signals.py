"""`hepfilter skim` and what ends it before its time: it says how to go on, and the same command does."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hepfilter.cli.app import run
from hepfilter.cli.skim import print_report
from hepfilter.cli.terminal import stdout
from hepfilter.io.sources import Source
from hepfilter.skim.findings import BadInput
from hepfilter.skim.proof.verification import verify
from hepfilter.skim.report import CutflowStep, FileCount, OutputCount, SkimReport
from tests.nano import make_nano
from tests.skim.outputs import contents
from tests.work.test_children import wait_until_gone

WHERE = ["--where", "nMuon >= 4", "--compression", "LZMA:1"]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Files that are worth two workers."""
    folder = tmp_path_factory.mktemp("inputs")
    numbers = range(4)
    return [
        str(make_nano(folder / f"in{n}.root", 20_000, seed=n, first_event=n * 100_000, basket=20_000)) for n in numbers
    ]


@pytest.fixture(scope="module")
def whole(inputs: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an undisturbed run makes."""
    output = tmp_path_factory.mktemp("whole") / "whole.root"
    assert run(["skim", *inputs, *WHERE, "-o", str(output), "--workers", "1"]) == 0
    return output


def start(arguments: list[str]) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "hepfilter", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def children(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def wait_until(there) -> None:
    end = time.monotonic() + 60
    while not there():
        assert time.monotonic() < end
        time.sleep(0.002)


def has_read(folder: Path) -> bool:
    """Something, and entered that; the second part is written when the first is in the ledger."""
    return len(list(folder.glob("out.root.ledger/0*.part"))) > 1


def writes(folder: Path) -> bool:
    return bool(list(folder.glob(".out.root.*.part")))


@pytest.mark.parametrize(
    ("number", "stage", "workers", "group"),
    [
        (signal.SIGINT, has_read, 2, True),  # as Ctrl-C does: to all processes
        (signal.SIGINT, writes, 1, True),
        (signal.SIGTERM, has_read, 1, False),
        (signal.SIGTERM, writes, 2, False),
        (signal.SIGTERM, has_read, 2, True),  # as a batch system may
    ],
)
def test_a_signal_ends_the_run_within_seconds_and_the_same_command_goes_on(
    inputs, whole, tmp_path, number, stage, workers, group
):
    end_and_go_on([*inputs, *WHERE], whole, tmp_path, number, stage, workers=workers, group=group)


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.long), 2])
def test_so_it_is_while_a_model_scores(inputs, tmp_path, untrained_model, workers):
    arguments = [*inputs[:3], "--keep", "10%", "--model", str(untrained_model)]
    whole = tmp_path / "whole.root"
    assert run(["skim", *arguments, "-o", str(whole), "--workers", "1"]) == 0
    end_and_go_on(arguments, whole, tmp_path, signal.SIGTERM, has_read, workers=workers, group=False)


def ready(out: Path, stage: Callable[[Path], bool], process: int, workers: int) -> bool:
    """Whether the skim is at that stage, and its workers are at work."""
    return stage(out) and (workers == 1 or len(children(process)) >= 2)


def end_and_go_on(
    arguments: list[str],
    whole: Path,
    folder: Path,
    number: int,
    stage: Callable[[Path], bool],
    *,
    workers: int,
    group: bool,
) -> None:
    """Send a signal at a stage of a skim, to its process alone or to all, and run it again."""
    out = folder / "out"
    command = ["skim", *arguments, "-o", str(out / "out.root"), "--workers", str(workers)]
    for _ in range(5):  # on a busy machine a run may be over before the signal is sent
        out.mkdir()
        with start(command) as process:
            wait_until(lambda: process.poll() is not None or ready(out, stage, process.pid, workers))
            at_work = children(process.pid) if process.poll() is None else []
            begin = time.monotonic()
            if process.poll() is None:
                (os.killpg if group else os.kill)(process.pid, number)
            printed, said = process.communicate(timeout=30)
        if process.returncode != 0:
            break
        shutil.rmtree(out)
    assert time.monotonic() - begin < 10  # a machine may be busy
    assert process.returncode == 128 + number and printed == ""
    assert said.splitlines() == [
        "",
        f"hepfilter: ended by {signal.Signals(number).name}; nothing half-written is left",
        f"hepfilter: {out / 'out.root.ledger'} holds what was done; the same command goes on from there",
    ]
    wait_until_gone(at_work, seconds=1)
    assert [path.name for path in out.iterdir()] == ["out.root.ledger"]
    with start(command) as process:
        printed, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, "") and "had been read by an earlier run" in printed
    assert [path.name for path in out.iterdir()] == ["out.root"]
    assert contents(out / "out.root") == contents(whole)
    assert not verify([Source(str(out / "out.root"))]).failed


def test_what_is_quarantined_is_told_with_its_name_and_place_once(capsys):
    count = FileCount("a.root", None, "", "Events", "", 1, "", 9, (CutflowStep("read", 9, None),))
    units = BadInput("b.root", None, 9, 12, "b.root: tree Events is damaged")
    whole = BadInput("c.root", None, None, None, "c.root: no file")
    report = SkimReport((count,), outputs=(OutputCount("out.root", 0, (0,)),))
    print_report(replace(report, bad=(units, whole)), stdout())
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "quarantined: b.root, entries 9 to 11: tree Events is damaged",
        "quarantined: c.root: no file",
        "missing: 3 events, and all of 1 input; --resume tries them again",
    ]
    print_report(replace(report, bad=(units,)), stdout())
    assert "missing: 3 events; --resume tries them again" in capsys.readouterr().out


def test_what_is_quarantined_is_told_in_tables_and_in_json(inputs, tmp_path, capsys):
    bad = tmp_path / "bad.root"
    bad.write_bytes(Path(inputs[1]).read_bytes()[:100_000])
    output = tmp_path / "out.root"
    command = ["skim", inputs[0], str(bad), *WHERE, "-o", str(output), "--on-bad-file", "quarantine"]
    assert run(command) == 3
    printed = " ".join(capsys.readouterr().out.split())
    assert f"quarantined: {bad}: is cut short" in printed
    assert "missing: all of 1 input; --resume tries them again" in printed
    assert run(command) == 1
    assert "is there, with 1 input quarantined; --resume tries those again" in capsys.readouterr().err
    assert run([*command, "--resume", "--json"]) == 3
    report = json.loads(capsys.readouterr().out)
    (one,) = report["bad"]
    assert (one["path"], one["start"], one["stop"]) == (str(bad), None, None) and "is cut short" in one["reason"]
    assert (report["read"], report["written"] == report["passed"], report["resumed"]) == (20_000, True, 20_000)
    assert run(["verify", str(output)]) == 0
    bad.write_bytes(Path(inputs[1]).read_bytes())
    assert run([*command, "--resume"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.root", "out.root"]
