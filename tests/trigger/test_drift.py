"""Drift: what is seen, and how often nothing is taken for something."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict

import numpy as np
import pytest
from scipy.stats import binom

from hepfilter.trigger.drift import (
    NEW_PROBLEMS,
    ProblemCounts,
    Reference,
    WindowTest,
    check_window,
    make_reference,
)

NAN = "jet: non-finite kinematics"


def check(
    reference: Reference, scores: dict[str, np.ndarray], problems: Mapping[str, int], *, false_alarm: float
) -> WindowTest:
    """Of a window with these problems, which are of all its events."""
    events = len(next(iter(scores.values())))
    return check_window(reference, scores, ProblemCounts(events, problems), false_alarm=false_alarm)


def scores_of(rng: np.random.Generator, count: int, *, scale: float = 1.0, muons: bool = True) -> dict[str, np.ndarray]:
    """Scores of toy events: falling spectra of jets, sometimes a muon; `scale` is that of all energies."""
    jets = 30 * scale * rng.exponential(2.0, count) + 20 * scale
    muon = np.where(rng.random(count) < 0.1, 15 * scale + 20 * scale * rng.exponential(1.0, count), 0.0) * muons
    hidden = rng.normal(size=(2, count))
    interest = 2 * np.log(jets / 50) + muon / 20 + hidden[0]
    p = np.exp(-np.logaddexp(0, hidden[1] + np.log(jets / 50)))
    return {"interest": (np.rint(interest * 1024) / 1024).astype(np.float32), "pvalue": p.astype(np.float32)}


def problems_of(rng: np.random.Generator, events: int) -> ProblemCounts:
    """An event in 200 has 1 to 8 bad objects, so that the variance is far from that of Poisson."""
    bad = int(rng.integers(1, 9, rng.binomial(events, 1 / 200)).sum())
    return ProblemCounts(events, {NAN: bad, "jet: pt <= 0": int(rng.poisson(events / 500))})


def reference_of(rng: np.random.Generator, count: int = 40_000) -> Reference:
    return make_reference(scores_of(rng, count), [problems_of(rng, 1_000) for _ in range(count // 1_000)])


def independent(rng: np.random.Generator, count: int) -> dict[str, np.ndarray]:
    return {name: rng.normal(size=count) for name in ("interest", "density")}


def test_it_alarms_as_often_as_it_says() -> None:
    """600 windows, a reference of their size for each 4: without its fluctuations in the test all would alarm more."""
    rng, alarms = np.random.default_rng(5), Counter[str]()
    for _ in range(150):
        reference = make_reference(independent(rng, 3_000))
        for _ in range(4):
            alarms.update(check(reference, independent(rng, 3_000), {}, false_alarm=0.3).alarms)
    assert set(alarms) == {"interest", "density"}
    for count in alarms.values():  # 0.1 each
        assert abs(count - 60) < 3.5 * np.sqrt(600 * 0.1 * 0.9 * 2)


def test_a_small_rate_is_kept_too() -> None:
    """8,000 windows at 1 %, of a reference of 10 times their size."""
    rng = np.random.default_rng(6)
    found = 0
    for _ in range(80):
        reference = make_reference({"interest": rng.normal(size=10_000)})
        windows = rng.normal(size=(100, 1_000))
        found += sum(bool(check(reference, {"interest": w}, {}, false_alarm=0.02).alarms) for w in windows)
    assert 0.007 < found / 8_000 < 0.013


def test_problems_alarm_no_more_than_it_says() -> None:
    rng = np.random.default_rng(7)
    scores, alarms, dispersions = {"interest": np.zeros(20_000)}, Counter[str](), []
    for _ in range(60):
        reference = make_reference(scores, [problems_of(rng, 500) for _ in range(40)])
        dispersions.append(reference.problems[NAN].dispersion)
        for _ in range(20):
            window = problems_of(rng, 2_000)
            alarms.update(
                check(reference, {"interest": scores["interest"][:2_000]}, window.counts, false_alarm=0.2).alarms
            )
    assert np.mean(dispersions) == pytest.approx(17 / 3, rel=0.1)  # Σk² / Σk of 1 to 8 at once
    assert set(alarms) <= {NAN, "jet: pt <= 0"}
    for count in alarms.values():  # at most 0.05 each
        assert 12 < count < binom.isf(1e-4, 1_200, 0.05) * 1.3


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"scale": 1.1}, {"interest"}),
        ({"muons": False}, {"interest"}),
    ],
)
def test_drifted_scores_are_seen(change: dict[str, float], expected: set[str]) -> None:
    rng = np.random.default_rng(8)
    reference = reference_of(rng)
    seen = [
        check(reference, scores_of(rng, 10_000, **change), problems_of(rng, 10_000).counts, false_alarm=1e-3)
        for _ in range(20)
    ]
    for window in seen:
        assert expected <= set(window.alarms) <= {"interest", "pvalue"}
    still = [
        check(reference, scores_of(rng, 10_000), problems_of(rng, 10_000).counts, false_alarm=1e-3) for _ in range(20)
    ]
    assert not any(window.alarms for window in still)


def test_new_and_more_frequent_problems_are_seen() -> None:
    rng = np.random.default_rng(9)
    known, clean = reference_of(rng), make_reference(scores_of(rng, 40_000), [ProblemCounts(40_000, {})])
    for _ in range(20):
        scores, usual = scores_of(rng, 10_000), problems_of(rng, 10_000).counts
        more = Counter(usual) + Counter(
            {NAN: int(rng.binomial(10_000, 0.01)) * 4}
        )  # 1 % of events with NaN, in all jets
        assert check(known, scores, more, false_alarm=1e-3).alarms == (NAN,)
        some = Counter(usual) + Counter({"muon: pt <= 0": 12})  # may be of two events, as NaNs come by several
        assert check(known, scores, some, false_alarm=1e-3).alarms == ()
        assert check(known, scores, {}, false_alarm=1e-3).alarms[0] == NAN
        new = {NAN: int(rng.binomial(10_000, 0.01))}
        assert check(clean, scores, new, false_alarm=1e-3).alarms == (NEW_PROBLEMS,)
        assert check(clean, scores, {NAN: 1}, false_alarm=1e-3).alarms == ()


def test_without_scores_there_are_problems() -> None:
    rng = np.random.default_rng(14)
    reference = make_reference({}, [problems_of(rng, 1_000) for _ in range(40)])
    assert check_window(reference, {}, ProblemCounts(10_000, {NAN: 1_000}), false_alarm=1e-3).alarms[0] == NAN
    assert reference.tests == 3


def test_the_tail_is_looked_at() -> None:
    """What a trigger keeps: twice as many events in the top half percent, which equal bins would not see."""
    rng = np.random.default_rng(10)
    values = rng.normal(size=40_000)
    reference = make_reference({"interest": values})
    cut = np.quantile(values, 0.995)
    window = rng.normal(size=10_000)
    window[:50] = cut + rng.exponential(0.3, 50)
    assert check(reference, {"interest": window}, {}, false_alarm=1e-3).alarms == ("interest",)


def test_p_values_have_their_tail_at_0() -> None:
    p = np.random.default_rng(11).random(40_000).astype(np.float32)
    edges = make_reference({"pvalue": p}).scores["pvalue"].edges
    assert np.exp(-edges[-1]) < 1e-3
    assert np.exp(-edges[0]) == pytest.approx(0.9, abs=0.01)


def test_windows_of_few_events_and_scores_of_few_values() -> None:
    rng = np.random.default_rng(12)
    reference = make_reference({"interest": rng.normal(size=2_000)})
    assert check(reference, {"interest": rng.normal(size=30)}, {}, false_alarm=0.01).pvalues["interest"] == 1
    assert check(reference, {"interest": 3 + rng.normal(size=60)}, {}, false_alarm=0.01).alarms == ("interest",)
    flat = make_reference({"interest": np.zeros(2_000)})
    assert check(flat, {"interest": np.zeros(500)}, {}, false_alarm=0.01).alarms == ()
    assert flat.scores["interest"].edges == (0,)
    for bad in ({"interest": np.empty(0)}, {"interest": np.full(9, np.nan)}, {}):
        with pytest.raises(ValueError, match=r"needs events|not finite"):
            make_reference(bad)
    with pytest.raises(ValueError, match="a window needs events"):
        check(flat, {"interest": np.empty(0)}, {}, false_alarm=0.01)


def test_a_reference_is_plain_data_and_the_number_of_tests_is_told() -> None:
    reference = reference_of(np.random.default_rng(13), 3_000)
    assert json.loads(json.dumps(asdict(reference))) == json.loads(json.dumps(asdict(reference)))
    assert reference.tests == 5
    window = WindowTest(100, {"a": 1e-5, "b": 0.5, "c": 1e-7}, 1e-3 / 5)
    assert window.alarms == ("c", "a")
