"""Quantiles of a score among events alike in another observable."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm, spearmanr

from hepfilter.statistics.conditional import LEVELS, ConditionalQuantiles, conditional_quantiles


def sample(n_events: int = 60_000, seed: int = 1) -> tuple[NDArray[np.float64], ...]:
    """Scores that rise with x, and vary the more the larger it is; weights fall steeply with x, as nature's do."""
    generator = np.random.default_rng(seed)
    x = generator.uniform(0, 5, n_events)
    return 2 * x + (0.5 + 0.3 * x) * generator.normal(size=n_events), x, np.exp(-2 * x)


def levels_of(table: ConditionalQuantiles, scores: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """−ln p of each event, by plain interpolation in x and then in the score."""
    rows = np.array([np.interp(x, table.knots, column) for column in table.scores.T]).T
    return np.array([np.interp(score, row, LEVELS) for score, row in zip(scores, rows, strict=True)])


def test_the_same_share_of_other_background_lies_above_a_cut_wherever_it_is() -> None:
    table = conditional_quantiles(*sample(), most=48)
    assert table.scores.shape == (48, len(LEVELS))
    scores, x, weights = sample(n_events=20_000, seed=2)
    found = levels_of(table, scores, x)
    assert spearmanr(scores, x).statistic > 0.9
    assert abs(spearmanr(found, x).statistic) < 0.03
    for low in range(5):
        inside = (x >= low) & (x < low + 1)
        for share in (0.5, 0.1, 0.02):
            passed = np.average(found[inside] >= -np.log(share), weights=weights[inside])
            assert passed == pytest.approx(share, rel=0.25, abs=0.002), (low, share)


def test_the_quantiles_are_those_of_the_distribution_and_go_on_into_the_tail() -> None:
    table = conditional_quantiles(*sample(200_000), most=20)
    for knot, row in zip(table.knots[2:-2], table.scores[2:-2], strict=True):
        expected = norm.isf(np.exp(-LEVELS[1:]), 2 * knot, 0.5 + 0.3 * knot)
        assert row[1:28] == pytest.approx(expected[:27], abs=0.15 + 0.08 * knot)
        assert row[-1] == pytest.approx(expected[-1], abs=1.0 + 0.5 * knot)
    assert (np.diff(table.scores) >= 0).all()


def test_a_heavy_event_does_not_stand_for_all_of_its_like() -> None:
    scores, x, weights = sample(4000)
    scores[7], weights[7] = 1000.0, 1e6
    table = conditional_quantiles(scores, x, weights, most=10)
    assert table.scores[:, LEVELS.searchsorted(np.log(20))].max() < 100


def test_there_are_fewer_knots_where_there_are_few_events_or_many_alike() -> None:
    scores, x, weights = sample(1000)
    assert len(conditional_quantiles(scores, x, weights, most=48).knots) == 8
    scores, x, weights = sample(4000)
    alike = np.where(np.arange(4000) < 2000, 3.0, x)
    found = conditional_quantiles(scores, alike, weights, most=48)
    assert 10 < len(found.knots) < 32 and np.count_nonzero(found.knots == 3.0) == 1
    assert np.isfinite(found.scores).all()


def test_scores_that_are_all_equal_leave_the_tail_finite() -> None:
    _, x, weights = sample(1000)
    found = conditional_quantiles(np.full(1000, 2.0), x, weights, most=48)
    assert (found.scores[:, 0] == 2.0).all()
    assert (np.diff(found.scores[:, -17:]) > 0.01).all() and (found.scores < 1000).all()


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (0, np.nan, "not finite"),
        (1, np.inf, "not finite"),
        (2, np.inf, "not finite"),
        (2, 0.0, "511 background"),
    ],
)
def test_what_has_no_table(column: int, value: float, message: str) -> None:
    columns = sample(512)
    columns[column][3] = value
    with pytest.raises(ValueError, match=message):
        conditional_quantiles(*columns, most=4)
    scores, x, weights = sample(1000)
    with pytest.raises(ValueError, match="hardly any different values"):
        conditional_quantiles(scores, np.where(np.arange(1000) < 950, 3.0, x), weights, most=48)
