"""Batch norm over what is there: in training, folded after it, and in both ways through a network."""

import torch
from torch import nn

from hepfilter.config.model import EdgeConvArchitecture
from hepfilter.graphs.build import batch_of, build_padded
from hepfilter.graphs.padded import PaddedGraphs
from hepfilter.models.network import GraphNetwork
from hepfilter.models.normed import NormedLinear
from tests.graph_records import network, random_record, small_particles


def rows(*shape: int, seed: int = 0) -> torch.Tensor:
    return 3 + 2 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def in_training() -> GraphNetwork:
    architecture = EdgeConvArchitecture(width=16, layers=2, head_width=16, norm="batch")
    model = network(small_particles(), architecture=architecture).train()
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, NormedLinear):
                layer.shift += 0.5  # by which zeros are told from what is not there
    return model


def test_it_is_batch_norm_of_the_rows_that_are_there() -> None:
    ours, x = NormedLinear(5, 8).train(), rows(6, 7, 5)
    there = torch.rand(6, 7, generator=torch.Generator().manual_seed(1)) < 0.6
    theirs = nn.BatchNorm1d(8)
    for _ in range(3):
        found, raw = ours(x, there), nn.functional.linear(x[there], ours.weight)
        assert torch.allclose(found[there], theirs(raw), atol=1e-5)
    assert torch.allclose(ours.mean, theirs.running_mean, atol=1e-6)  # type: ignore[arg-type]
    assert torch.allclose(ours.variance - 0.9**3, (1 - 0.9**3) * raw.var(0, correction=0), atol=1e-5)


def test_folded_it_is_the_same_as_the_running_averages_say() -> None:
    layer, x = NormedLinear(5, 8), rows(40, 5)
    with torch.no_grad():
        layer.scale.uniform_(0.5, 2.0)
        layer.shift.uniform_(-1.0, 1.0)
    layer.train()(x)
    layer.eval()
    raw = nn.functional.linear(x, layer.weight)
    theirs = nn.functional.batch_norm(raw, layer.mean, layer.variance, layer.scale, layer.shift)
    assert torch.allclose(layer(x), theirs, atol=1e-5)


def test_a_batch_without_rows_leaves_the_averages_as_they_are() -> None:
    layer = NormedLinear(5, 8).train()
    assert layer(rows(3, 2, 5), torch.zeros(3, 2, dtype=torch.bool)).isfinite().all()
    assert torch.equal(layer.mean, torch.zeros(8)) and torch.equal(layer.variance, torch.ones(8))


def test_in_training_both_ways_give_the_same_and_learn_the_same_averages() -> None:
    model, other = in_training(), in_training()
    graphs = build_padded(random_record(60, seed=1, mean_counts={"particle": 6.0}), model.definition.graph)
    dense, reference = model.forward_padded(graphs), other(batch_of(graphs, model.definition.graph))
    assert torch.allclose(dense, reference, atol=1e-5, rtol=0)
    for name, average in model.named_buffers():
        assert torch.allclose(average, other.get_buffer(name), atol=1e-5), name
    assert not torch.equal(model.get_buffer("layers.0.edge.mean"), torch.zeros(16))


def test_in_training_empty_places_count_nothing() -> None:
    model, other = in_training(), in_training()
    graphs = build_padded(random_record(30, seed=2, mean_counts={"particle": 6.0}), model.definition.graph)
    room = PaddedGraphs(
        torch.cat([graphs.features, rows(30, 4, graphs.features.shape[2])], dim=1),
        torch.cat([graphs.momenta, rows(30, 4, 4).abs()], dim=1),
        torch.cat([graphs.mask, torch.zeros(30, 4, dtype=torch.bool)], dim=1),
    )
    assert torch.allclose(model.forward_padded(graphs), other.forward_padded(room), atol=1e-5, rtol=0)
