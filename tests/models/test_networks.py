"""Every architecture on every kind of graph fulfils what every network must."""

import pytest
import torch

from hepfilter.config.graph import Edges, GraphSpecification, load_graph_specification
from hepfilter.config.model import Architecture, DeepSetsArchitecture, EdgeConvArchitecture, TransformerArchitecture
from hepfilter.graphs.build import build_padded
from hepfilter.models.network import GraphNetwork
from hepfilter.models.normed import NormedLinear
from tests.graph_records import network, random_record, small_objects_particles, small_particles
from tests.model_checks import TOLERANCE, ModelChecks, dense

GRAPHS: dict[str, GraphSpecification] = {
    "objects": load_graph_specification("objects"),
    "particles": small_particles(),
    "particles-all-pairs": small_particles().model_copy(update={"edges": Edges(kind="full")}),
    "objects-particles": small_objects_particles(),
}
ARCHITECTURES: dict[str, Architecture] = {
    "edgeconv": EdgeConvArchitecture(width=16, layers=2, head_width=16),
    "dynamic": EdgeConvArchitecture(width=16, layers=3, head_width=16, dynamic=True),
    "batch-norm": EdgeConvArchitecture(width=16, layers=2, head_width=16, norm="batch"),
    "dynamic-batch-norm": EdgeConvArchitecture(width=16, layers=2, head_width=16, norm="batch", dynamic=True),
    "transformer": TransformerArchitecture(width=16, heads=2, layers=2, class_layers=2, pair_width=8, head_width=16),
    "deepsets": DeepSetsArchitecture(width=16, layers=2, head_width=16),
}
CASES = [
    *((kind, graph) for kind in ("edgeconv", "batch-norm", "transformer") for graph in GRAPHS),
    ("dynamic", "particles"),
    ("dynamic", "objects-particles"),
    ("dynamic-batch-norm", "particles"),
]


@pytest.fixture(params=CASES, ids="-on-".join)
def model(request: pytest.FixtureRequest) -> GraphNetwork:
    kind, graph = request.param
    return built(kind, graph)


def built(kind: str, graph: str) -> GraphNetwork:
    model = network(GRAPHS[graph], architecture=ARCHITECTURES[kind])
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.startswith("pair_bias"):
                weight *= 2  # pairs matter by far more than rounding
        generator = torch.Generator().manual_seed(5)
        for module in model.modules():
            if isinstance(module, NormedLinear):  # averages as if it had learnt
                module.mean.uniform_(-0.5, 0.5, generator=generator)
                module.variance.uniform_(0.2, 1.0, generator=generator)
    return model


class TestNetworksOfPairs(ModelChecks):
    pass


class TestDeepSets(ModelChecks):
    @pytest.fixture(params=["objects", "particles", "objects-particles"])
    def model(self, request: pytest.FixtureRequest) -> GraphNetwork:
        return built("deepsets", request.param)

    def test_distances_matter(self, model: GraphNetwork) -> None:
        """They do not: it is the baseline that is blind to them."""
        with pytest.raises(AssertionError):
            super().test_distances_matter(model)


@pytest.mark.parametrize(("kind", "graph"), [*CASES, ("deepsets", "particles")])
def test_bfloat16_gives_nearly_the_same_and_the_last_layer_stays_float32(kind: str, graph: str) -> None:
    """bfloat16 has 8 bits: logits of order 1 are the same within 0.05."""
    model = built(kind, graph)
    graphs = build_padded(random_record(100, seed=10), model.definition.graph)
    exact = dense(model, graphs)
    workspace = torch.empty(model.workspace_size(*graphs.mask.shape))
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = model.forward_padded(graphs)
        assert torch.equal(model.forward_padded(graphs, workspace=workspace), mixed)
    assert mixed.dtype == torch.float32
    assert not torch.equal(mixed, exact)
    assert torch.allclose(mixed, exact, atol=0.05, rtol=0)


def test_a_node_attends_to_itself() -> None:
    """Also where it is alone, and with a weight of its own."""
    model = built("transformer", "particles")
    graphs = build_padded(random_record(40, seed=11, mean_counts={"particle": 3.0}), model.definition.graph)
    before = dense(model, graphs)
    with torch.no_grad():
        model.get_parameter("self_bias").fill_(-30.0)
    after = dense(model, graphs)
    lonely = graphs.node_counts <= 1
    assert lonely.any() and torch.equal(after[lonely], before[lonely])
    assert (after - before)[~lonely].abs().amax(1).median() > 100 * TOLERANCE


def test_dynamic_neighbours_are_those_of_the_layer_before() -> None:
    """With the first layer's neighbours in all layers the scores are others."""
    model = built("dynamic", "particles")
    graphs = build_padded(random_record(40, seed=12), model.definition.graph)
    before = dense(model, graphs)
    model.dynamic = False  # type: ignore[assignment]
    few = graphs.node_counts <= 5  # with k = 4 all others are neighbours anyway
    after = dense(model, graphs)
    assert torch.allclose(after[few], before[few], atol=TOLERANCE, rtol=0)
    assert (after - before)[~few].abs().amax(1).median() > 100 * TOLERANCE


def test_normalisation_is_applied() -> None:
    """Shifting and scaling what comes in, together with the normalisation, changes nothing; alone, it does."""
    model = network(load_graph_specification("objects"))
    graphs = build_padded(random_record(20), model.definition.graph)
    before = dense(model, graphs)
    model.feature_mean += 1.0
    assert not torch.allclose(dense(model, graphs), before, atol=1e-3)
    model.feature_mean -= 1.0
    model.pair_std *= 2.0
    assert not torch.allclose(dense(model, graphs), before, atol=1e-3)
