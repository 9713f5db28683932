"""Configuration by chance: whatever stands in a YAML, JSON or text file, only our own errors come out."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hepfilter.config.base import parse_plain, shipped
from hepfilter.config.card import load_cards
from hepfilter.config.datasets import load_datasets
from hepfilter.config.graph import load_graph_specification
from hepfilter.config.groups import load_groups
from hepfilter.config.menu import load_menu
from hepfilter.config.model import load_architecture
from hepfilter.config.sample import load_sample
from hepfilter.config.training import load_training
from hepfilter.errors import ConfigError
from hepfilter.events.schemas import load_schema
from hepfilter.io.branch_selection import parse_branch_file
from hepfilter.io.event_list import read_event_list
from hepfilter.io.lumi_mask import load_lumi_mask
from hepfilter.io.sources import expand_sources
from hepfilter.trigger.menus import read_menu
from tests.fuzzing.harness import JSON, NAMES, altered, damaged, examples, survives

CATALOGUE = {
    "datasets": {
        "tt": {"kind": "mc", "cross_section": 366.9, "files": ["tt/*.root", ["a.root", "root://host//a.root"]]},
        "muons": {"kind": "data", "luminosity": 4.8, "lumi_mask": "x.json", "tree": "Events", "files": ["m.root"]},
    }
}
FILESET = {
    "tt": {"files": {"a.root": {"object_path": "Events", "steps": [[0, 5], [5, 9]], "num_entries": 9}}, "form": None},
    "w": {"files": ["b.root"], "treename": "Events", "metadata": {"xs": 1.5}},
    "z": ["c.root"],
}
MASK = {"297050": [[12, 137], [193, 776]], "297056": [[12, 203]]}
CMND = "! mine\nHardQCD:all = on\n! hepfilter: {family: mine, label: 7}\nBeams:eCM = 13600.\n/*\nx\n*/\n"
BRANCHES = "drop *\nkeep Jet_*\nkeepmatch (HLT|L1)_.*\n# a note\ndropmatch Jet_[a-c]+x?\n"
EVENTS = "# run:luminosityBlock:event\n1:2:3\n297050, 12, 18446744073709551615\n1 2 4\n"

YAML: dict[str, tuple[Callable[[Path], Any], str]] = {
    "schemas": (load_schema, "nanoaod"),
    "simulation": (load_cards, "zprime_ll"),
    "graphs": (load_graph_specification, "objects-particles"),
    "models": (load_architecture, "part-small"),
    "training": (load_training, "interest-objects"),
    "menus": (read_menu, "discovery"),
    "samples": (load_sample, "lhco-shifted"),
    "evaluation": (load_groups, "groups"),
}
TEXTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "cmnd": (load_cards, CMND),
    "txt": (parse_branch_file, BRANCHES),
    "list": (read_event_list, EVENTS),
    "json": (load_lumi_mask, json.dumps(MASK)),
}


def expanded(path: Path) -> Any:
    """A catalogue, and the files that it means."""
    load_datasets(path)
    return expand_sources([str(path)])


def spelled(plain: Any) -> bytes:
    """As YAML; what has no spelling there is left to JSON."""
    try:
        return yaml.safe_dump(plain, allow_unicode=True).encode("utf-8", "surrogatepass")
    except yaml.YAMLError:
        return json.dumps(plain).encode()


@pytest.mark.parametrize("kind", YAML)
@examples(12)
@given(data=st.data())
def test_yaml_with_values_of_any_kind(kind: str, tmp_path: Path, data: st.DataObject) -> None:
    reader, name = YAML[kind]
    path = tmp_path / "x.yaml"
    path.write_bytes(spelled(data.draw(altered(yaml.safe_load(shipped(kind)[name].read_bytes())))))
    survives(lambda: reader(path))


@pytest.mark.parametrize("kind", YAML)
@examples(10)
@given(data=st.data())
def test_damaged_yaml(kind: str, tmp_path: Path, data: st.DataObject) -> None:
    reader, name = YAML[kind]
    path = tmp_path / "x.yaml"
    path.write_bytes(data.draw(damaged(shipped(kind)[name].read_bytes())))
    survives(lambda: reader(path))


@examples(150)
@given(text=st.text(st.sampled_from("a1.0:-+_xeZT, \n[]{}&*!<>'\"|%?#~=é\x00\ufeff\u2028\x85"), max_size=40))
def test_yaml_of_any_signs(text: str) -> None:
    survives(lambda: parse_plain(text, where="x"))


@pytest.mark.parametrize("kind", TEXTS)
@examples(25)
@given(data=st.data())
def test_damaged_text(kind: str, tmp_path: Path, data: st.DataObject) -> None:
    reader, text = TEXTS[kind]
    path = tmp_path / f"x.{kind}"
    path.write_bytes(data.draw(damaged(text.encode())))
    survives(lambda: reader(path))


@pytest.mark.parametrize(("reader", "plain"), [(expanded, CATALOGUE), (expanded, FILESET), (load_lumi_mask, MASK)])
@examples(40)
@given(data=st.data())
def test_json_with_values_of_any_kind(
    reader: Callable[[Path], Any], plain: Any, tmp_path: Path, data: st.DataObject
) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps(data.draw(altered(plain) | JSON)))
    survives(lambda: reader(path))


@examples(100)
@given(name=st.one_of(NAMES, st.from_regex(r"[@a./*?\[\]:\x00-]{1,12}(\.root|\.yaml|\.json)?(:.*)?", fullmatch=True)))
def test_inputs_of_any_name(name: str, tmp_path: Path) -> None:
    name = name.replace("**", "*").lstrip("/.")  # a disk has many files
    with contextlib.chdir(tmp_path):
        survives(lambda: expand_sources([name]))
        survives(lambda: load_menu(name))
        survives(lambda: load_cards(name))


@pytest.mark.filterwarnings("ignore:Possible nested set")
@examples(60)
@given(pattern=st.text(st.sampled_from("ab.*+?{}()[]|^$\\,0129-!=:<>P#x"), min_size=1, max_size=40))
def test_branch_rules_of_any_pattern(pattern: str, tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text(f"keepmatch {pattern}\ndrop {pattern}\n")
    names = ["a" * 64, "ab" * 32, "Jet_pt", "a.b.c"]
    survives(lambda: parse_branch_file(path).kept(names))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: " + "1:" * 400 + "1.5", "line 1, column 4: a number of 803 characters is too long"),
        ("a: " + "59:" * 32 + "59.5", None),
        ("a: 0x" + "f" * 5000, "line 1, column 4: a number of 5,002 characters is too long"),
        ("a: 0001-01-01 00:00:00 +10:00", None),
        ("a: 9999-12-31 23:59:59 -10:00", None),
        ("a: !!timestamp abc", "tags (!name) are not allowed"),
        ('a: !!int ""', "tags (!name) are not allowed"),
        ("a: !!map [1]", "tags (!name) are not allowed"),
        ("a: !!bool x", "tags (!name) are not allowed"),
        ("&a [*a]", "aliases (*name) are not allowed"),
        ("{b: " * 101, "nested too deeply"),
        ("- " * 101, "nested too deeply"),
        (".nan: 1\n.nan: 2", "key '.nan' stands twice"),
        ("? [a]\n: 1", "found unhashable key"),
    ],
)
def test_yaml_that_crashed_or_could(text: str, said: str | None) -> None:
    message = survives(lambda: parse_plain(text, where="x"))
    if said is not None:
        assert message is not None and said in message


def test_a_bomb_of_aliases_is_no_bomb() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    message = survives(lambda: parse_plain("\n".join(lines), where="x"))
    assert message is not None and "aliases" in message


def test_a_key_that_stands_twice_among_many_is_found_at_once(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("{" + ",".join(f'"k{n}":1' for n in range(200_000)) + ',"k199999":2}')
    message = survives(lambda: load_datasets(path))
    assert message is not None and message.endswith("key 'k199999' stands twice")


def test_texts_that_can_be_read_in_many_ways_are_read_at_once(tmp_path: Path) -> None:
    menu, listed = tmp_path / "m.yaml", tmp_path / "l.txt"
    menu.write_text("name: m\npaths: {a: {score: interest, rate: %s!}}\n" % ("e" * 10**6))
    assert "give a rate with its unit" in (survives(lambda: load_menu(menu)) or "")
    menu.write_text("name: m\npaths: {a: {score: interest, fraction: %sx}}\n" % ("1_" * 10**6))
    assert "give a share" in (survives(lambda: load_menu(menu)) or "")
    listed.write_text(".root?" * 10**6)
    assert "no such file" in (survives(lambda: expand_sources([f"@{listed}"])) or "")


@pytest.mark.parametrize("depth", [99, 100, 900, 985, 990, 995, 100_000])
@pytest.mark.parametrize("text", ['{"1": %s}', "[[], %s]"])
def test_json_of_any_depth(text: str, depth: int, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    for inner in ("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth):
        path.write_text(text % inner)
        for reader in (load_lumi_mask, load_datasets):
            message = survives(lambda reader=reader: reader(path))
            assert ("nested too deeply" in (message or "")) == (depth > 99)


@pytest.mark.parametrize("steps", ["[[0, Infinity]]", "[[0, 1e999]]", "[[NaN, 1]]", "5", '"ab"', "[[1]]"])
def test_steps_that_are_none(steps: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"a": {"files": {"x.root": {"steps": ' + steps + "}}}}")
    with pytest.raises(ConfigError, match="steps are a list"):
        load_datasets(path)


@pytest.mark.parametrize(
    "name", ["a" * 300, "a" * 300 + ".root", "b/" * 3000 + "a.yaml", "a\0b", "a\0/?", "a\0.root", "\ud800.json"]
)
def test_names_that_no_file_can_have(name: str) -> None:
    for reader in (load_menu, load_cards, load_schema, read_event_list, load_lumi_mask):
        assert survives(lambda reader=reader: reader(name)) is not None
    for text in (name, f"@{name}", f"{name}:Events"):
        assert survives(lambda text=text: expand_sources([text])) is not None


def test_a_folder_that_may_not_be_listed_is_no_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert survives(lambda: expand_sources([str(tmp_path / "a.root")])) == f"{tmp_path}/a.root: no such file"


def test_addresses_that_no_server_gets(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    for address, said in (("https://a/b\r\nX: y", "no address"), ("a\0.root", "NUL"), ("s3://b/\x1b[2J", "no address")):
        path.write_text(json.dumps({"a": [address]}))
        message = survives(lambda: expand_sources([str(path)]))
        assert message is not None and said in message
    path.write_text(json.dumps({"datasets": {"a": {"kind": "data", "lumi_mask": "a\0b", "files": ["x.root"]}}}))
    message = survives(lambda: expand_sources([str(path)]))
    assert message is not None and "no file has NUL" in message
