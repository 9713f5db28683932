"""Sculpting and correlations: what must show, and what must not."""

from dataclasses import replace

import numpy as np
import pytest

from hepfilter.evaluation.sculpting import SHARES, correlations, sculpting
from tests.evaluation.generated import make_events


def test_a_random_score_shapes_nothing_and_ht_shapes_itself() -> None:
    events = make_events(40_000)
    chance = np.random.default_rng(9).normal(size=len(events.labels))
    found = sculpting(replace(events, scores={**events.scores, "interest": chance}))
    by_name = {(s.score, s.observable): s for s in found}
    assert set(by_name) == {(score, o) for score in ("interest", "ht") for o in ("dijet_mass", "ht")}
    for observable in ("dijet_mass", "ht"):
        for passing in by_name["interest", observable].passing:
            assert passing.divergence < 1.5 * passing.expected_95
            assert passing.expected < passing.expected_95
    shaped = by_name["ht", "ht"].passing
    assert [passing.share for passing in shaped] == list(SHARES)
    assert all(passing.divergence > 2 * passing.expected_95 for passing in shaped)
    assert shaped[0].divergence < shaped[-1].divergence <= 1
    assert sum(shaped[0].contents) == pytest.approx(1)


def test_shares_with_too_few_events_are_left_out() -> None:
    (found, *_) = sculpting(make_events(5_000))
    assert [passing.share for passing in found.passing] == [0.2, 0.05, 0.01]
    assert [passing.n_events for passing in found.passing] == [1000, 250, 50]


@pytest.mark.filterwarnings("error")
def test_background_without_weight_has_an_empty_spectrum() -> None:
    events = make_events(500, 50)
    for found in sculpting(replace(events, weights=np.zeros(len(events.labels)))):
        assert set(found.contents) == {0.0}
        assert found.passing == ()


def test_spectra_are_weighted() -> None:
    """Hard background made in excess and weighted down leaves the spectrum, and chance, where they were."""
    events = make_events(40_000, weighted=True)
    chance = np.random.default_rng(9).normal(size=len(events.labels))
    found = sculpting(replace(events, scores={"interest": chance}))
    assert all(p.divergence < 1.5 * p.expected_95 for s in found for p in s.passing)
    weights, values = events.weights[events.background], events.observable("ht")[events.background]
    lower = np.array(found[1].edges[:10])
    below = [weights[values < edge].sum() / weights.sum() for edge in lower]
    assert np.cumsum((0.0, *found[1].contents))[:10] == pytest.approx(np.array(below), abs=1e-4)


def test_correlation_with_hardness_in_both_measures() -> None:
    events = make_events(20_000)
    found = {(c.score, c.observable, c.measure): c.correlation for c in correlations(events)}
    assert found["hardness", "hardness", "physical"].spearman == pytest.approx(1)
    expected = np.corrcoef(events.scores["interest"][events.background], events.observable("ht")[events.background])
    assert found["interest", "ht", "physical"].pearson == pytest.approx(expected[0, 1], abs=1e-5)
    # The matched background spans a wider range of hardness, so that the score's logarithm of it shows more.
    matched, physical = (found["interest", "hardness", m].spearman for m in ("matched", "physical"))
    assert 0.15 < physical < matched < 0.7
