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


@pytest.mark.parametrize(
    ("given", "lacking"),
    [(REGION[3:], "--signal-region LOW HIGH"), (REGION[:3], "--sidebands LOWER UPPER"), ([], "--signal-region")],
)
def test_regions_are_asked_for_in_one_line(
    data: Path, given: list[str], lacking: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["hunt", str(data), *given]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and told.startswith(f"hepfilter: hunt needs {lacking}")
    assert "hepfilter hunt lhco.root --signal-region 3300 3700 --sidebands 2800 4300" in told


def test_simulated_events_count_alike_and_it_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Weights of background by less than a factor of two apart; that of signal is another."""
    path = write_fat_jets(tmp_path / "mild.root", 2500, 60, weight=(3.0, 5.0, 1e-4))
    assert run(["hunt", str(path), *REGION, *QUICK, "--json"]) == 0
    found, told = capsys.readouterr()
    data = json.loads(found)
    assert (data["simulated"], data["weighted"], data["marked_as_signal"]) == (True, False, 60)
    assert (
        data["in_signal_region"] == int(data["in_signal_region"]) and "60 of 2,560 events are marked as signal" in told
    )
    assert told.count("\n") == 1 and "count alike, without generator weights" in told


@pytest.mark.parametrize("weight", [(1.0, 2.1, 1.0), (-1.0, 1.0, 1.0)])
def test_weights_that_data_could_not_have_are_refused(
    tmp_path: Path, weight: tuple[float, float, float], capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_fat_jets(tmp_path / "wild.root", 300, 10, weight=weight)
    assert run(["hunt", str(path), *REGION]) == 2
    told = capsys.readouterr().err
    assert f"weights of background range from {weight[0]:g} to {weight[1]:g}" in told and "simulate --set lhco" in told


def test_data_are_not_called_simulated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_fat_jets(tmp_path / "data.root", 2500, 0, truth=False)
    assert run(["hunt", str(path), *REGION, *QUICK, "--json"]) == 0
    found, told = capsys.readouterr()
    assert told == "" and not json.loads(found)["simulated"]
