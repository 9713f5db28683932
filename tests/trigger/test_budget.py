"""A budget that several paths share."""

import time

import numpy as np
import pytest

from hepfilter.trigger.budget import SharedBudget, share_budget


def problem(values: list[np.ndarray], budget: float, **given: object) -> SharedBudget:
    """Without weights, prescales or priorities unless they are given."""
    n_paths, n_events = len(values), len(values[0])
    defaults = {"amounts": np.ones(n_events), "accepted": np.ones(n_paths), "priorities": np.ones(n_paths)}
    return SharedBudget(values=np.stack(values), budget=budget, **(defaults | given))


def objective(shared: SharedBudget, thresholds: np.ndarray) -> float:
    return float(shared.priorities @ np.log(shared.rates(thresholds)))


def scale_proportionally(shared: SharedBudget) -> np.ndarray:
    """The thresholds of rates in proportion to the priorities, scaled until the union fills the budget."""
    order = np.argsort(-shared.values, axis=1)
    ranked = np.take_along_axis(shared.values, order, axis=1)
    sums = shared.accepted[:, None] * np.cumsum(shared.amounts[order], axis=1)
    low, high = 0.0, shared.budget / shared.priorities.min()
    for _ in range(25):
        scale = (low + high) / 2
        fits = shared.union(_lowest(ranked, sums, scale * shared.priorities)) <= shared.budget
        low, high = (scale, high) if fits else (low, scale)
    return _lowest(ranked, sums, low * shared.priorities)


def _lowest(ranked: np.ndarray, sums: np.ndarray, rates: np.ndarray) -> np.ndarray:
    places = [int(np.searchsorted(path, rate, side="right")) for path, rate in zip(sums, rates, strict=True)]
    return np.array([values[place - 1] if place else np.inf for values, place in zip(ranked, places, strict=True)])


def apart(score: np.ndarray, n_paths: int) -> list[np.ndarray]:
    """The same score for each, of events of its own."""
    return [np.where(np.arange(len(score)) % n_paths == path, score, -np.inf) for path in range(n_paths)]


def grid(values: np.ndarray) -> np.ndarray:
    return np.rint(values * 1024) / 1024


def test_without_overlap_it_is_proportional() -> None:
    score = np.random.default_rng(1).normal(size=60_000)
    shared = problem(apart(score, 3), 1_200.0, priorities=np.array([1.0, 2.0, 3.0]))
    thresholds = share_budget(shared)
    assert shared.rates(thresholds) == pytest.approx([200, 400, 600], abs=1.5)
    assert shared.rates(thresholds) == pytest.approx(shared.rates(scale_proportionally(shared)), abs=1.5)
    assert 1_198 <= shared.union(thresholds) <= 1_200


def test_with_overlap_it_beats_proportional_scaling() -> None:
    """Two paths of one mind and a third of its own: together they are worth 2/3 of the budget; proportional: 1/2."""
    rng = np.random.default_rng(2)
    first, second = apart(rng.normal(size=40_000), 2)
    shared = problem([first, first, second], 900.0)
    best, simple = share_budget(shared), scale_proportionally(shared)
    assert shared.rates(simple) == pytest.approx([450, 450, 450], abs=2)
    assert shared.rates(best) == pytest.approx([600, 600, 300], rel=0.05)
    assert objective(shared, best) > objective(shared, simple) + 0.15
    for thresholds in (best, simple):
        assert 895 <= shared.union(thresholds) <= 900


def test_two_pairs_move_together() -> None:
    """No single path can be moved with gain here: its twin would have to follow."""
    first, second = apart(np.random.default_rng(3).normal(size=40_000), 2)
    shared = problem([first, first, second, second], 1_000.0, priorities=np.array([5.0, 1.0, 1.0, 1.0]))
    assert shared.rates(share_budget(shared)) == pytest.approx([750, 750, 250, 250], rel=0.04)


def test_three_of_one_mind_move_together() -> None:
    first, second = apart(np.random.default_rng(3).normal(size=40_000), 2)
    shared = problem([first, first, first, second], 1_000.0)
    assert shared.rates(share_budget(shared)) == pytest.approx([750, 750, 750, 250], rel=0.04)


