"""What `--help` loads: of the whole, and of every command. (pydantic is Typer's own.)"""

import json
import subprocess
import sys

import pytest
from typer.main import get_command

from hepfilter.cli.app import app, run

HEAVY = (
    "torch",
    "awkward",
    "uproot",
    "numpy",
    "matplotlib",
    "altair",
    "jinja2",
    "yaml",
    "rich",
    "pythia8mc",
)
SCRIPT = f"""
import json, sys
from hepfilter.cli.app import run
loaded = {{}}
for words in json.loads(sys.argv[1]):
    assert run([*words, "--help"]) == 0
    loaded[" ".join(words)] = [name for name in {HEAVY} if name in sys.modules]
print(json.dumps(loaded))
"""


def commands() -> list[list[str]]:
    """The words of every command, groups and theirs too."""
    words = []
    for name, command in get_command(app).commands.items():
        words += [[name], *([name, one] for one in getattr(command, "commands", ()))]
    return words


def test_help_of_every_command_loads_nothing_heavy():
    asked = [[], *commands()]
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(asked)], capture_output=True, text=True, check=True
    )
    loaded = json.loads(ended.stdout.splitlines()[-1])
    assert loaded == {" ".join(words): [] for words in asked}


@pytest.mark.parametrize("words", commands(), ids=" ".join)
@pytest.mark.parametrize("columns", [80, 120])
def test_help_fits_and_explains_every_option(words, columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(columns))
    assert run([*words, "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= columns
    command = get_command(app)
    for word in words:
        command = command.commands[word]
    for parameter in command.params:
        assert parameter.help and parameter.help.rstrip().endswith((".", ")")), parameter.name
    if not hasattr(command, "commands"):
        assert sum("Example:" in line for line in lines) == 1


@pytest.mark.parametrize(
    ("words", "nearest"),
    [(["skimm"], "skim"), (["rates", "shw"], "show"), (["skim", "--kep", "1%"], "--keep")],
)
def test_a_wrong_word_names_the_nearest(words, nearest, capsys):
    assert run(words) == 2
    assert nearest in capsys.readouterr().err


def test_help_tells_the_exit_codes_and_each_command_in_a_whole_sentence(capsys):
    assert run(["--help"]) == 0
    text = capsys.readouterr().out
    assert "Exit codes: 0 done; 1 an error" in text
    assert not [line for line in text.splitlines()[1:] if line.endswith("...")]
    assert "the objects per event, and which models can score it." in " ".join(text.split())
