"""A disk that is full, sooner or later: one line, nothing half written, and once there is room the same goes on."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hepfilter.errors import OutputError, SourceError
from hepfilter.skim.cluster_copy import COPIES
from tests.skim.disturbed import EVENTS, check_whole, make_inputs, run, work_in_small_portions

SIZE = 8_000_000
PAGE = 4096


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Files, of which an undisturbed run has made whole.root."""
    work_in_small_portions(monkeypatch)
    found = make_inputs(tmp_path)
    run(found, tmp_path / "whole.root", list_events=tmp_path / "whole.txt")
    return found


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    with mounted(folder):
        yield folder


@contextmanager
def mounted(folder: Path) -> Iterator[None]:
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, room: int) -> Path:
    """Leave so many bytes of room on the disk."""
    ballast = folder / "ballast"
    free = os.statvfs(folder)
    ballast.write_bytes(bytes(max(0, free.f_bavail * free.f_frsize - room)))
    return ballast


@pytest.mark.parametrize("workers", [1, 2])
def test_wherever_the_disk_is_full_the_same_command_goes_on_when_there_is_room(inputs, tmp_path, disk, workers):
    need = peak(inputs, disk)
    rooms = [0, 6 * PAGE, 16 * PAGE, need // 4, need // 2] if workers == 1 else [16 * PAGE, need // 2]
    said = [fill_and_go_on(inputs, disk, tmp_path, room, workers) for room in rooms]
    if workers == 1:  # where two are at work it is chance which of their files meets the end first
        for what in ("cannot be made", ".part: cannot be written", "out.root: cannot be written"):
            assert any(what in error for error in said), said
    assert all("cannot be made" in error or "cannot be written" in error for error in said), said


@pytest.mark.long
def test_so_it_is_at_many_more_places(inputs, tmp_path, disk):
    need = peak(inputs, disk)
    rooms = [*range(0, 36 * PAGE, PAGE), *range(36 * PAGE, need, need // 16), *range(need, need + 8 * PAGE, PAGE)]
    said = [fill_and_go_on(inputs, disk, tmp_path, room, 1) for room in rooms]
    for what in ("ledger.sqlite: cannot be written: database or disk is full", COPIES, "out.root.ledger/000000-"):
        assert any(what in error for error in said), said


def fill_and_go_on(inputs: list[Path], disk: Path, folder: Path, room: int, workers: int) -> str:
    """What a run says that finds so much room, after another has made the same of what it left."""
    ballast = fill(disk, room)
    output, listed, ledger = disk / "out.root", disk / "out.txt", disk / "out.root.ledger"
    with pytest.raises(OutputError) as caught:
        run(inputs, output, workers=workers, list_events=listed)
    error = str(caught.value)
    assert error.startswith(str(disk / "out.")) and "\n" not in error
    left = {path.name for path in disk.iterdir()} - {"ballast"}
    assert left <= {ledger.name}
    assert {path.suffix for path in disk.rglob("out.root.ledger/*")} <= {"", ".sqlite", ".part"}
    notes = getattr(caught.value, "__notes__", [])
    assert notes == ([f"{ledger} holds what was done; the same command goes on from there"] if left else [])
    ballast.unlink()
    report = run(inputs, output, workers=workers, list_events=listed)
    assert left or not report.resumed
    assert report.resumed == 3 * EVENTS or COPIES not in error
    assert listed.read_text() == (folder / "whole.txt").read_text()
    listed.unlink()
    check_whole(report, output, folder / "whole.root")
    output.unlink()
    return error


def peak(inputs: list[Path], disk: Path) -> int:
    """The most bytes of the disk that an undisturbed run takes at a time it tells of progress."""
    most = 0

    def look(*_: object) -> None:
        nonlocal most
        free = os.statvfs(disk)
        most = max(most, (free.f_blocks - free.f_bavail) * free.f_frsize)

    run(inputs, disk / "out.root", list_events=disk / "out.txt", progress=look)
    for path in disk.iterdir():
        path.unlink()
    return most


def test_a_folder_that_cannot_be_written_to_is_one_line_and_an_unfinished_run_in_it_can_wait(inputs, tmp_path, disk):
    output = disk / "out.root"
    said = "out.root.ledger: cannot be made: Read-only file system"
    with remounted(disk), pytest.raises(OutputError, match=said):
        run(inputs, output)
    assert list(disk.iterdir()) == []
    good = inputs[1].rename(tmp_path / "good")
    inputs[1].write_bytes(good.read_bytes()[:5000])
    with pytest.raises(SourceError):
        run(inputs, output)
    good.replace(inputs[1])
    with remounted(disk), pytest.raises(OutputError, match=said):
        run(inputs, output)
    report = run(inputs, output)
    assert report.resumed == EVENTS
    check_whole(report, output, tmp_path / "whole.root")


@contextmanager
def remounted(folder: Path) -> Iterator[None]:
    """Nothing can be written to the disk in the `with` block."""
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)
