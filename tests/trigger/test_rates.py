"""The table of rates."""

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest

from hepfilter.config.menu import Control
from hepfilter.statistics.intervals import efficiency
from hepfilter.trigger.decisions import Decisions, ResolvedPath, decide
from hepfilter.trigger.events import TriggerEvents
from hepfilter.trigger.rates import Rates, RateTable, rate_table
from tests.trigger.generated import trigger_events

PATHS = (
    ResolvedPath("high", "interest", 2.0),
    ResolvedPath("middle", "interest", 1.0, prescale=3.0),
    ResolvedPath("dijet"),
)
CONTROL = Control(probability=0.01)


def sample(count: int = 6_000, **columns: Any) -> TriggerEvents:
    """Sections 0 and 1 of run 7, and 1 to 4 of run 8, of random length."""
    rng = np.random.default_rng(2)
    section = rng.integers(0, 6, count)
    given: dict[str, Any] = {
        "run": np.where(section < 2, 7, 8).astype(np.uint32),
        "luminosity_block": np.where(section < 2, section, section - 1).astype(np.uint32),
        "when": {path.name: rng.random(count) < (0.2 if path.name == "dijet" else 1.0) for path in PATHS},
    }
    return trigger_events(count, seed=3, **(given | columns))


def table(events: TriggerEvents, paths: tuple[ResolvedPath, ...] = PATHS, **options: Any) -> RateTable:
    return rate_table(events, decide(events, paths, control=CONTROL, seed=1), paths, **options)


def matches(rates: Rates, index: Any, mask: np.ndarray, weights: np.ndarray, scale: float = 1.0) -> bool:
    """Whether one of the rates, with its interval, is what `efficiency` says of the events that passed."""
    wanted = efficiency(mask, weights)
    found = [getattr(rates, name)[index] for name in ("value", "lower", "upper")]
    return found == pytest.approx([scale * x for x in (wanted.value, wanted.lower, wanted.upper)], nan_ok=True)


@pytest.mark.parametrize("kind", ["unweighted", "weighted", "signed"])
def test_every_number_is_a_count(kind: str) -> None:
    weights = 30 ** np.random.default_rng(1).random(6_000) if kind == "weighted" else np.ones(6_000)
    weights[::7] *= -1 if kind == "signed" else 1
    events = sample(weights=weights)
    decisions = decide(events, PATHS, control=CONTROL, seed=1)
    found = rate_table(events, decisions, PATHS)
    assert (found.of, found.events, found.paths, found.blinded) == ("fraction", 6_000, ("high", "middle", "dijet"), ())
    passed = decisions.passed
    for path in range(3):
        others = np.delete(passed, path, axis=1).any(axis=1)
        assert matches(found.raw, path, decisions.raw[:, path], weights)
        assert matches(found.prescaled, path, passed[:, path], weights)
        assert matches(found.pure, path, passed[:, path] & ~others, weights)
        assert matches(found.shared, path, passed[:, path] & others, weights)
        for other in range(3):
            assert matches(found.overlap, (path, other), passed[:, path] & passed[:, other], weights)
    assert matches(found.union, (), passed.any(axis=1), weights)
    assert matches(found.control, (), decisions.control, weights)
    assert matches(found.written, (), decisions.kept, weights)


def test_runs_and_sections() -> None:
    events = sample(weights=30 ** np.random.default_rng(1).random(6_000))
    passed = decide(events, PATHS, control=CONTROL, seed=1).passed
    found = table(events)
    assert found.sections.run.tolist() == [7, 7, 8, 8, 8, 8]
    assert found.sections.luminosity_block.tolist() == [0, 1, 1, 2, 3, 4]
    assert (found.runs.run.tolist(), found.runs.luminosity_block.tolist()) == ([7, 8], [0, 0])
    for row in range(6):
        inside = (events.run == found.sections.run[row]) & (
            events.luminosity_block == found.sections.luminosity_block[row]
        )
        assert found.sections.events[row] == np.count_nonzero(inside)
        assert matches(found.sections.union, row, passed[inside].any(axis=1), events.weights[inside])
        for path in range(3):
            assert matches(found.sections.prescaled, (row, path), passed[inside, path], events.weights[inside])
    for row, run in enumerate((7, 8)):
        inside = events.run == run
        assert found.runs.events[row] == np.count_nonzero(inside)
        assert matches(found.runs.prescaled, (row, 2), passed[inside, 2], events.weights[inside])


