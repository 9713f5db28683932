"""The check of p-values: uniform ones pass, others do not."""

import numpy as np
import pytest

from hepfilter.evaluation.calibration import check_calibration


def test_uniform_p_values_pass_in_95_of_100_samples() -> None:
    rng = np.random.default_rng(1)
    checks = [check_calibration("interest", rng.random(400), np.ones(400)) for _ in range(400)]
    assert np.mean([check.distance < check.expected_95 for check in checks]) == pytest.approx(0.95, abs=0.03)
    inside = [p.observed.lower <= p.nominal <= p.observed.upper for check in checks for p in check.points[:3]]
    assert np.mean(inside) == pytest.approx(0.70, abs=0.06)


def test_the_distance_is_that_of_scipy() -> None:
    from scipy.stats import kstest

    p = np.random.default_rng(2).random(500) ** 1.3
    found = check_calibration("interest", p, np.full(500, 3.0))
    assert found.distance == pytest.approx(kstest(p, "uniform").statistic)
    assert found.distance > found.expected_95
    assert check_calibration("interest", np.array([0.9]), np.ones(1)).distance == pytest.approx(0.9)
    assert found.n_effective == pytest.approx(500)


def test_weights_count() -> None:
    p, weights = np.r_[np.full(90, 0.9), np.full(10, 0.05)], np.r_[np.ones(90), np.full(10, 9.0)]
    points = {point.nominal: point for point in check_calibration("interest", p, weights).points}
    assert points[0.1].observed.value == pytest.approx(0.5)
    assert points[0.1].n_events == 10
    assert points[0.01].n_events == 0
