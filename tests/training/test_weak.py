"""The weak search on generated resonances."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from hepfilter.errors import TrainingError, UsageError
from hepfilter.evaluation.metrics import BackgroundScores, roc_auc
from hepfilter.training.references import MassWindow, Method
from hepfilter.training.weak import Trees, WeakOptions, WeakResult, _Task, figure_of_merit, shares_above, weak_search

WINDOW = MassWindow(3300, 3700, 2800, 4300)
SHALLOW = Trees(max_leaf_nodes=8, iterations=30)
SMALL = WeakOptions(folds=3, members=1, selections=(1e-1, 3e-2), candidates=(SHALLOW,))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other cost more than such small trees."""
    with threadpool_limits(1):
        yield


def events(n_background: int, n_signal: int, *, seed: int, slope: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Features [B, 3] and masses [B]; the signal at 3.5 TeV. The background's features rise by `slope` a TeV."""
    rng = np.random.default_rng(seed)
    mass = np.concatenate([2500 + rng.exponential(900, n_background), rng.normal(3500, 80, n_signal)])
    features = rng.normal(size=(len(mass), 3))
    features[:n_background] += slope * (mass[:n_background, None] - 3500) / 1000
    features[n_background:, :2] = rng.normal(2.2, 0.3, (n_signal, 2))
    return features, mass


def search(
    n_signal: int, *, seed: int = 1, slope: float = 0.0, n_background: int = 6000, method: Method = "cwola"
) -> WeakResult:
    options = replace(SMALL, method=method, seed=seed)
    return weak_search(*events(n_background, n_signal, seed=seed, slope=slope), WINDOW, options=options)


def p_values(result: WeakResult) -> list[float]:
    return [found.excess.p_value for found in result.excesses if found.excess is not None]


@pytest.mark.parametrize("method", ["cwola", "template"])
def test_without_signal_nothing_shows(method: Method) -> None:
    """Over seeds: no p-value is small, about half are above 1/2, and the mean excess is no more than noise."""
    results = [search(0, seed=seed, method=method, n_background=5000) for seed in range(6)]
    found = np.array([p_values(result) for result in results])
    assert found.shape == (6, 2)
    assert found.min() > 0.01
    assert 0.25 < np.median(found) < 0.95
    observed, expected = (
        sum(getattr(result.excesses[0].excess, name) for result in results) for name in ("observed", "expected")
    )
    assert abs(observed - expected) < 3 * np.sqrt(2 * expected)


@pytest.mark.parametrize("method", ["cwola", "template"])
def test_an_injected_signal_shows(method: Method) -> None:
    """80 events among about 1,600: 2 σ before any selection."""
    result = search(80, method=method)
    assert max(p_values(result)) < 1e-3 and min(p_values(result)) < 1e-8
    assert result.merit > 0.15
    is_signal = np.arange(len(result.scores)) >= 6000
    assert roc_auc(result.scores[is_signal], result.scores[result.in_region & ~is_signal]) > 0.9


def test_the_template_stands_a_slope_that_misleads_cwola() -> None:
    """No signal, features that rise with the mass: the sidebands as they are look unlike the region between them."""
    misled, sound = (search(0, slope=1.5, n_background=10_000, method=method) for method in ("cwola", "template"))
    assert p_values(misled)[0] < 1e-4
    assert p_values(sound)[0] > 0.01


def test_the_reference_stands_for_the_background_where_signal_is() -> None:
    """Of the true background in the region the share passes that was asked for, though the features have a slope."""
    result = search(150, slope=1.5, n_background=10_000, method="template")
    first = result.excesses[0]
    background = result.shares[result.in_region & (np.arange(len(result.scores)) < 10_000)]
    assert first.threshold is not None
    assert np.mean(background <= first.threshold) == pytest.approx(first.selection, abs=0.025)


def test_no_event_is_scored_by_trees_that_trained_on_it() -> None:
    """Trees that learn noise by heart know the events of their training, and none that they score."""
    features, mass = events(3000, 0, seed=4)
    by_heart = (Trees(learning_rate=1.0, max_leaf_nodes=200, iterations=40),)
    result = weak_search(features, mass, WINDOW, options=WeakOptions(folds=3, members=1, candidates=by_heart))
    side = ~result.in_region & (mass > 2800) & (mass < 4300)
    assert roc_auc(result.scores[result.in_region], result.scores[side]) < 0.55
    assert np.bincount(result.fold[result.in_region]).min() >= result.in_region.sum() // 3
    assert set(result.fold.tolist()) == {0, 1, 2} and np.isfinite(result.scores).all()


def test_the_same_seed_gives_the_same_scores() -> None:
    first, again, other = (search(30, seed=seed, n_background=2500).scores for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first[:2000], other[:2000])


def test_folds_of_different_scales_have_thresholds_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores of the second and third fold are larger; in each the same share of the reference passes nevertheless."""

    def train(_: _Task, __: Trees, *, without: tuple[int, ...], members: int) -> Callable[[np.ndarray], np.ndarray]:
        return lambda rows: 10.0 ** without[0] * (rows[:, 0] + 7 * without[0])

    monkeypatch.setattr(_Task, "train", train)
    features, mass = events(6000, 0, seed=5)
    result = weak_search(features, mass, WINDOW, options=SMALL)
    side = ~result.in_region & (mass >= WINDOW.lower) & (mass < WINDOW.upper)
    for found in result.excesses:
        assert found.threshold is not None and found.excess is not None
        passed = result.reference_shares <= found.threshold
        for fold in range(3):
            held = result.fold[side] == fold
            share = result.reference_weights[passed & held].sum() / result.reference_weights[held].sum()
            assert share == pytest.approx(found.selection, abs=0.003)
        # An event passes by its order within its fold alone; what is counted is what has passed.
        assert found.excess.observed == np.count_nonzero(result.shares[result.in_region] <= found.threshold)
        assert found.excess.p_value > 0.01
    one_threshold = np.quantile(result.scores[side], 1 - SMALL.selections[0])
    assert set(result.fold[side & (result.scores > one_threshold)]) == {2}  # what one for all would have taken


def test_shares_above_by_hand() -> None:
    """Scores 1, 3, 3, 5 with weights 1, 2, 3, 4: from the top 0.4, 0.9 for both that are equal, 1."""
    reference, weights = np.array([3.0, 1, 5, 3]), np.array([2.0, 1, 4, 3])
    found = shares_above(np.array([0.0, 1, 2.9, 3, 4.9, 5, 99]), reference, weights)
    assert found == pytest.approx([1, 1, 1, 0.9, 0.9, 0.4, 0.4])


def test_an_event_has_a_share_up_to_that_of_the_ith_without_bias() -> None:
    rng = np.random.default_rng(6)
    passed = [np.mean(shares_above(rng.random(50), rng.random(19), np.ones(19)) <= 3 / 19) for _ in range(4000)]
    assert np.mean(passed) == pytest.approx(3 / 20, abs=0.005)


def test_the_rule_of_ten_is_for_all_folds_together() -> None:
    """About 3,000 reference events in three folds: ten of all, but not of each, lie in the top 0.5 %."""
    few = replace(SMALL, selections=(0.1, 0.005, 0.001))
    found = weak_search(*events(6000, 0, seed=7), WINDOW, options=few).excesses
    assert [one.excess is not None for one in found] == [True, True, False]
    assert found[1].excess is not None and 10 <= found[1].excess.n_effective < 30


def test_the_merit_by_hand() -> None:
    background = BackgroundScores(np.arange(1000.0))
    region = np.concatenate([np.full(30, 995.0), np.full(70, 5.0)])
    assert figure_of_merit(region, background, 0.02) == pytest.approx((0.30 - 0.02) / np.sqrt(0.02))
    assert np.isnan(figure_of_merit(region, background, 0.005))


def test_options_are_chosen_without_labels() -> None:
    poor, useful = Trees(learning_rate=1e-30), SHALLOW  # the one scores all events alike
    options = replace(SMALL, candidates=(poor, useful))
    result = weak_search(*events(6000, 150, seed=2), WINDOW, options=options)
    assert result.chosen == (useful,) * 3


def test_what_cannot_be_searched_is_refused() -> None:
    features, mass = events(3000, 0, seed=1)
    features[7, 1] = np.nan
    with pytest.raises(TrainingError, match="must be a finite table"):
        weak_search(features, mass, WINDOW, options=SMALL)
    with pytest.raises(UsageError, match="at least 2 folds"):
        WeakOptions(folds=1)
    with pytest.raises(UsageError, match="at least 3 folds"):
        WeakOptions(folds=2, candidates=(Trees(), Trees(max_leaf_nodes=7)))
    with pytest.raises(UsageError, match="between 0 and 1"):
        WeakOptions(selections=(1.0,))
