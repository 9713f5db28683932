"""Architectures and model definitions."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from hepfilter.config.base import shipped
from hepfilter.config.graph import load_graph_specification
from hepfilter.config.model import EdgeConvArchitecture, EventClass, ModelDefinition, load_architecture
from hepfilter.errors import ConfigError

SIGNAL, BACKGROUND = EventClass(name="s", is_signal=True), EventClass(name="b", is_signal=False)


def test_shipped_architectures() -> None:
    kinds = {name: load_architecture(name).kind for name in shipped("models")}
    assert kinds == {
        "deepsets-small": "deepsets",
        "edgeconv-batch-norm": "edgeconv",
        "edgeconv-particles": "edgeconv",
        "edgeconv-small": "edgeconv",
        "part-small": "transformer",
        "particlenet": "edgeconv",
    }
    assert load_architecture("particlenet").dynamic


def test_dynamic_neighbours_need_a_number_of_them() -> None:
    dynamic = EdgeConvArchitecture(dynamic=True)
    classes = (SIGNAL, BACKGROUND)
    ModelDefinition(graph=load_graph_specification("particles"), architecture=dynamic, classes=classes)
    with pytest.raises(ValidationError, match="needs edges of kind knn; the graph objects has all pairs"):
        ModelDefinition(graph=load_graph_specification("objects"), architecture=dynamic, classes=classes)


def test_the_norm_of_old_is_written_as_ever() -> None:
    """The hash of a model of earlier versions covers a definition without this key."""
    assert "norm" not in EdgeConvArchitecture().model_dump(mode="json")
    batch = EdgeConvArchitecture(norm="batch")
    assert EdgeConvArchitecture.model_validate(batch.model_dump(mode="json")) == batch


def test_an_unknown_key_names_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("kind: edgeconv\nwitdh: 32\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="nearest: width"):
        load_architecture(path)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ((SIGNAL,), "at least one signal and one background"),
        ((BACKGROUND, BACKGROUND.model_copy(update={"name": "c"})), "at least one signal and one background"),
        ((SIGNAL, BACKGROUND, BACKGROUND), "named twice"),
    ],
)
def test_classes_must_make_sense(classes: tuple[EventClass, ...], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ModelDefinition(graph=load_graph_specification("objects"), architecture=EdgeConvArchitecture(), classes=classes)


def test_a_definition_survives_json() -> None:
    definition = ModelDefinition(
        graph=load_graph_specification("particles"),
        architecture=EdgeConvArchitecture(width=64),
        classes=(BACKGROUND, SIGNAL),
    )
    assert ModelDefinition.model_validate_json(definition.model_dump_json()) == definition
