"""The command ``hepfilter hunt``."""

import json
from pathlib import Path

import pytest

from hepfilter.cli.app import run
from tests.fat_jets import write_fat_jets

REGION = ["--signal-region", "3300", "3700", "--sidebands", "2800", "4300"]
QUICK = ["--folds", "2", "--members", "1"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fat_jets(tmp_path_factory.mktemp("hunt") / "data.root", 4000, 100)


def test_a_signal_in_a_file_is_found(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["hunt", str(data), *REGION, *QUICK, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["events"] == 4100 and 100 < found["in_signal_region"] < found["in_sidebands"]
    first, *_, last = found["excesses"]
    assert first["selection"] == 0.1 and first["excess"]["significance"] > 4
    assert last["selection"] == 0.001 and last["excess"] is None


def test_the_table_says_what_is_not_known(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["hunt", str(data), *REGION, *QUICK, "--method", "template"]) == 0
    text = capsys.readouterr().out
    assert "significance" in text and "4,100 events" in text
    row = next(line for line in text.splitlines() if " 0.001 " in line)
    assert row.count("–") == 5


def test_mistakes_are_told_in_one_line(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["hunt", str(data), *REGION, "--method", "templates"]) == 2
    assert "no method 'templates'; methods: cwola, template; nearest: template" in capsys.readouterr().err
    assert run(["hunt", str(data), "--signal-region", "3300", "3700", "--sidebands", "3400", "4300"]) == 2
    assert "must lie inside 3400 to 4300 GeV" in capsys.readouterr().err
    assert run(["hunt", str(data), "--signal-region", "9000", "9100", "--sidebands", "8000", "9999"]) == 1
    assert "the signal region has 0 events, 100 are needed" in capsys.readouterr().err
