"""Excesses: exact for counts, fair without a signal."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest, nbinom, norm

from hepfilter.statistics.significance import on_off_excess, on_off_p_value


@pytest.mark.parametrize(("n_on", "n_off", "ratio"), [(15, 20, 0.5), (3, 9, 1.0), (140, 100, 1.0), (2, 40, 0.1)])
def test_counts_against_the_binomial_test(n_on: int, n_off: int, ratio: float) -> None:
    """Given n_on + n_off + 1 trials, that at least n_on are on: the paper's identity."""
    found = on_off_excess(np.ones(n_on), np.ones(n_off), ratio=ratio)
    expected = binomtest(n_on, n_on + n_off, ratio / (1 + ratio), alternative="greater").pvalue
    assert found.p_value == pytest.approx(expected)
    assert found.significance == pytest.approx(norm.isf(expected))
    assert (found.observed, found.expected, found.excess) == (n_on, ratio * n_off, n_on - ratio * n_off)
    assert found.uncertainty == pytest.approx(math.sqrt(n_on + ratio**2 * n_off))
    assert found.n_effective == n_off


def test_the_unit_of_weight_does_not_matter_but_unequal_weights_do() -> None:
    plain = on_off_excess(np.ones(150), np.ones(100), ratio=1.0)
    scaled = on_off_excess(np.full(150, 7.0), np.full(100, 7.0), ratio=1.0)
    assert scaled.p_value == pytest.approx(plain.p_value)
    heavy = np.r_[np.full(10, 5.5), np.full(90, 0.5)]  # the same sum, of fewer effective events
    assert on_off_excess(np.ones(150), heavy, ratio=1.0).significance < 0.8 * plain.significance


def test_it_is_fair_without_a_signal() -> None:
    rng = np.random.default_rng(3)
    on, off = rng.poisson(200.0, 4000).astype(float), rng.poisson(400.0, 4000).astype(float)
    p_value, significance = on_off_p_value(on, on, off, off, ratio=0.5)
    assert np.mean(p_value < 0.05) == pytest.approx(0.05, abs=0.01)
    assert significance.mean() == pytest.approx(0, abs=0.06)
    assert significance.std() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(("n_on", "n_off", "ratio"), [(15, 10, 0.5), (40, 20, 1.0), (1, 12, 0.2)])
def test_a_threshold_at_an_event_makes_the_other_number_negative_binomial(n_on: int, n_off: int, ratio: float) -> None:
    """Events come by falling score; each is of `on` with probability ρ, until the n-th of `off` is reached."""
    found = on_off_excess(np.ones(n_on), np.ones(n_off), ratio=ratio, ends_with_off=True)
    assert found.p_value == pytest.approx(nbinom.sf(n_on - 1, n_off, 1 / (1 + ratio)))
    assert found.p_value < on_off_excess(np.ones(n_on), np.ones(n_off), ratio=ratio).p_value


@pytest.mark.parametrize("n_passing", [12, 60])
def test_a_ratio_that_is_estimated_needs_no_error_of_its_own(n_passing: int) -> None:
    """Totals fluctuate, the ratio is theirs, the threshold is at an event of `off`: no p-value comes too often; those
    of a tenth of all events are a little too large."""
    rng = np.random.default_rng(5)
    totals = rng.poisson([[300], [600]], (2, 4000))
    found = np.empty(4000)
    for number, (n_region, n_reference) in enumerate(totals.T):
        region, reference = rng.random(n_region), np.sort(rng.random(n_reference))
        n_on = np.count_nonzero(region <= reference[n_passing - 1])
        ratio = n_region / n_reference
        found[number] = on_off_excess(np.ones(n_on), np.ones(n_passing), ratio=ratio, ends_with_off=True).p_value
    for level in (0.5, 0.16, 0.05, 0.01):
        error = math.sqrt(level * (1 - level) / 4000)
        assert 0.3 * level < np.mean(found <= level) < level + 2.5 * error


def test_where_nothing_is_there() -> None:
    assert on_off_excess(np.empty(0), np.ones(5), ratio=1.0).significance == -math.inf
    assert on_off_excess(np.empty(0), np.ones(5), ratio=1.0).p_value == 1
    unknown = on_off_excess(np.ones(3), np.empty(0), ratio=1.0)
    assert math.isnan(unknown.p_value) and math.isnan(unknown.significance)


def test_far_tails_are_not_lost() -> None:
    up = on_off_excess(np.ones(5_000), np.ones(3_000), ratio=1.0).significance
    down = on_off_excess(np.ones(3_000), np.ones(5_000), ratio=1.0).significance
    assert up == pytest.approx(22.5, abs=0.5)  # about 2,000/√8,000 in the normal limit
    assert down == pytest.approx(-up, abs=0.1)
