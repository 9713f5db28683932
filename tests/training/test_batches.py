"""Weights, normalisation and the order of batches."""

import numpy as np
import pytest
import torch

from hepfilter.config.graph import load_graph_specification
from hepfilter.errors import TrainingError
from hepfilter.graphs import keys
from hepfilter.graphs.build import batch_of, build_padded
from hepfilter.training.batches import WeightedBatches, balanced_weights, normalisation
from hepfilter.training.data import LabelledGraphs
from tests.graph_records import definition, random_record

OBJECTS = load_graph_specification("objects")


def data_with(weights: np.ndarray) -> LabelledGraphs:
    n_events = len(weights)
    graphs = build_padded(random_record(n_events), OBJECTS)
    return LabelledGraphs(graphs, np.zeros(n_events, np.int32), weights, np.zeros(n_events))


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_every_class_counts_equally(power: float) -> None:
    target = np.array([0] * 90 + [1] * 10)
    raw = np.random.default_rng(0).exponential(size=100)
    found = balanced_weights(data_with(raw), target, ["a", "b"], power)
    assert found.mean() == pytest.approx(1)
    assert found[target == 0].sum() == pytest.approx(found[target == 1].sum())
    assert found[:90] / found[0] == pytest.approx((raw[:90] / raw[0]) ** power)


def test_a_class_without_events() -> None:
    with pytest.raises(TrainingError, match="class b: no events"):
        balanced_weights(data_with(np.ones(4)), np.zeros(4, np.int64), ["a", "b"], 0.0)


def test_normalisation_is_that_of_the_nodes_and_edges() -> None:
    graphs = build_padded(random_record(300), OBJECTS)
    batch = batch_of(graphs, OBJECTS)
    found = normalisation(graphs, definition(OBJECTS))
    for (mean, std), rows in ((found["features"], batch[keys.X]), (found["pairs"], batch[keys.EDGE_ATTR])):
        assert torch.allclose(mean, rows.mean(0), atol=1e-4)
        expected = rows.double().std(0).float()
        assert torch.allclose(std, torch.where(expected > 1e-6, expected, 1.0), rtol=1e-4)


def test_nothing_to_normalise_by() -> None:
    empty = build_padded(random_record(3, mean_counts={"particle": 5.0})[:0], OBJECTS)
    found = normalisation(empty, definition(OBJECTS))
    assert found["pairs"][0].tolist() == [0.0] * 4
    assert found["pairs"][1].tolist() == [1.0] * 4


def test_batches_hold_every_event_once_in_a_new_order_each_epoch() -> None:
    graphs = build_padded(random_record(25), OBJECTS)
    numbers = np.arange(25)

    def epochs(seed: int | None) -> list[list[int]]:
        batches = WeightedBatches(graphs, numbers, numbers / 2, size=10, seed=seed)
        assert len(batches) == 3
        found = []
        for _ in range(2):
            seen: list[int] = []
            for part, target, weight in batches:
                assert torch.equal(part.features, graphs.features[target])
                assert torch.equal(weight, target / 2)
                seen += target.tolist()
            found.append(seen)
        return found

    first, second = epochs(seed=1)
    assert sorted(first) == sorted(second) == list(range(25))
    assert first != second
    assert epochs(seed=1) == [first, second]
    assert epochs(seed=2) != [first, second]
    assert epochs(seed=None) == [list(range(25))] * 2
