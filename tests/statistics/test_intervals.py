"""Clopper–Pearson and weighted efficiencies."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from hepfilter.statistics.intervals import ONE_SIGMA, clopper_pearson, effective_number, efficiency


def test_published_values() -> None:
    """95 % of 1 in 10 and 0 in 10, as in any table."""
    assert clopper_pearson(1, 10, coverage=0.95) == pytest.approx((0.00253, 0.44502), abs=1e-5)
    assert clopper_pearson(0, 10, coverage=0.95) == pytest.approx((0.0, 0.30850), abs=1e-5)
    assert clopper_pearson(10, 10, coverage=0.95) == pytest.approx((0.69150, 1.0), abs=1e-5)


def test_edges() -> None:
    assert clopper_pearson(0, 0) == (0.0, 1.0)
    assert all(math.isnan(edge) for edge in clopper_pearson(math.nan, 3))
    for passed, total, coverage in ((4, 3, 0.9), (-1, 3, 0.9), (1, 3, 1.0)):
        with pytest.raises(ValueError, match="needs"):
            clopper_pearson(passed, total, coverage=coverage)


@pytest.mark.parametrize("truth", [0.01, 0.3, 0.5, 0.97])
@pytest.mark.parametrize("total", [5, 40])
def test_it_covers(truth: float, total: int) -> None:
    passed = np.arange(total + 1)
    edges = [clopper_pearson(k, total) for k in passed]
    inside = np.array([lower <= truth <= upper for lower, upper in edges])
    assert binom.pmf(passed, total, truth)[inside].sum() >= ONE_SIGMA


@given(st.integers(1, 1000), st.floats(0, 1))
def test_the_interval_holds_the_share(total: int, share: float) -> None:
    passed = round(share * total)
    lower, upper = clopper_pearson(passed, total)
    assert 0 <= lower <= passed / total <= upper <= 1


def test_effective_number() -> None:
    assert effective_number(np.full(7, 0.3)) == pytest.approx(7)
    assert effective_number(np.array([1.0, 0.0, 0.0])) == 1
    assert effective_number(np.array([])) == 0
    assert effective_number(np.zeros(3)) == 0


def test_equal_weights_are_no_weights() -> None:
    passed = np.arange(50) < 12
    plain, weighted = efficiency(passed), efficiency(passed, np.full(50, 2.5))
    assert plain.value == pytest.approx(12 / 50)
    assert (weighted.value, weighted.lower, weighted.upper) == pytest.approx((plain.value, plain.lower, plain.upper))
    assert (plain.lower, plain.upper) == pytest.approx(clopper_pearson(12, 50))


def test_unequal_weights_widen_the_interval() -> None:
    passed = np.arange(100) % 2 == 0
    weights = np.where(np.arange(100) < 4, 100.0, 1.0)
    weighted = efficiency(passed, weights)
    assert weighted.value == pytest.approx(weights[passed].sum() / weights.sum())
    assert weighted.n_effective == pytest.approx(effective_number(weights))  # half of each weight passes
    assert weighted.upper - weighted.lower > 3 * (efficiency(passed).upper - efficiency(passed).lower)


@pytest.mark.parametrize(("light", "heavy"), [(200, 0), (0, 20), (50, 10)])
def test_the_interval_is_that_of_the_events_that_pass(light: int, heavy: int) -> None:
    """As in a physical mix: 2,000 events of weight 100, 20,000 of weight 1, of which so many pass on average."""
    rng, weights = np.random.default_rng(1), np.repeat([100.0, 1.0], [2_000, 20_000])
    truth = (100 * heavy + light) / weights.sum()
    chance = np.repeat([heavy / 2_000, light / 20_000], [2_000, 20_000])
    found = [efficiency(rng.random(len(weights)) < chance, weights) for _ in range(400)]
    covered = np.mean([one.lower <= truth <= one.upper for one in found])
    widths = np.mean([(one.upper - one.lower) / 2 for one in found])
    assert ONE_SIGMA - 0.08 < covered < ONE_SIGMA + 0.12
    assert widths == pytest.approx(np.std([one.value for one in found]), rel=0.25)


def test_nothing_is_known_of_nothing() -> None:
    for weights in (None, np.zeros(0)):
        found = efficiency(np.zeros(0, bool), weights)
        assert math.isnan(found.value)
        assert (found.lower, found.upper, found.n_effective) == (0.0, 1.0, 0.0)


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_weights_without_meaning(bad: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        efficiency(np.array([True, False]), np.array([1.0, bad]))


@pytest.mark.parametrize("negative", [0.15, 0.3])
@pytest.mark.parametrize("share", [0.02, 0.3])
def test_intervals_of_signed_weights_cover(negative: float, share: float) -> None:
    """Of a selection with the same part of negative weights, and of one with none: 68 % of toys, or a little more.

    For 80 events that pass, the interval without weights holds the truth in 72 %.
    """
    rng, n_events = np.random.default_rng(1), 4_000
    for among_passing in (negative, 0.0):
        truth = share * (1 - 2 * among_passing)
        truth /= truth + (1 - share) * (1 - 2 * negative)
        held = 0
        for _ in range(2_000):
            passed = rng.random(n_events) < share
            weights = np.where(rng.random(n_events) < np.where(passed, among_passing, negative), -1.0, 1.0)
            found = efficiency(passed, weights)
            held += found.lower <= truth <= found.upper
        assert 0.65 < held / 2_000 < 0.75, among_passing


def test_shares_of_signed_weights_add_up() -> None:
    """They may lie below 0 or above 1, and their intervals hold them."""
    rng = np.random.default_rng(2)
    weights = np.where(rng.random(60) < 0.3, -1.0, 1.0)
    for passed in (weights < 0, weights > 0, rng.random(60) < 0.1):
        taken, left = efficiency(passed, weights), efficiency(~passed, weights)
        assert taken.value + left.value == pytest.approx(1)
        assert taken.value == pytest.approx(weights[passed].sum() / weights.sum())
        assert taken.lower <= taken.value <= taken.upper
    assert efficiency(weights < 0, weights).value < 0 and efficiency(weights > 0, weights).value > 1
    nothing = efficiency(weights > 0, -weights)
    assert math.isnan(nothing.value) and (nothing.lower, nothing.upper, nothing.n_effective) == (0, 1, 0)


@given(st.lists(st.tuples(st.booleans(), st.floats(1e-3, 1e3)), min_size=1, max_size=30))
def test_weighted_intervals_hold_the_share(events: list[tuple[bool, float]]) -> None:
    passed, weights = np.array([e[0] for e in events]), np.array([e[1] for e in events])
    found = efficiency(passed, weights)
    assert 0 <= found.lower <= found.value <= found.upper <= 1
    assert found.value == pytest.approx(weights[passed].sum() / weights.sum(), abs=1e-9)
