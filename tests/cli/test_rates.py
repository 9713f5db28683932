"""`hepfilter rates show | lock | diff`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hepfilter.cli.app import run
from hepfilter.scoring.score import score_files
from hepfilter.trigger.lock import read_trigger
from tests.nano import make_nano

MENU = """
name: plain
model: null
paths:
  muons: {when: "nMuon >= 2"}
  jets: {when: "nJet >= 6", prescale: 2}
  secret: {when: "MET_pt > 30", blind: true}
blind: "MET_pt > 100"
control: {probability: 0.1}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, untrained_model: Path) -> Path:
    path = tmp_path_factory.mktemp("rates")
    make_nano(path / "a.root", 300)
    make_nano(path / "data.root", 300, drop=("genWeight",))
    (path / "m.yaml").write_text(MENU)
    (path / "tight.yaml").write_text(MENU.replace("nMuon >= 2", "nMuon >= 3").replace("name: plain", "name: tight"))
    scored = "name: scored\npaths:\n  x: {score: interest, fraction: 10%}\n  y: {when: nMuon >= 2}\n"
    (path / "s.yaml").write_text(f"{scored}model: {untrained_model}\n")
    for name in ("a", "data"):
        score_files(path / f"{name}.root", path / f"{name}.parquet", model=str(untrained_model))
    return path


