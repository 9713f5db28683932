"""What the sidebands say of the signal region."""

import numpy as np
import pytest
from scipy.stats import ks_2samp

from hepfilter.errors import TrainingError, UsageError
from hepfilter.training.references import MassWindow, references

WINDOW = MassWindow(3300, 3700, 2800, 4300)


def masses(n_events: int = 4000, seed: int = 1) -> np.ndarray:
    return 2500 + np.random.default_rng(seed).exponential(900, n_events)


def test_regions_touch_and_do_not_overlap() -> None:
    mass = np.array([2799.9, 2800.0, 3299.9, 3300.0, 3699.9, 3700.0, 4299.9, 4300.0])
    below, above = WINDOW.sidebands(mass)
    assert np.flatnonzero(WINDOW.region(mass)).tolist() == [3, 4]
    assert (np.flatnonzero(below).tolist(), np.flatnonzero(above).tolist()) == ([1, 2], [5, 6])


def test_a_region_without_sidebands_is_refused() -> None:
    with pytest.raises(UsageError, match="3300 to 3700 GeV must lie inside 3300 to 4300 GeV with a sideband on either"):
        MassWindow(3300, 3700, 3300, 4300)


@pytest.mark.parametrize("method", ["cwola", "template"])
def test_what_is_linear_in_the_mass_agrees_on_average(method: str) -> None:
    mass = masses()
    reference = references(mass[:, None] / 1000, mass, WINDOW, method=method, seed=1)
    average = np.average(reference.features[:, 0], weights=reference.weights) * 1000
    assert average == pytest.approx(np.mean(mass[WINDOW.region(mass)]), abs=0.1 if method == "cwola" else 8)
    assert np.mean(reference.weights) == pytest.approx(1)
    below, above = WINDOW.sidebands(mass)
    assert reference.origin.tolist() == np.flatnonzero(below | above).tolist()


def test_the_template_moves_mean_and_width_along_the_mass() -> None:
    mass, rng = masses(20_000), np.random.default_rng(2)
    features = np.stack([mass / 100 + rng.normal(size=len(mass)) * mass / 500, rng.normal(size=len(mass))], axis=1)
    region = features[WINDOW.region(mass)]
    for method, agrees in (("template", True), ("cwola", False)):
        reference = references(features, mass, WINDOW, method=method, seed=1)
        spread = np.sqrt(np.cov(reference.features.T, aweights=reference.weights).diagonal())
        assert (abs(spread[0] / region[:, 0].std() - 1) < 0.04) == agrees
        assert spread[1] == pytest.approx(region[:, 1].std(), rel=0.05)
        is_below = mass[reference.origin] < WINDOW.low
        widths = [reference.features[side, 0].std() for side in (is_below, ~is_below)]
        assert (widths[0] == pytest.approx(widths[1], rel=0.05)) == agrees


def test_the_template_keeps_bounds_and_values_that_many_share() -> None:
    """A feature from 0 on whose mean rises with the mass, 0 in a fifth of the events: no event falls below, none leaves
    0, and the whole distribution, not its mean alone, is that of the signal region."""
    mass, rng = masses(40_000), np.random.default_rng(3)
    feature = rng.exponential(mass / 100) ** 1.5 * (rng.random(len(mass)) > 0.2)
    region = feature[WINDOW.region(mass)]
    for method, agrees in (("template", True), ("cwola", False)):
        reference = references(feature[:, None], mass, WINDOW, method=method, seed=1)
        moved, above = reference.features[:, 0], mass[reference.origin] > WINDOW.high
        assert moved.min() == 0
        assert np.array_equal(moved == 0, feature[reference.origin] == 0)
        assert all((ks_2samp(moved[side], region).pvalue > 0.01) == agrees for side in (above, ~above))


def test_too_few_events_are_named() -> None:
    mass = masses()
    few = mass[(mass < 3700) | (mass > 4290)]
    with pytest.raises(TrainingError, match=r"the upper sideband has \d+ events, 100 are needed; widen it"):
        references(few[:, None], few, WINDOW, method="cwola", seed=1)
