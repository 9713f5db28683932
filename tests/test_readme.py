"""What the README shows works."""

import re
from pathlib import Path

import pytest
import uproot

from hepfilter.cli.app import app, run
from hepfilter.config.base import load_yaml
from hepfilter.config.sample import load_sample
from hepfilter.config.schema import Schema
from hepfilter.io.writing import Column, create_root
from tests.nano import make_nano

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def blocks(language: str, document: str = README) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", document, flags=re.DOTALL | re.MULTILINE)
    return [text for name, text in found if name == language]


def commands(document: str) -> list[list[str]]:
    """The words of each of our commands that a document shows, without the first."""
    lines = [line for block in blocks("", document) for line in block.splitlines()]
    return [line.split()[1:] for line in lines if line.startswith("hepfilter ")]


def command_of(words: list[str]) -> tuple[str, ...]:
    """The name of a command, of two words in a group."""
    return tuple(words[: 2 if words[0] in {group.name for group in app.registered_groups} else 1])


def missing_options(shown: list[list[str]], capsys: pytest.CaptureFixture[str]) -> list[tuple[str, ...]]:
    """(command, option) for each option of commands that the command's help does not tell of."""
    missing = []
    for name in sorted({command_of(words) for words in shown}):
        run([*name, "--help"])
        known = set(re.findall(r"(?<![\w-])--?[\w-]+", capsys.readouterr().out))
        asked = {word.split("=")[0] for words in shown if command_of(words) == name for word in words}
        missing += [(*name, word) for word in sorted(asked) if word.startswith("-") and word not in known]
    return missing


def yaml_of(name: str) -> str:
    """The YAML block that begins with this name."""
    (text,) = [text for text in blocks("yaml") if text.startswith(f"name: {name}\n")]
    return text


def test_every_command_is_in_the_readme_and_every_option_exists(capsys):
    names = {(command.callback.__name__,) for command in app.registered_commands}
    groups = {group.name: group.typer_instance.registered_commands for group in app.registered_groups}
    names |= {(group, command.callback.__name__) for group, commands in groups.items() for command in commands}
    shown = commands(README)
    assert {command_of(words) for words in shown} == names
    assert not missing_options(shown, capsys)


def test_the_readmes_schema_reads_a_file_as_it_says(tmp_path, untrained_model):
    (tmp_path / "mine.yaml").write_text(yaml_of("mine"))
    schema = load_yaml(tmp_path / "mine.yaml", Schema)
    assert schema.trees == ("events",)
    flat = [Column(name, "uint32") for name in ("run", "lumi")] + [Column("event", "uint64")]
    flat += [Column(name, "float32") for name in ("met", "met_phi")]
    muon = [Column(f"mu_{name}", "float32", counter="nmu") for name in ("pt", "eta", "phi", "q")]
    with create_root(tmp_path / "data.root") as out, out.new_tree("events", [*flat, *muon]) as tree:
        arrays = {column.name: range(10) for column in flat}
        tree.extend(arrays | {column.name: ([10.0 + i for i in range(10)], [1] * 10) for column in muon})
    arguments = ["skim", str(tmp_path / "data.root"), "-o", str(tmp_path / "o.root"), "--keep", "30%"]
    assert run([*arguments, "--schema", str(tmp_path / "mine.yaml"), "--model", str(untrained_model)]) == 0
    with uproot.open({tmp_path / "o.root": "events"}) as tree:
        assert tree.num_entries == 3


def test_the_documented_card_makes_events_as_it_says(tmp_path):
    documented = (Path(__file__).parents[1] / "configs" / "simulation" / "README.md").read_text(encoding="utf-8")
    card, sample = re.findall(r"```yaml\n(.*?)```", documented, flags=re.DOTALL)
    (tmp_path / "mine.yaml").write_text(card + "multiple_interactions: false\n")
    output = tmp_path / "o.root"
    assert run(["simulate", f"{tmp_path / 'mine.yaml'}@500", "-n", "5", "-o", str(output)]) == 0
    with uproot.open({output: "Events"}) as tree:
        events = tree.arrays(["HepFilterTruth_label", "HepFilterTruth_point", "GenPart_pdgId", "Jet_pt"])
    assert events.HepFilterTruth_label.tolist() == [1001] * 5
    assert events.HepFilterTruth_point.tolist() == [500.0] * 5
    assert all({13, -13} <= set(event) for event in events.GenPart_pdgId.tolist())
    assert all(max(event) > 50 for event in events.Jet_pt.tolist())
    (tmp_path / "set.yaml").write_text(sample)
    names = [production.card.name for production in load_sample(tmp_path / "set.yaml").productions("small")]
    assert names[:2] == ["qcd@15", "qcd@50"] and "zprime_tt@500" in names


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_the_readmes_python_runs(tmp_path, monkeypatch, number):
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    make_nano(tmp_path / "data" / "a.root", 200)
    Path("my-menu.yaml").write_text(yaml_of("my-menu"))
    names: dict[str, object] = {}
    for code in blocks("python")[: number + 1]:
        exec(compile(code, "README.md", "exec"), names)
    assert names["report"].written == 2
    assert number == 0 or len(names["interest"]) == (2 if number == 1 else 200)
    if number == 3:
        assert len(names["kept"]["event"]) < 100 < names["spectrum"].sum() < 400
        assert 0 < names["efficiency"] < 1
