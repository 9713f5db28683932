"""Thresholds from budgets, and whether what they predict comes true."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hepfilter.config.menu import Menu
from hepfilter.errors import UsageError
from hepfilter.statistics.prediction import Prediction, predict
from hepfilter.trigger.decisions import raw_bits
from hepfilter.trigger.events import TriggerEvents
from hepfilter.trigger.thresholds import resolve
from tests.trigger.generated import trigger_events

SINGLE = {"paths": {"x": {"score": "interest", "fraction": "2%"}}}
JOINT = {
    "paths": {"x": {"score": "interest"}, "y": {"score": "density", "priority": 2}},
    "budget": {"fraction": "5%"},
}


def menu(**keys: Any) -> Menu:
    return Menu(name="m", **keys)


def sample(
    count: int, *, weighted: bool = False, signed: bool = False, seed: int = 1, **columns: Any
) -> TriggerEvents:  # fmt: skip
    """Two correlated scores on the grid; weights vary by a factor of 30, or 5 to 35 % of them, by score, are −1."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=count)
    scores = {
        name: (np.rint((common + rng.normal(size=count)) * 1024) / 1024).astype(np.float32)
        for name in ("interest", "density")
    }
    weights = 30 ** rng.random(count) if weighted else np.ones(count)
    if signed:
        weights = np.where(rng.random(count) < 0.2 + 0.15 * np.tanh(common), -1.0, 1.0)
    when = {name: np.ones(count, bool) for name in ("x", "y", "z")}
    return trigger_events(count, **({"scores": scores, "weights": weights, "when": when} | columns))


@pytest.mark.parametrize("kind", ["unweighted", "weighted", "signed"])
@pytest.mark.parametrize("keys", [SINGLE, JOINT], ids=["one path", "joint budget"])
def test_what_is_predicted_comes_true(keys: dict[str, Any], kind: str) -> None:
    """400 splits at random, at least 50 events passing: the other half lies inside 68 ± 5 % of the 68 % intervals."""
    events = sample(12_000, weighted=kind == "weighted", signed=kind == "signed")
    rng, inside = np.random.default_rng(3), 0
    asked = menu(**keys)
    for _ in range(400):
        order = rng.permutation(len(events))
        tuning, future = events[order[:6_000]], events[order[6_000:]]
        found = resolve(asked, tuning)
        predicted = found.budget or found.predictions["x"]
        kept = raw_bits(future, found.paths).any(axis=1)
        assert np.count_nonzero(raw_bits(tuning, found.paths).any(axis=1)) >= 50
        inside += predicted.lower <= future.weights @ kept / future.weights.sum() <= predicted.upper
    assert inside / 400 == pytest.approx(0.683, abs=0.05)


@pytest.mark.parametrize("keys", [SINGLE, JOINT], ids=["one path", "joint budget"])
def test_negative_weights_keep_the_budget_here_and_on_average_elsewhere(keys: dict[str, Any]) -> None:
    found, truth = [], sample(400_000, signed=True, seed=99)
    for seed in range(40):
        events = sample(8_000, signed=True, seed=seed)
        paths = resolve(menu(**keys), events).paths
        here, elsewhere = (
            float(one.weights @ raw_bits(one, paths).any(axis=1) / one.weights.sum()) for one in (events, truth)
        )
        budget = 0.02 if keys is SINGLE else 0.05
        assert 0.9 * budget < here <= budget * (1 + 1e-9)
        found.append(elsewhere / budget)
    assert np.mean(found) == pytest.approx(1, abs=0.04)


