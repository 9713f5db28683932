"""The Jensen–Shannon divergence, by hand and by chance."""

import math

import numpy as np
import pytest

from hepfilter.statistics.divergence import jensen_shannon, random_divergence


def test_by_hand() -> None:
    assert jensen_shannon(np.array([3.0, 1.0]), np.array([6.0, 2.0])) == 0
    assert jensen_shannon(np.array([1.0, 0.0]), np.array([0.0, 5.0])) == pytest.approx(1)
    half = jensen_shannon(np.array([1.0, 1.0]), np.array([1.0, 0.0]))  # H(3/4, 1/4) − H(1/2, 1/2)/2
    assert half == pytest.approx(-0.75 * math.log2(0.75) - 0.25 * math.log2(0.25) - 0.5)
    assert math.isnan(jensen_shannon(np.zeros(2), np.ones(2)))


def test_chance_is_what_random_selections_give() -> None:
    """Large samples: 2 ln 2 · 4 n · JS of a sample against its origin is χ² of bins − 1, so that the mean is this."""
    spectrum = np.full(21, 10.0)
    mean, most = random_divergence(spectrum, 2000.0)
    assert mean == pytest.approx(20 / (8 * 2000 * math.log(2)), rel=0.05)
    assert most == pytest.approx(31.4 / (8 * 2000 * math.log(2)), rel=0.08)
    assert random_divergence(spectrum, 200.0)[0] > 9 * mean
    assert math.isnan(random_divergence(spectrum, 0.2)[0])
