"""Graph specifications: what ships is valid, what makes no sense is refused."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from hepfilter.config.base import find_config
from hepfilter.config.graph import GraphSpecification, load_graph_specification
from hepfilter.errors import ConfigError


@pytest.mark.parametrize("name", ["objects", "particles", "objects-particles", "jets"])
def test_shipped_specifications(name: str) -> None:
    specification = load_graph_specification(name)
    assert specification.name == name
    assert not {"phi", "eta"} & set(specification.feature_names)
    assert GraphSpecification.model_validate_json(specification.model_dump_json()) == specification


def test_feature_names_are_one_per_column() -> None:
    objects = load_graph_specification("objects")
    assert objects.feature_names[-5:] == ("is_met", "is_muon", "is_electron", "is_photon", "is_jet")
    assert load_graph_specification("particles").feature_names[-5:] == (
        "is_charged_hadron", "is_neutral_hadron", "is_photon", "is_electron", "is_muon",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"edges": {"kind": "knn"}}, "need a k"),
        ({"edges": {"kind": "full", "k": 3}}, "have none"),
        ({"node_features": ["ln_pt", "ln_pt"]}, "named twice"),
        ({"node_features": ["phi"]}, "node_features"),
        ({"collections": {"jets": {"max_count": 3}}}, "collections"),
        ({"collections": {"jet": {"max_count": 3, "min_ptt": 5}}}, "nearest: min_pt"),
        ({"collections": {}}, "collections"),
        ({"max_nodes": 0}, "max_nodes"),
        ({"max_node": 3}, "nearest: max_nodes"),
        ({"collections": {"jet": {"max_count": 3, "min_pt": float("nan")}}}, "min_pt"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    content = yaml.safe_load(find_config("graphs", "objects").read_text(encoding="utf-8"))
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(content | change), encoding="utf-8")
    with pytest.raises(ConfigError, match=message) as caught:
        load_graph_specification(path)
    assert str(path) in str(caught.value)
