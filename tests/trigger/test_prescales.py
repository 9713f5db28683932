"""Prescales and the control stream: exact, nested, independent, and uniform over ten million identities."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from hepfilter.config.menu import Control
from hepfilter.events.identity import Identity
from hepfilter.trigger.events import interesting
from hepfilter.trigger.hashing import event_hash
from hepfilter.trigger.prescales import accepted_share, control_probability, in_control, prescaled
from tests.trigger.generated import trigger_events

PRESCALES = (1, 1.5, 2, 3, 7, 10, 100, 12_345.6)
BLOCK = 100_000


def test_the_prescale_is_the_event_hash() -> None:
    events = trigger_events(5000)
    identity = (events.run, events.luminosity_block, events.event)
    u = event_hash(*identity, seed=3, purpose="prescale", path="dijet")
    raw = np.arange(5000) % 3 > 0
    for prescale in PRESCALES:
        passed = prescaled(events, raw, path="dijet", prescale=prescale, seed=3)
        assert np.array_equal(passed, raw & (u < 1 / prescale))
    assert not prescaled(events, raw, path="dijet", prescale=0, seed=3).any()
    assert [accepted_share(prescale) for prescale in (0, 1, 4)] == [0.0, 1.0, 0.25]


def test_what_passes_a_prescale_passes_every_smaller_one() -> None:
    events, raw = trigger_events(50_000), np.ones(50_000, bool)
    passed = [prescaled(events, raw, path="dijet", prescale=prescale, seed=1) for prescale in PRESCALES]
    for looser, tighter in pairwise(passed):
        assert looser[tighter].all()
        assert looser.sum() > tighter.sum()


def test_which_events_pass_never_changes() -> None:
    """A decision made years ago must be made again: these are fixed for good."""
    events, raw = trigger_events(60), np.ones(60, bool)
    assert np.flatnonzero(prescaled(events, raw, path="dijet", prescale=10, seed=1)).tolist() == [1, 2, 7, 16, 28, 46]
    in_stream = in_control(events, np.full(60, 0.1), seed=1)
    assert np.flatnonzero(in_stream).tolist() == [11, 19, 24, 45, 46, 50, 51, 59]


@pytest.mark.parametrize("column", ["interest", "combined"])
def test_the_control_stream_rises_with_the_score(column: str) -> None:
    steps = [{"above": 1.0, "probability": 0.1}, {"above": 2.5, "probability": 1.0}]
    control = Control(probability=0.01, score=column, rising=steps)
    heights = np.array([-9.0, 1.0 - 2**-10, 1.0, 2.0, 2.5, 99.0])
    values = np.exp(-heights) if column == "combined" else heights
    events = trigger_events(6, scores={column: values.astype(np.float32)})
    reached = interesting(column, events.scores[column])
    expected = np.where(reached >= 2.5, 1.0, np.where(reached >= 1.0, 0.1, 0.01))
    assert np.array_equal(control_probability(events, control), expected)
    if column == "interest":
        assert expected.tolist() == [0.01, 0.01, 0.1, 0.1, 1.0, 1.0]
    assert control_probability(events, Control(probability=0.3)).tolist() == [0.3] * 6
    assert control_probability(events, None).tolist() == [0.0] * 6


def test_the_control_stream_is_the_event_hash_of_its_own_purpose() -> None:
    events = trigger_events(5000)
    u = event_hash(events.run, events.luminosity_block, events.event, seed=3, purpose="control")
    probability = np.random.default_rng(1).uniform(size=5000) * (np.arange(5000) % 2)
    assert np.array_equal(in_control(events, probability, seed=3), u < probability)


def identities() -> Iterator[tuple[str, Identity]]:
    """Ten million different identities in blocks, consecutive in what the name says."""
    first, rng = np.uint32(1), np.random.default_rng(0)
    for block in range(100):
        numbers = np.arange(block * BLOCK, (block + 1) * BLOCK)
        if block < 50:
            yield (
                "event",
                Identity(np.full(BLOCK, 1, np.uint32), np.full(BLOCK, 7, np.uint32), numbers.astype(np.uint64)),
            )
        elif block < 60:
            yield (
                "lumi",
                Identity(np.full(BLOCK, 2, np.uint32), numbers.astype(np.uint32), np.full(BLOCK, 5, np.uint64)),
            )
        elif block < 70:
            yield "run", Identity(numbers.astype(np.uint32), np.full(BLOCK, first), np.full(BLOCK, 5, np.uint64))
        elif block < 80:
            yield "file", Identity.from_entries(f"file_{block}.root", 0, BLOCK)
        elif block < 90:
            high = numbers.astype(np.uint64) << np.uint64(32)
            yield "event", Identity(np.full(BLOCK, 3, np.uint32), np.full(BLOCK, first), high)
        else:
            columns = rng.integers(0, 2**32, (2, BLOCK), np.uint32)
            yield "random", Identity(*columns, rng.integers(0, 2**64, BLOCK, np.uint64))


@dataclass
class Tally:
    """Histograms of u, and of pairs of u: of two purposes for one event, and of one event and the next."""

    single: dict[str, np.ndarray] = field(default_factory=dict)
    pairs: dict[str, np.ndarray] = field(default_factory=dict)
    passed: np.ndarray = field(default_factory=lambda: np.zeros((2,) * 4))

    def add(self, u: dict[str, np.ndarray]) -> None:
        for name, values in u.items():
            self._count(self.single, name, (values * 1000).astype(int), 1000)
            self._count(self.pairs, f"{name}, next", *_cells(values[:-1], values[1:]))
        names = list(u)
        for index, name in enumerate(names):
            for other in names[index + 1 :]:
                self._count(self.pairs, f"{name}, {other}", *_cells(u[name], u[other]))
        bits = [(u[name] < 0.1).astype(int) for name in names]
        self.passed += np.bincount(np.ravel_multi_index(bits, (2,) * 4), minlength=16).reshape((2,) * 4)

    @staticmethod
    def _count(histograms: dict[str, np.ndarray], name: str, cells: np.ndarray, size: int) -> None:
        histograms[name] = histograms.get(name, 0) + np.bincount(cells, minlength=size)


def _cells(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, int]:
    """The cell of each pair in a grid of 32 × 32."""
    return (first * 32).astype(int) * 32 + (second * 32).astype(int), 1024


@pytest.fixture(scope="module")
def tally() -> Tally:
    tally = Tally()
    for _, identity in identities():
        columns = (identity.run, identity.luminosity_block, identity.event)
        u = {path: event_hash(*columns, seed=1, purpose="prescale", path=path) for path in ("dijet", "dijet2", "x")}
        tally.add(u | {"control": event_hash(*columns, seed=1, purpose="control")})
    return tally


def test_ten_million_identities_are_uniform(tally: Tally) -> None:
    for name, counts in tally.single.items():
        assert counts.sum() == 10**7
        assert 1e-3 < stats.chisquare(counts).pvalue < 1 - 1e-3, name


def test_paths_and_consecutive_events_are_independent(tally: Tally) -> None:
    """χ² of 32 × 32 cells for each pair of paths, and of each event and the next; their correlations."""
    assert len(tally.pairs) == 4 + 6
    centres = np.arange(32) - 15.5
    for name, counts in tally.pairs.items():
        assert 1e-3 < stats.chisquare(counts).pvalue < 1 - 1e-3, name
        correlation = centres @ counts.reshape(32, 32) @ centres / counts.sum() / np.mean(centres**2)
        assert abs(correlation) < 3.5 / np.sqrt(counts.sum()), name


def test_prescaled_bits_of_all_paths_together_are_independent(tally: Tally) -> None:
    expected = 10**7 * np.prod(np.meshgrid(*[[0.9, 0.1]] * 4, indexing="ij"), axis=0)
    assert stats.chisquare(tally.passed.ravel(), expected.ravel()).pvalue > 1e-3


def test_a_seed_of_its_own_is_independent() -> None:
    events, raw = trigger_events(100_000), np.ones(100_000, bool)
    one, other = (prescaled(events, raw, path="dijet", prescale=2, seed=seed) for seed in (1, 2))
    assert abs(np.mean(one == other) - 0.5) < 4 * 0.5 / np.sqrt(100_000)
