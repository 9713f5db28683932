"""`hepfilter inspect` at the command line."""

import json
import subprocess
import sys
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from hepfilter.cli.app import run
from hepfilter.io.writing import Column, create_root
from tests.nano import make_nano


def test_table(tmp_path: Path, untrained_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plant = {"Jet_pt": np.array([np.nan], np.float32)}
    path = make_nano(tmp_path / "a[bold].root", 60, plant=plant, drop=("luminosityBlock", "Muon_charge"))
    assert run(["inspect", str(path), "--model", str(untrained_model)]) == 0
    out = capsys.readouterr().out
    for expected in (
        "a[bold].root",
        "schema: nanoaod",
        "identity: file name and entry",
        "weight: genWeight; books: Runs, LuminosityBlocks",
        "(without Muon_charge)",
        "treated by rule: jet: non-finite kinematics: 1",
        "note: no branch luminosityBlock: events are identified by file name and entry",
        "model untrained",
        "can score; all it uses is there",
    ):
        assert expected in out
    assert "particle" in out
    assert "absent" in out


def test_json_of_several_files(tmp_path: Path, untrained_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_nano(tmp_path / "a.root", 20)
    with create_root(tmp_path / "b.root") as out, out.new_tree("T", [Column("x", "float32")]) as tree:
        tree.extend({"x": np.zeros(1, np.float32)})
    assert run(["inspect", str(tmp_path), "--json", "-n", "7", "--model", str(untrained_model)]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert first["schema"] == "nanoaod"
    assert first["events_read"] == 7
    assert [c["name"] for c in first["collections"]] == ["jet", "muon", "electron", "photon", "met"]
    assert first["models"][0]["can_score"]
    assert second["schema"] is None
    assert "no tree Events" in second["reason"]
    assert not second["models"][0]["can_score"]


def test_ntuples_and_branches_of_objects(
    tmp_path: Path, untrained_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with uproot.recreate(tmp_path / "a.root") as file:
        names = [f"Analysis{kind}AuxDyn:{field}" for kind in ("Jets", "Muons") for field in ("pt", "eta", "phi", "m")]
        number = ak.unflatten(np.full(3, 50_000, np.float32), [2, 0, 1])
        file.mkrntuple("EventData", {name: number if name.endswith("pt") else number * 0 for name in names})
    assert run(["inspect", str(tmp_path / "a.root"), "--model", str(untrained_model)]) == 0
    out = capsys.readouterr().out
    rows = [[cell.strip() for cell in line.split("│")] for line in out.splitlines() if "│" in line]
    assert ["", "EventData", "RNTuple", "3", "8", ""] in rows
    jet = next(row for row in rows if row[1] == "jet")
    assert jet[2] == "1.00"
    assert jet[4].startswith("AnalysisJetsAuxDyn:pt, :eta, :phi, :m (without B")
    made = tmp_path / "a.root"
    made.write_bytes(made.read_bytes().replace(b"ROOT::RNTuple", b"Old_::RNTuple"))
    assert run(["inspect", str(made), "--model", str(untrained_model)]) == 0
    assert capsys.readouterr().out.count("not readable") == 2


def test_a_model_that_finds_nothing_says_so(
    tmp_path: Path, untrained_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = [Column(f"Tau_{field}", "float32", counter="nTau") for field in ("pt", "eta", "phi", "mass")]
    with create_root(tmp_path / "a.root") as out, out.new_tree("Events", columns) as tree:
        tree.extend({column.name: (np.ones(1, np.float32), np.array([1])) for column in columns})
    assert run(["inspect", str(tmp_path / "a.root"), "--model", str(untrained_model)]) == 0
    assert "cannot score: the file has none of met, muon, electron, photon, jet" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.root"], "missing.root: no such file; nearest: nearly_missing.root"),
        (["nearly_missing.root"], "is no ROOT file"),
        (["a.root", "--schema", "nanoaodd"], "nearest: nanoaod"),
        (["a.root", "a.root"], "given twice"),
        (["a.root", "--model", "nearly_missing.root"], "nearly_missing.root"),
    ],
)
def test_errors_are_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    make_nano(tmp_path / "a.root", 2)
    (tmp_path / "nearly_missing.root").write_text("no ROOT file, but long enough to be one")
    monkeypatch.chdir(tmp_path)
    assert run(["inspect", *arguments]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_torch_is_not_imported(tmp_path: Path, untrained_model: Path) -> None:
    path = make_nano(tmp_path / "a.root", 2)
    code = (
        "import sys; from hepfilter.cli.app import run; "
        f"code = run(['inspect', {str(path)!r}, '--model', {str(untrained_model)!r}]); "
        "sys.exit(code or ('torch' in sys.modules) * 9)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
