"""Distributions of scores, gathered in pieces."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hepfilter.statistics import counts as module
from hepfilter.statistics.counts import ScoreCounts

EVENTS = st.lists(st.tuples(st.integers(-6, 6), st.sampled_from([-1.0, 0.0, 0.5, 1.0, 3.0])), min_size=1, max_size=40)


@given(EVENTS, st.integers(0, 40), st.integers(-14, 14))
def test_pieces_are_as_good_as_the_whole(events: list[tuple[int, float]], cut: int, twice: int) -> None:
    values, weights = (np.array(column, float) for column in zip(*events, strict=True))
    values /= 2
    whole = ScoreCounts.of(values, weights)
    pieces = ScoreCounts.of(values[cut:], weights[cut:]).add(values[:cut], weights[:cut])
    most = max((weights[values >= level].sum() for level in values[values >= twice / 4]), default=0.0)
    for found in (whole, pieces, pieces.merge(ScoreCounts.of(np.empty(0)))):
        assert np.array_equal(found.values, np.unique(values))
        assert found.total == weights.sum()
        assert found.most_above(np.array([twice / 4])).item() == most


@given(EVENTS, st.floats(0, 40))
def test_the_budget_is_kept_at_the_threshold_and_above_it(events: list[tuple[int, float]], budget: float) -> None:
    """And not at the next level; without negative weights that is the largest set that it holds."""
    values, weights = (np.array(column, float) for column in zip(*events, strict=True))
    lowest = ScoreCounts.of(values, weights).lowest_within(budget)
    allowed = []
    for level in np.unique(values)[::-1]:
        if weights[values >= level].sum() > budget * (1 + 1e-9):
            break
        allowed.append(level)
    assert lowest == (allowed[-1] if allowed else None)


def test_quantiles() -> None:
    found = ScoreCounts.of(np.array([3.0, 1.0, 2.0, 1.0]), np.array([1.0, 1.0, 5.0, 1.0]))
    assert found.quantile(np.array([0.0, 0.25, 0.26, 7 / 8, 0.9, 1.0])).tolist() == [1, 1, 2, 2, 3, 3]
    with pytest.raises(ValueError, match="no quantile"):
        ScoreCounts.of(np.empty(0)).quantile(np.array([0.5]))
    signed = ScoreCounts.of(np.array([1.0, 2.0, 3.0]), np.array([3.0, -1.0, 2.0]))
    assert signed.quantile(np.array([0.5, 0.75, 0.8])).tolist() == [1, 1, 3]


@pytest.mark.parametrize(("values", "weights"), [([np.nan], [1.0]), ([1.0], [np.inf]), ([-np.inf], [1])])
def test_what_cannot_be_counted(values: list[float], weights: list[float]) -> None:
    with pytest.raises(ValueError, match="not finite"):
        ScoreCounts.of(np.array(values), np.array(weights))


def test_many_values_make_thresholds_coarser_and_sums_stay_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_VALUES", 500)
    values = np.random.default_rng(1).normal(size=4000)
    whole = ScoreCounts.of(values)
    assert 250 < len(whole.values) <= 500
    assert whole.step == 2.0**-6
    for pieces in (values.reshape(40, 100), values[::-1].reshape(8, 500)):
        found = ScoreCounts.of(np.empty(0))
        for piece in pieces:
            found = found.add(piece)
        assert found.step == whole.step
        assert np.array_equal(found.values, whole.values)
        assert np.array_equal(found.weights, whole.weights)
    fine = ScoreCounts.of(np.array([0.001]))
    assert whole.merge(fine).step == fine.merge(whole).step == whole.step
    lowest = whole.lowest_within(40)
    assert lowest is not None
    assert np.count_nonzero(values >= lowest) == whole.most_above(np.array([lowest]))[0] <= 40
    assert np.count_nonzero(values >= lowest - whole.step) > 40
    assert whole.most_above(np.array([lowest + whole.step / 2]))[0] == np.count_nonzero(values >= lowest)
