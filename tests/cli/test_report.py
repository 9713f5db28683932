"""`hepfilter report`, and `skim --report`: where the page goes, and what has none."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hepfilter.cli.app import run
from hepfilter.errors import OutputError
from tests.nano import make_nano


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output, and the page that came with it."""
    folder = tmp_path_factory.mktemp("run")
    make_nano(folder / "in.root", 200)
    arguments = ["skim", str(folder / "in.root"), "-o", str(folder / "out.root"), "--where", "nJet >= 5"]
    assert run([*arguments, "--report", str(folder / "run.html")]) == 0
    return folder


def test_a_skim_writes_the_page_of_itself_with_its_times(folder):
    text = (folder / "run.html").read_text(encoding="utf-8")
    assert "selecting" in text.split('id="throughput"')[1] and "events/s" in text


def test_whatever_becomes_of_the_page_the_result_of_the_skim_is_told(folder, tmp_path, monkeypatch, capsys):
    def fail(*_, **__):
        raise OutputError("page: no space")

    monkeypatch.setattr("hepfilter.visual.run_report.composing.report_run", fail)
    arguments = ["skim", str(folder / "in.root"), "-o", str(tmp_path / "out.root"), "--where", "nJet >= 5", "--json"]
    assert run([*arguments, "--report", str(tmp_path / "run.html")]) == 1
    told = capsys.readouterr()
    assert json.loads(told.out)["written"] > 0 and told.err == "hepfilter: page: no space\n"


def test_the_page_lies_beside_the_output_and_replaces_one_only_by_force(folder, capsys):
    assert run(["report", str(folder / "out.root")]) == 0
    page = folder / "out.report.html"
    assert capsys.readouterr().out == f"{page}\n"
    text = page.read_text(encoding="utf-8")
    assert "Run report: out.root" in text and "not stored" in text
    assert run(["report", str(folder / "out.root")]) == 1
    assert "out.report.html: exists" in capsys.readouterr().err
    assert run(["report", str(folder / "out.root"), "--force"]) == 0
    assert page.read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["in.root"], 1, "in.root: has no HepFilter_provenance"),
        (["out.root", "-o", "out.root", "--force"], 2, "is one of the inputs"),
        (["out.root", "--signal", "in.root", "-o", "new.html"], 2, "give NAME=FILE"),
        (["out.root", "--signal", "a=in.root", "-o", "new.html"], 2, "no score decided"),
        (["missing.root"], 1, "missing.root: no such file"),
    ],
)
def test_what_cannot_be_is_told_in_a_line_and_leaves_no_page(folder, monkeypatch, capsys, arguments, code, message):
    monkeypatch.chdir(folder)
    before = {path.name for path in folder.iterdir()}
    assert run(["report", *arguments]) == code
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert {path.name for path in folder.iterdir()} == before


def test_a_folder_means_its_outputs(folder, tmp_path):
    assert run(["report", str(folder), "-o", str(tmp_path / "r.html")]) == 0
    assert "Run report: out.root" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_a_skim_refuses_a_page_that_exists_before_it_works(folder, capsys):
    arguments = ["skim", str(folder / "in.root"), "-o", str(folder / "o.root"), "--where", "nJet >= 5"]
    assert run([*arguments, "--report", str(folder / "run.html")]) == 1
    assert "run.html: exists" in capsys.readouterr().err
    assert run([*arguments, "--report", str(folder / "o.root")]) == 2
    assert not (folder / "o.root").exists()
    assert run([*arguments, "--report", str(folder / "run.html"), "--dry-run"]) == 1


@pytest.mark.parametrize("other", ["in.root", "events.txt", "model.safetensors"])
def test_a_skim_does_not_put_its_page_in_the_place_of_what_it_reads(folder, tmp_path, capsys, other):
    for name in ("events.txt", "model.safetensors"):
        (tmp_path / name).write_text("1:1:1\n")
    (tmp_path / "in.root").symlink_to(folder / "in.root")
    before = (tmp_path / other).read_bytes()
    named = {name: str(tmp_path / name) for name in ("in.root", "events.txt", "model.safetensors")}
    arguments = ["skim", named["in.root"], "-o", str(tmp_path / "o.root"), "--keep", "1%"]
    options = [
        "--events",
        named["events.txt"],
        "--model",
        named["model.safetensors"],
        "--report",
        named[other],
        "--force",
    ]
    assert run([*arguments, *options]) == 2
    assert "give another name" in capsys.readouterr().err and (tmp_path / other).read_bytes() == before


def test_metrics_are_handed_to_the_report_of_a_training(tmp_path, capsys):
    (tmp_path / "m.metrics.json").write_text(json.dumps({"families": {}}))
    assert run(["report", str(tmp_path / "m.metrics.json")]) == 1
    assert "metrics of `hepfilter train`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "missing"),
    [
        ("display in.root --entry 0 -o new.html --model none", "mplhep"),
        ("display in.root --entry 0 -o new.html --model none", "altair"),
        ("report out.root -o new.html", "matplotlib"),
        ("report out.root -o new.html", "jinja2"),
    ],
)
def test_what_is_not_installed_is_told_before_any_work(folder, command, missing):
    code = f"""
import sys

class Missing:
    def find_spec(self, name, *_):
        if name.partition(".")[0] == {missing!r}:
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, Missing())
from hepfilter.cli.app import run
sys.exit(run({command.split()!r}))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    told = f"hepfilter: reports need {missing}, which is not installed: pip install 'hepfilter[plot]'\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", told)
