"""Background p-values: uniform on other background, honest about how well they are known, marked beyond the data."""

import numpy as np
import pytest
from scipy.stats import binomtest, kstest

from hepfilter.statistics.intervals import effective_number
from hepfilter.statistics.pvalues import MIN_EFFECTIVE, SMALLEST, fisher, pvalue_table, pvalues

SEEDS = range(20)


def sliced(seed: int, n_events: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores of a normal distribution, sampled far too often in the tail, with the weights that undo it."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(np.where(rng.random(n_events) < 0.5, 0.0, 1.5), 1.0)
    density = 0.5 * np.exp(-(scores**2) / 2) + 0.5 * np.exp(-((scores - 1.5) ** 2) / 2)
    return scores, np.exp(-(scores**2) / 2) / density


def weighted_distance(values: np.ndarray, weights: np.ndarray) -> float:
    """√n_eff times the largest distance of a weighted distribution from the uniform one."""
    order = np.argsort(values)
    share = np.cumsum(weights[order]) / weights.sum()
    return float(np.sqrt(effective_number(weights)) * np.abs(share - values[order]).max())


@pytest.mark.parametrize("weighted", [False, True])
def test_uniform_on_other_background(weighted: bool) -> None:
    """Over seeds the Kolmogorov–Smirnov distances of held-out events are what they should be."""
    distances = []
    for seed in SEEDS:
        scores, weights = sliced(seed, 20_000)
        others, other_weights = sliced(seed + 1000, 1000)
        found = pvalues(pvalue_table(scores, weights if weighted else None), others)
        distances.append(weighted_distance(found.values, other_weights if weighted else np.ones(1000)))
    # Kolmogorov's distribution: median 0.83, and 1.36 is passed by 5 %
    assert 0.6 < np.median(distances) < 1.05
    assert sum(distance > 1.36 for distance in distances) <= 4


def test_without_the_weights_it_would_not_be() -> None:
    scores, _ = sliced(1, 20_000)
    others, weights = sliced(2, 1000)
    assert weighted_distance(pvalues(pvalue_table(scores), others).values, weights) > 3


def test_the_share_at_each_score_is_exact_and_falls() -> None:
    rng = np.random.default_rng(3)
    scores, weights = rng.integers(0, 40, 2000).astype(np.float32), rng.exponential(size=2000)
    table = pvalue_table(scores, weights)
    at = np.arange(0.0, table.tail.start + 1)
    expected = [weights[scores >= s].sum() / weights.sum() for s in at]
    assert pvalues(table, at).values == pytest.approx(expected, rel=1e-12)
    everywhere = pvalues(table, np.linspace(-5, 80, 5000))
    assert (np.diff(everywhere.values) <= 0).all()
    assert everywhere.values[0] == 1.0
    assert everywhere.values[-1] >= SMALLEST


def test_a_big_atom_is_conservative() -> None:
    """Half of all events have the lowest score."""
    rng = np.random.default_rng(4)
    scores = np.where(rng.random(5000) < 0.5, -3.0, rng.normal(size=5000) ** 2)
    table = pvalue_table(scores)
    assert pvalues(table, np.array([-3.0])).values[0] == 1.0
    just_above = pvalues(table, np.array([0.0])).values[0]
    assert just_above == pytest.approx(0.5, abs=0.03)
    others = np.where(rng.random(5000) < 0.5, -3.0, rng.normal(size=5000) ** 2)
    found = pvalues(table, others).values
    for share in (0.01, 0.1, 0.3, 0.7):
        assert np.mean(found <= share) < share + 3 * np.sqrt(share / 5000) + 3 * np.sqrt(share / 5000)


def test_an_atom_in_the_middle_keeps_its_pvalue() -> None:
    rng = np.random.default_rng(10)
    for atom in rng.normal(size=20):
        scores = np.where(rng.random(5000) < 0.4, atom, rng.normal(size=5000))
        found = pvalues(pvalue_table(scores), np.array([atom])).values[0]
        assert found == pytest.approx(np.mean(scores >= atom), rel=1e-12)


def test_extrapolation_begins_where_ten_events_are_left() -> None:
    scores = np.random.default_rng(5).exponential(size=3000)
    ordered = np.sort(scores)[::-1]
    table = pvalue_table(scores)
    found = pvalues(table, ordered)
    assert table.tail.start == ordered[9]
    assert found.extrapolated.tolist() == [True] * 9 + [False] * 2991
    assert table.tail.n_effective == pytest.approx(MIN_EFFECTIVE)


def test_a_few_heavy_events_are_not_many() -> None:
    """Twenty heavy events above 3: beyond the tenth nothing is measured, however many light ones lie there."""
    rng = np.random.default_rng(6)
    scores = np.concatenate([rng.normal(size=5000), np.linspace(3, 6, 20), rng.uniform(3, 9, 4000)])
    weights = np.concatenate([np.ones(5000), np.full(20, 50.0), np.full(4000, 1e-4)])
    start = pvalue_table(scores, weights).tail.start
    assert start == pytest.approx(np.linspace(3, 6, 20)[10], abs=0.2)


def test_the_tail_is_right_within_its_error() -> None:
    """exp(−score) is known: over seeds the interval far outside the data holds the truth in about 68 %."""
    held, at = 0, np.array([np.log(3000) + 3.0])
    for seed in range(200):
        scores = np.random.default_rng(seed).exponential(size=3000)
        found = pvalues(pvalue_table(scores), at)
        assert found.extrapolated.all()
        held += int(found.lower[0] <= np.exp(-at[0]) <= found.upper[0])
    assert binomtest(held, 200, 0.68).pvalue > 0.01, held


def test_the_tail_of_weighted_events_is_that_of_the_weights() -> None:
    """exp(−score), sampled as exp(−score/4): its rate is 1, known to what 50 effective events tell."""
    rates, held, at = [], 0, np.array([9.0])
    for seed in range(100):
        scores = np.random.default_rng(seed).exponential(4.0, size=2000)
        table = pvalue_table(scores, 4 * np.exp(-0.75 * scores))
        assert table.tail.relative_error == pytest.approx(1 / np.sqrt(50), rel=0.05)
        rates.append(table.tail.rate)
        found = pvalues(table, at)
        held += int(found.lower[0] <= np.exp(-9.0) <= found.upper[0])
    assert np.median(rates) == pytest.approx(1.0, abs=0.07)
    assert held > 60


def test_the_interval_inside_is_that_of_the_binomial() -> None:
    scores = np.random.default_rng(7).normal(size=1000)
    held = 0
    at, truth = np.array([1.2815515655446004]), 0.1
    for seed in range(200):
        scores = np.random.default_rng(seed).normal(size=1000)
        found = pvalues(pvalue_table(scores), at)
        held += int(found.lower[0] <= truth <= found.upper[0])
    assert 0.6 < held / 200 < 0.8
    few, many = (
        pvalues(pvalue_table(scores, weights), at)
        for weights in (np.random.default_rng(8).exponential(size=1000) ** 2, None)
    )
    assert few.upper[0] - few.lower[0] > 1.3 * (many.upper[0] - many.lower[0])


def test_nothing_beyond_the_highest_score_bounds_from_below() -> None:
    """A hundred events share the highest score: there is nothing to extrapolate from."""
    scores = np.concatenate([np.linspace(0, 1, 900), np.full(100, 2.0)])
    found = pvalues(pvalue_table(scores), np.array([2.0, 3.0, 1e6]))
    assert found.values.tolist() == [0.1, 0.1, 0.1]
    assert found.extrapolated.tolist() == [False, True, True]


def signed(seed: int, n_events: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores e^−s, and of next-to-leading order: a fifth of all weights negative, more of them at low scores."""
    rng = np.random.default_rng(seed)
    scores = np.concatenate([rng.exponential(size=n_events), rng.exponential(0.7, size=n_events // 4)])
    return scores, np.concatenate([np.ones(n_events), -np.ones(n_events // 4)])


def test_pvalues_of_signed_weights_are_the_shares_of_signed_sums() -> None:
    held, at = 0, np.array([2.0])
    truth = (np.exp(-2.0) - 0.25 * np.exp(-2.0 / 0.7)) / 0.75
    for seed in range(200):
        table = pvalue_table(*signed(seed, 4000))
        assert (np.diff(table.pvalues) <= 0).all() and table.pvalues[0] == 1.0
        found = pvalues(table, at)
        held += int(found.lower[0] <= truth <= found.upper[0])
    assert 0.6 < held / 200 < 0.76, held
    others, weights = signed(500, 200_000)
    found = pvalues(pvalue_table(*signed(501, 200_000)), others)
    for share in (0.5, 0.1, 0.01, 0.001):
        assert weights @ (found.values <= share) / weights.sum() == pytest.approx(share, rel=0.03 + 0.01 / share**0.5)


@pytest.mark.parametrize("top", [np.linspace(5, 6, 40), np.full(40, 6.0)])
def test_a_deficit_on_top_is_not_measured(top: np.ndarray) -> None:
    """Negative events alone above 5.5: nothing is known there, and no p-value is below 0."""
    scores = np.concatenate([np.linspace(0, 5, 5000), np.full(200, 5.0), top])
    table = pvalue_table(scores, np.concatenate([np.ones(5200), -np.ones(40)]))
    assert table.tail.start <= 5
    assert (table.pvalues > 0).all() and table.tail.rate >= 0
    assert (pvalues(table, np.array([5.5, 6.5])).values > 0).all()


@pytest.mark.parametrize(
    ("scores", "weights", "message"),
    [
        (np.ones(99), None, "99 effective background events; at least 100"),
        (np.ones(500), np.array([100.0] + [1.0] * 499), "effective background events"),
        (np.append(np.ones(200), np.nan), None, "not finite"),
        (np.ones(200), np.full(200, -1.0), "add up to less than 0"),
    ],
)
def test_what_gives_no_table(scores: np.ndarray, weights: np.ndarray | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pvalue_table(scores, weights)


def test_an_infinite_score_of_a_flat_tail() -> None:
    table = pvalue_table(np.ones(500))
    assert pvalues(table, np.array([-np.inf, 1.0, np.inf])).values.tolist() == [1.0, 1.0, 1.0]


def test_fishers_sum_of_independent_ones_is_a_gamma() -> None:
    values = np.random.default_rng(9).random((3, 2000))
    assert kstest(2 * fisher(values), "chi2", args=(6,)).pvalue > 0.01