@pytest.fixture
def rates(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """The exit code, and what was printed as results and as errors."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "160")

    def called(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(["rates", *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return called


def test_weights_that_add_up_to_nothing_have_no_rates(rates: Callable[..., Any], folder: Path) -> None:
    make_nano(folder / "below.root", 50, plant={"genWeight": np.full(50, -1.0, np.float32)})
    code, out, _ = rates("show", "m.yaml", "below.root")
    assert code == 0 and "nan" not in out
    assert "no rates: the weights of the events that are shown do not add up to more than 0" in out
    code, out, err = rates("show", "s.yaml", "below.root")
    assert code == 2 and "the weights of 50 events add up to -50, of which no rates are made" in err


def test_show(rates: Callable[..., Any]) -> None:
    code, out, _ = rates("show", "m.yaml", "a.root", "--by", "section")
    assert code == 0
    for expected in ("rates in % of", "│ muons", "│ jets", "any path", "control stream", "written", "predicted",
                     "of a row's events, in % also taken by", "rates in % by section", "blinded: secret",
                     "events in blind regions are written, and not counted here"):  # fmt: skip
        assert expected in out, expected
    assert "│ secret" not in out and "rates in % of 300 events, blind regions left out" in out
    code, out, _ = rates("show", "m.yaml", "a.root", "--unblind", "--by", "run")
    assert code == 0 and "│ secret" in out and "rates in % of 300 events" in out and "blinded" not in out
    assert "rates in Hz of" in rates("show", "m.yaml", "data.root")[1]


def test_show_as_json(rates: Callable[..., Any]) -> None:
    plain = json.loads(rates("show", "m.yaml", "data.root", "--json")[1])
    assert plain["rates"]["of"] == "Hz" and plain["rates"]["paths"] == ["muons", "jets"]
    assert plain["rates"]["blinded"] == ["secret"] and list(plain["resolution"]["predictions"]) == ["muons", "jets"]
    assert len(plain["rates"]["overlap"]["value"]) == 2
    assert (plain["model"], plain["drift"], plain["trigger"]["menu"]["name"]) == ("", [], "plain")
    assert plain["rates"]["events"] == sum(plain["rates"]["sections"]["events"]) == 300  # whatever is blind
    none = json.loads(rates("show", "m.yaml", "data.root", "--where", "nMuon > 99", "--json")[1])
    assert none["rates"]["events"] == 0 and none["rates"]["raw"]["value"] == [None, None]  # JSON knows no NaN


def test_lock_and_what_it_decides(rates: Callable[..., Any], folder: Path, tmp_path: Path) -> None:
    lock = str(tmp_path / "s.lock")
    code, out, _ = rates("lock", "s.yaml", "a.root", "--scores", "a.parquet", "-o", lock)
    assert code == 0 and f"{lock}: menu scored (" in out.replace("\n", "")
    known = read_trigger(lock)
    assert known.thresholds is not None and list(known.thresholds) == ["x"]
    assert f"x: interest ≥ {known.thresholds['x']:.4f}\n" in out
    code, out, err = rates("lock", "s.yaml", "a.root", "-o", lock)
    assert code == 1 and "exists" in err and read_trigger(lock) == known
    code, out, _ = rates("lock", "s.yaml", "a.root", "-o", lock, "--force", "--future", "1000", "--json")
    assert code == 0
    assert json.loads(out)["trigger"]["thresholds"] == known.thresholds
    code, out, _ = rates("show", lock, "data.root", "--scores", "data.parquet", "--json")
    assert code == 0
    shown = json.loads(out)
    assert shown["resolution"] is None and shown["trigger"]["thresholds"] == known.thresholds
    assert shown["drift"][0]["test"]["pvalues"]["interest"] == 1.0  # the very same events
    assert rates("lock", lock, "a.root", "-o", str(tmp_path / "t.lock"))[0] == 2


@pytest.mark.parametrize(
    ("limit", "code"), [(None, 0), ("100%", 0), ("5%", 4), ("0.001", 4)],
)  # fmt: skip
def test_diff_exits_with_4_beyond_the_limit(rates: Callable[..., Any], limit: str | None, code: int) -> None:
    options = [] if limit is None else ["--max-change", limit]
    found, out, err = rates("diff", "m.yaml", "tight.yaml", "a.root", *options)
    assert found == code
    assert "│ muons" in out and "any path" in out and "blinded: secret" in out and "│ secret" not in out
    assert (f"changed by more than {limit}: muons" in err) is (code == 4)
    same, _, err = rates("diff", "m.yaml", "m.yaml", "a.root", "--max-change", "0.0001%")
    assert (same, err) == (0, "")


def test_diff_as_json(rates: Callable[..., Any]) -> None:
    code, out, _ = rates("diff", "m.yaml", "tight.yaml", "a.root", "--json", "--max-change", "1%")
    plain = json.loads(out)
    muons = next(each for each in plain["paths"] if each["path"] == "muons")
    assert code == 4 and plain["blinded"] == ["secret"] and plain["events"] < 300
    assert muons["lost"] == muons["before"] - muons["after"] > 0 == muons["gained"]
    assert muons["change"] == pytest.approx(muons["lost"] / muons["before"])
    plain = json.loads(rates("diff", "m.yaml", "tight.yaml", "a.root", "--json", "--unblind")[1])
    assert plain["blinded"] == [] and plain["events"] == 300
    assert "secret" in [each["path"] for each in plain["paths"]]


def test_a_drift_stops_with_4(rates: Callable[..., Any], folder: Path, tmp_path: Path) -> None:
    menu = tmp_path / "stop.yaml"
    menu.write_text((folder / "s.yaml").read_text() + "drift: {window: 100, action: stop}\n")
    lock = str(tmp_path / "stop.lock")
    assert rates("lock", str(menu), "a.root", "-o", lock)[0] == 0
    assert rates("show", lock, "a.root")[0] == 0
    bad = np.full(100, np.nan, np.float32)
    make_nano(tmp_path / "bad.root", 300, basket=150, plant={"Jet_pt": bad})
    code, out, err = rates("show", lock, str(tmp_path / "bad.root"))
    assert (code, out) == (4, "")
    assert "hepfilter: events 0 to 299 drifted from the lock's reference: new problems (p = " in err
    assert "the menu scored stops then" in err
    output = tmp_path / "o.root"
    assert run(["skim", str(tmp_path / "bad.root"), "-o", str(output), "--menu", lock]) == 4
    assert not output.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("show", "m.yaml", "a.root", "--by", "day"), 2, "--by day: known are run and section"),
        (("show", "none.lock", "a.root"), 1, "none.lock: cannot be read"),
        (("show", "no-such-menu", "a.root"), 1, "no-such-menu"),
        (("show", "m.yaml", "none.root"), 1, "none.root: no such file"),
        (("lock", "m.yaml", "a.root", "-o", "m.json"), 2, "m.json: a lock must end in .lock"),
        (("diff", "m.yaml", "m.yaml", "a.root", "--max-change", "much"), 2, "--max-change"),
        (("show", "s.yaml", "a.root", "--scores", "data.parquet"), 1, "has no scores in data.parquet"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(
    rates: Callable[..., Any], arguments: tuple[str, ...], code: int, said: str
) -> None:
    found, out, err = rates(*arguments)
    assert (found, out) == (code, "")
    assert said in err and err.startswith("hepfilter: ") and err.count("\n") == 1
