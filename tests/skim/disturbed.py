"""Skims that are disturbed: work in small portions, what they must come to in the end, and what disturbs them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hepfilter.io.sources import Source
from hepfilter.io.treewriter import TreeWriter
from hepfilter.skim import file_reading, outputs
from hepfilter.skim.pipeline import skim
from hepfilter.skim.proof.verification import verify
from hepfilter.skim.recipe import Recipe
from hepfilter.skim.report import SkimReport
from tests.nano import make_nano
from tests.skim.outputs import contents

EVENTS, UNIT = 1000, 300
RECIPE = Recipe(where="nMuon >= 2")


def work_in_small_portions(monkeypatch: pytest.MonkeyPatch, *, staged: bool = True) -> None:
    """Small units and clusters, each worth a worker; copies are `staged` on disk, or wait in memory."""
    monkeypatch.setattr(file_reading, "UNIT_ENTRIES", UNIT)
    monkeypatch.setattr(TreeWriter, "CLUSTER_BYTES", 20_000)
    monkeypatch.setattr("hepfilter.io.copy_plan._BYTES_PER_WORKER", 1)
    monkeypatch.setattr(outputs, "STAGED_BYTES", 0 if staged else 1e12)


def make_inputs(folder: Path, count: int = 3, events: int = EVENTS) -> list[Path]:
    """Files of different events."""
    return [
        make_nano(folder / f"in{number}.root", events, seed=number, first_event=100_000 * number, basket=100)
        for number in range(count)
    ]


def run(inputs: list[Path], output: Path, **orders: object) -> SkimReport:
    """A skim of these inputs."""
    return skim(list(map(str, inputs)), output, RECIPE, **orders)


def check_whole(report: SkimReport, output: Path, undisturbed: Path) -> None:
    """The books balance, the output holds what that of an undisturbed run does, and nothing else lies there."""
    assert report.bad == () and sum(file.entries for file in report.files) == report.read
    assert report.passed == report.written
    check_output(output, undisturbed)


def check_output(output: Path, undisturbed: Path) -> None:
    """The output holds what that of an undisturbed run does, its own books balance, and nothing else lies there."""
    assert contents(output) == contents(undisturbed)
    assert not verify([Source(str(output))]).failed
    assert sorted(path.name for path in output.parent.glob(f"{output.stem}*")) == [output.name]


class Once:
    """Told of progress, does something the first time that a stage has come so far."""

    def __init__(self, action: Callable[[], object], *, stage: str = "selecting", least: int = 1) -> None:
        self._action, self._stage, self._least = action, stage, least
        self.done = False

    def __call__(self, stage: str, done: int, _: int) -> None:
        if not self.done and stage == self._stage and done >= self._least:
            self.done = True
            self._action()
