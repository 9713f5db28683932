"""Background with the spectrum of signal."""

import numpy as np
import pytest

from hepfilter.config.graph import load_graph_specification
from hepfilter.config.training import Fit, Reweight
from hepfilter.errors import TrainingError
from hepfilter.events.observables import OBSERVABLES
from hepfilter.graphs.labelled import LabelledGraphs
from hepfilter.training.fitting import _weighted_parts
from hepfilter.training.reweighting import match_signals
from tests.graph_records import definition
from tests.training.test_batches import data_with


def sample(n_events: int, seed: int, *, shift: float = 1.0) -> tuple[LabelledGraphs, np.ndarray, np.ndarray]:
    """Signal is harder than background by `shift` in the log of the hardness, and weights are uneven."""
    rng = np.random.default_rng(seed)
    data, is_signal = data_with(np.ones(n_events)), rng.random(n_events) < 0.4
    values = np.exp(rng.normal(5 + shift * is_signal, 1, n_events))
    data.observables[:, OBSERVABLES.index("hardness")] = values
    return data, rng.exponential(size=n_events), is_signal


def spectra(data: LabelledGraphs, weights: np.ndarray, is_signal: np.ndarray, edges: np.ndarray) -> list[np.ndarray]:
    place = np.searchsorted(edges, data.observable("hardness"), side="right")
    found = [np.bincount(place[which], weights[which], len(edges) + 1) for which in (is_signal, ~is_signal)]
    return [one / one.sum() for one in found]


def test_background_gets_the_spectrum_of_signal_and_keeps_its_total() -> None:
    data, weights, is_signal = sample(4000, 1)
    match = match_signals(Reweight(observable="hardness", bins=12, max_factor=100), data, weights, is_signal)
    assert len(match.factors) == 12
    found = match.apply(data, weights, is_signal)
    signal, background = spectra(data, found, is_signal, match.edges)
    assert background == pytest.approx(signal, rel=1e-3)
    before = spectra(data, weights, is_signal, match.edges)
    assert np.abs(before[0] - before[1]).sum() > 0.5
    assert np.array_equal(found[is_signal], weights[is_signal])
    assert found[~is_signal].sum() == pytest.approx(weights[~is_signal].sum())
    # What was learnt of one sample serves another.
    other, its_weights, its_signal = sample(4000, 2)
    one, two = spectra(other, match.apply(other, its_weights, its_signal), its_signal, match.edges)
    assert np.abs(one - two).sum() < 0.25


def test_no_weight_changes_by_more_than_the_bound() -> None:
    data, weights, is_signal = sample(3000, 3, shift=3.0)
    match = match_signals(Reweight(observable="hardness", bins=10, max_factor=2), data, weights, is_signal)
    assert match.factors.max() / match.factors.min() == pytest.approx(4)


def test_values_that_are_all_equal_make_one_bin() -> None:
    data, weights, is_signal = sample(200, 4)
    match = match_signals(Reweight(observable="met", bins=10), data, weights, is_signal)
    assert match.apply(data, weights, is_signal) == pytest.approx(weights)


def test_an_unknown_observable() -> None:
    data, weights, is_signal = sample(20, 5)
    with pytest.raises(TrainingError, match="no observable 'hardnes'; nearest: hardness"):
        match_signals(Reweight(observable="hardnes"), data, weights, is_signal)


def test_a_fit_matches_training_and_validation() -> None:
    """Of four classes the first two are background; what the training events say holds for both parts."""
    samples = [sample(2000, seed) for seed in (6, 7)]
    targets = [2 * is_signal + np.arange(2000) % 2 for _, _, is_signal in samples]
    options = Fit(reweight=Reweight(observable="hardness", bins=10))
    data, model = (samples[0][0], samples[1][0]), definition(load_graph_specification("objects"))
    parts = _weighted_parts(model, data, (targets[0], targets[1]), options)
    plain = _weighted_parts(model, data, (targets[0], targets[1]), Fit())
    match = match_signals(options.reweight, data[0], plain[0].weights, samples[0][2])  # type: ignore[arg-type]
    for part, before, (_, _, is_signal) in zip(parts, plain, samples, strict=True):
        assert np.array_equal(part.weights, match.apply(part.data, before.weights, is_signal))
        assert not np.array_equal(part.weights, before.weights)
