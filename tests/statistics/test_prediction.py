"""Predictions of what a future sample gives."""

import numpy as np
import pytest
from scipy.stats import betabinom

from hepfilter.statistics.prediction import beta_binomial_interval, predict


@pytest.mark.parametrize(("passed", "tuned"), [(60, True), (60, False), (1, False), (0, False)])
@pytest.mark.parametrize("future", [500, 10_000])
def test_it_covers_what_wilks_says(passed: int, tuned: bool, future: int) -> None:
    """P(inside) of the beta-binomial number itself, for k of 2,000 events, to the steps of whole numbers."""
    lower, upper = beta_binomial_interval(passed / 2_000, 2_000, future, tuned=tuned)
    half = 0.0 if tuned else 0.5
    parent = betabinom(future, passed + half, 2_000 - passed + (1 if tuned else 0.5))
    inside = parent.cdf(np.floor(upper * future + 1e-9)) - parent.cdf(np.ceil(lower * future - 1e-9) - 1)
    assert inside == pytest.approx(0.683, abs=0.02 + parent.pmf(round(passed * future / 2_000)))
    below = parent.cdf(np.ceil(lower * future - 1e-9) - 1)
    assert passed < 2 or below == pytest.approx(0.159, abs=0.02 + parent.pmf(round(passed * future / 2_000)))


def test_its_ends_are_in_the_middle_of_steps_and_half_an_event_apart() -> None:
    """Of a symmetric distribution they are symmetric; a threshold at an event has half an event less above it."""
    assert sum(beta_binomial_interval(0.5, 60, 40, tuned=False)) == pytest.approx(1, abs=1e-9)
    given = np.array(beta_binomial_interval(0.1, 1_000, 1_000, tuned=False))
    at_an_event = np.array(beta_binomial_interval(0.1, 1_000, 1_000, tuned=True))
    assert 1_000 * (given - at_an_event) == pytest.approx(0.5, abs=0.05)


def test_both_samples_fluctuate() -> None:
    """The relative width is √(1/k + n/(m k)): a long future leaves that of tuning, a short one its own."""
    passed = np.arange(100_000) < 400
    widths = {}
    for future in (1_000, 100_000, 10**8):
        found = predict(passed, np.ones(100_000), of="fraction", tuned=True, future=future)
        assert found.value == pytest.approx(0.004)
        widths[future] = (found.upper - found.lower) / 2 / found.value
    for future, width in widths.items():
        assert width == pytest.approx(np.sqrt(1 / 400 + 100_000 / future / 400), rel=0.04)


def test_units_weights_and_prescales() -> None:
    passed, ones = np.arange(10_000) < 300, np.ones(10_000)
    plain = predict(passed, ones, of="fraction", tuned=True)
    hertz = predict(passed, 0.2 * ones, of="Hz", tuned=True)
    assert [hertz.value, hertz.lower, hertz.upper] == pytest.approx([2_000 * x for x in vars_of(plain)])
    assert (plain.n_effective, hertz.n_effective) == pytest.approx((300, 300))
    weights = np.where(np.arange(10_000) % 2, 1.0, 9.0)
    weighted = predict(passed, weights, of="fraction", tuned=True)
    assert weighted.n_effective == pytest.approx(300 * 5**2 / 41)
    spread = (weighted.upper - weighted.lower) / (plain.upper - plain.lower)
    assert spread == pytest.approx(np.sqrt(41 / 25), rel=0.02)
    tenth = predict(passed * 0.1, ones, of="fraction", tuned=True)
    assert tenth.value == pytest.approx(0.003)
    assert (tenth.upper - tenth.lower) / 2 / 0.003 == pytest.approx(np.sqrt(1 / 300 + 1 / 30), rel=0.03)


def test_edges() -> None:
    ones = np.ones(50)
    none = predict(np.zeros(50), ones, of="fraction", tuned=False)
    assert (none.value, none.lower, none.n_effective) == (0, 0, 0)
    assert 0 < none.upper < 0.1
    everything = predict(ones, ones, of="fraction", tuned=True)
    assert (everything.value, everything.upper) == (1, 1)
    assert 0.9 < everything.lower < 1
    sure = predict(
        np.full(50, 0.5), ones, of="fraction", tuned=False, future=10_000
    )  # of a pure prescale only the future
    assert (sure.upper - sure.lower) / 2 == pytest.approx(0.005, rel=0.05)
    for bad in (np.empty(0), np.zeros(3)):
        with pytest.raises(ValueError, match="nothing can be predicted"):
            predict(bad, bad, of="fraction", tuned=False)


def vars_of(found: object) -> list[float]:
    return [getattr(found, name) for name in ("value", "lower", "upper")]
