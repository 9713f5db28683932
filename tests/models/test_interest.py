"""From logits to log-odds."""

import numpy as np
import pytest

from hepfilter.config.model import EventClass
from hepfilter.models.interest import interest

CLASSES = (
    EventClass(name="a", is_signal=False, prior=3.0),
    EventClass(name="s", is_signal=True),
    EventClass(name="b", is_signal=False, prior=1.0),
    EventClass(name="t", is_signal=True),
)


def test_by_hand() -> None:
    logits = np.array([[0.1, 1.0, -0.5, 2.0], [4.0, -1.0, 0.0, 0.5]], np.float32)
    p = np.exp(logits.astype(np.float64))
    expected = np.log(0.5 * p[:, 1] + 0.5 * p[:, 3]) - np.log(0.75 * p[:, 0] + 0.25 * p[:, 2])
    assert interest(logits, CLASSES) == pytest.approx(expected, abs=1e-6)
    assert interest(logits, CLASSES).dtype == np.float32


def test_unbounded_in_the_tail() -> None:
    """A sigmoid would be exactly 1 for all of these."""
    found = interest(np.array([[0, 30, 0, 0], [0, 300, 0, 0], [0, 300.5, 0, 0]], np.float32), CLASSES)
    assert np.isfinite(found).all()
    assert (np.diff(found) > 0.4).all()


def test_a_constant_in_all_logits_does_not_matter() -> None:
    logits = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    assert interest(logits + np.float32(8), CLASSES) == pytest.approx(interest(logits, CLASSES), abs=1e-5)


def test_equal_logits_give_zero_whatever_the_priors() -> None:
    assert interest(np.ones((1, 4), np.float32), CLASSES) == pytest.approx([0.0], abs=1e-7)


def test_no_events() -> None:
    assert interest(np.empty((0, 4), np.float32), CLASSES).shape == (0,)
