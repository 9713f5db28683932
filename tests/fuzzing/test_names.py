"""Names that come from files and become part of a path: none leads out of the folder that it is meant for."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hepfilter.config.base import LONGEST_NAME, shipped, validate
from hepfilter.config.card import Card, load_cards
from hepfilter.config.graph import GraphSpecification
from hepfilter.config.menu import Menu
from hepfilter.config.model import EventClass, FlowHead
from hepfilter.config.sample import SampleSet
from hepfilter.config.training import TrainingConfig
from hepfilter.errors import ConfigError, OutputError
from hepfilter.io.event_list import write_event_list
from hepfilter.io.lhco import create_table
from hepfilter.io.publishing import refuse_output, write_whole
from hepfilter.io.score_file import create_scores
from hepfilter.io.writing import create_root
from hepfilter.simulation.blocks import BlockTask
from hepfilter.simulation.store import BlockStore
from tests.fuzzing.harness import NAMES, examples, survives

WRONG = ["../x", "/tmp/x", "a/b", "..", "", "a\0b", "a\n", "-x\x1b[2J", "a\\b", "a" * 500 + "/.."]
CARD = load_cards("qcd")[0].model_dump(mode="json")


def named(kind: str, name: str) -> Any:
    """A configuration of this kind with this name; ConfigError if it cannot have it."""
    if kind == "card":
        return validate({**CARD, "name": name}, Card, where="x")
    if kind == "head":
        return validate({"kind": "flow", "name": name}, FlowHead, where="x")
    if kind == "class":
        return validate({"name": name, "is_signal": True}, EventClass, where="x")
    models: dict[str, tuple[str, str, Any]] = {
        "sample": ("samples", "lhco", SampleSet),
        "training": ("training", "interest-objects", TrainingConfig),
        "graph": ("graphs", "objects", GraphSpecification),
        "menu": ("menus", "discovery", Menu),
    }
    folder, known, model = models[kind]
    return validate({**yaml.safe_load(shipped(folder)[known].read_bytes()), "name": name}, model, where="x")


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("kind", ["card", "head", "class", "sample", "training", "graph", "menu"])
def test_no_configuration_has_a_name_that_is_a_path(kind: str, name: str) -> None:
    with pytest.raises(ConfigError, match="key 'name'"):
        named(kind, name)


@pytest.mark.parametrize("kind", ["card", "head"])
def test_names_in_names_of_files_are_short(kind: str) -> None:
    assert named(kind, "a" * LONGEST_NAME)
    with pytest.raises(ConfigError, match="at most 100 characters"):
        named(kind, "a" * (LONGEST_NAME + 1))


@examples(60)
@given(name=st.one_of(NAMES, st.from_regex(r"[A-Za-z0-9_]{1,5}(@[0-9.]{1,5})?", fullmatch=True)))
def test_blocks_of_any_card_lie_in_their_folder(name: str, tmp_path: Path) -> None:
    def place() -> None:
        card = named("card", name)
        task = BlockTask(card, seed=1, block=2, events=5, particles=False, pileup=0.0)
        path = BlockStore(tmp_path).path(task)
        assert path.parent == tmp_path and path.resolve().parent == tmp_path.resolve()
        assert path.name.isprintable() and len(path.name) < 200

    survives(place)


def test_a_card_loads_no_library() -> None:
    for line in (
        "Init:plugins = {x.so::X}",
        "Vincia:MEplugin = ../x",
        "vincia:mePlugin = x",
        "SLHA:file = /etc/passwd",
    ):
        with pytest.raises(ConfigError, match="key 'settings'"):
            validate({**CARD, "settings": [*CARD["settings"], line]}, Card, where="x")


def _made(context: AbstractContextManager[Any]) -> None:
    with context:
        pass


_ONE = np.array([1], np.uint32)
WRITERS: dict[str, Callable[[Path], Any]] = {
    "checkpoint": lambda path: write_whole(path, b"x"),
    "root": lambda path: _made(create_root(path)),
    "hdf5": lambda path: _made(create_table(path, labelled=True)),
    "parquet": lambda path: _made(create_scores(path.with_name(path.name[:-8] + ".parquet"), ("interest",))),
    "list": lambda path: write_event_list(path, _ONE, _ONE, _ONE),
}


@pytest.mark.parametrize("length", [249, 255, 256, 5000])
@pytest.mark.parametrize("kind", WRITERS)
def test_outputs_of_long_names_are_told(kind: str, length: int, tmp_path: Path) -> None:
    message = survives(lambda: WRITERS[kind](tmp_path / ("a" * length)))
    assert message is not None and "name" in message
    assert list(tmp_path.iterdir()) == []


def test_a_name_too_long_for_what_lies_beside_it_is_told_before_any_work(tmp_path: Path) -> None:
    refuse_output(tmp_path / ("a" * 220), force=False)
    with pytest.raises(OutputError, match="its name is too long; give one of at most 220 bytes"):
        refuse_output(tmp_path / ("é" * 111), force=False)


def test_names_in_a_catalogue_are_told_as_they_are(tmp_path: Path) -> None:
    from hepfilter.io.sources import expand_inputs

    (tmp_path / "a.root").write_bytes(b"root")
    path = tmp_path / "c.json"
    path.write_text(json.dumps({"../../x\x1b[2J": ["a.root"]}))
    inputs = expand_inputs([str(path)])
    assert list(inputs.datasets) == ["../../x\x1b[2J"]  # a label, and never part of a path
    assert [source.path for source in inputs.sources] == [str(tmp_path / "a.root")]
