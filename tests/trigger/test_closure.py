"""The weights of the kept events give back what all events were: spectra, and efficiencies of paths."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats

from hepfilter.config.menu import Control
from hepfilter.trigger.decisions import Decisions, ResolvedPath, decide
from hepfilter.trigger.events import TriggerEvents
from tests.trigger.generated import trigger_events

SEEDS = range(200)
BINS = 12
PATHS = (
    ResolvedPath("anomaly", "interest", 4.5),
    ResolvedPath("soft", "interest", 1.0, prescale=8.0),
    ResolvedPath("dijet", prescale=5.0, stream="monitoring"),
    ResolvedPath("off", prescale=0.0),
)
CONTROL = Control(
    probability=0.04,
    score="interest",
    rising=[{"above": 0.5, "probability": 0.1}, {"above": 2.5, "probability": 0.5}],
)


@dataclass(frozen=True)
class Sample:
    """Events, the bin of a branch for each, what a menu decides under the first seed, the weights [S, B] under all."""

    events: TriggerEvents
    bins: np.ndarray
    decisions: Decisions
    weights: np.ndarray

    def spectrum(self, amounts: np.ndarray) -> np.ndarray:
        """[BINS] sums of `amounts` [B]."""
        return np.bincount(self.bins, amounts, minlength=BINS)

    def closure(self, amounts: np.ndarray) -> np.ndarray:
        """The χ² probability of each seed that the weighted spectrum of the kept events is that of all events."""
        p = self.decisions.probability
        truth, variance = self.spectrum(amounts), self.spectrum(amounts**2 * (1 - p) / p)
        found = np.array([self.spectrum(amounts * weights) for weights in self.weights])
        return stats.chi2.sf(((found - truth) ** 2 / variance).sum(axis=1), BINS)


@pytest.fixture(scope="module", params=["unweighted", "weighted"])
def sample(request: pytest.FixtureRequest) -> Sample:
    """25,000 events with a falling branch that goes along with the score; generator weights, one in ten negative."""
    count, rng = 25_000, np.random.default_rng(17)
    events = trigger_events(count, seed=17)
    branch = 50 * rng.exponential(size=count) * np.exp(events.scores["interest"] / 6)
    when = {path.name: np.ones(count, bool) for path in PATHS} | {"dijet": branch > 90}
    weights = rng.gamma(4.0, 0.25, count) * np.where(rng.uniform(size=count) < 0.1, -1.0, 1.0)
    columns = {"weights": weights} if request.param == "weighted" else {}
    events = trigger_events(count, seed=17, when=when, **columns)
    bins = np.digitize(branch, np.quantile(branch, np.linspace(0, 1, BINS + 1)[1:-1]))
    each = [decide(events, PATHS, control=CONTROL, seed=seed) for seed in SEEDS]
    return Sample(events, bins, each[0], np.array([decisions.weight for decisions in each]))


def test_weighted_spectra_of_kept_events_are_those_of_all(sample: Sample) -> None:
    probability = sample.decisions.probability
    assert sample.spectrum(probability).min() >= 25
    assert len(np.unique(probability)) > 8
    assert 0.1 < np.mean(sample.weights > 0) < 0.5
    assert stats.kstest(sample.closure(sample.events.weights), "uniform").pvalue > 1e-3


def test_so_is_the_spectrum_of_what_a_prescaled_path_took_before_its_prescale(sample: Sample) -> None:
    taken = sample.decisions.raw[:, PATHS.index(PATHS[1])]
    assert sample.spectrum(taken * sample.decisions.probability).min() >= 25
    assert stats.kstest(sample.closure(sample.events.weights * taken), "uniform").pvalue > 1e-3


def test_efficiencies_of_paths_over_all_events_come_from_the_kept_ones(sample: Sample) -> None:
    """The mean over all seeds is the truth within 4 standard deviations of it, and the spread is that of p."""
    weights, p = sample.events.weights, sample.decisions.probability
    sums = sample.weights @ weights
    for position in range(len(PATHS)):
        passed = sample.decisions.raw[:, position]
        found = sample.weights @ (weights * passed) / sums
        truth = np.sum(weights * passed) / weights.sum()
        spread = np.sqrt(np.sum((weights * (passed - truth)) ** 2 * (1 - p) / p)) / weights.sum()
        assert abs(np.mean(found) - truth) <= 4 * spread / np.sqrt(len(SEEDS))
        assert np.std(found) == pytest.approx(spread, rel=4 / np.sqrt(2 * len(SEEDS)))
