"""Training configurations."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from hepfilter.config.base import shipped
from hepfilter.config.card import load_cards
from hepfilter.config.graph import load_graph_specification
from hepfilter.config.model import load_architecture
from hepfilter.config.training import load_training
from hepfilter.errors import ConfigError

SOUND = {
    "name": "mine",
    "graph": "objects",
    "architecture": "edgeconv-small",
    "sample": {"events": 100, "seed": 1},
    "classes": {"qcd": ["qcd@200"], "dijet": ["wprime_xy"]},
}


@pytest.mark.parametrize("name", sorted(shipped("training")))
def test_shipped_trainings_name_things_that_are_there(name: str) -> None:
    config = load_training(name)
    assert config.name == name
    load_graph_specification(config.graph)
    load_architecture(config.architecture)
    for cards in config.classes.values():
        for name in cards:
            assert {card.name.split("@")[0] for card in load_cards(name)} == {name.split("@")[0]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": {"a": ["qcd@200"], "b": ["qcd@200"]}}, "qcd@200 stands in two classes"),
        ({"priors": {"top": 2.0}}, "priors name top"),
        ({"split": {"training": 0.8, "validation": 0.2}}, "nothing for the test"),
        ({"fit": {"epochs": 0}}, "epochs"),
        ({"fit": {"epoch": 3}}, "nearest: epochs"),
        ({"classes": {"a": ["qcd@200"]}}, "classes"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(SOUND), encoding="utf-8")
    assert load_training(path).fit.epochs > 0
    path.write_text(yaml.safe_dump(SOUND | change), encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        load_training(path)
