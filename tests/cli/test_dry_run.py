"""`hepfilter skim --dry-run`."""

import json

import pytest

from hepfilter.cli.app import run
from tests.nano import make_nano


@pytest.fixture
def command(tmp_path, untrained_model) -> list[str]:
    source = make_nano(tmp_path / "in.root", 400)
    rest = [
        "-o",
        str(tmp_path / "o.root"),
        "--keep",
        "10%",
        "--model",
        str(untrained_model),
        "--drop-branches",
        "Jet_*",
    ]
    return ["skim", str(source), *rest, "--workers", "1", "--dry-run"]


def test_the_plan_is_told_and_nothing_written(tmp_path, command, capsys):
    assert run(command) == 0
    told = capsys.readouterr()
    assert told.err == ""
    for said in (
        "dry run: nothing is written",
        "inputs: 1 file: 400 events",
        "tree Events, schema nanoaod",
        "cuts: none; then the 10% of highest score",
        f"output: {tmp_path / 'o.root'}\n",
        "about 40 events kept, in",
        "estimated from 400 events in 1 unit",
    ):
        assert said in told.out
    assert "Jet_eta" not in told.out
    assert [path.name for path in tmp_path.iterdir()] == ["in.root"]


def test_verbose_names_the_branches(command, capsys):
    assert run(["-v", *command]) == 0
    told = capsys.readouterr()
    dropped = next(line for line in told.out.splitlines() if line.strip().startswith("dropped: "))
    assert "Jet_eta" in dropped
    assert "opening: 1 file in" in told.err


def test_as_json(command, capsys):
    assert run([*command, "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["entries"], plan["estimate"]["events"], plan["earlier"]) == (400, 40, None)
    assert "Jet_eta" in plan["branches"]["dropped"] and "Jet_eta" in plan["branches"]["read"]


def test_errors_are_those_of_the_run(tmp_path, command, capsys):
    (tmp_path / "o.root").write_bytes(b"old")
    assert run(command) == 1
    assert capsys.readouterr().err == (
        f"hepfilter: {tmp_path / 'o.root'}: exists; give another name with -o, or --force to replace it\n"
    )
    assert run([*command, "--force"]) == 0
    assert f"output: {tmp_path / 'o.root'}, replacing what is there" in capsys.readouterr().out
    assert (tmp_path / "o.root").read_bytes() == b"old"
