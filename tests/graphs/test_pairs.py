"""Which pairs are edges, in the dense view."""

import torch

from hepfilter.config.graph import load_graph_specification
from hepfilter.graphs.build import build_padded
from hepfilter.graphs.pairs import dense_pairs
from tests.graph_records import random_record, small_particles


def test_full_pairs_are_all_different_nodes_and_finite_everywhere() -> None:
    specification = load_graph_specification("objects")
    graphs = build_padded(random_record(50, seed=1), specification)
    pairs = dense_pairs(graphs.momenta, graphs.mask, specification)
    counts = graphs.node_counts
    assert pairs.index is None
    assert torch.equal(pairs.valid.sum((1, 2)), counts * (counts - 1))
    assert pairs.attributes.isfinite().all()
    assert torch.allclose(pairs.attributes, pairs.attributes.transpose(1, 2), atol=1e-5)


def test_knn_pairs_have_the_features_of_their_neighbours() -> None:
    specification = small_particles()
    full = specification.model_copy(update={"edges": load_graph_specification("objects").edges})
    graphs = build_padded(random_record(30, seed=2), specification)
    every = dense_pairs(graphs.momenta, graphs.mask, full).attributes
    pairs = dense_pairs(graphs.momenta, graphs.mask, specification)
    assert pairs.index is not None
    event, node, slot = pairs.valid.nonzero(as_tuple=True)
    expected = every[event, node, pairs.index[event, node, slot]]
    assert torch.allclose(pairs.attributes[event, node, slot], expected, atol=1e-6)
    assert pairs.attributes.isfinite().all()
