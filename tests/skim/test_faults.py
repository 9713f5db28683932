"""Input that cannot be read: quarantined or not, no event is lost, and what heals is taken up by the same command."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hepfilter.errors import HepfilterError, SourceError
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source
from hepfilter.skim.pipeline import skim
from hepfilter.skim.proof.verification import verify
from hepfilter.skim.recipe import Recipe
from tests.nano import make_nano
from tests.skim.disturbed import EVENTS, RECIPE, UNIT, make_inputs, run
from tests.skim.outputs import contents

Damage = Callable[[Path], None]


@pytest.fixture(autouse=True)
def small_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hepfilter.skim.file_reading.UNIT_ENTRIES", UNIT)


@pytest.fixture
def inputs(tmp_path: Path) -> list[Path]:
    return make_inputs(tmp_path)


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 0xFF
    path.write_bytes(data)


def in_basket(branch: str, number: int) -> Damage:
    """A byte of a basket's payload."""

    def damage(path: Path) -> None:
        with open_file(Source(str(path))) as file:
            stored = file.table("Events").by_name[branch].stored
        flip(path, int(stored.seeks[number] + stored.sizes[number]) - 6)

    return damage


def in_tree_record(path: Path) -> None:
    with open_file(Source(str(path))) as file:
        record = file.entries["Events"].position
    flip(path, record + 200)


def in_key_list(path: Path) -> None:
    """The footer: the class of the first key."""
    with open_file(Source(str(path))) as file:
        end = file.directory.end
    flip(path, path.read_bytes().rindex(b"TTree", 0, end))


