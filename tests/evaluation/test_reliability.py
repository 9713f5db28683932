"""Probabilities that hold lie on the diagonal, others do not."""

import numpy as np
import pytest

from hepfilter.evaluation.reliability import ANY_SIGNAL, class_reliabilities, class_reliability


def drawn(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Probabilities, and truths drawn from them."""
    rng = np.random.default_rng(seed)
    p = rng.random(n)
    return p, rng.random(n) < p


def test_perfect_probabilities_lie_on_the_diagonal() -> None:
    found = [class_reliability("a", *drawn(2_000, seed), np.ones(2_000)) for seed in range(60)]
    bins = [one for check in found for one in check.bins]
    inside = [one.observed.lower <= one.predicted <= one.observed.upper for one in bins]
    assert 0.68 < np.mean(inside) < 0.8  # Clopper and Pearson cover at least 68 %
    assert np.mean([one.error / one.by_chance for one in found]) == pytest.approx(1, abs=0.1)


def test_overconfident_ones_do_not() -> None:
    p, truth = drawn(4_000, 1)
    sharp = p**3 / (p**3 + (1 - p) ** 3)
    found = class_reliability("a", sharp, truth, np.ones(4_000))
    assert found.error > 5 * found.by_chance
    assert all(one.observed.value > one.predicted for one in found.bins if one.predicted < 0.4)
    assert all(one.observed.value < one.predicted for one in found.bins if one.predicted > 0.6)


def test_a_known_case_with_weights() -> None:
    p, truth = np.array([0.25, 0.25, 0.75, 1.0]), np.array([True, False, True, False])
    found = class_reliability("a", p, truth, np.array([3.0, 1.0, 4.0, 0.0]))
    assert [(one.predicted, one.observed.value, one.share, one.n_events) for one in found.bins] == [
        (0.25, 0.75, 0.5, 2), (0.75, 1.0, 0.5, 1)
    ]  # fmt: skip
    assert found.error == pytest.approx(0.5 * 0.5 + 0.5 * 0.25)
    assert np.isnan(class_reliability("a", p, truth, np.zeros(4)).error)


def test_signals_together_and_every_class() -> None:
    probabilities = np.array([[0.7, 0.1, 0.2], [0.1, 0.5, 0.4]])
    found = class_reliabilities(
        probabilities, np.array([0, 2]), np.ones(2), names=["b", "s", "t"], is_signal=[False, True, True]
    )
    assert [one.name for one in found] == [ANY_SIGNAL, "b", "s", "t"]
    assert [one.predicted for one in found[0].bins] == pytest.approx([0.3, 0.9])
    assert [one.observed.value for one in found[0].bins] == [0, 1]
    assert [one.observed.value for one in found[2].bins] == [0, 0]
