"""Signs of a terminal in names: they reach neither stdout nor stderr as they are."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hepfilter.cli.app import run
from hepfilter.errors import ConfigError, HepfilterError, visible
from hepfilter.io.writing import Column, create_root
from tests.fuzzing.harness import examples

EVIL = "\x1b[2J\x1b]0;owned\x07\x9b31m\r\u202e"
SHOWN = r"\x1b[2J\x1b]0;owned\x07\x9b31m\r\u202e"


@pytest.fixture
def evil(tmp_path: Path) -> Path:
    """A file with such signs in the names of its trees and branches."""
    path = tmp_path / "in.root"
    with create_root(path) as out:
        for tree in (f"T{EVIL}", "Events"):
            with out.new_tree(tree, [Column(f"x{EVIL}", "float32")]) as made:
                made.extend({f"x{EVIL}": np.zeros(2, np.float32)})
    return path


@examples(200)
@given(text=st.text(max_size=50))
def test_errors_are_one_line_that_steers_nothing(text: str) -> None:
    said = str(ConfigError(text))
    assert said.isprintable() and said == visible(text)
    assert visible(text, keep="\n").replace("\n", "").isprintable()
    assert visible("µ fb⁻¹ → Ω") == "µ fb⁻¹ → Ω"


def test_an_overlong_error_keeps_beginning_and_end() -> None:
    said = str(HepfilterError("in.root: " + "x" * 10**6 + "; give another"))
    assert len(said) < 2100 and said.startswith("in.root: xxx") and said.endswith("xxx; give another")


def test_what_is_printed_steers_nothing(evil: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(evil)]) == 0
    found = capsys.readouterr()
    assert r"\x1b[2J\x1b]0;owned" in found.out  # rich itself takes the bell away
    assert all(line.isprintable() for line in (found.out + found.err).split("\n"))


def test_nor_what_is_told_as_an_error(evil: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / f"no{EVIL}.root"
    assert run(["inspect", str(other)]) == 1
    assert run(["skim", f"{evil}:no{EVIL}", "-o", str(tmp_path / "out.root"), "--where", "1"]) == 1
    errors = capfd.readouterr().err
    assert errors.count(SHOWN) >= 2
    assert all(line.isprintable() for line in errors.split("\n"))


def test_a_name_that_is_no_text_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    name = os.fsdecode(b"in\xff.root")
    with create_root(tmp_path / name) as out, out.new_tree("Events", [Column("x", "float32")]) as made:
        made.extend({"x": np.zeros(2, np.float32)})
    assert run(["inspect", str(tmp_path / name)]) == 0
    assert r"in\udcff.root" in capfd.readouterr().out


def test_on_a_terminal_styles_stay_and_names_have_none(evil: Path) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "200"}
    environment.pop("NO_COLOR", None)
    command = [sys.executable, "-m", "hepfilter", "inspect", str(evil)]
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        said = b""
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            said += piece
        assert process.wait(60) == 0
    os.close(ours)
    assert b"\x1b[" in said  # rich's own
    assert b"\x1b[2J" not in said and b"\x1b]0" not in said and "\x9b".encode() not in said
    assert rb"\x1b[2J" in said
