"""One of a thing is one thing, in every message."""

import re
from pathlib import Path

import pytest

from hepfilter.cli.app import run
from hepfilter.io.writing import Column, create_root
from hepfilter.wording import counted, lasting, sized
from tests.nano import make_nano

ONE_AS_MANY = re.compile(r"(?<![\d.,:@])1 (?:other |such )?(?:event|row|file|entr|branch|object|tree|byte|check)\w*s\b")


@pytest.mark.parametrize(
    ("count", "noun", "text"),
    [
        (1, "event", "1 event"),
        (0, "event", "0 events"),
        (1234567, "event", "1,234,567 events"),
        (1, "entry", "1 entry"),
        (2, "entry", "2 entries"),
        (2, "branch", "2 branches"),
    ],
)
def test_a_number_and_its_noun(count: int, noun: str, text: str) -> None:
    assert counted(count, noun) == text


def test_no_command_says_1_events(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With one event in each file."""
    make_nano(tmp_path / "nano.root", 1)
    columns = [Column("x", "float32"), Column("phi", "float32")]
    with create_root(tmp_path / "flat.root") as out, out.new_tree("Events", columns) as tree:
        tree.extend({"x": [1.0], "phi": [0.0]})
    (tmp_path / "mine.yaml").write_text(
        "name: mine\ntitle: one\ntree: Events\ndetect: [x]\n"
        "collections: {met: {alternatives: [{pt: [x], phi: [phi]}]}}\n"
    )
    said = []
    for name, options in (("nano", ()), ("flat", ("--schema", str(tmp_path / "mine.yaml")))):
        source, output = str(tmp_path / f"{name}.root"), str(tmp_path / f"{name}_out.root")
        for arguments in (
            ["inspect", source, *options],
            ["skim", source, "-o", output, "--where", "1", *options],
            ["verify", output],
            ["verify", output, "--sample", "1"],
            ["verify", source, "--source", source],
            ["skim", source, output, "-o", str(tmp_path / f"{name}_twice.root"), "--where", "1", *options],
        ):
            run(arguments)
            captured = capsys.readouterr()
            said += (captured.out + captured.err).splitlines()
    assert sum("1 event" in line for line in said) > 12, said
    assert not [line for line in said if ONE_AS_MANY.search(line)]


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (999.9, "1 kB"), (3_400_000, "3.4 MB"), (2e9, "2 GB")],
)
def test_sizes_are_in_powers_of_1000(size, text):
    assert sized(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.01, "< 0.1 s"),
        (0.42, "0.42 s"),
        (12.3, "12 s"),
        (99.4, "99 s"),
        (99.6, "2 min"),
        (5969, "99 min"),
        (5971, "1.7 h"),
    ],
)
def test_times_are_in_what_one_counts_in(seconds, text):
    assert lasting(seconds) == text
