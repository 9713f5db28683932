"""Padded graphs and torch-geometric batches from whole chunks."""

import numpy as np
import pytest
import torch

from hepfilter.config.graph import GraphSpecification, load_graph_specification
from hepfilter.graphs import keys
from hepfilter.graphs.build import batch_of, build_batch, build_padded
from hepfilter.graphs.padded import PaddedGraphs
from hepfilter.graphs.pairs import dense_pairs
from tests.graph_records import random_record, record_of, small_particles

SPECIFICATIONS = [load_graph_specification("objects"), load_graph_specification("particles"), small_particles()]


@pytest.fixture(params=SPECIFICATIONS, ids=lambda specification: specification.name)
def specification(request: pytest.FixtureRequest) -> GraphSpecification:
    found: GraphSpecification = request.param
    return found


def test_shapes_and_types(specification: GraphSpecification) -> None:
    graphs = build_padded(random_record(50), specification)
    n_nodes = specification.max_nodes
    assert graphs.features.shape == (50, n_nodes, len(specification.feature_names))
    assert graphs.momenta.shape == (50, n_nodes, 4)
    assert graphs.mask.shape == (50, n_nodes)
    assert {graphs.features.dtype, graphs.momenta.dtype} == {torch.float32}
    assert not graphs.features[~graphs.mask].any()
    counts = graphs.node_counts.unsqueeze(1)
    assert torch.equal(graphs.mask, torch.arange(n_nodes) < counts)


def test_both_views_hold_the_same_nodes_and_edges(specification: GraphSpecification) -> None:
    record = random_record(60, seed=2)
    graphs, batch = build_padded(record, specification), build_batch(record, specification)
    assert torch.equal(batch[keys.X], graphs.features[graphs.mask])
    assert torch.equal(batch[keys.MOMENTUM], graphs.momenta[graphs.mask])
    assert torch.equal(batch[keys.PTR].diff(), graphs.node_counts)
    assert torch.equal(batch[keys.BATCH], torch.repeat_interleave(torch.arange(60), graphs.node_counts))
    pairs = dense_pairs(graphs.momenta, graphs.mask, specification)
    index = torch.arange(graphs.mask.shape[1]).expand_as(pairs.valid) if pairs.index is None else pairs.index
    expected = {
        (int(batch[keys.PTR][b] + index[b, i, k]), int(batch[keys.PTR][b] + i)): pairs.attributes[b, i, k]
        for b, i, k in pairs.valid.nonzero().tolist()
    }
    edges = list(zip(*batch[keys.EDGE_INDEX].tolist(), strict=True))
    assert set(edges) == set(expected)
    assert len(edges) == len(expected)
    assert torch.equal(batch[keys.EDGE_ATTR], torch.stack([expected[edge] for edge in edges]))


def test_full_graphs_have_all_pairs_without_loops() -> None:
    batch = build_batch(random_record(40, seed=3), SPECIFICATIONS[0])
    for event in batch.to_data_list():
        n_nodes = event.x.shape[0]
        assert event.edge_index.shape[1] == n_nodes * (n_nodes - 1)
        assert not (event.edge_index[0] == event.edge_index[1]).any()
        assert len(set(map(tuple, event.edge_index.t().tolist()))) == n_nodes * (n_nodes - 1)


def test_knn_graphs_have_k_neighbours_where_there_are_as_many() -> None:
    specification = SPECIFICATIONS[2]
    for event in build_batch(random_record(40, seed=4), specification).to_data_list():
        n_nodes = event.x.shape[0]
        degrees = torch.bincount(event.edge_index[1], minlength=n_nodes)
        assert (degrees == min(4, max(n_nodes - 1, 0))).all()


def test_the_batch_comes_apart_into_its_events(specification: GraphSpecification) -> None:
    record = random_record(12, seed=6)
    batch = build_batch(record, specification)
    assert batch.num_graphs == 12
    for position, event in enumerate(batch.to_data_list()):
        alone = build_batch(record[position : position + 1], specification)
        assert torch.equal(event.x, alone.x)
        assert torch.equal(event.edge_index, alone.edge_index)
        assert torch.allclose(event.edge_attr, alone.edge_attr, atol=1e-6)


@pytest.mark.parametrize("n_events", [0, 1, 3])
def test_no_objects_at_all(specification: GraphSpecification, n_events: int) -> None:
    record = record_of(n_events)
    batch = build_batch(record, specification)
    assert batch.num_graphs == n_events
    assert batch.x.shape == (0, len(specification.feature_names))
    assert batch.edge_index.shape == (2, 0)
    assert batch.edge_attr.shape == (0, len(specification.pair_features))
    assert batch.ptr.tolist() == [0] * (n_events + 1)
    assert len(build_padded(record, specification)) == n_events


def test_edges_do_not_depend_on_how_many_events_are_done_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    specification = SPECIFICATIONS[2]
    graphs = build_padded(random_record(30, seed=8), specification)
    whole = batch_of(graphs, specification)
    monkeypatch.setattr("hepfilter.graphs.build._PAIRS_AT_ONCE", 7 * specification.max_nodes**2)
    pieces = batch_of(graphs, specification)
    assert torch.equal(whole.edge_index, pieces.edge_index)
    assert torch.allclose(whole.edge_attr, pieces.edge_attr, atol=1e-6)


def test_the_chunk_does_not_matter(specification: GraphSpecification) -> None:
    record = random_record(101, seed=9)
    whole = build_padded(record, specification)
    parts = [build_padded(record[start : start + 17], specification) for start in range(0, 101, 17)]
    for name in ("features", "momenta", "mask"):
        joined = torch.cat([getattr(part, name) for part in parts])
        assert torch.equal(joined, getattr(whole, name))


def test_features_know_no_phi_and_no_side() -> None:
    rng = np.random.default_rng(0)
    jets = [{"pt": 100.0 - i, "eta": rng.normal(), "phi": rng.uniform(-3, 3)} for i in range(5)]
    mirrored = [{**jet, "eta": -jet["eta"], "phi": jet["phi"] + 0.1} for jet in jets]
    one, other = (build_padded(record_of(jet=[event]), SPECIFICATIONS[0]) for event in (jets, mirrored))
    assert torch.equal(one.features, other.features)


def test_shapes_that_disagree_are_refused() -> None:
    with pytest.raises(ValueError, match="must be"):
        PaddedGraphs(torch.zeros(2, 3, 5), torch.zeros(2, 3, 4), torch.zeros(2, 4, dtype=torch.bool))
    with pytest.raises(ValueError, match="bool"):
        PaddedGraphs(torch.zeros(2, 3, 5), torch.zeros(2, 3, 4), torch.zeros(2, 3))
