"""`hepfilter verify` on the command line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hepfilter.cli.app import run
from hepfilter.io.writing import Column, create_root
from tests.nano import make_nano
from tests.skim.proof.faults import rewrite


@pytest.fixture
def skimmed(tmp_path) -> Path:
    source = make_nano(tmp_path / "in.root", 50)
    assert run(["skim", str(source), "-o", str(tmp_path / "out.root"), "--where", "nMuon >= 2"]) == 0
    return tmp_path / "out.root"


def test_a_sound_output_is_0_and_a_table(skimmed, capsys):
    capsys.readouterr()
    assert run(["verify", str(skimmed)]) == 0
    out = capsys.readouterr().out
    assert str(skimmed) in out
    assert "content" in out and "passed" in out and "failed" not in out and "not proven" not in out


def test_a_faulty_output_is_4_with_the_fault_named(skimmed, tmp_path, capsys):
    faulty = rewrite(skimmed, tmp_path / "faulty.root", flip=("MET_pt", 3))
    capsys.readouterr()
    assert run(["verify", str(skimmed), str(faulty)]) == 4
    captured = capsys.readouterr()
    assert "branch MET_pt: an entry differs from the source, the first is entry 3" in captured.out
    assert captured.err == f"hepfilter: 1 check failed: {faulty}: content\n"


def test_json_holds_all_checks_and_nothing_else(skimmed, tmp_path, capsys):
    faulty = rewrite(skimmed, tmp_path / "faulty.root", order={"Runs": [0, 0]})
    capsys.readouterr()
    assert run(["verify", str(faulty), "--json", "--sample", "5"]) == 4
    report = json.loads(capsys.readouterr().out)
    assert report["passed"] is False
    (output,) = report["outputs"]
    checks = {check["name"]: check for check in output["checks"]}
    assert checks["books"]["status"] == "failed"
    assert checks["books"]["findings"][0] == "tree Runs has 2 rows, its sources give 1"
    assert checks["content"]["status"] == "not proven"
    assert checks["schema"]["status"] == "passed"


def test_sources_elsewhere_are_given(skimmed, tmp_path, capsys):
    (tmp_path / "in.root").rename(tmp_path / "moved.root")
    assert run(["verify", str(skimmed)]) == 0
    assert "content: not proven" in capsys.readouterr().out
    assert run(["verify", str(skimmed), "--source", str(tmp_path / "moved.root")]) == 0
    assert "not proven" not in capsys.readouterr().out


def test_the_tree_behind_the_colon_is_the_one_proven(tmp_path, capsys):
    with create_root(tmp_path / "two.root") as out:
        for name in ("first", "second"):
            with out.new_tree(name, [Column("x", "int32")]):
                pass
    assert run(["verify", f"{tmp_path / 'two.root'}:second"]) == 0
    capsys.readouterr()
    assert run(["verify", f"{tmp_path / 'two.root'}:third"]) == 4
    assert "no tree third" in capsys.readouterr().out


def test_what_cannot_be_read_is_4_and_what_is_not_there_1(tmp_path, capsys):
    (tmp_path / "text.root").write_text("no ROOT file at all, but longer than a header")
    assert run(["verify", str(tmp_path / "text.root")]) == 4
    assert capsys.readouterr().err == f"hepfilter: 1 check failed: {tmp_path / 'text.root'}: file\n"
    assert run(["verify", str(tmp_path / "none.root")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert run(["verify", str(tmp_path / "none.root"), "--sample", "0"]) == 2


def test_no_torch_is_imported_without_rescoring(skimmed):
    code = f"import sys\nfrom hepfilter.cli.app import run\nassert run(['verify', {str(skimmed)!r}]) == 0\n"
    code += "print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "False"
