"""The pages that users read, taken apart, and the files that stand beside them when their commands run.

What a block is for, its language says: the lines of ``console`` run, in order, in a folder with the inputs of
`write_inputs`; those of a block without a language are checked for commands and options alone, as they need big data or
a server; ``text`` right behind ``console`` is what is printed (… stands for anything); ``yaml title="NAME"`` is written
to a file of that name; ``python`` runs.
"""

import json
import os
import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from hepfilter.cli.app import app, run
from hepfilter.io.writing import Column, create_root
from tests.fat_jets import write_fat_jets
from tests.nano import make_nano
from tests.training.simulated import write_sample

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = sorted((ROOT / "docs").rglob("*.md"))
DOCUMENTS = [*PAGES, README]


@dataclass(frozen=True)
class Block:
    """A block of code: its language, the name of the file that it is, if any, and its text."""

    language: str
    title: str
    text: str


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks_of(document: str) -> list[Block]:
    found = re.findall(r'^```(\w*)(?: title="([^"]+)")?\n(.*?)^```$', document, flags=re.DOTALL | re.MULTILINE)
    return [Block(*parts) for parts in found]


def blocks(language: str, document: str) -> list[str]:
    return [block.text for block in blocks_of(document) if block.language == language]


def commands(document: str) -> list[list[str]]:
    """The words of each of our commands that a document shows, without the first."""
    shown = [block.text for block in blocks_of(document) if block.language in ("", "console")]
    return [line.split()[1:] for text in shown for line in text.splitlines() if line.startswith("hepfilter ")]


def command_of(words: list[str]) -> tuple[str, ...]:
    """The name of a command, of two words in a group."""
    return tuple(words[: 2 if words[0] in {group.name for group in app.registered_groups} else 1])


def command_names() -> set[tuple[str, ...]]:
    """All commands that there are."""
    names = {(command.name or command.callback.__name__,) for command in app.registered_commands}
    groups = {group.name: group.typer_instance.registered_commands for group in app.registered_groups}
    return names | {
        (group, each.name or each.callback.__name__) for group, members in groups.items() for each in members
    }


def missing_options(shown: list[list[str]], capsys: pytest.CaptureFixture[str]) -> list[tuple[str, ...]]:
    """(command, option) for each option of commands that the command's help does not tell of."""
    missing = []
    for name in sorted({command_of(words) for words in shown}):
        known = options_of(name, capsys)
        asked = {word.split("=")[0] for words in shown if command_of(words) == name for word in words}
        missing += [(*name, word) for word in sorted(asked) if re.match(r"--?[a-z]", word) and word not in known]
    return missing


def options_of(name: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> set[str]:
    run([*name, "--help"])
    return set(re.findall(r"(?<![\w-])--?[\w-]+", capsys.readouterr().out))


def run_page(
    path: Path, inputs: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> dict[str, object]:
    """Do in `folder` all that a page shows, by one process; the names that its Python leaves."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})  # other processes take long to start
    document = read(path)
    made = set(re.findall(r" -o (\S+)", "\n".join(blocks("console", document))))
    for source in inputs.iterdir():
        if source.name not in made:
            (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / source.name)
    names: dict[str, object] = {}
    printed = ""
    for block in blocks_of(document):
        if block.title:
            (folder / block.title).write_text(block.text, encoding="utf-8")
        elif block.language == "text" and printed:
            assert re.search(pattern_of(block.text), printed), (
                f"{name_of(path)}: not printed:\n{block.text}\nbut:\n{printed}"
            )
        elif block.language == "python":
            exec(compile(block.text, name_of(path), "exec"), names)
        printed = run_lines(block.text, capsys) if block.language == "console" else ""
    return names


def run_lines(text: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Run commands of ours, one a line; what they print on stdout."""
    printed = ""
    for line in text.splitlines():
        words = shlex.split(line)
        assert words[0] == "hepfilter", f"{line}: only commands of ours run in a console block"
        code = run(words[1:])
        told = capsys.readouterr()
        assert code == 0, f"{line}: exit code {code}: {told.err}"
        printed += told.out
    return printed


def pattern_of(text: str) -> str:
    return r"[\s\S]*?".join(re.escape(part) for part in text.strip().split("…"))


def write_inputs(folder: Path, model: Path) -> Path:
    """The files that the commands of the documents name, small: what a page makes itself is not given to it."""
    makers: dict[str, Callable[[Path], object]] = {
        "data.root": lambda path: make_nano(path, 1200, basket=400),
        "data/a.root": lambda path: make_nano(path, 200),
        "data/b.root": lambda path: make_nano(path, 200, seed=2, first_event=200),
        "other.root": lambda path: make_nano(path, 100, seed=3, first_event=5000, drop=("Pileup_nTrueInt",)),
        "ttbar/t.root": lambda path: make_nano(path, 100, seed=4, first_event=6000),
        "muons.root": lambda path: make_nano(path, 100, seed=5, first_event=7000),
        "copy/muons2.root": lambda path: make_nano(path, 100, seed=6, first_event=8000),
        "golden.json": lambda path: path.write_text(json.dumps({"1": [[1, 3]]})),
        "mine.root": write_flat,
        "sample.root": lambda path: write_sample(path, events_each=300),
        "background.root": lambda path: write_sample(path, events_each=150, seed=6, truth=False),
        "lhco.root": lambda path: write_fat_jets(path, 4000, 100),
        "my-model.safetensors": lambda path: shutil.copy(model, path),
    }
    for name, make in makers.items():
        (folder / name).parent.mkdir(exist_ok=True)
        make(folder / name)
    return folder


def write_flat(path: Path) -> None:
    """Ten events of an ntuple that no schema knows."""
    flat = [Column(name, "uint32") for name in ("run", "lumi")] + [Column("event", "uint64")]
    flat += [Column(name, "float32") for name in ("met", "met_phi")]
    muon = [Column(f"mu_{name}", "float32", counter="nmu") for name in ("pt", "eta", "phi", "q")]
    with create_root(path) as out, out.new_tree("events", [*flat, *muon]) as tree:
        arrays: dict[str, object] = {column.name: np.arange(10) for column in flat}
        tree.extend(arrays | {column.name: ([10.0 + i for i in range(10)], [1] * 10) for column in muon})
