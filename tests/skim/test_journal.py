"""What identifies a skim, when its ledger stays, and what is quarantined later."""

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hepfilter.errors import (
    CheckpointError,
    DifferentInputsError,
    HepfilterError,
    OutputError,
    SourceError,
    UnreadableEventsError,
    UsageError,
    WorkerError,
)
from hepfilter.io.publishing import Publication
from hepfilter.io.sources import Inputs, Source
from hepfilter.skim.cluster_copy import COPIES
from hepfilter.skim.findings import BadInput
from hepfilter.skim.journal import Journal, open_journal, retry_list
from hepfilter.skim.recipe import Recipe
from hepfilter.skim.report import SkimReport
from hepfilter.work.ledger_rows import UnitBooks

INPUTS = Inputs((Source("a.root"),), {})
UNITS = [(0, 10), (10, 20), (20, 30)]


def opened(folder: Path, **changed: Any) -> AbstractContextManager[Journal]:
    given = {"inputs": INPUTS, "recipe": Recipe(where="x > 1"), "identified": False, "anew": False, "resume": False}
    return open_journal(folder / "out.root", **(given | changed))


def enter(journal: Journal) -> None:
    """All units of the file are read."""
    journal.ledger.plan(0, b"head", UNITS)
    journal.ledger.finish(0, "p", [UnitBooks(start, stop, 1, None) for start, stop in UNITS])


def interrupted(folder: Path, **given: Any) -> None:
    with suppress(KeyboardInterrupt), opened(folder, **given) as journal:
        enter(journal)
        raise KeyboardInterrupt


def inputs_of(kind: str) -> Inputs:
    dataset: Any = SimpleNamespace(facts=lambda: {"kind": kind})
    return replace(INPUTS, datasets={"d": dataset})


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        ({}, {"identified": True}, "identified"),
        ({}, {"recipe": Recipe(where="x > 2")}, "where"),
        ({}, {"inputs": Inputs((Source("a.root", tree="t"),), {})}, "inputs"),
        ({"inputs": inputs_of("mc")}, {"inputs": inputs_of("data")}, "catalogue"),
    ],
)
def test_whatever_decides_the_result_tells_runs_apart(
    before: dict[str, Any], after: dict[str, Any], what: str, tmp_path: Path
) -> None:
    interrupted(tmp_path, **before)
    with opened(tmp_path, **before) as journal:
        assert journal.resumed == 30
    interrupted(tmp_path, **before)
    with pytest.raises(OutputError, match=f"holds an unfinished run with other {what}: "), opened(tmp_path, **after):
        pass


def test_so_do_the_files_of_the_recipe_and_the_model_by_what_they_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = tmp_path / "list.txt"
    recipe = Recipe(events=str(listed), model="m.safetensors", threshold=0.5)

    def hold(event: str, model_hash: str, calibration: str | None) -> None:
        listed.write_text(event)
        model = SimpleNamespace(model_hash=model_hash, calibration=calibration and {"hash": calibration})
        monkeypatch.setattr("hepfilter.skim.journal.read_metadata", lambda _: model)

    hold("1:1:1", "one", None)
    interrupted(tmp_path, recipe=recipe)
    for what, held in (
        ("files", ("1:1:2", "one", None)),
        ("model_hash", ("1:1:1", "other", None)),
        ("calibration", ("1:1:1", "one", "made")),
    ):
        hold(*held)
        with pytest.raises(OutputError, match=f"with other {what}: "), opened(tmp_path, recipe=recipe):
            pass


def caused(error: HepfilterError, cause: Exception) -> HepfilterError:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "stays"),
    [
        (SourceError("x"), True),
        (WorkerError("x"), True),
        (caused(OutputError("x"), OSError(28, "full")), True),
        (caused(OutputError("x"), SourceError("x")), True),
        (RuntimeError("x"), True),
        (OutputError("x"), False),
        (caused(OutputError("x"), ValueError("x")), False),
        (DifferentInputsError("x"), False),
        (UsageError("x"), False),
        (CheckpointError("x"), False),
    ],
)
def test_the_ledger_stays_where_the_same_command_may_do_better(error: Exception, stays: bool, tmp_path: Path) -> None:
    with pytest.raises(type(error)) as caught, opened(tmp_path) as journal:
        enter(journal)
        raise error
    assert (tmp_path / "out.root.ledger").exists() is stays
    notes = getattr(caught.value, "__notes__", [])
    assert len(notes) == (stays and isinstance(error, HepfilterError))
    assert all(("quarantine" in note) is isinstance(error, SourceError) for note in notes)


def test_only_the_units_of_a_fault_are_quarantined_and_only_once(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        enter(journal)
        fault = UnreadableEventsError("x", 0, 10, 19)
        journal.quarantine(fault)
        assert [(bad.start, bad.stop, bad.reason) for bad in journal.ledger.bad()] == [(10, 20, "x")]
        with pytest.raises(UnreadableEventsError):
            journal.quarantine(fault)
        journal.quarantine(UnreadableEventsError("y", 0, 0, 0))
        assert journal.ledger.units(0) == [(20, 30)]
        journal.quarantine(UnreadableEventsError("z", 0, 0, 0, whole=True))
        assert [(bad.start, bad.stop, bad.whole) for bad in journal.ledger.bad()] == [(0, 30, True)]


def test_a_whole_file_without_events_is_quarantined_too(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        journal.ledger.plan(0, b"head", [])
        journal.quarantine(UnreadableEventsError("x", 0, 0, -1, whole=True))
        assert [(bad.start, bad.whole, bad.reason) for bad in journal.ledger.bad()] == [(None, True, "x")]


def test_at_the_end_the_ledger_stays_without_copies_only_where_inputs_are_quarantined(tmp_path: Path) -> None:
    retries = retry_list(tmp_path / "out.root")
    bad = BadInput("a.root", None, 0, 10, "x")

    def run(close: Callable[[Journal], None], **given: Any) -> None:
        with opened(tmp_path, **given) as journal:
            enter(journal)
            journal.ledger.parts.write("p", b"units")
            journal.ledger.parts.write(f"{COPIES}1", b"events")
            close(journal)

    def quarantined(journal: Journal) -> None:
        with Publication() as publication:
            journal.list_retries([bad], publication)
        journal.close(SkimReport((), bad=(bad,)))

    run(quarantined)
    assert retries.read_text().splitlines()[1:] == ["a.root  # entries 0 to 9: x"]
    assert [path.name for path in (tmp_path / "out.root.ledger").glob("*.part")] == ["p.part"]
    with pytest.raises(OutputError, match="is there, with 0 inputs quarantined; --resume tries those again"):
        run(lambda journal: None)
    run(lambda journal: journal.close(SkimReport(())), resume=True)
    assert list(tmp_path.iterdir()) == []
