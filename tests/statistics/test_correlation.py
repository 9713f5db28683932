"""Correlations against SciPy, against the definition, and with weights."""

import math

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import pearsonr, spearmanr

from hepfilter.statistics.correlation import MOST_EVENTS, correlation, distance_correlation


def sample(n: int = 400) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    rng = np.random.default_rng(2)
    x = rng.normal(size=n).round(1)
    return x, 0.6 * x + rng.normal(size=n)


def test_against_scipy_and_the_definition() -> None:
    x, y = sample()
    found = correlation(x, y)
    assert found.pearson == pytest.approx(pearsonr(x, y)[0])
    assert found.spearman == pytest.approx(spearmanr(x, y)[0])
    a, b = (cdist(v[:, None], v[:, None]) for v in (x, y))
    a, b = (d - d.mean(0) - d.mean(1)[:, None] + d.mean() for d in (a, b))
    assert found.distance == pytest.approx(math.sqrt((a * b).mean() / math.sqrt((a * a).mean() * (b * b).mean())))


def test_a_weight_is_as_good_as_a_repetition() -> None:
    x, y = sample(300)
    times = np.random.default_rng(4).integers(0, 4, 300)
    weighted = correlation(x, y, times.astype(float))
    repeated = correlation(np.repeat(x, times), np.repeat(y, times))
    assert weighted.pearson == pytest.approx(repeated.pearson)
    assert weighted.spearman == pytest.approx(repeated.spearman)
    assert weighted.distance == pytest.approx(repeated.distance, abs=0.05)


def test_distance_sees_what_the_others_do_not() -> None:
    x = np.linspace(-1, 1, 20 * MOST_EVENTS)
    found = correlation(x, x**2)
    assert abs(found.pearson) < 1e-6 and abs(found.spearman) < 0.01
    assert found.distance > 0.4
    rng = np.random.default_rng(5)
    assert distance_correlation(rng.normal(size=30_000), rng.normal(size=30_000), np.ones(30_000)) < 0.09


def test_what_does_not_vary_or_is_not_there() -> None:
    for x, y in ((np.ones(10), np.arange(10.0)), (np.ones(1), np.ones(1)), (np.empty(0), np.empty(0))):
        found = correlation(x, y)
        assert all(math.isnan(value) for value in (found.pearson, found.spearman, found.distance))
    assert math.isnan(correlation(np.arange(3.0), np.arange(3.0), np.zeros(3)).distance)
