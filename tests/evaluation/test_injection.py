"""Injection scans: nothing where nothing is, and N events where N are."""

from dataclasses import replace

import numpy as np
import pytest

from hepfilter.evaluation.distributions import score_distributions
from hepfilter.evaluation.injection import _Draws, _significance, injection_scans
from hepfilter.statistics.significance import on_off_excess
from tests.evaluation.generated import make_events


@pytest.mark.parametrize("weighted", [False, True])
def test_nothing_injected_shows_nothing(weighted: bool) -> None:
    scans = injection_scans(make_events(20_000, 400, weighted=weighted), ["interest"], n_draws=150)
    for scan in scans:
        nothing = scan.points[0]
        assert nothing.n_signal == 0
        assert nothing.significance.mean == pytest.approx(0, abs=0.35)
        assert nothing.significance.deviation == pytest.approx(1, abs=0.2)
        assert scan.largest_without < 4
        assert nothing.excess.mean == pytest.approx(0, abs=3)


def test_what_is_injected_shows() -> None:
    """About 60 % of the signal lie in the top per cent of the background, where 100 ± 10 of its events are expected."""
    events = make_events(20_000, 400)
    (scan, *_) = injection_scans(events, ["interest"], n_draws=60)
    assert (scan.family, scan.score, scan.share, scan.n_background) == ("dijet", "interest", 1e-2, 10_000)
    assert [point.n_signal for point in scan.points] == [0, 10, 30, 100, 300]
    threshold = np.quantile(events.scores["interest"][events.background], 0.99)
    share = np.mean(events.scores["interest"][events.labels == 1] >= threshold)
    for point in scan.points[1:]:
        assert point.excess.mean == pytest.approx(point.n_signal * share, abs=0.1 * point.n_signal + 4)
    z = [point.significance.median for point in scan.points]
    assert z == sorted(z) and z[3] > 3
    assert scan.points[3].significance.lower < z[3] < scan.points[3].significance.upper


def test_the_significance_is_that_of_the_counts() -> None:
    one = np.array([100.0])
    found = _significance(_Draws(one, one, one, one, one, ratio=1.0), np.array([30.0]))
    expected = on_off_excess(np.ones(130), np.ones(100), ratio=1.0, ends_with_off=True)
    assert found[0] == pytest.approx(expected.significance)
    # the threshold is the k-th highest score of one half: k of the other above it are as likely as not
    assert _significance(_Draws(one, one, one, one, one, ratio=1.0), np.zeros(1))[0] == pytest.approx(0)


def test_the_unit_of_weight_does_not_matter() -> None:
    events = make_events(5_000, 100)
    heavy = replace(events, weights=7 * events.weights)
    first, other = (injection_scans(e, ["interest"], n_draws=5)[0].points for e in (events, heavy))
    for point, same in zip(first, other, strict=True):
        assert same.significance.mean == pytest.approx(point.significance.mean)
        assert same.excess.mean == pytest.approx(point.excess.mean)


@pytest.mark.filterwarnings("error")
def test_background_without_weight_gives_no_scan_and_no_share() -> None:
    events = make_events(5_000, 100)
    events = replace(events, weights=np.where(events.background, 0.0, events.weights))
    assert injection_scans(events, ["interest"], n_draws=5) == ()
    (found,) = score_distributions(events, ("interest",))
    assert set(found.background) == {0.0}
    assert sum(found.families["dijet"]) == pytest.approx(1)


def test_a_blind_score_finds_nothing() -> None:
    events = make_events(20_000, 400)
    blind = np.random.default_rng(1).normal(size=len(events.labels))
    for scan in injection_scans(replace(events, scores={"interest": blind}), ["interest"], n_draws=60):
        assert abs(scan.points[-1].significance.mean) < 1


def test_shares_with_too_few_events_are_left_out_and_seeds_count() -> None:
    events = make_events(5_000, 50)
    first, again = (injection_scans(events, ["interest"], n_draws=5, seed=seed) for seed in (1, 1))
    assert first == again != injection_scans(events, ["interest"], n_draws=5, seed=2)
    assert {scan.share for scan in first} == {1e-2}