def test_every_working_point() -> None:
    paths: dict[str, Any] = {
        "fixed": {"score": "interest", "threshold": 2.0},
        "rare": {"score": "interest", "p_value": 0.01},
        "share": {"score": "interest", "fraction": "1%", "when": "nJet > 1"},
        "tenth": {"score": "interest", "fraction": "1%", "prescale": 10},
        "fast": {"score": "density", "rate": "30 Hz"},
        "plain": {"when": "nJet > 3", "stream": "other"},
        "off": {"score": "interest", "fraction": "1%", "prescale": 0},
    }
    when = {name: np.arange(10_000) % 2 == 0 if name in ("share", "plain") else np.ones(10_000, bool) for name in paths}
    p = np.float32(0.01) * np.arange(1, 10_001, dtype=np.float32) / 100
    events = sample(10_000, when=when, hertz=np.full(10_000, 0.1))
    events = replace(events, scores=dict(events.scores) | {"pvalue": p})
    found = resolve(menu(paths=paths), events)
    assert [path.name for path in found.paths] == list(paths)
    assert [path.column for path in found.paths] == [
        "interest",
        "pvalue",
        *["interest"] * 2,
        "density",
        None,
        "interest",
    ]
    passed = dict(zip(paths, raw_bits(events, found.paths).sum(axis=0).tolist(), strict=True))
    interest = events.scores["interest"]
    assert passed["fixed"] == np.count_nonzero(interest >= 2)
    assert passed["rare"] == np.count_nonzero(p <= np.float32(0.01)) == 100
    assert 98 <= passed["share"] <= 100
    assert 990 <= passed["tenth"] <= 1_000
    assert 298 <= passed["fast"] <= 300
    assert (passed["plain"], found.paths[5].threshold, found.paths[5].stream) == (5_000, None, "other")
    values = {name: (one.value, one.of) for name, one in found.predictions.items()}
    assert values["tenth"] == (pytest.approx(passed["tenth"] / 1e5), "fraction")
    assert values["fast"] == (pytest.approx(passed["fast"] / 10), "Hz")
    assert values["plain"] == (pytest.approx(500), "Hz")
    assert found.predictions["off"] == Prediction(0.0, 0.0, 0.0, 0.0, "fraction")
    assert passed["off"] > 98  # its raw bit stays
    bits, hertz = raw_bits(events, found.paths), np.full(10_000, 0.1)
    fixed, share = found.predictions["fixed"], found.predictions["share"]
    assert fixed.lower == pytest.approx(predict(bits[:, 0], hertz, of="Hz", tuned=False).lower, rel=1e-9)
    assert share.lower == pytest.approx(predict(bits[:, 2], events.weights, of="fraction", tuned=True).lower, rel=1e-9)
    assert found.union is not None
    assert found.union.of == "Hz"
    assert found.union.value > 500


@pytest.mark.parametrize("fraction", ["1%", "2%"])
def test_events_of_equal_score_pass_together(fraction: str) -> None:
    scores = {"interest": np.repeat(np.arange(500, dtype=np.float32), 20)[np.random.default_rng(0).permutation(10_000)]}
    found = resolve(menu(paths={"x": {"score": "interest", "fraction": fraction}}), sample(10_000, scores=scores))
    assert found.predictions["x"].value == float(fraction[:-1]) / 100
    odd = resolve(menu(paths={"x": {"score": "interest", "fraction": "1.19%"}}), sample(10_000, scores=scores))
    assert odd.predictions["x"].value == 0.01  # the largest set that is not above it


def test_a_longer_future_is_known_better() -> None:
    events, asked = sample(20_000), menu(**SINGLE)
    widths = [
        (one.upper - one.lower) / one.value
        for one in (resolve(asked, events, future=future).predictions["x"] for future in (2_000, 20_000, 10**7))
    ]
    ratio = 1 / 400 + np.array([1 / 40, 1 / 400, 1 / 200_000])
    assert np.array(widths) / 2 == pytest.approx(np.sqrt(ratio), rel=0.05)


@pytest.mark.parametrize(
    ("paths", "count", "message"),
    [
        (
            {"score": "interest", "fraction": "0.1%"},
            5_000,
            r"path x: its fraction leaves 5 .* of 5,000.* 10,000 events",
        ),
        ({"score": "interest", "fraction": "1/999"}, 9_000, r"leaves 9\.01 .* of 9,000, .* 9,990 events"),
        ({"score": "interest", "fraction": "0.1%", "prescale": 2}, 4_000, r"leaves 8 .* 5,000 events"),
        ({"score": "interest", "rate": "1 Hz"}, 5_000, r"path x: its rate leaves 5 .* 10,000 events"),
        ({"score": "interest", "fraction": "1%", "when": "rare"}, 5_000, r"leaves 5 .* 10,000 events"),
        ({"score": "interest", "fraction": "1%", "when": "never"}, 5_000, r"`when` is true for none of 5,000 events"),
        ({"score": "flat", "fraction": "1%"}, 5_000, r"its fraction: 5,000 events of equal score do not fit into it"),
        ({"score": "interest", "rate": "1 Hz"}, 400, r"leaves 5 .* 800 events"),
    ],
)
def test_a_sample_that_is_too_small_is_refused(paths: dict[str, Any], count: int, message: str) -> None:
    """With the number of events that are needed: there it works."""
    wanted = {"rare": np.arange(count) % 1_000 == 0, "never": np.zeros(count, bool)}
    when = {"x": wanted.get(paths.get("when", ""), np.ones(count, bool))}
    hertz = np.full(count, 0.2)
    events = sample(count, when=when, hertz=hertz)
    events = replace(events, scores=dict(events.scores) | {"flat": np.zeros(count, np.float32)})
    with pytest.raises(UsageError, match=message):
        resolve(menu(paths={"x": paths}), events)


