"""AUC and working points against counting by hand and against scikit-learn."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hepfilter.evaluation.metrics import BackgroundScores, improvement, roc_auc, separation, threshold_at, working_point
from hepfilter.statistics.intervals import Efficiency

few = st.lists(st.tuples(st.integers(-3, 3), st.floats(0.1, 10)), min_size=1, max_size=12)


@given(few, few)
def test_auc_against_all_pairs(signal: list[tuple[int, float]], background: list[tuple[int, float]]) -> None:
    total = won = 0.0
    for s, ws in signal:
        for b, wb in background:
            total += ws * wb
            won += ws * wb * (1.0 if s > b else 0.5 if s == b else 0.0)
    (s, ws), (b, wb) = (np.array(list(zip(*events, strict=True)), float) for events in (signal, background))
    assert roc_auc(s, b, signal_weights=ws, background_weights=wb) == pytest.approx(won / total)


def test_auc_against_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    scores, truth, weights = rng.normal(size=500).round(1), rng.random(500) < 0.3, rng.exponential(size=500)
    found = roc_auc(scores[truth], scores[~truth], signal_weights=weights[truth], background_weights=weights[~truth])
    assert found == pytest.approx(metrics.roc_auc_score(truth, scores, sample_weight=weights))


def test_auc_of_nothing_and_of_nan() -> None:
    assert math.isnan(roc_auc(np.array([]), np.array([1.0])))
    assert math.isnan(roc_auc(np.array([1.0]), np.array([1.0]), background_weights=np.array([0.0])))
    with pytest.raises(ValueError, match="NaN"):
        roc_auc(np.array([math.nan]), np.array([1.0]))


def test_threshold_by_hand() -> None:
    background = np.arange(1000.0)
    assert threshold_at(background, 1e-2) == 990.0
    assert threshold_at(background, 0.0109) == 990.0
    assert threshold_at(background[:999], 1e-2) is None  # 9 events would pass, too few to say
    assert threshold_at(background, 1e-3) is None
    assert threshold_at(np.array([]), 1e-2) is None


def test_ties_pass_or_fail_together() -> None:
    background = np.concatenate([np.zeros(900), np.ones(90), np.full(10, 2.0)])
    assert threshold_at(background, 0.05) == 2.0
    assert threshold_at(background, 0.1) == 1.0
    assert threshold_at(np.zeros(1000), 0.01) is None


def test_weights_move_the_threshold() -> None:
    background, weights = np.arange(1000.0), np.ones(1000)
    weights[-20:] = 0.1
    found = threshold_at(background, 1e-2, weights=weights)
    share = weights[background >= found].sum() / weights.sum()
    assert share <= 1e-2
    assert weights[background >= found - 1].sum() / weights.sum() > 1e-2


def test_a_few_heavy_events_are_not_many() -> None:
    background, weights = np.arange(1000.0), np.ones(1000)
    weights[980:] = 1e-4  # twenty light events lie above the heavy ones
    weights[979] = 0.05
    assert threshold_at(background, 1e-4, weights=weights) is None  # the heavy one is most of what passes
    assert threshold_at(background, 3e-6, weights=weights) is None  # nor are the light ones above it all there is


def test_working_point_by_hand() -> None:
    background, signal = np.arange(2000.0), np.array([1985.0, 1979.0, 1980.0, 5000.0])
    found = working_point(signal, BackgroundScores(background), target=1e-2)
    assert found is not None
    assert (found.threshold, found.n_background_above) == (1980.0, 20)
    assert found.background.value == pytest.approx(1e-2)
    assert found.signal.value == pytest.approx(0.75)
    assert found.signal.lower < 0.75 < found.signal.upper


def test_separation_has_a_hole_where_the_background_is_too_small() -> None:
    rng = np.random.default_rng(1)
    found = separation(rng.normal(2, 1, 300), BackgroundScores(rng.normal(0, 1, 3000)))
    assert (found.n_signal, found.n_background) == (300, 3000)
    assert found.auc == pytest.approx(0.92, abs=0.03)  # Φ(2/√2) = 0.921
    assert found.working_points[1e-2] is not None
    assert found.working_points[1e-3] is None
    assert found.working_points[1e-4] is None


def test_significance_improvement_by_hand() -> None:
    signal, background = Efficiency(0.5, 0.4, 0.7, 20.0), Efficiency(0.01, 0.0081, 0.0121, 1000.0)
    found = improvement(signal, background)
    assert found.value == pytest.approx(5.0)
    assert found.lower == pytest.approx(5 - math.hypot(1.0, 5 - 0.5 / 0.11))
    assert found.upper == pytest.approx(5 + math.hypot(2.0, 0.5 / 0.09 - 5))
    assert math.isnan(improvement(signal, Efficiency(0.0, 0.0, 0.1, 10.0)).value)


def test_the_roc_curve_passes_through_the_working_points_and_ends_where_too_few_pass() -> None:
    rng = np.random.default_rng(2)
    signal, background, weights = rng.normal(1.5, 1, 500), rng.normal(size=20_000), rng.uniform(0.5, 1.5, 20_000)
    found = separation(signal, BackgroundScores(background, weights))
    for target in (1e-2, 1e-3):
        point = found.working_points[target]
        assert point is not None
        place = int(np.argmin(np.abs(np.log(np.array(found.roc.background) / target))))
        assert found.roc.background[place] == pytest.approx(point.background.value)
        assert found.roc.signal[place] == pytest.approx(point.signal.value)
    assert min(found.roc.background) == pytest.approx(10 / 20_000, rel=0.4)
    assert (found.roc.background[-1], found.roc.signal[-1]) == (1, 1)
    assert (np.diff(found.roc.background) > 0).all() and (np.diff(found.roc.signal) >= 0).all()
    assert separation(signal[:0], BackgroundScores(background)).roc.signal == ()


def test_light_events_above_the_last_heavy_ones_say_nothing() -> None:
    """Thirty light events above three heavy ones are effectively thirty, and 1e-9 of the background: not 1e-4."""
    background = BackgroundScores(np.arange(1033.0), np.r_[np.ones(1000), np.full(3, 1000.0), np.full(30, 1e-7)])
    assert background.threshold(1e-4) is None
    plain = BackgroundScores(np.arange(1033.0), np.ones(1033))
    assert plain.threshold(1e-2) == 1023.0


@given(st.integers(0, 2**31), st.sampled_from([0.3, 0.1, 0.02]))
def test_the_background_efficiency_is_never_above_the_target(seed: int, target: float) -> None:
    rng = np.random.default_rng(seed)
    background, weights = rng.normal(size=400).round(2), rng.exponential(size=400)
    found = working_point(background, BackgroundScores(background, weights), target=target)
    if found is not None:
        assert found.background.value <= target + 1e-9
        assert found.n_background_above >= 10
