"""Baselines on generated events: each finds what it can, is reproducible, and sees only what it should."""

from collections.abc import Iterator

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from hepfilter.errors import TrainingError
from hepfilter.evaluation.baselines import FITS, UNSUPERVISED, BaselineEvents, fit_baseline
from hepfilter.evaluation.metrics import roc_auc
from hepfilter.events.first_level import first_level_objects
from hepfilter.events.observables import OBSERVABLES, observe
from tests.graph_records import random_record

LEAST = {
    "ht": 0.7,
    "multiplicity": 0.6,
    "met": 0.52,
    "hardness": 0.9,
    "isolation_forest": 0.85,
    "autoencoder": 0.65,
    "trees": 0.94,
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with threadpool_limits(1):
        yield


def events(n_events: int, *, seed: int, hardness: float = 50.0, **mean_counts: float) -> BaselineEvents:
    counts = {"jet": 4.0, "muon": 1.0, "electron": 1.0, "photon": 0.7, "tau": 0.2, **mean_counts}
    record = random_record(n_events, seed=seed, mean_counts=counts, hardness=hardness)
    return BaselineEvents(observe(record), first_level_objects(record), np.ones(n_events))


@pytest.fixture(scope="module")
def background() -> BaselineEvents:
    return events(3000, seed=1)


@pytest.fixture(scope="module")
def signal() -> BaselineEvents:
    """Harder, with more muons."""
    return events(1000, seed=2, hardness=150.0, muon=3.0)


def auc(name: str, background: BaselineEvents, signal: BaselineEvents) -> float:
    score = fit_baseline(name, background, signal)
    return roc_auc(score(events(400, seed=3, hardness=150.0, muon=3.0)), score(events(400, seed=4)))


@pytest.mark.parametrize("name", FITS)
def test_every_baseline_finds_a_hard_signal(name: str, background: BaselineEvents, signal: BaselineEvents) -> None:
    assert auc(name, background, signal) > LEAST[name]


@pytest.mark.parametrize("name", ["isolation_forest", "autoencoder", "trees"])
def test_a_fit_can_be_repeated(name: str, background: BaselineEvents, signal: BaselineEvents) -> None:
    some = events(50, seed=5)
    few, fewer = background.select(np.arange(3000) < 300), signal.select(np.arange(1000) < 200)
    score = fit_baseline(name, few, fewer, seed=1)
    first, again, other = score(some), *(fit_baseline(name, few, fewer, seed=seed)(some) for seed in (1, 2))
    assert first.dtype == np.float32 and first.shape == (50,) and np.isfinite(first).all()
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert score(some.select(np.zeros(50, np.bool_))).shape == (0,)


@pytest.mark.parametrize("name", UNSUPERVISED)
def test_what_is_unsupervised_does_not_look_at_the_signal(name: str, background: BaselineEvents) -> None:
    few, some = background.select(np.arange(3000) < 600), events(20, seed=5)
    with_signal = fit_baseline(name, few, events(100, seed=6, hardness=500.0))
    assert np.array_equal(with_signal(some), fit_baseline(name, few)(some))


@pytest.mark.parametrize("name", ["isolation_forest", "autoencoder"])
def test_what_weighs_nothing_is_not_learnt(name: str) -> None:
    """Half of the events are hard; only where they count is a hard event nothing special."""
    soft, hard = events(800, seed=1), events(800, seed=2, hardness=300.0)
    aucs = []
    for weight in (0.0, 1.0):
        columns = (np.concatenate([getattr(part, key) for part in (soft, hard)]) for key in ("observables", "objects"))
        both = BaselineEvents(*columns, np.repeat([1.0, weight], 800))
        score = fit_baseline(name, both)
        aucs.append(roc_auc(score(events(300, seed=3, hardness=300.0)), score(events(300, seed=4))))
    assert aucs[0] > aucs[1] + 0.05


def test_mistakes_are_named(background: BaselineEvents) -> None:
    with pytest.raises(TrainingError, match="no baseline 'tree'; nearest: trees"):
        fit_baseline("tree", background)
    with pytest.raises(TrainingError, match="baseline trees: no signal events of weight"):
        fit_baseline("trees", background)
    with pytest.raises(TrainingError, match="baseline ht: no background events of weight"):
        fit_baseline("ht", background.select(np.zeros(len(background), np.bool_)))


def test_features_are_the_observables_twice(background: BaselineEvents) -> None:
    features = background.features
    assert np.array_equal(features[:, : len(OBSERVABLES)], background.observables)
    assert features[:, len(OBSERVABLES)] == pytest.approx(
        background.observables[:, 0] / np.maximum(background.observables[:, OBSERVABLES.index("hardness")], 1e-9)
    )
