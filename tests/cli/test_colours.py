"""Colours and progress: on a terminal, in a pipe, and as the environment asks for."""

import os
import pty
import re
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from tests.nano import make_nano

ESCAPE = "\x1b["
HEPFILTER = ["-m", "hepfilter"]
TABLE = [
    "-c",
    "from rich.table import Table\nfrom hepfilter.cli.pipes import guarded_stdout\n"
    "from hepfilter.cli.terminal import stdout\n"
    "with guarded_stdout():\n    stdout().print(Table('step', title='cutflow'))",
]
PLAIN = {
    name: value
    for name, value in os.environ.items()
    if name not in ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "TERM", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS")
} | {"TERM": "xterm-256color"}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_nano(tmp_path_factory.mktemp("colours") / "in.root", 50)


def on_a_terminal(arguments: list[str], environment: Mapping[str, str]) -> str:
    """What a command writes on a terminal, stdout and stderr together."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, *arguments], stdout=theirs, stderr=theirs, env=environment, close_fds=True
    ) as process:
        os.close(theirs)
        written = b""
        with suppress(OSError):  # the end of a terminal
            while piece := os.read(ours, 65536):
                written += piece
        assert process.wait(60) == 0, written
    os.close(ours)
    return written.decode()


def in_a_pipe(arguments: list[str], environment: Mapping[str, str]) -> tuple[str, str]:
    ended = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment, check=True)
    return ended.stdout, ended.stderr


@pytest.mark.parametrize(
    ("more", "styled"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_a_terminal_gets_styles_unless_it_is_not_to(more, styled):
    shown = on_a_terminal(TABLE, PLAIN | more)
    assert (ESCAPE in shown) == styled
    assert "cutflow" in shown


@pytest.mark.parametrize(
    ("more", "styled"), [({}, False), ({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False)]
)
def test_a_pipe_gets_none_unless_it_is_forced(more, styled):
    out, err = in_a_pipe(TABLE, PLAIN | more)
    assert (ESCAPE in out) == styled
    assert "cutflow" in out and err == ""


def without_styles(text: str) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", text)


def skimming(source: Path, output: Path) -> list[str]:
    return [*HEPFILTER, "skim", str(source), "-o", str(output), "--where", "1", "--workers", "1"]


def test_progress_is_on_a_terminal_alone(source, tmp_path):
    shown = on_a_terminal(skimming(source, tmp_path / "1.root"), PLAIN)
    assert "selecting" in shown and "50/50" in without_styles(shown)
    for number, (options, more) in enumerate([(["-q"], {}), ([], {"TERM": "dumb"})]):
        words = on_a_terminal([*skimming(source, tmp_path / f"2{number}.root"), *options], PLAIN | more)
        assert "50/50" not in without_styles(words) and "50 events written" in without_styles(words)
    out, err = in_a_pipe(skimming(source, tmp_path / "3.root"), PLAIN | {"FORCE_COLOR": "1"})
    assert err == "" and "50/50" not in without_styles(out)


def test_json_is_one_document_without_styles_even_on_a_terminal(source):
    import json

    found = json.loads(on_a_terminal([*HEPFILTER, "inspect", str(source), "--json"], PLAIN | {"FORCE_COLOR": "1"}))
    assert found[0]["schema"] == "nanoaod"
