"""Selecting, filling up and sorting into buckets."""

import pytest
import torch

from hepfilter.config.graph import load_graph_specification
from hepfilter.graphs.build import build_padded
from hepfilter.graphs.padded import bucket_sizes
from tests.graph_records import random_record


def test_every_event_is_in_the_smallest_bucket_that_holds_it() -> None:
    graphs = build_padded(random_record(300, seed=1), load_graph_specification("objects"))
    seen = []
    for n_nodes, events in graphs.buckets():
        counts = graphs.node_counts[events]
        smaller = [size for size in bucket_sizes(16) if size < n_nodes]
        assert (counts <= n_nodes).all()
        assert not smaller or (counts > max(smaller)).all()
        assert events.tolist() == sorted(events.tolist())
        cropped = graphs.select(events).cropped(n_nodes)
        assert torch.equal(cropped.node_counts, counts)
        seen += events.tolist()
    assert sorted(seen) == list(range(300))


@pytest.mark.parametrize(
    ("max_nodes", "sizes"),
    [(16, (4, 8, 12, 16)), (128, (32, 64, 96, 128)), (1, (4,)), (10, (4, 8, 12)), (18, (8, 16, 24))],
)
def test_bucket_sizes(max_nodes: int, sizes: tuple[int, ...]) -> None:
    assert bucket_sizes(max_nodes) == sizes


def test_filling_adds_empty_events() -> None:
    graphs = build_padded(random_record(5), load_graph_specification("objects"))
    filled = graphs.filled(8)
    assert len(filled) == 8
    assert torch.equal(filled.mask[:5], graphs.mask)
    assert not filled.mask[5:].any()
    assert graphs.filled(5) is graphs
    with pytest.raises(ValueError, match="fit"):
        graphs.filled(4)
