"""Weights, normalisation and the order of batches."""

import numpy as np
import pytest
import torch

from hepfilter.config.graph import load_graph_specification
from hepfilter.config.training import Fit, Reweight
from hepfilter.errors import TrainingError
from hepfilter.evaluation.metrics import roc_auc
from hepfilter.events.observables import OBSERVABLES
from hepfilter.graphs import keys
from hepfilter.graphs.build import batch_of, build_padded
from hepfilter.graphs.labelled import LabelledGraphs
from hepfilter.training.batches import (
    BatchOrder,
    EventBatches,
    balanced_weights,
    load_batches,
    matched_weights,
    normalisation,
)
from hepfilter.training.fitting import _weighted_parts
from tests.graph_records import definition, random_record

OBJECTS = load_graph_specification("objects")


def data_with(weights: np.ndarray) -> LabelledGraphs:
    n_events = len(weights)
    graphs = build_padded(random_record(n_events), OBJECTS)
    observables = np.zeros((n_events, len(OBSERVABLES)), np.float32)
    return LabelledGraphs(np.zeros(n_events, np.int32), weights, np.zeros(n_events), observables, graphs=graphs)


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
    data = data_with(np.ones(1300))  # more than are looked at in one piece
    batch = batch_of(data.graphs, OBJECTS)
    found = normalisation(data, definition(OBJECTS))
    for (mean, std), rows in ((found["features"], batch[keys.X]), (found["pairs"], batch[keys.EDGE_ATTR])):
        assert torch.allclose(mean, rows.mean(0), atol=1e-4)
        expected = rows.double().std(0).float()
        assert torch.allclose(std, torch.where(expected > 1e-6, expected, 1.0), rtol=1e-4)


def test_nothing_to_normalise_by() -> None:
    found = normalisation(data_with(np.ones(0)), definition(OBJECTS))
    assert found["pairs"][0].tolist() == [0.0] * 4
    assert found["pairs"][1].tolist() == [1.0] * 4


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_hold_every_event_once_in_a_new_order_each_epoch(workers: int) -> None:
    data, numbers = data_with(np.ones(25)), np.arange(25)
    data.observables[:, OBSERVABLES.index("hardness")] = (numbers + 1.0) ** 2 - 1

    def epochs(seed: int | None, first: int = 0) -> list[list[int]]:
        order = BatchOrder(25, size=10, seed=seed, first_epoch=first)
        loader = load_batches(
            EventBatches(data, numbers, numbers / 2, observable="hardness"), order, workers=workers, pinned=False
        )
        assert len(loader) == 3
        found = []
        for epoch in range(2):
            order.set_epoch(epoch)
            seen: list[int] = []
            for part, target, weight, observed in loader:
                assert torch.equal(observed, 2 * target.float().log1p())
                assert torch.equal(part.features, data.graphs.features[target])
                assert torch.equal(weight, target / 2)
                seen += target.tolist()
            found.append(seen)
        return found

    first, second = epochs(seed=1)
    assert sorted(first) == sorted(second) == list(range(25))
    assert first != second
    assert epochs(seed=1) == [first, second]
    assert epochs(seed=1, first=1)[0] == second
    if workers == 0:
        assert epochs(seed=2) != [first, second]
        assert epochs(seed=None) == [list(range(25))] * 2


@pytest.mark.parametrize("n_events", [24, 25, 21])
def test_processes_share_a_batch(n_events: int) -> None:
    """Batches of the same size everywhere; the mean of the means of all processes is the mean over the whole batch."""
    losses = np.random.default_rng(0).exponential(size=n_events)
    whole = list(BatchOrder(n_events, size=12, seed=3))
    shared = [list(BatchOrder(n_events, size=4, seed=3, rank=rank, world=3)) for rank in range(3)]
    assert [len(draws) for draws in shared] == [len(whole)] * 3
    for one, *parts in zip(whole, *shared, strict=True):
        assert len({len(part.events) for part in parts}) == 1
        counted = [event for part in parts for event in part.events[part.factors > 0]]
        assert sorted(counted) == sorted(one.events)
        means = [(losses[part.events] * part.factors).mean() for part in parts]
        assert np.mean(means) == pytest.approx(losses[one.events].mean())
        assert len({part.key for part in parts}) == 3


def uneven(n_events: int, seed: int, *, shift: float = 1.0) -> tuple[LabelledGraphs, np.ndarray, np.ndarray]:
    """Signal is harder than background by `shift` in the log of the hardness, and weights are uneven."""
    rng = np.random.default_rng(seed)
    data, is_signal = data_with(np.ones(n_events)), rng.random(n_events) < 0.4
    data.observables[:, OBSERVABLES.index("hardness")] = np.exp(rng.normal(5 + shift * is_signal, 1, n_events))
    return data, rng.exponential(size=n_events), is_signal


def test_background_gets_the_spectrum_of_signal_and_keeps_its_total() -> None:
    data, weights, is_signal = uneven(4000, 1)
    found = matched_weights(data, weights, is_signal, "hardness")
    hardness = data.observable("hardness")

    def separation(of: np.ndarray) -> float:
        signal, background = ((hardness[which], of[which]) for which in (is_signal, ~is_signal))
        return roc_auc(signal[0], background[0], signal_weights=signal[1], background_weights=background[1])

    assert separation(weights) > 0.7
    assert separation(found) == pytest.approx(0.5, abs=0.002)
    counts = found[is_signal] > 0
    assert np.array_equal(found[is_signal][counts], weights[is_signal][counts])
    assert 0.9 < counts.mean() < 1 and hardness[is_signal][~counts].max() == hardness.max()  # no background is as hard
    assert found[~is_signal].sum() == pytest.approx(weights[~is_signal].sum())


def test_what_cannot_be_matched_is_said() -> None:
    data, weights, is_signal = uneven(200, 5)
    with pytest.raises(TrainingError, match="no observable 'hardnes'; nearest: hardness"):
        matched_weights(data, weights, is_signal, "hardnes")
    data, weights, is_signal = uneven(200, 5, shift=20.0)
    with pytest.raises(TrainingError, match="no signal has a hardness that ten background events have too"):
        matched_weights(data, weights, is_signal, "hardness")


def test_a_fit_matches_training_and_validation() -> None:
    """Of four classes the first two are background."""
    samples = [uneven(2000, seed) for seed in (6, 7)]
    targets = [2 * is_signal + np.arange(2000) % 2 for _, _, is_signal in samples]
    model, data = definition(OBJECTS), (samples[0][0], samples[1][0])
    options = Fit(reweight=Reweight(observable="hardness"))
    parts, plain = (_weighted_parts(model, data, (targets[0], targets[1]), each) for each in (options, Fit()))
    for part, before, (_, _, is_signal) in zip(parts, plain, samples, strict=True):
        assert np.array_equal(part.weights, matched_weights(part.data, before.weights, is_signal, "hardness"))
        assert not np.array_equal(part.weights, before.weights)