def cut_short(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def gone(path: Path) -> None:
    path.unlink()
    path.mkdir()  # so that it still stands where inputs are looked for


DAMAGES = {
    "basket that decides": (in_basket("nMuon", 4), (300, 600)),  # entries 400 to 499
    "basket that is copied": (in_basket("Jet_eta", 4), (300, 600)),
    "header": (lambda path: flip(path, 0), None),
    "tree record": (in_tree_record, None),
    "key list": (in_key_list, None),
    "cut short": (cut_short, None),
}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("name", DAMAGES)
def test_bad_input_is_quarantined_and_when_it_heals_the_output_is_whole(name, workers, inputs, tmp_path):
    damage, missing = DAMAGES[name]
    run(inputs, tmp_path / "whole.root")
    good = shutil.copy(inputs[1], tmp_path / "good")
    damage(inputs[1])
    output = tmp_path / "out.root"
    report = run(inputs, output, workers=workers, on_bad_file="quarantine")
    assert [(bad.path, bad.start, bad.stop) for bad in report.bad] == [(str(inputs[1]), *(missing or (None, None)))]
    assert str(inputs[1]) in report.bad[0].reason
    planned = sum(file.entries for file in report.files)
    assert planned == report.read + report.quarantined == (3000 if missing else 2000)
    assert report.passed == report.written
    listed = (tmp_path / "out.root.retry.txt").read_text()
    assert listed.startswith("# ") and f"{inputs[1]}  # " in listed and report.bad[0].reason in listed
    assert not verify([Source(str(output))]).failed
    if missing is None:
        run([inputs[0], inputs[2]], tmp_path / "without.root")
        assert contents(output) == contents(tmp_path / "without.root")
    shutil.copy(good, inputs[1])
    with pytest.raises(HepfilterError, match=r"is there, with 1 input quarantined; --resume tries those again"):
        run(inputs, output, workers=workers, on_bad_file="quarantine")
    healed = run(inputs, output, workers=workers, on_bad_file="quarantine", resume=True)
    assert healed.bad == () and healed.resumed == report.read
    assert contents(output) == contents(tmp_path / "whole.root")
    assert sorted(path.name for path in tmp_path.glob("out*")) == ["out.root"]


@pytest.mark.parametrize("name", DAMAGES)
def test_bad_input_stops_the_run_and_when_it_heals_the_same_command_goes_on(name, inputs, tmp_path):
    damage, _ = DAMAGES[name]
    run(inputs, tmp_path / "whole.root")
    good = shutil.copy(inputs[1], tmp_path / "good")
    damage(inputs[1])
    output = tmp_path / "out.root"
    with pytest.raises(SourceError) as caught:
        run(inputs, output)
    assert str(inputs[1]) in str(caught.value)
    assert caught.value.__notes__ == [
        f"{output}.ledger holds what was done; the same command goes on from there, with --on-bad-file quarantine "
        "also past such input"
    ]
    assert not output.exists()
    shutil.copy(good, inputs[1])
    report = run(inputs, output)
    assert report.resumed >= EVENTS
    assert contents(output) == contents(tmp_path / "whole.root")
    assert sorted(path.name for path in tmp_path.glob("out*")) == ["out.root"]


@pytest.mark.parametrize("stage", ["selecting", "writing"])
def test_a_file_that_is_replaced_in_between_is_noticed(stage, inputs, tmp_path):
    other = make_nano(tmp_path / "other", EVENTS, seed=77, first_event=70_000, basket=100)
    run([inputs[0], inputs[2]], tmp_path / "without.root")

    def replace(now: str, done: int, _: int) -> None:
        if now == stage and done >= 2 * EVENTS * (stage == "selecting") and other.exists():
            other.replace(inputs[1])

    output = tmp_path / "out.root"
    report = run(inputs, output, on_bad_file="quarantine", progress=replace)
    assert [(bad.start, bad.stop) for bad in report.bad] == [(0, EVENTS)]
    assert "changed" in report.bad[0].reason
    assert contents(output) == contents(tmp_path / "without.root")


def test_another_recipe_or_input_is_refused_while_a_run_is_unfinished(inputs, tmp_path):
    good = shutil.copy(inputs[1], tmp_path / "good")
    cut_short(inputs[1])
    output = tmp_path / "out.root"
    with pytest.raises(SourceError):
        run(inputs, output)
    with pytest.raises(HepfilterError, match="an unfinished run with other where"):
        skim(list(map(str, inputs)), output, Recipe(where="nMuon >= 3"))
    with pytest.raises(HepfilterError, match="an unfinished run with other inputs"):
        run(inputs[:2], output)
    shutil.copy(good, inputs[1])
    make_nano(inputs[0], EVENTS, seed=55, first_event=90_000, basket=100)
    with pytest.raises(SourceError, match=r"in0\.root: is not what it was when this run began; --force reads it again"):
        run(inputs, output)
    run(inputs, output, force=True)
    run(inputs, tmp_path / "whole.root")
    assert contents(output) == contents(tmp_path / "whole.root")


def test_progress_is_measured_by_all_inputs_also_those_that_are_not_opened_yet(inputs, tmp_path):
    told: list[tuple[int, int]] = []

    def progress(stage: str, done: int, total: int) -> None:
        if stage == "selecting":
            told.append((done, total))

    inputs[1].write_bytes(inputs[1].read_bytes()[:5_000])
    skim([*map(str, inputs)], tmp_path / "out.root", RECIPE, on_bad_file="quarantine", progress=progress)
    assert told[0][1] == 3 * EVENTS and told[-1] == (2 * EVENTS, 2 * EVENTS)


def test_nothing_to_read_is_an_error_even_where_bad_input_is_quarantined(inputs, tmp_path):
    for path in inputs:
        cut_short(path)
    with pytest.raises(SourceError, match=r"no input can be read; the first: .*in0\.root: is cut short"):
        run(inputs, tmp_path / "out.root", on_bad_file="quarantine")
    assert not (tmp_path / "out.root").exists()


def test_there_must_be_a_run_to_resume(inputs, tmp_path):
    with pytest.raises(HepfilterError, match="there is no run to resume; leave --resume out"):
        run(inputs, tmp_path / "out.root", resume=True)
    assert not list(tmp_path.glob("out*"))


def test_a_wrong_option_leaves_no_ledger_behind(inputs, tmp_path):
    with pytest.raises(HepfilterError, match="nMuoon"):
        skim(list(map(str, inputs)), tmp_path / "out.root", Recipe(where="nMuoon >= 2"))
    assert not list(tmp_path.glob("out*"))
