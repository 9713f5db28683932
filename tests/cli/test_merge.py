"""`hepfilter merge` on the command line."""

import json
from pathlib import Path

import pytest

from hepfilter.cli.app import run
from tests.nano import make_nano


@pytest.fixture
def parts(tmp_path) -> list[Path]:
    source = make_nano(tmp_path / "in.root", 50)
    arguments = ["skim", str(source), "-o", str(tmp_path / "out.root"), "--where", "nMuon >= 1", "--split-events", "15"]
    assert run(arguments) == 0
    return sorted(tmp_path.glob("out_*.root"))


def test_parts_become_one_that_verifies(parts, tmp_path, capsys):
    capsys.readouterr()
    assert run(["merge", *map(str, parts), "-o", str(tmp_path / "whole.root")]) == 0
    assert f"{tmp_path / 'whole.root'}: 47 events written" in capsys.readouterr().out
    assert run(["verify", str(tmp_path / "whole.root")]) == 0


def test_json_holds_parts_and_notes(parts, tmp_path, capsys):
    capsys.readouterr()
    assert run(["merge", *map(str, parts[:2]), "-o", str(tmp_path / "whole.root"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["events"] == 30
    assert [part["events"] for part in report["parts"]] == [15, 15]
    assert report["notes"] == [f"parts of a split skim are not here: {parts[2]}, {parts[3]}"]


def test_the_tree_behind_the_colon_must_be_that_of_the_events(parts, tmp_path, capsys):
    merge = ["merge", *map(str, parts[1:]), "-o", str(tmp_path / "whole.root")]
    assert run([*merge, f"{parts[0]}:Runs"]) == 1
    assert "its events are in tree Events, not in Runs" in capsys.readouterr().err
    assert run([*merge, f"{parts[0]}:Events"]) == 0


def test_a_refusal_is_one_line_and_1(parts, tmp_path, capsys):
    other = make_nano(tmp_path / "other.root", 50, seed=2, first_event=50)
    run(["skim", str(other), "-o", str(tmp_path / "fewer.root"), "--where", "nMuon >= 1", "--drop-branches", "Jet_*"])
    capsys.readouterr()
    merge = ["merge", *map(str, parts), "-o", str(tmp_path / "whole.root")]
    assert run([*merge, str(tmp_path / "fewer.root")]) == 1
    errors = capsys.readouterr().err
    assert "branch nJet: is missing" in errors and errors.count("\n") == 1
    assert not (tmp_path / "whole.root").exists()
    assert run(merge) == 0
    assert run(merge) == 1
    assert "--force" in capsys.readouterr().err
    assert run([*merge, "--force"]) == 0
