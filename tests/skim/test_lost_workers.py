"""Worker processes that are killed in the middle of their work, once or each time: no event is lost."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hepfilter.errors import HepfilterError, WorkerError
from hepfilter.io.copy_plan import Cluster
from hepfilter.io.copying import Copier
from hepfilter.io.sources import Source
from hepfilter.io.treewriter import TreeWriter
from hepfilter.skim.file_reading import FileReader
from hepfilter.skim.proof.verification import verify
from hepfilter.skim.unit_reading import UnitReader
from hepfilter.work import children
from tests.skim.disturbed import EVENTS, check_whole, make_inputs, run, work_in_small_portions
from tests.skim.outputs import contents

MAIN = os.getpid()


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Files, of which an undisturbed run has made whole.root; workers are copies of this process, whatever it has."""
    work_in_small_portions(monkeypatch)
    monkeypatch.setattr(children, "may_fork", lambda: True)
    found = make_inputs(tmp_path)
    run(found, tmp_path / "whole.root")
    return found


class Killer:
    """In a worker, kills it in the middle of what is deadly; so often, told by marks in a folder."""

    def __init__(self, folder: Path, times: int) -> None:
        self.folder, self.times = folder, times
        folder.mkdir()

    @property
    def deaths(self) -> int:
        return len(list(self.folder.iterdir()))

    def strike(self) -> None:
        assert os.getpid() != MAIN, "this is no worker"
        if self.deaths < self.times:
            (self.folder / str(os.getpid())).touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, deadly: Callable[..., bool]) -> None:
        """Strike behind each call of a function whose arguments are deadly, before it gives anything back."""
        inner = getattr(owner, name)

        def outer(*arguments: Any, **more: Any) -> Any:
            result = inner(*arguments, **more)
            if deadly(*arguments):
                self.strike()
            return result

        monkeypatch.setattr(owner, name, outer)


def is_unit(reader: UnitReader, start: int, _: int) -> bool:
    return start == 300 and reader._tree.path.endswith("in1.root")


def is_head(_: FileReader, source: Source) -> bool:
    return source.path.endswith("in1.root")


def is_piece(copier: Copier, piece: Any, *_: Any) -> bool:
    """Of the second file, with an event of entry 450 or some behind it: such a piece has no event of another unit."""
    return piece.source == 1 and bool(((piece.entries >= 450) & (piece.entries < 470)).any())


PLACES = {
    "head": (FileReader, "head", is_head),
    "unit": (UnitReader, "read", is_unit),
    "copy": (Copier, "gather", is_piece),
}


@pytest.mark.parametrize(("place", "staged"), [("head", True), ("unit", True), ("copy", True), ("copy", False)])
def test_what_a_worker_had_under_way_is_done_again(inputs, tmp_path, monkeypatch, place, staged):
    work_in_small_portions(monkeypatch, staged=staged)
    killer = Killer(tmp_path / "deaths", 2)
    with monkeypatch.context() as deadly:
        killer.watch(deadly, *PLACES[place])
        report = run(inputs, tmp_path / "out.root", workers=2)
    assert killer.deaths == 2
    check_whole(report, tmp_path / "out.root", tmp_path / "whole.root")


@pytest.mark.parametrize("place", PLACES)
def test_what_kills_each_worker_stops_the_run_and_later_the_same_command_goes_on(inputs, tmp_path, monkeypatch, place):
    output = tmp_path / "out.root"
    with monkeypatch.context() as deadly:
        killer = Killer(tmp_path / "deaths", 1000)
        killer.watch(deadly, *PLACES[place])
        with pytest.raises(HepfilterError) as caught:
            run(inputs, output, workers=2)
    assert str(caught.value).startswith(f"{inputs[1]}: ") and "\n" not in str(caught.value)
    assert "3 workers ended in the middle of it: for lack of memory (try fewer workers), or by a crash" in str(
        caught.value
    )
    assert "the same command goes on from there" in caught.value.__notes__[0]
    assert 3 <= killer.deaths <= 6 and not output.exists()
    report = run(inputs, output, workers=2)
    assert report.resumed >= EVENTS // 2
    check_whole(report, output, tmp_path / "whole.root")