def needed_by(asked: Menu, events: TriggerEvents) -> int:
    """The number of events that the refusal tells."""
    with pytest.raises(UsageError) as raised:
        resolve(asked, events)
    return int(str(raised.value).split("sample of ")[1].split(" ")[0].replace(",", ""))


def test_the_number_of_events_that_is_told_suffices() -> None:
    """Exactly without weights; else as well as the weights near the threshold tell it: (Σw)² / Σw² of n is 0.55 n."""
    asked = menu(paths={"x": {"score": "interest", "fraction": "1/437"}})
    needed = needed_by(asked, sample(3_000))
    assert needed == 4_370
    assert resolve(asked, sample(needed)).predictions["x"].n_effective == 10
    assert needed_by(asked, sample(needed - 1)) == needed
    told = [needed_by(asked, sample(3_000, weighted=True, seed=seed)) for seed in range(20)]
    assert np.mean(told) == pytest.approx(4_370 / 0.55, rel=0.12)
    assert np.std(told) < 0.25 * 4_370 / 0.55


def test_a_joint_budget_that_is_too_small_is_refused() -> None:
    keys = JOINT | {"budget": {"fraction": "0.5%"}}
    with pytest.raises(
        UsageError, match=r"path x: its part of the budget leaves .* of 2,000, .* sample of [3-9],\d{3} ev"
    ):
        resolve(menu(**keys), sample(2_000))
    assert resolve(menu(**keys), sample(10_000)).budget is not None
    off = {"paths": {"x": {"score": "interest", "prescale": 0}}, "budget": {"fraction": "1%"}}
    with pytest.raises(UsageError, match="path x: is off and shares the budget"):
        resolve(menu(**off), sample(2_000))


def test_what_no_rate_can_be_made_of() -> None:
    asked = menu(paths={"x": {"score": "interest", "rate": "1 Hz"}})
    with pytest.raises(UsageError, match="path x: a rate in Hz is not known"):
        resolve(asked, sample(100))
    for weights, wrong in (
        ([1.0, -1.5], "the weights of 2 events add up to -0.5, of which no rates are made; give a larger sample"),
        ([1.0, np.inf], "not finite"),
        ([0.0, 0.0], "all weights of events are 0"),
    ):
        with pytest.raises(UsageError, match=wrong):
            resolve(asked, sample(2, weights=np.array(weights)))
    with pytest.raises(UsageError, match="no events outside"):
        resolve(asked, sample(3, blind=np.ones(3, bool)))


def test_a_path_of_a_deficit_has_no_threshold() -> None:
    weights = np.where(np.arange(2_000) < 200, -1.0, 1.0)
    events = sample(2_000, weights=weights, when={"x": weights < 0})
    with pytest.raises(
        UsageError, match="path x: its fraction: the weights of 200 events add up to -200 where its `when`"
    ):
        resolve(menu(**SINGLE), events)


def test_what_is_blind_is_in_no_prediction() -> None:
    keys = {
        "paths": {"x": JOINT["paths"]["x"], "y": {"score": "density", "blind": True}, "z": {}},
        "budget": {"fraction": "5%"},
    }
    events = sample(4_000)
    blind = np.arange(4_000) % 10 == 0
    region = replace(events, blind=blind)
    found = resolve(menu(**keys), region)
    assert set(found.predictions) == {"x", "z"}
    assert found.budget is None
    assert found == resolve(menu(**keys), events[~blind])
    shown = resolve(menu(**keys), region, unblind=True)
    assert shown.paths == found.paths
    assert set(shown.predictions) == {"x", "y", "z"}
    assert shown.budget is not None
    assert shown.budget.value != pytest.approx(0.05, abs=1e-5)  # thresholds are not tuned again
    only = resolve(menu(paths={"y": {"blind": True}}), events)
    assert (only.predictions, only.union) == ({}, None)
