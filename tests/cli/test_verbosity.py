"""What is said on stderr: with --quiet, without, with --verbose; and by the library alone."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hepfilter.cli.app import run
from hepfilter.cli.notices import (
    LOGGER,
    QUIET,
    USUAL,
    VERBOSE,
    lines_on_stderr,
    print_detail,
    print_error,
    print_notice,
    speak,
)
from hepfilter.cli.terminal import event_progress
from tests.nano import make_nano

DETAIL = re.compile(r"hepfilter: \[ *\d+\.\d\d s\] .+")


@pytest.mark.parametrize(
    ("level", "told"),
    [
        (QUIET, ["hepfilter: an error"]),
        (USUAL, ["hepfilter: a notice", "hepfilter: an error"]),
        (VERBOSE, ["hepfilter: […] a detail", "hepfilter: a notice", "hepfilter: an error"]),
    ],
)
def test_each_level_tells_what_is_above_it(level, told, capsys):
    with lines_on_stderr():
        speak(level)
        print_detail("a detail")
        print_notice("a notice")
        print_error("an error")
    assert re.sub(r"\[ *\d+\.\d\d s\]", "[…]", capsys.readouterr().err).splitlines() == told
    assert (LOGGER.level, [*LOGGER.handlers]) == (0, [])  # as it was: a library user's logging is not touched


def test_escapes_in_what_is_told_are_visible(capsys):
    with lines_on_stderr():
        print_notice("\x1b[31mred")
    assert capsys.readouterr().err == "hepfilter: \\x1b[31mred\n"


def test_stages_are_told_with_their_time_when_they_are_over(capsys):
    with lines_on_stderr(), event_progress() as progress:
        speak(VERBOSE)
        progress("selecting", 1, 1000)
        progress("selecting", 1000, 1000)
        assert capsys.readouterr().err == ""
        progress("writing", 1, 1)
        assert re.fullmatch(r"hepfilter: .*\] selecting: 1,000 events in \d\.\d\d s.*\n", capsys.readouterr().err)
    assert "writing: 1 event in" in capsys.readouterr().err


@pytest.mark.parametrize("order", [("-v", "skim"), ("skim", "--verbose")])
def test_verbose_tells_what_is_done_before_and_after_the_command(tmp_path, untrained_model, order, capsys):
    source, output = make_nano(tmp_path / "in.root", 100), tmp_path / "o.root"
    rest = [str(source), "-o", str(output), "--keep", "10%", "--model", str(untrained_model), "--workers", "1"]
    assert run([*order, *rest]) == 0
    told = capsys.readouterr().err.splitlines()
    assert all(map(DETAIL.fullmatch, told)), told
    text = "\n".join(told)
    for said in (
        "1 input found",
        "loaded for cpu-float32 in",
        f"{source}: tree Events, schema nanoaod, 100 events in 1 unit",
        "scores of the model",
        "selecting: 100 events in",
        "of the inputs read, 10 events written",
        "writing: 10 events in",
    ):
        assert said in text


def test_quiet_leaves_results_and_errors(tmp_path, capsys):
    source, output = make_nano(tmp_path / "in.root", 100), tmp_path / "o.root"
    rest = [str(source), "-o", str(output), "--where", "1", "--workers", "1"]
    assert run(["-q", "skim", *rest]) == 0
    told = capsys.readouterr()
    assert "100 events written" in told.out
    assert told.err == ""
    assert run(["skim", "-q", *rest]) == 1
    assert capsys.readouterr().err.startswith(f"hepfilter: {output}: exists")


def test_quiet_and_verbose_exclude_each_other(capsys):
    assert run(["-q", "inspect", "-v", "x.root"]) == 2
    assert "give one of them" in capsys.readouterr().err


def test_forked_workers_leave_the_talking_to_their_parent(capfd):
    with lines_on_stderr():
        if not (child := os.fork()):
            print_notice("of a worker")
            sys.stderr.flush()
            os._exit(0)
        os.waitpid(child, 0)
        print_notice("of its parent")
    assert capfd.readouterr().err == "hepfilter: of its parent\n"


def test_the_library_says_nothing_by_itself(tmp_path: Path):
    source = make_nano(tmp_path / "in.root", 20)
    code = (
        "from hepfilter.skim.pipeline import skim; from hepfilter.skim.recipe import Recipe; "
        f"skim({str(source)!r}, {str(tmp_path / 'o.root')!r}, Recipe(where='1'))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("", "")
