"""Reweighting to another spectrum: what is asked for, what is out of reach, and that no event counts for too much."""

import numpy as np
import pytest

from hepfilter.evaluation.metrics import roc_auc
from hepfilter.statistics.reweighting import BINS_PER_DECADE, MIN_EVENTS, match_spectrum


def spectra(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    rng = np.random.default_rng(seed)
    return 50 + rng.exponential(100, 40_000), 50 + rng.exponential(150, 5_000)


def test_the_spectra_agree_and_the_observable_tells_nothing() -> None:
    source, target = spectra()
    found = match_spectrum(source, target)
    edges = 10 ** (np.arange(30, 65) / BINS_PER_DECADE)
    wanted = np.histogram(target[found.in_reach], edges)[0] / found.in_reach.sum()
    assert np.histogram(source, edges, weights=found.weights)[0] == pytest.approx(wanted)
    assert found.weights.sum() == pytest.approx(1)
    assert found.coverage == pytest.approx(found.in_reach.mean())
    assert 0.99 < found.coverage < 1
    assert 2_000 < found.n_effective < 40_000
    assert found.bounded == 0
    signal = target[found.in_reach]
    assert roc_auc(signal, source) > 0.55
    assert roc_auc(signal, source, background_weights=found.weights) == pytest.approx(0.5, abs=0.01)


def test_what_has_no_source_is_out_of_reach() -> None:
    source = np.repeat([10.0, 100.0], [MIN_EVENTS - 1, MIN_EVENTS])
    found = match_spectrum(source, np.array([10.0, 100.0, 100.0, 1000.0]), target_weights=np.array([1.0, 1, 2, 6]))
    assert found.in_reach.tolist() == [False, True, True, False]
    assert found.coverage == pytest.approx(0.3)
    assert found.weights.tolist() == pytest.approx([0.0] * 9 + [0.1] * 10)


def test_nothing_in_common() -> None:
    found = match_spectrum(np.full(50, 1.0), np.full(50, 9.0))
    assert not found.weights.any()
    assert not found.in_reach.any()
    assert (found.coverage, found.n_effective, found.bounded) == (0.0, 0.0, 0.0)
    assert np.isnan(match_spectrum(np.full(50, 1.0), np.empty(0)).coverage)


def test_the_weights_within_a_bin_stay_and_no_event_dominates() -> None:
    source, weights = np.full(101, 3.0), np.ones(101)
    weights[:50] = 2.0
    found = match_spectrum(source, np.full(5, 3.0), source_weights=weights)
    assert found.weights[0] == pytest.approx(2 * found.weights[-1])
    weights[100] = 1e6  # an event of a soft sample that fluctuated up
    found = match_spectrum(source, np.full(5, 3.0), source_weights=weights)
    assert found.weights[100] == pytest.approx(1 / MIN_EVENTS)
    assert found.weights.sum() == pytest.approx(1)
    assert found.weights[0] == pytest.approx(2 * found.weights[99])
    assert found.n_effective >= MIN_EVENTS
    assert found.bounded == pytest.approx(1 / 101)


def test_events_without_weight_are_no_source() -> None:
    weights = np.r_[np.ones(MIN_EVENTS - 1), 0.0]
    assert match_spectrum(np.full(10, 3.0), np.full(5, 3.0), source_weights=weights).coverage == 0


def test_zero_has_a_bin_of_its_own() -> None:
    found = match_spectrum(np.r_[np.zeros(20), np.full(20, 1e-9)], np.zeros(7))
    assert found.weights.tolist() == pytest.approx([0.05] * 20 + [0.0] * 20)
