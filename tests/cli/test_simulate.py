import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import uproot
from typer.testing import CliRunner

from hepfilter.cli.simulate import simulate
from hepfilter.config.card import card_names
from hepfilter.errors import ConfigError, UsageError

OWN = """
name: own
title: quick
family: own
is_signal: true
label: 7
multiple_interactions: false
settings: ["HardQCD:all = on", "PhaseSpace:pTHatMin = 100"]
"""


@pytest.fixture
def app() -> typer.Typer:
    made = typer.Typer()
    made.command()(simulate)
    return made


@pytest.fixture
def card(tmp_path: Path) -> str:
    path = tmp_path / "own.yaml"
    path.write_text(OWN)
    return str(path)


def test_list_names_every_card(app: typer.Typer) -> None:
    result = CliRunner().invoke(app, ["--list"])
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["card", "family", "label", "kind", "title"]
    assert [line.split()[0] for line in lines[1:]] == list(card_names())
    listed = json.loads(CliRunner().invoke(app, ["--list", "--json"]).stdout)
    assert [entry["name"] for entry in listed] == list(card_names())


def test_table_of_what_was_made(app: typer.Typer, card: str, tmp_path: Path) -> None:
    output = tmp_path / "o.root"
    result = CliRunner().invoke(app, [card, "-n", "6", "--seed", "2", "-o", str(output), "--particles"])
    assert result.exit_code == 0, result.output
    header, row, last = result.stdout.splitlines()
    assert header.startswith("process")
    assert row.split()[:3] == ["own", "7", "6"]
    assert last.startswith(f"{output}: 6 events in ")
    assert result.stderr == ""
    with uproot.open(output) as file:
        assert file["Events"].num_entries == 6
        assert "PFCands_pt" in file["Events"]


def test_json_is_all_there_is_on_stdout(card: str, tmp_path: Path) -> None:
    # In a process of its own, where libraries that print at their first use would be seen.
    program = "import typer; from hepfilter.cli.simulate import simulate; typer.run(simulate)"
    options = [card, "-n", "4", "-o", str(tmp_path / "o.root"), "--json"]
    done = subprocess.run([sys.executable, "-c", program, *options], capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    assert (report["events"], report["seed"]) == (4, 1)
    assert report["processes"][0]["name"] == "own"
    assert report["processes"][0]["cross_section_pb"] > 0
    assert done.stderr == ""


def test_what_is_missing_is_said(app: typer.Typer, card: str) -> None:
    for arguments, error, said in (
        ([], UsageError, "--list"),
        ([card], UsageError, "-o FILE.root"),
        (["ttbra", "-o", "o.root"], ConfigError, "nearest: ttbar"),
    ):
        result = CliRunner().invoke(app, arguments)
        assert isinstance(result.exception, error)
        assert said in str(result.exception)


def test_the_command_imports_nothing_heavy() -> None:
    heavy = "{'awkward', 'numpy', 'torch', 'pythia8mc', 'uproot'}"
    program = f"import sys, hepfilter.cli.simulate; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
