"""The edge-convolution network fulfils what every network must."""

import pytest
import torch

from hepfilter.config.graph import load_graph_specification
from hepfilter.graphs.build import build_padded
from hepfilter.models.edgeconv import EdgeConvNet
from tests.graph_records import network, random_record, small_particles
from tests.model_checks import ModelChecks


class TestOnObjects(ModelChecks):
    @pytest.fixture
    def model(self) -> EdgeConvNet:
        return network(load_graph_specification("objects"))


class TestOnParticles(ModelChecks):
    @pytest.fixture
    def model(self) -> EdgeConvNet:
        return network(small_particles())


def test_the_last_layer_stays_float32_under_autocast() -> None:
    model = network(load_graph_specification("objects"))
    graphs = build_padded(random_record(20), model.definition.graph)
    with torch.inference_mode():
        exact = model.forward_padded(graphs)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            mixed = model.forward_padded(graphs)
    assert mixed.dtype == torch.float32
    assert torch.allclose(mixed, exact, atol=0.1)


def test_normalisation_is_applied() -> None:
    """Shifting and scaling what comes in, together with the normalisation, changes nothing; alone, it does."""
    model = network(load_graph_specification("objects"))
    graphs = build_padded(random_record(20), model.definition.graph)
    with torch.inference_mode():
        before = model.forward_padded(graphs)
        model.feature_mean += 1.0
        assert not torch.allclose(model.forward_padded(graphs), before, atol=1e-3)
        model.feature_mean -= 1.0
        model.pair_std *= 2.0
        assert not torch.allclose(model.forward_padded(graphs), before, atol=1e-3)
