"""A stdout that cannot be written: its reader left, or its disk is full."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hepfilter.cli.app import run
from tests.nano import make_nano

BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
INSPECT = (sys.executable, "-m", "hepfilter", "inspect")


@pytest.fixture
def many(tmp_path: Path) -> list[str]:
    """Inputs of which `inspect` prints more than a pipe and its buffer hold."""
    source = make_nano(tmp_path / "in.root", 5)
    paths = [tmp_path / f"{number}.root" for number in range(60)]
    for path in paths:
        path.hardlink_to(source)
    return list(map(str, paths))


def left_by_its_reader(arguments: tuple[str, ...], *, read: bool) -> tuple[int, str]:
    """Exit code and stderr of a command whose reader leaves, after the first line if it is to `read`."""
    pipe = subprocess.PIPE
    with subprocess.Popen(arguments, stdout=pipe, stderr=pipe, text=True, env=BUFFERED) as process:
        assert process.stdout is not None and process.stderr is not None
        if read:
            process.stdout.readline()
        process.stdout.close()
        return process.wait(60), process.stderr.read()


@pytest.mark.parametrize("option", ["--json", "--schema=nanoaod"])
@pytest.mark.parametrize("read", [True, False])
def test_a_reader_that_leaves_ends_a_command_quietly(many, option, read):
    assert left_by_its_reader((*INSPECT, *many, option), read=read) == (141, "")


def test_also_where_all_of_it_is_in_the_buffer_to_the_end(tmp_path):
    assert left_by_its_reader((*INSPECT[:-1], "--version"), read=False) == (141, "")
    source, output = str(make_nano(tmp_path / "in.root", 5)), tmp_path / "out.root"
    skim = (*INSPECT[:-1], "skim", source, "-o", str(output), "--where", "1", "--json")
    assert left_by_its_reader(skim, read=False) == (141, "")
    assert output.exists()  # only its report was not read


def test_an_error_of_ours_stays_one_where_the_reader_left(tmp_path):
    code, errors = left_by_its_reader((*INSPECT, str(tmp_path / "no.root")), read=False)
    assert code == 1 and errors.startswith("hepfilter: ") and errors.count("\n") == 1


def test_a_full_disk_is_told_in_one_line(tmp_path):
    source = make_nano(tmp_path / "in.root", 5)
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run([*INSPECT, source], stdout=full, stderr=subprocess.PIPE, text=True, env=BUFFERED)
    assert (ended.returncode, ended.stderr) == (1, "hepfilter: stdout: cannot be written: No space left on device\n")


def test_without_any_stdout_a_command_works(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", None)
    assert run(["--version"]) == 0


def test_a_broken_pipe_elsewhere_is_not_taken_for_it(monkeypatch, capsys):
    def fail(*_: object, **__: object) -> None:
        raise BrokenPipeError(32, "a worker's pipe")

    monkeypatch.setattr("hepfilter.io.sources.expand_sources", fail)
    assert run(["inspect", "x.root"]) not in (0, 141)
