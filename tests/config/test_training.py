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
    "sample": {"set": "trigger", "size": "tiny"},
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
        ({"priors": {"qcd": float("nan")}}, "priors.qcd"),
        ({"priors": {"qcd": -1.0}}, "priors.qcd"),
        ({"priors": {"qcd": 1e308}}, r"priors\.qcd.*between 1e-30 and 1e30, not at 1e\+308"),
        ({"priors": {"qcd": 1e-300}}, r"priors\.qcd.*between 1e-30 and 1e30, not at 1e-300"),
        ({"classes": {"1st": ["qcd@200"], "dijet": ["wprime_xy"]}}, "classes.*1st"),
        ({"heads": [{"name": "a", "kind": "svdd"}, {"name": "a", "kind": "mahalanobis"}]}, "named twice"),
        ({"heads": [{"name": "a", "kind": "ration"}]}, r"heads\.0\.kind': 'ration' is none of .*; nearest: ratio"),
        ({"heads": [{"name": "a"}]}, r"key 'heads\.0\.kind' is missing"),
        ({"heads": [{"name": "a", "kind": "flow", "coupling": 2}]}, "nearest: couplings$"),
        ({"heads": [{"name": "a", "kind": "ratio", "mix": "nature"}]}, "known: kind, layers, name, width$"),
        ({"fit": {"learning_rate": 1e300}}, r"fit\.learning_rate"),
        ({"fit": {"seed": 2**70}}, r"fit\.seed"),
        ({"head_fit": {"seed": 2**70}}, r"head_fit\.seed"),
        ({"split": {"training": 0.8, "validation": 0.2}}, "nothing for the test"),
        ({"fit": {"epochs": 0}}, "epochs"),
        ({"fit": {"epoch": 3}}, "nearest: epochs"),
        ({"fit": {"reweight": {"observabel": "ht"}}}, "unknown key 'fit.reweight.observabel'; nearest: observable"),
        ({"fit": {"ema": 1.0}}, r"fit\.ema"),
        ({"fit": {"learning_rate": "fast"}}, r"fit\.learning_rate"),
        ({"fit": {"precision": "half"}}, r"fit\.precision.*bf16-mixed"),
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
