"""What lies where a run was: parts, outputs and lists of its earlier attempts, and what others put there."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from hepfilter.errors import OutputError, SourceError, WorkerError
from hepfilter.io.sources import Source, expand_sources
from hepfilter.skim import file_reading, journal
from hepfilter.skim.books import check_books
from hepfilter.skim.file_reading import FileReader
from hepfilter.skim.pipeline import skim
from hepfilter.skim.proof.verification import verify
from hepfilter.skim.recipe import Recipe
from hepfilter.work.ledger import ledger_folder
from hepfilter.work.ledger_rows import Totals
from tests.nano import make_nano
from tests.skim.disturbed import RECIPE, Once, make_inputs, run, work_in_small_portions
from tests.skim.outputs import contents

SPLIT = Recipe(where="nMuon >= 2", split_events=100)


@pytest.fixture(autouse=True)
def small_units(monkeypatch: pytest.MonkeyPatch) -> None:
    work_in_small_portions(monkeypatch)


@pytest.fixture
def inputs(tmp_path: Path) -> list[Path]:
    return make_inputs(tmp_path)


def interrupt() -> None:
    raise KeyboardInterrupt


def spoil(path: Path) -> None:
    path.write_bytes(b"none" * 100)


def begin(inputs: list[Path], output: Path, recipe: Recipe = RECIPE, *, stage: str = "writing") -> None:
    """A run that is interrupted."""
    with pytest.raises(KeyboardInterrupt):
        skim(list(map(str, inputs)), output, recipe, progress=Once(interrupt, stage=stage))


def test_a_part_under_the_name_of_another_is_made_again(inputs, tmp_path):
    run(inputs, tmp_path / "whole.root")
    output = tmp_path / "out.root"
    begin(inputs, output)
    first, *_, last = sorted(ledger_folder(output).glob("0*.part"))
    mine = first.read_bytes()
    first.write_bytes(last.read_bytes())
    last.write_bytes(mine)
    run(inputs, output)
    assert contents(output) == contents(tmp_path / "whole.root")


def test_outputs_of_an_earlier_attempt_that_this_one_has_not_are_removed(inputs, tmp_path):
    output = tmp_path / "out.root"
    spoil(inputs[0])
    skim(list(map(str, inputs)), output, SPLIT, on_bad_file="quarantine")
    spoil(inputs[1])
    report = skim(list(map(str, inputs)), output, SPLIT, on_bad_file="quarantine", resume=True)
    assert sorted(map(str, tmp_path.glob("out_*"))) == sorted(count.path for count in report.outputs)


def test_an_input_that_no_longer_opens_is_quarantined_by_the_next_attempt_too(inputs, tmp_path):
    output = tmp_path / "out.root"
    begin(inputs, output)
    spoil(inputs[1])
    report = run(inputs, output, on_bad_file="quarantine")
    assert [bad.path for bad in report.bad] == [str(inputs[1])]
    run([inputs[0], inputs[2]], tmp_path / "without.root")
    assert contents(output) == contents(tmp_path / "without.root")


def test_a_run_goes_on_from_another_folder(inputs, tmp_path, monkeypatch):
    run(inputs, tmp_path / "whole.root")
    good = shutil.copy(inputs[1], tmp_path / "good")
    spoil(inputs[1])
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "one")
    run(inputs, Path("out.root"), on_bad_file="quarantine")
    monkeypatch.chdir(tmp_path / "other")
    (tmp_path / "other" / ".out.root.01234567.part").write_text("of a run that lives")
    shutil.copy(good, inputs[1])
    run(inputs, tmp_path / "one" / "out.root", on_bad_file="quarantine", resume=True)
    assert [path.name for path in (tmp_path / "other").iterdir()] == [".out.root.01234567.part"]
    assert contents(tmp_path / "one" / "out.root") == contents(tmp_path / "whole.root")


def test_what_appears_where_an_output_will_be_is_not_replaced_and_no_work_is_lost(inputs, tmp_path):
    output, theirs = tmp_path / "out.root", tmp_path / "out_2.root"
    for stage in ("selecting", "writing"):
        make = Once(lambda: theirs.write_text("theirs"), stage=stage)
        with pytest.raises(OutputError, match=r"out_2\.root: exists") as caught:
            skim(list(map(str, inputs)), output, SPLIT, progress=make)
        assert "goes on from there" in caught.value.__notes__[0] and theirs.read_text() == "theirs"
        theirs.unlink()
    assert skim(list(map(str, inputs)), output, SPLIT).resumed == 3000


def test_a_quarantine_beside_files_without_events_can_be_resumed(tmp_path):
    paths = [make_nano(tmp_path / "none.root", 0), tmp_path / "bad.root"]
    spoil(paths[1])
    run(paths, tmp_path / "out.root", on_bad_file="quarantine")
    make_nano(paths[1])
    assert run(paths, tmp_path / "out.root", resume=True).read == 200


NAMES = ["a #b.root", " a.root", "a\nb.root", os.fsdecode(b"\xff.root"), "a|b.root", "[1].root"]


@pytest.mark.parametrize("name", NAMES)
def test_the_list_of_retries_names_no_other_file(name, inputs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spoil(Path(name))
    skim([name, str(inputs[0]), str(inputs[1])], "out.root", RECIPE, on_bad_file="quarantine")
    if "# no list can name it: " in Path("out.root.retry.txt").read_text():
        with pytest.raises(SourceError, match="the list names no file"):
            expand_sources(["@out.root.retry.txt"])
    else:
        assert [source.path for source in expand_sources(["@out.root.retry.txt"])] == [name]


def test_the_list_of_retries_has_replicas_and_trees(inputs, tmp_path):
    for path in inputs[:2]:
        spoil(path)
    given = f"{inputs[0]}|{inputs[1]}:Events"
    skim([given, str(inputs[2])], tmp_path / "out.root", RECIPE, on_bad_file="quarantine")
    assert expand_sources([f"@{tmp_path}/out.root.retry.txt"]) == expand_sources([given])


@pytest.mark.parametrize("spoilt", [False, True])
def test_a_file_of_another_with_the_name_of_the_list_stays(spoilt, inputs, tmp_path):
    theirs = tmp_path / "out.root.retry.txt"
    theirs.write_text("theirs")
    if spoilt:
        spoil(inputs[0])
        with pytest.raises(OutputError, match="is none of hepfilter's lists"):
            run(inputs, tmp_path / "out.root", on_bad_file="quarantine")
    else:
        run(inputs, tmp_path / "out.root")
    assert theirs.read_text() == "theirs"


def test_units_whose_scores_come_from_something_else_are_refused(inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(file_reading, "UNIT_ENTRIES", 100)
    begin(inputs[:1], tmp_path / "out.root", stage="selecting")
    monkeypatch.setattr(FileReader, "score_facts", {"device_class": "cuda"})
    with pytest.raises(WorkerError, match="workers differ in what gives scores"):
        run(inputs[:1], tmp_path / "out.root")
    monkeypatch.setattr(FileReader, "score_facts", None)
    assert run(inputs[:1], tmp_path / "out.root").resumed


@pytest.mark.parametrize("change", ["model_hash", "calibration"])
def test_another_model_or_calibration_is_noticed(change, inputs, tmp_path, monkeypatch):
    known = {"model_hash": "a", "calibration": {"hash": "b"}}
    identities = []
    for one in (known, known | {change: None}):
        monkeypatch.setattr(journal, "read_metadata", lambda _, one=one: SimpleNamespace(**one))
        given = SimpleNamespace(sources=(), datasets={})
        identities.append(journal._identity(given, Recipe(threshold=0.5, model="m"), identified=False))
    assert identities[0] != identities[1]


def test_force_begins_anew_where_the_ledger_is_damaged(inputs, tmp_path):
    output = tmp_path / "out.root"
    begin(inputs, output)
    with closing(sqlite3.connect(ledger_folder(output) / "ledger.sqlite")) as database, database:
        database.execute("UPDATE files SET head = x'00' WHERE number = 0")
    with pytest.raises(OutputError, match="is damaged: what is known of file 0; --force begins anew"):
        run(inputs, output)
    run(inputs, output, force=True)
    run(inputs, tmp_path / "whole.root")
    assert contents(output) == contents(tmp_path / "whole.root")


def test_what_is_no_file_in_the_folder_of_a_ledger_stays_there(inputs, tmp_path):
    output = tmp_path / "out.root"
    begin(inputs, output)
    for name in ("x.part", ".y.part.01234567.part"):
        (ledger_folder(output) / name).mkdir()
    assert run(inputs, output).resumed == 3000
    assert len(list(ledger_folder(output).iterdir())) == 2


@pytest.mark.parametrize(("bad", "lacking"), [(0, 1), (1, 1)])
def test_a_union_has_fills_for_a_good_file_whatever_a_bad_one_is(bad, lacking, inputs, tmp_path):
    make_nano(inputs[lacking], 1000, seed=9, first_event=50_000, basket=100, drop=("Pileup_nTrueInt",))
    recipe = Recipe(where="nMuon >= 2 and Pileup_nTrueInt > -5", layout="union", fills={"Pileup_nTrueInt": -1.0})
    skim(list(map(str, inputs)), tmp_path / "whole.root", recipe)
    good = shutil.copy(inputs[bad], tmp_path / "good")
    spoil(inputs[bad])
    report = skim(list(map(str, inputs)), tmp_path / "out.root", recipe, on_bad_file="quarantine")
    assert [one.path for one in report.bad] == [str(inputs[bad])] and report.read == 2000
    assert not verify([Source(str(tmp_path / "out.root"))]).failed
    shutil.copy(good, inputs[bad])
    skim(list(map(str, inputs)), tmp_path / "out.root", recipe, on_bad_file="quarantine", resume=True)
    assert contents(tmp_path / "out.root") == contents(tmp_path / "whole.root")


def test_weights_that_cancel_balance_but_for_rounding(tmp_path):
    ledger = SimpleNamespace(totals=lambda: Totals(3, 3, 0, 0.0, 0.6), folder=tmp_path)
    report = SimpleNamespace(read=3, cutflow=lambda: [SimpleNamespace(weight=0.1 + 0.2 - 0.3)])
    check_books(ledger, report)
    report.cutflow = lambda: [SimpleNamespace(weight=1e-6)]
    with pytest.raises(OutputError, match="the weights of all units sum to"):
        check_books(ledger, report)
