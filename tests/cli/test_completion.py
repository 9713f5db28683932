"""Completion, as shells ask for it."""

import os
import subprocess
import sys

import pytest
from typer.main import get_command

from hepfilter.cli import completion
from hepfilter.cli.app import app
from hepfilter.config.card import card_names
from hepfilter.config.sample import load_sample, sample_names
from hepfilter.events.schemas import schema_names
from hepfilter.models.metadata import pretrained_models
from tests.cli.test_app import modules_after

# what the script that is installed is named by is the command, as it stands on the command line
MAIN = "import sys; sys.argv[0] = 'hepfilter'; from hepfilter.__main__ import main; main()"


def asked(shell: str, words: str, **more: str) -> str:
    """What a shell gets for a command line up to the cursor."""
    asks = {
        "bash": {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)},
        "zsh": {"_TYPER_COMPLETE_ARGS": words},
        "fish": {"_TYPER_COMPLETE_ARGS": words, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }[shell]
    environment = os.environ | asks | {"_HEPFILTER_COMPLETE": f"complete_{shell}"} | more
    ended = subprocess.run([sys.executable, "-c", MAIN], env=environment, capture_output=True, text=True)
    assert ended.stderr == ""
    return ended.stdout


def completed(words: str) -> list[str]:
    return asked("bash", words).split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("hepfilter sk", ["skim"]),
        ("hepfilter rates ", ["show", "lock", "diff"]),
        ("hepfilter skim --on", ["--on-bad-file"]),
        ("hepfilter -q skim a.root --on-bad-file q", ["quarantine"]),
        ("hepfilter skim --model ", list(pretrained_models())),
        ("hepfilter rates show disc", ["discovery"]),
        ("hepfilter simulate zprime_t", ["zprime_tautau", "zprime_tt"]),
        ("hepfilter train interest-o", ["interest-objects"]),
        ("hepfilter skim --lumi-mask no-such", []),  # the shell goes on with files
        ("hepfilter skim no-such", []),
    ],
)
def test_commands_options_and_values(words, expected):
    assert completed(words) == expected


def test_all_three_shells():
    assert asked("zsh", "hepfilter skim --schema pfn").strip() == "_arguments '*: :((\"pfnano\"))'"
    assert asked("zsh", "hepfilter skim dat").strip() == "_files"
    assert asked("fish", "hepfilter skim --schema pfn").strip() == "pfnano"


def test_names_are_those_that_ship():
    assert completion.SCHEMAS("") == list(schema_names())
    assert completion.complete_shipped("simulation")("") == list(card_names())
    assert completion.complete_shipped("samples")("") == list(sample_names())
    assert completion.MODELS("interest-p") == ["interest-particles"]


def test_words_are_those_that_are_known():
    from hepfilter.io.converting import FORMATS
    from hepfilter.io.layout import POLICIES
    from hepfilter.skim.gathering import ON_BAD_FILE
    from hepfilter.training.references import METHODS

    sizes = {size for name in sample_names() for size in load_sample(name).sizes}
    known = {
        ("skim", "layout"): POLICIES,
        ("skim", "format"): FORMATS,
        ("skim", "on_bad_file"): ON_BAD_FILE,
        ("hunt", "method"): METHODS,
        ("simulate", "size"): sizes,
    }
    commands = get_command(app).commands
    for (command, name), words in known.items():
        (parameter,) = [one for one in commands[command].params if one.name == name]
        found = parameter.shell_complete(None, "")
        assert sorted(item.value for item in found) == sorted(words)


def test_it_is_light():
    code = (
        "import os; os.environ |= {'COMP_WORDS': 'hepfilter skim --model ', 'COMP_CWORD': '3', "
        "'_HEPFILTER_COMPLETE': 'complete_bash'}\n"
        "import sys; sys.argv = ['hepfilter']\nfrom hepfilter.cli.app import run; run()"
    )
    heavy = {"torch", "awkward", "uproot", "numpy", "matplotlib", "altair", "yaml", "rich"}
    assert not modules_after(code) & heavy


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_scripts_are_shown_and_installed(tmp_path, shell):
    environment = os.environ | {"HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    for action in "show", "install":
        ended = subprocess.run(
            [sys.executable, "-c", MAIN, f"--{action}-completion", shell],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert ended.returncode == 0, ended.stderr
        assert action == "install" or "_HEPFILTER_COMPLETE=complete_" in ended.stdout
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any("_HEPFILTER_COMPLETE" in path.read_text() for path in written)