@pytest.mark.parametrize("place", PLACES)
def test_what_kills_each_worker_is_quarantined_alone(inputs, tmp_path, monkeypatch, place):
    output = tmp_path / "out.root"
    with monkeypatch.context() as deadly:
        killer = Killer(tmp_path / "deaths", 1000)
        killer.watch(deadly, *PLACES[place])
        report = run(inputs, output, workers=2, on_bad_file="quarantine")
    bad = (None, None) if place == "head" else (300, 600)
    assert [(one.path, one.start, one.stop) for one in report.bad] == [(str(inputs[1]), *bad)]
    assert report.bad[0].reason.startswith(f"{inputs[1]}: ") and "workers ended in the middle" in report.bad[0].reason
    planned = sum(file.entries for file in report.files)
    assert planned == report.read + report.quarantined == (2000 if place == "head" else 3000)
    assert report.passed == report.written and not verify([Source(str(output))]).failed
    assert report.bad[0].reason in (tmp_path / "out.root.retry.txt").read_text()
    if place == "head":
        run([inputs[0], inputs[2]], tmp_path / "without.root")
        assert contents(output) == contents(tmp_path / "without.root")
    healed = run(inputs, output, workers=2, on_bad_file="quarantine", resume=True)
    check_whole(healed, output, tmp_path / "whole.root")


@pytest.mark.parametrize(("files", "events"), [(2, 4000), (12, 400)])
def test_of_several_units_that_a_worker_reads_at_a_time_only_the_deadly_one_is_quarantined(
    tmp_path, monkeypatch, files, events
):
    work_in_small_portions(monkeypatch)
    monkeypatch.setattr(children, "may_fork", lambda: True)
    found = make_inputs(tmp_path, files, events)
    with monkeypatch.context() as deadly:
        killer = Killer(tmp_path / "deaths", 1000)
        killer.watch(deadly, UnitReader, "read", is_unit)
        report = run(found, tmp_path / "out.root", workers=2, on_bad_file="quarantine")
    assert [(one.path, one.start, one.stop) for one in report.bad] == [(str(found[1]), 300, min(600, events))]
    assert killer.deaths == 6 and report.passed == report.written


def of_second(_: Copier, piece: Any, *__: Any) -> bool:
    return piece.source == 1 and len(piece.entries) > 1  # and no row of another tree


def test_of_a_cluster_with_events_of_several_inputs_those_of_the_deadly_one_are_quarantined(
    inputs, tmp_path, monkeypatch
):
    output = tmp_path / "out.root"
    with monkeypatch.context() as deadly:
        deadly.setattr(TreeWriter, "CLUSTER_BYTES", 1e9)
        killer = Killer(tmp_path / "deaths", 1000)
        killer.watch(deadly, Copier, "gather", of_second)
        report = run(inputs, output, workers=2, on_bad_file="quarantine")
    assert {one.path for one in report.bad} == {str(inputs[1])} and report.quarantined == EVENTS
    assert report.passed == report.written and not verify([Source(str(output))]).failed
    healed = run(inputs, output, workers=2, on_bad_file="quarantine", resume=True)
    check_whole(healed, output, tmp_path / "whole.root")


def of_several(_: Copier, cluster: Cluster, *__: Any) -> bool:
    return len(cluster.pieces) > 1


def test_where_no_input_alone_is_deadly_the_run_stops_and_goes_on_later(inputs, tmp_path, monkeypatch):
    output = tmp_path / "out.root"
    with monkeypatch.context() as deadly:
        deadly.setattr(TreeWriter, "CLUSTER_BYTES", 1e9)
        killer = Killer(tmp_path / "deaths", 1000)
        killer.watch(deadly, Copier, "copy", of_several)
        with pytest.raises(WorkerError) as caught:
            run(inputs, output, workers=2, on_bad_file="quarantine")
    said = f"events of {inputs[0]}, {inputs[1]}, {inputs[2]}: 3 workers ended in the middle of it: for lack of memory"
    assert str(caught.value).startswith(said)
    report = run(inputs, output, workers=2)
    assert report.resumed == report.read
    check_whole(report, output, tmp_path / "whole.root")
