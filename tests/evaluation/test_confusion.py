"""The confusion of known classes."""

import numpy as np
import pytest

from hepfilter.evaluation.confusion import confusion


def test_shares_of_each_true_class() -> None:
    true, predicted = np.array([0, 0, 0, 2, 2]), np.array([0, 1, 1, 1, 0])
    weights = np.array([2.0, 1.0, 1.0, 3.0, 1.0])
    found = confusion(true, predicted, weights, true_names=["a", "empty", "unseen"], predicted_names=["a", "b"])
    assert found.shares[0] == pytest.approx((0.5, 0.5))
    assert np.isnan(found.shares[1]).all()
    assert found.shares[2] == pytest.approx((0.25, 0.75))
    assert found.n_events == (3, 0, 2)
    assert found.n_effective == pytest.approx((16 / 6, 0, 16 / 10))


def test_the_weights_of_whole_classes_do_not_matter() -> None:
    rng = np.random.default_rng(1)
    true, predicted, weights = rng.integers(0, 3, 200), rng.integers(0, 3, 200), rng.random(200)
    names = {"true_names": "abc", "predicted_names": "abc"}
    one = confusion(true, predicted, weights, **names)
    other = confusion(true, predicted, weights * np.array([1.0, 7.0, 0.1])[true], **names)
    assert np.array(one.shares) == pytest.approx(np.array(other.shares))
    assert np.array(one.shares).sum(axis=1) == pytest.approx(np.ones(3))
