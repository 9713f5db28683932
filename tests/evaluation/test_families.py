"""Families in both measures: what hardness is worth, and the averages."""

import math
from dataclasses import replace

import numpy as np
import pytest

from hepfilter.evaluation.families import family_results, summaries
from hepfilter.evaluation.metrics import BackgroundScores, separation
from tests.evaluation.generated import make_events


def test_hardness_helps_in_the_physical_mix_and_not_where_it_is_matched() -> None:
    results = family_results(make_events(60_000, 2_000))
    assert {result.family: result.seen for result in results} == {"dijet": True, "dilepton": False}
    hard = results[0]
    assert hard.physical.by_score["hardness"].auc == pytest.approx(0.6, abs=0.02)  # 150/(150 + 100), of exponentials
    assert hard.matched.by_score["hardness"].auc == pytest.approx(0.5, abs=0.02)
    point = hard.matched.by_score["hardness"].working_points[1e-2]
    assert point is not None
    assert point.signal.value == pytest.approx(0.01, abs=0.01)
    assert 0.98 < hard.matched.coverage < 1
    assert results[1].physical.by_score["hardness"].auc == pytest.approx(0.8, abs=0.02)
    assert results[1].matched.by_score["hardness"].auc == pytest.approx(0.5, abs=0.03)
    assert results[1].matched.coverage < hard.matched.coverage
    assert hard.matched.n_effective_background < hard.physical.n_effective_background == 60_000
    assert hard.comparison("matched") is hard.matched
    assert hard.comparison("physical") is hard.physical
    assert hard.matched.by_score["interest"].n_signal == pytest.approx(2_000 * hard.matched.coverage)


def test_the_score_keeps_in_the_matched_measure_what_it_knows_beside_hardness() -> None:
    """Scores of signals lie 2.5 higher at every hardness, and know of it a little: AUC = Φ(2.5/√2) = 0.961."""
    (result, _) = family_results(make_events(40_000, 4_000))
    assert result.matched.by_score["interest"].auc == pytest.approx(0.961, abs=0.01)


def test_weights_of_background_count() -> None:
    """Hard background made in excess and weighted down gives the figures of plain background."""
    plain, weighted = (family_results(make_events(60_000, 2_000, weighted=w)) for w in (False, True))
    for score in ("interest", "hardness"):
        for measure in ("physical", "matched"):
            found = [results[0].comparison(measure).by_score[score].auc for results in (plain, weighted)]  # type: ignore[arg-type]
            assert found[0] == pytest.approx(found[1], abs=0.025), (score, measure)
    events = make_events(2_000, weighted=True)
    signal, background = events.labels == 1, events.background
    direct = separation(
        events.scores["interest"][signal],
        BackgroundScores(events.scores["interest"][background], events.weights[background]),
    )
    assert family_results(events)[0].physical.by_score["interest"] == direct


def test_at_each_hardness_processes_are_mixed_as_in_nature() -> None:
    """Background that looks like the signal, but is rare: it counts by its weight in the matched measure too."""
    events = make_events(20_000, 1_000)
    rare = events.background & (np.arange(len(events.labels)) % 2 == 0)
    score = np.where(events.background & ~rare, 0.0, 1.0)
    for weight, expected in ((1.0, 0.75), (1e-3, 1.0)):
        weights = np.where(rare, weight, 1.0)
        result = family_results(replace(events, scores={"interest": score}, weights=weights))[0]
        for measure in ("physical", "matched"):
            found = result.comparison(measure).by_score["interest"].auc  # type: ignore[arg-type]
            assert found == pytest.approx(expected, abs=0.02), (weight, measure)


def test_summaries_by_hand() -> None:
    results = family_results(make_events(20_000, 300, families={"a": True, "b": True, "c": True, "d": False}))
    found = {(s.measure, s.seen, s.score, s.target): s for s in summaries(results)}
    summary = found["physical", True, "interest", 1e-2]
    values = [r.physical.by_score["interest"].working_points[1e-2].signal.value for r in results]  # type: ignore[union-attr]
    assert summary.n_families == 3
    assert summary.mean == pytest.approx(np.mean(values[:3]))
    assert summary.median == pytest.approx(np.median(values[:3]))
    assert summary.worst == min(values[:3])
    assert summary.worst_family == "abc"[int(np.argmin(values[:3]))]
    assert found["physical", False, "interest", 1e-2].worst_family == "d"
    assert ("physical", True, "interest", 1e-4) not in found  # two background events above
    assert summaries(()) == ()


def test_a_family_without_background_as_hard_says_so() -> None:
    events = make_events(2_000, 100)
    events.observables[events.labels == 2] *= 1e4
    result = family_results(events)[1]
    assert result.matched.coverage == 0
    assert result.matched.by_score["interest"].working_points[1e-2] is None
    assert math.isnan(result.matched.by_score["interest"].auc)
