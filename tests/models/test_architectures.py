"""Networks of other packages, by entry point."""

from pathlib import Path

import pytest
import torch

from hepfilter.config.graph import load_graph_specification
from hepfilter.config.model import CustomArchitecture
from hepfilter.errors import CheckpointError
from hepfilter.graphs.build import build_padded
from hepfilter.models.architectures import build_network
from hepfilter.models.checkpoint import load, save
from tests.graph_records import definition, random_record

MODULE = """
import torch
from hepfilter.models.network import GraphNetwork

class Sum(GraphNetwork):
    def __init__(self, definition):
        super().__init__(definition, latent_width=definition.architecture.width)
        self.scale = definition.architecture.options["scale"]
        self.nodes = torch.nn.Linear(self.num_features, definition.architecture.width)

    def embed(self, batch):
        raise NotImplementedError

    def embed_padded(self, graphs, *, workspace=None):
        return self.scale * (self.nodes(graphs.features) * graphs.mask.unsqueeze(2)).sum(1)

class Half(GraphNetwork):
    def __init__(self, definition):
        super().__init__(definition, latent_width=8)

    def embed(self, batch):
        raise NotImplementedError

def fails(definition):
    raise ValueError("no\\nluck")

def gives_a_layer(definition):
    return torch.nn.Linear(1, 1)
"""
ENTRY_POINTS = """
[hepfilter.architectures]
their-sum = theirs:Sum
their-failure = theirs:fails
their-layer = theirs:gives_a_layer
their-typo = theirs:Summ
their-part = theirs:Half
"""


@pytest.fixture(autouse=True)
def other_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "theirs.py").write_text(MODULE, encoding="utf-8")
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(ENTRY_POINTS, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)


def custom(name: str) -> CustomArchitecture:
    return CustomArchitecture(name=name, width=8, options={"scale": 0.5})


def test_a_network_of_another_package_is_built_saved_and_loaded(tmp_path: Path) -> None:
    graph = load_graph_specification("objects")
    network = build_network(definition(graph, architecture=custom("their-sum"))).eval()
    save(network, tmp_path / "m.safetensors", provenance={})
    graphs = build_padded(random_record(20), graph)
    with torch.inference_mode():
        found = load(tmp_path / "m.safetensors").network.forward_padded(graphs)
        assert torch.equal(found, network.forward_padded(graphs))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("their-sun", r"their-sun: no installed package .*; nearest: their-sum"),
        (
            "xyz",
            r"xyz: no installed package .*; there are: their-failure, their-layer, their-part, their-sum, their-typo",
        ),
        ("their-failure", r"their-failure \(theirs:fails\): fails: ValueError: no luck; mend"),
        ("their-typo", r"their-typo \(theirs:Summ\): fails: AttributeError: "),
        ("their-part", r"their-part \(theirs:Half\): Half has no embed_padded; write it"),
        ("their-layer", r"their-layer .*: gives Linear; it must give a hepfilter\.models\.network\.GraphNetwork"),
    ],
)
def test_what_is_wrong_with_it_is_told_in_one_line(name: str, message: str) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        build_network(definition(load_graph_specification("objects"), architecture=custom(name)))
    assert "\n" not in str(caught.value)
