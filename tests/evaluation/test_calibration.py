"""The check of p-values: uniform ones pass, others do not."""

import numpy as np
import pytest

from hepfilter.evaluation.calibration import check_by_halves, check_calibration, check_calibrations
from hepfilter.evaluation.sample import ScoredEvents
from hepfilter.scoring.calibration import fit_calibration


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


def test_events_of_one_score_are_no_fault_of_the_calibration() -> None:
    """A tenth of all events, such as those without objects, have one score among those on a grid, and one p-value."""
    rng, near = np.random.default_rng(4), []
    for _ in range(40):
        first, other = (np.rint(np.where(rng.random(5000) < 0.1, 0.5, rng.normal(size=5000)) * 64) / 64 for _ in "ab")
        calibration = fit_calibration({"interest": first}, np.ones(5000), model_hash="0", background={})
        p = calibration.pvalues("interest", other).values
        check = check_calibration("interest", p, np.ones(5000), n_tables=5000)
        near.append(check.distance < check.expected_95)
        p[other == 0.5] *= 0.8  # below what a tenth of the events take up
        assert check_calibration("interest", p, np.ones(5000), n_tables=5000).distance > 0.05
    assert np.mean(near) > 0.9


def test_weights_count() -> None:
    p, weights = np.r_[np.full(90, 0.9), np.full(10, 0.05)], np.r_[np.ones(90), np.full(10, 9.0)]
    points = {point.nominal: point for point in check_calibration("interest", p, weights).points}
    assert points[0.1].observed.value == pytest.approx(0.5)
    assert points[0.1].n_events == 10
    assert points[0.01].n_events == 0


def test_a_check_by_halves_is_no_check_of_itself() -> None:
    """Of events that made the calibration: they agree with it too well, one half with the other as chance has it."""
    by_halves, by_itself = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        scores = {name: rng.normal(size=900).astype(np.float32) for name in ("interest", "rarity")}
        weights = rng.uniform(0.5, 1.5, 900)
        calibration = fit_calibration(scores, weights, model_hash="0", background={})
        events = ScoredEvents(np.zeros(900, np.int32), weights, np.empty((900, 0)), np.ones(900, bool), scores, ())
        checks = check_by_halves(calibration, events), check_calibrations(calibration, events)
        assert [check.head for check in checks[0]] == ["interest", "rarity", "combined"]
        assert checks[0][0].n_effective == pytest.approx(450 / (1 + 1 / 12), rel=0.03)
        by_halves += [check.distance / check.expected_95 for check in checks[0]]
        by_itself += [check.distance / check.expected_95 for check in checks[1]]
    assert np.mean(np.array(by_halves) < 1.0) == pytest.approx(0.95, abs=0.05)
    assert np.median(by_halves) > 0.5
    assert max(by_itself) < 0.3


def test_a_check_by_halves_combines_what_the_calibration_does() -> None:
    rng = np.random.default_rng(2)
    scores = {name: rng.normal(size=2000).astype(np.float32) for name in ("interest", "rarity", "contrast")}
    checks = []
    for names in (("interest", "rarity"), tuple(scores)):
        own = {name: scores[name] for name in names}
        found = fit_calibration(
            own, np.ones(2000), model_hash="0", background={}, uncombined=frozenset({"contrast"}) & own.keys()
        )
        events = ScoredEvents(
            np.zeros(2000, np.int32), np.ones(2000), np.empty((2000, 0)), np.ones(2000, bool), own, ()
        )
        checks.append({check.head: check for check in check_by_halves(found, events)})
    assert checks[1].keys() - checks[0].keys() == {"contrast"}
    assert checks[0]["combined"] == checks[1]["combined"]


def test_no_check_by_halves_of_a_handful() -> None:
    scores = {"interest": np.linspace(0, 1, 150, dtype=np.float32)}
    calibration = fit_calibration(scores, np.ones(150), model_hash="0", background={})
    events = ScoredEvents(np.zeros(150, np.int32), np.ones(150), np.empty((150, 0)), np.ones(150, bool), scores, ())
    assert check_by_halves(calibration, events) == ()
    assert len(check_calibrations(calibration, events)) == 1


@pytest.mark.parametrize("heavy_in", ["learnt", "checked"])
def test_no_check_by_halves_if_one_event_is_nearly_all_of_a_half(heavy_in: str) -> None:
    rng, weights = np.random.default_rng(1), np.ones(2000)
    learnt, checked = np.array_split(np.random.default_rng(0).permutation(2000), 2)
    scores = {"interest": rng.normal(size=2000).astype(np.float32)}
    calibration = fit_calibration(scores, weights, model_hash="0", background={})
    events = ScoredEvents(np.zeros(2000, np.int32), weights, np.empty((2000, 0)), np.ones(2000, bool), scores, ())
    assert len(check_by_halves(calibration, events)) == 1
    weights[{"learnt": learnt, "checked": checked}[heavy_in][0]] = 1e6
    assert check_by_halves(calibration, events) == ()


def test_a_check_by_halves_hides_no_fault() -> None:
    scores = {"interest": np.linspace(0, 1, 2000, dtype=np.float32)}
    calibration = fit_calibration(scores, np.ones(2000), model_hash="0", background={})
    scores["interest"][:] = np.nan
    events = ScoredEvents(np.zeros(2000, np.int32), np.ones(2000), np.empty((2000, 0)), np.ones(2000, bool), scores, ())
    with pytest.raises(ValueError, match="is not finite"):
        check_by_halves(calibration, events)