def test_hertz_of_data() -> None:
    """Six sections of 20 s: each event is 1/120 Hz; in its own section that is one in 20 s."""
    events = sample(hertz=np.full(6_000, 1 / 120))
    passed = decide(events, PATHS, control=CONTROL, seed=1).passed
    found = table(events)
    assert found.of == "Hz"
    assert found.raw.value[2] == pytest.approx(np.count_nonzero(events.when["dijet"]) / 120)
    for row in range(6):
        inside = (events.run == found.sections.run[row]) & (
            events.luminosity_block == found.sections.luminosity_block[row]
        )
        assert found.sections.prescaled.value[row, 0] == pytest.approx(np.count_nonzero(passed[inside, 0]) / 20)
        assert matches(found.sections.union, row, passed[inside].any(axis=1), np.ones(inside.sum()), inside.sum() / 20)
    assert found.runs.prescaled.value[0, 0] == pytest.approx(np.count_nonzero(passed[events.run == 7, 0]) / 40)


def test_sections_without_events_take_their_time() -> None:
    """Six sections with events, and four without: each event is 1/200 Hz, in its own section still one in 20 s."""
    events = sample(hertz=np.full(6_000, 1 / 200))
    empty = (np.array([7, 7, 8, 9], np.uint64) << np.uint64(32)) | np.array([5, 1, 9, 1], np.uint64)  # 7:1 has events
    more = np.append(empty, np.uint64(9 << 32 | 2))
    with_all = table(events, sections=more)
    assert with_all.raw.value[2] == pytest.approx(np.count_nonzero(events.when["dijet"]) / 200)
    passed = decide(events, PATHS, control=CONTROL, seed=1).passed
    first = (events.run == 7) & (events.luminosity_block == 0)
    assert with_all.sections.prescaled.value[0, 0] == pytest.approx(np.count_nonzero(passed[first, 0]) / 20)
    assert with_all.runs.prescaled.value[:, 2] == pytest.approx(
        [np.count_nonzero(passed[events.run == run, 2]) / (20 * length) for run, length in ((7, 3), (8, 5))]
    )


def test_what_is_blind_changes_nothing() -> None:
    """The rates are those of a menu without the blind path, on a sample without the region.

    The numbers of events are those of all: else their difference to what was read would tell what is in the region.
    """
    events = sample(hertz=np.full(6_000, 1 / 120))
    blind = np.arange(6_000) % 7 == 0
    region = replace(events, blind=blind)
    paths = (PATHS[0], replace(PATHS[1], blind=True), PATHS[2])
    found = table(region, paths)
    assert (found.blinded, found.blind_regions, found.paths) == (("middle",), True, ("high", "dijet"))
    without = table(events[~blind], (PATHS[0], PATHS[2]))
    for name in ("raw", "prescaled", "pure", "shared", "overlap", "union", "control", "written"):
        assert close(getattr(found, name), getattr(without, name)), name
    assert close(found.runs.prescaled, without.runs.prescaled) and close(found.sections.union, without.sections.union)
    assert (found.events, found.runs.events.sum(), found.sections.events.sum()) == (6_000, 6_000, 6_000)
    assert same(table(region, paths, unblind=True), table(events))


def close(one: Rates, other: Rates) -> bool:
    return all(
        np.allclose(a, b, rtol=1e-12, atol=0) for a, b in zip(vars(one).values(), vars(other).values(), strict=True)
    )


def same(one: RateTable, other: RateTable) -> bool:
    return repr_of(asdict(one)) == repr_of(asdict(other))


def repr_of(plain: Any) -> Any:
    if isinstance(plain, dict):
        return {name: repr_of(value) for name, value in plain.items()}
    return plain.tolist() if isinstance(plain, np.ndarray) else plain


def test_edges() -> None:
    nothing = table(sample(0))
    assert np.isnan(nothing.raw.value).all()
    assert (nothing.raw.lower == 0).all()
    assert (nothing.raw.upper == 1).all()
    assert (nothing.sections.prescaled.value.shape, nothing.runs.union.value.shape) == ((0, 3), (0,))
    only = table(sample(), (replace(PATHS[0], blind=True),))
    assert (only.raw.value.shape, only.overlap.value.shape, only.union.value.item()) == ((0,), (0, 0), 0)
    with pytest.raises(ValueError, match="not finite"):
        table(sample(weights=np.full(6_000, np.nan)))
    assert np.isnan(table(sample(weights=-np.ones(6_000))).raw.value).all()
    bits = np.zeros((6_000, 1), bool)
    other = Decisions(("other",), bits, bits, bits[:, 0], np.ones(6_000), {})
    with pytest.raises(ValueError, match="do not fit"):
        rate_table(sample(), other, PATHS)
