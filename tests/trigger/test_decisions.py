"""Decisions: exact, the same in any order, untouched by the rest of the menu, with probabilities that are right."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest

from hepfilter.config.menu import Control
from hepfilter.trigger.decisions import Decisions, ResolvedPath, decide, raw_bits
from hepfilter.trigger.events import TriggerEvents
from hepfilter.trigger.hashing import event_hash
from tests.trigger.generated import trigger_events

PATHS = (
    ResolvedPath("anomaly", "interest", 3.5),
    ResolvedPath("soft", "interest", 0.0, prescale=20.0, stream="monitoring"),
    ResolvedPath("rare", "pvalue", 2.0, prescale=1.5),
    ResolvedPath("dijet", prescale=10.0, stream="monitoring"),
    ResolvedPath("off", prescale=0.0, stream="nothing"),
)
CONTROL = Control(probability=0.02, score="interest", rising=[{"above": 2.0, "probability": 0.2}])


def events_of(count: int = 20_000, seed: int = 0) -> TriggerEvents:
    """Events with all that `PATHS` need."""
    rng = np.random.default_rng(seed + 1)
    p = np.exp(-rng.exponential(size=count)).astype(np.float32)
    when = {path.name: np.ones(count, bool) for path in PATHS} | {"dijet": rng.uniform(size=count) < 0.3}
    events = trigger_events(count, seed=seed, when=when)
    return replace(events, scores=dict(events.scores) | {"pvalue": p})


def same(one: Decisions, other: Decisions, chosen: Any = slice(None)) -> bool:
    """Whether `one` is byte for byte what `other` says of the chosen events."""
    names = ("raw", "passed", "control", "probability", "kept", "weight")
    columns = all(getattr(one, name).tobytes() == getattr(other, name)[chosen].tobytes() for name in names)
    streams = {name: bits[chosen].tobytes() for name, bits in other.streams.items()}
    return columns and streams == {name: bits.tobytes() for name, bits in one.streams.items()}


def test_each_path_is_its_condition_and_its_threshold() -> None:
    events = events_of()
    raw = raw_bits(events, PATHS)
    interest, p = events.scores["interest"], events.scores["pvalue"]
    assert (interest == 0).any()  # at the threshold, which passes
    expected = [interest >= 3.5, interest >= 0, -np.log(p) >= 2, events.when["dijet"], np.ones(len(events), bool)]
    assert np.array_equal(raw, np.stack(expected, axis=1))
    conditional = replace(events, when=dict(events.when) | {"anomaly": events.when["dijet"]})
    assert np.array_equal(raw_bits(conditional, PATHS)[:, 0], (interest >= 3.5) & events.when["dijet"])


def test_a_path_or_score_that_is_not_there_is_an_error() -> None:
    events = events_of(10)
    with pytest.raises(KeyError, match="other"):
        raw_bits(events, [ResolvedPath("other")])
    with pytest.raises(KeyError, match="density"):
        raw_bits(events, [ResolvedPath("dijet", "density", 1.0)])
    with pytest.raises(ValueError, match="dijet: a column needs a threshold"):
        ResolvedPath("dijet", "density")


def test_prescales_streams_and_the_union() -> None:
    events = events_of()
    decisions = decide(events, PATHS, control=CONTROL, seed=5)
    identity = (events.run, events.luminosity_block, events.event)
    u = {path.name: event_hash(*identity, seed=5, purpose="prescale", path=path.name) for path in PATHS}
    limits = (1, 1 / 20, 1 / 1.5, 1 / 10, 0)
    expected = np.stack([u[path.name] < limit for path, limit in zip(PATHS, limits, strict=True)], axis=1)
    assert np.array_equal(decisions.passed, decisions.raw & expected)
    share = np.where(events.scores["interest"] >= 2.0, 0.2, 0.02)
    assert np.array_equal(decisions.control, event_hash(*identity, seed=5, purpose="control") < share)
    assert np.array_equal(decisions.kept, decisions.passed[:, :4].any(axis=1) | decisions.control)
    assert list(decisions.streams) == ["physics", "monitoring", "nothing", "control"]
    assert np.array_equal(decisions.streams["physics"], decisions.passed[:, 0] | decisions.passed[:, 2])
    assert np.array_equal(decisions.streams["monitoring"], decisions.passed[:, 1] | decisions.passed[:, 3])
    assert np.array_equal(decisions.streams["control"], decisions.control)
    assert not decisions.streams["nothing"].any()
    assert decisions.raw[:, 4].all()  # a path that is off still has its raw bit
    assert decisions.paths == ("anomaly", "soft", "rare", "dijet", "off")


def test_the_same_in_ten_orders_and_splittings() -> None:
    events = events_of()
    whole = decide(events, PATHS, control=CONTROL, seed=5)
    rng = np.random.default_rng(0)
    for pieces in (1, 2, 3, 7, 19, 100, 333, 1000, 5000, len(events)):
        order = rng.permutation(len(events))
        for chosen in np.array_split(order, pieces)[:50]:
            assert same(decide(events[chosen], PATHS, control=CONTROL, seed=5), whole, chosen)


def test_no_events_are_no_problem() -> None:
    decisions = decide(events_of(0), PATHS, control=CONTROL, seed=5)
    assert decisions.raw.shape == decisions.passed.shape == (0, 5)
    assert len(decisions.kept) == len(decisions.weight) == len(decisions.streams["control"]) == 0
    nothing = decide(events_of(3), (), control=None, seed=5)
    assert not nothing.kept.any() and nothing.streams == {}


def _renamed(paths: tuple[ResolvedPath, ...]) -> tuple[ResolvedPath, ...]:
    return (replace(paths[0], name="dijet"), *paths[1:3], replace(paths[3], name="anomaly"), paths[4])


EDITS: dict[str, Callable[[tuple[ResolvedPath, ...]], tuple[ResolvedPath, ...]]] = {
    "removed": lambda paths: paths[1:3],
    "added": lambda paths: (replace(paths[0], name="off"), *paths[:4]),
    "renamed": _renamed,
    "reordered": lambda paths: paths[::-1],
    "retuned": lambda paths: (*paths[:3], replace(paths[3], prescale=77.0, stream="other", blind=True)),
}


@pytest.mark.parametrize("edit", EDITS)
def test_edits_elsewhere_in_the_menu_change_no_bit(edit: str) -> None:
    events = events_of()
    before = decide(events, PATHS, control=CONTROL, seed=5)
    edited = EDITS[edit](PATHS)
    after = decide(events, edited, control=None if edit == "removed" else CONTROL, seed=5)
    for name in ("soft", "rare"):
        for bits in ("raw", "passed"):
            columns = [getattr(d, bits)[:, d.paths.index(name)] for d in (before, after)]
            assert np.array_equal(*columns)
    assert edit == "removed" or np.array_equal(before.control, after.control)


def test_another_seed_changes_the_prescaled_bits_alone() -> None:
    events = events_of()
    one, other = (decide(events, PATHS, control=CONTROL, seed=seed) for seed in (5, 6))
    assert np.array_equal(one.raw, other.raw) and np.array_equal(one.probability, other.probability)
    assert not np.array_equal(one.passed[:, 1], other.passed[:, 1])
    assert not np.array_equal(one.control, other.control)


PRESCALES = (1.0, 2.5, 10.0, 0.0)


@pytest.mark.parametrize("floor", [None, 0.125, 1.0])
def test_the_probability_is_that_of_all_outcomes_together(floor: float | None) -> None:
    """Every pattern of raw bits: the probability is the sum over all outcomes of the independent u in which one passes.

    And the share of kept events is that within 4.5 standard deviations, for 16 patterns of 20,000 events.
    """
    names, repeats = "abcd", 20_000
    patterns = np.array(list(product([False, True], repeat=4)))
    bits = np.repeat(patterns, repeats, axis=0)
    events = trigger_events(len(bits), when={name: bits[:, index] for index, name in enumerate(names)})
    paths = [ResolvedPath(name, prescale=prescale) for name, prescale in zip(names, PRESCALES, strict=True)]
    decisions = decide(events, paths, control=None if floor is None else Control(probability=floor), seed=11)
    assert np.array_equal(decisions.raw, bits)
    kept = decisions.kept.reshape(16, repeats).mean(axis=1)
    stated = decisions.probability.reshape(16, repeats)
    for pattern, share, probabilities in zip(patterns, kept, stated, strict=True):
        chances = [raw / prescale if prescale else 0.0 for raw, prescale in zip(pattern, PRESCALES, strict=True)]
        expected = _any_of([floor or 0.0, *chances])
        assert (probabilities == probabilities[0]).all()
        assert probabilities[0] == pytest.approx(expected, rel=1e-14, abs=0)
        assert probabilities[0] <= 1
        assert abs(share - expected) <= 4.5 * np.sqrt(expected * (1 - expected) / repeats)


def _any_of(chances: list[float]) -> float:
    """The probability that at least one of independent things happens, by listing all that can."""
    total = 0.0
    for outcome in product([False, True], repeat=len(chances)):
        if any(outcome):
            total += float(np.prod([p if happens else 1 - p for p, happens in zip(chances, outcome, strict=True)]))
    return min(total, 1.0)


def test_small_probabilities_are_exact_and_certain_events_certain() -> None:
    events = trigger_events(3, when={"rare": np.array([False, True, True]), "all": np.array([False, False, True])})
    paths = (ResolvedPath("rare", prescale=1e12), ResolvedPath("all"))
    decisions = decide(events, paths, control=Control(probability=1e-15), seed=1)
    assert decisions.probability[0] == 1e-15
    assert decisions.probability[1] == pytest.approx(1.001e-12, rel=1e-12)
    assert decisions.probability[2] == 1.0 and decisions.weight[2] == 1.0


def test_weights_are_of_kept_events_alone() -> None:
    events = events_of()
    decisions = decide(events, PATHS[:4], control=None, seed=5)
    assert np.array_equal(decisions.weight > 0, decisions.kept)
    assert np.array_equal(decisions.weight[decisions.kept], 1 / decisions.probability[decisions.kept])
    impossible = ~decisions.raw.any(axis=1)
    assert impossible.any() and (decisions.probability[impossible] == 0).all() and not decisions.kept[impossible].any()