def test_it_is_the_best_of_a_scan() -> None:
    """Two correlated scores with weights: no point along the budget is better by more than the sample can tell."""
    rng = np.random.default_rng(4)
    common, own = rng.normal(size=20_000), rng.normal(size=(2, 20_000))
    amounts = 30 ** rng.random(20_000)
    values = [grid(common + width * part) for width, part in zip((0.4, 1.5), own, strict=True)]
    shared = problem(values, 0.05 * amounts.sum(), amounts=amounts, priorities=np.array([1.0, 2.0]))
    found = share_budget(shared)
    assert shared.union(found) <= shared.budget
    assert shared.union(found) > 0.998 * shared.budget
    scanned = []
    for first in np.quantile(values[0], np.linspace(0.95, 0.9995, 60)):
        seconds = np.quantile(values[1], np.linspace(0.93, 1, 400))
        fits = [second for second in seconds if shared.union(np.array([first, second])) <= shared.budget]
        scanned.append(objective(shared, np.array([first, fits[0]])) if fits else -np.inf)
    assert objective(shared, found) > max(scanned) - 0.01


@pytest.mark.parametrize("accepted", [[0.1, 1.0], [0.1, 0.5]])
def test_prescales_count_by_their_probability(accepted: list[float]) -> None:
    rng = np.random.default_rng(5)
    values = [grid(rng.normal(size=30_000)) for _ in range(2)]
    shared = problem(values, 600.0, accepted=np.array(accepted))
    found = share_budget(shared)
    passed = [np.asarray(value >= threshold, float) for value, threshold in zip(values, found, strict=True)]
    either = passed[0] * accepted[0] + passed[1] * accepted[1] - passed[0] * passed[1] * accepted[0] * accepted[1]
    assert shared.union(found) == pytest.approx(either.sum())
    assert 599 <= either.sum() <= 600 + 1e-6
    assert shared.rates(found) == pytest.approx([passed[path].sum() * accepted[path] for path in range(2)])
    assert shared.rates(found)[0] == pytest.approx(shared.rates(found)[1], rel=0.1)


def test_a_path_with_few_candidates_leaves_the_rest_to_others() -> None:
    first, second = apart(np.random.default_rng(6).normal(size=20_000), 2)
    first[np.argsort(-first)[20:]] = -np.inf
    shared = problem([first, second], 400.0)
    assert shared.rates(share_budget(shared)) == pytest.approx([20, 380])
    assert shared.rates(share_budget(problem([first, second], 20_000.0))) == pytest.approx([20, 10_000])


def test_events_of_equal_score_pass_together() -> None:
    """Steps of 30 events: 4 and 3 of them fit into 215, and the union is told as it is."""
    steps = np.repeat(np.arange(200.0), 30)
    shared = problem(apart(steps, 2), 215.0 / 2)
    found = share_budget(shared)
    assert np.isin(found, steps).all()
    assert shared.union(found) == 105
    assert np.isinf(share_budget(problem([np.zeros(50)], 49.0))).all()


def test_the_order_of_events_does_not_matter() -> None:
    rng = np.random.default_rng(7)
    values = np.stack([grid(rng.normal(size=5_000)) for _ in range(3)])
    order = rng.permutation(5_000)
    assert np.array_equal(
        share_budget(problem(list(values), 200.0)), share_budget(problem(list(values[:, order]), 200.0))
    )


@pytest.mark.parametrize("seed", range(20))
def test_negative_weights_stay_within_the_budget(seed: int) -> None:
    """In whatever order events come; half of the problems have weights of many sizes, some negative ones on top."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=2_000)
    amounts = np.where(rng.random(2_000) < np.clip(0.2 + 0.15 * np.tanh(common), 0, 1), -1.0, 1.0)
    amounts *= 30 ** rng.random(2_000) if seed % 2 else 1.0
    values = np.stack([grid(common + width * rng.normal(size=2_000)) for width in (0.4, 1.0, 1.5)])
    values[0, np.argsort(-values[0])[:20][amounts[np.argsort(-values[0])[:20]] > 0]] = -np.inf
    given = {"accepted": np.array([1.0, 1.0, 0.5]), "priorities": np.array([1.0, 2.0, 1.0])}
    shared = problem(list(values), 0.1 * amounts.sum(), amounts=amounts, **given)
    found, order = share_budget(shared), rng.permutation(2_000)
    assert 0.85 * shared.budget < shared.union(found) <= shared.budget * (1 + 1e-9)
    assert (shared.rates(found) > 0.1 * shared.budget).all()
    turned = problem(list(values[:, order]), shared.budget, amounts=amounts[order], **given)
    assert np.array_equal(share_budget(turned), found)


def test_a_million_events_take_seconds() -> None:
    rng = np.random.default_rng(8)
    common = rng.normal(size=10**6)
    values = [grid(0.8 * common + 0.6 * rng.normal(size=10**6)) for _ in range(5)]
    shared = problem(values, 10_000.0, priorities=np.array([1.0, 1.0, 2.0, 3.0, 1.0]))
    start = time.process_time()
    found = share_budget(shared)
    assert time.process_time() - start < 10
    assert objective(shared, found) > objective(shared, scale_proportionally(shared))
    assert 9_990 <= shared.union(found) <= 10_000
