"""What a trigger decides on."""

import math

import numpy as np
import pytest

from hepfilter.trigger.events import interesting, told_threshold
from tests.trigger.generated import trigger_events


def test_a_score_is_as_interesting_as_it_is_high() -> None:
    scores = np.array([-3.5, 0.0009765625, 12.25], np.float32)
    assert interesting("interest", scores).tolist() == scores.tolist()
    assert interesting("density", scores).dtype == np.float64


@pytest.mark.parametrize("column", ["pvalue", "combined"])
def test_a_p_value_is_the_more_interesting_the_lower_it_is(column: str) -> None:
    p = np.array([1.0, 0.5, 1e-4, 1e-30])
    found = interesting(column, p)
    assert found == pytest.approx(-np.log(p), abs=2.0**-21)
    assert math.copysign(1.0, found[0]) == 1.0
    assert np.array_equal(found, np.rint(found * 2**20) / 2**20)


def test_a_threshold_is_told_in_what_the_column_holds() -> None:
    assert told_threshold("rarity", 3.373) == "rarity ≥ 3.3730"
    assert told_threshold("combined", float(interesting("combined", np.array([0.01]))[0])) == "combined ≤ 0.01"


def test_neighbouring_p_values_stay_apart() -> None:
    """p-values have 12 significant bits: all those of two octaves, and what they are as float32."""
    p = np.arange(2**11, 2**13 + 1) / 2**13
    p = p[(p <= 0.5) | (np.arange(len(p)) % 2 == 1)].astype(np.float32)
    assert (np.diff(interesting("pvalue", p)) < -1e-4).all()


def test_logarithms_that_differ_in_their_last_bits_are_the_same() -> None:
    p = np.random.default_rng(1).uniform(size=1000)
    exact = interesting("pvalue", p)
    for last in (1 - 2e-16, 1 + 2e-16):
        assert np.array_equal(interesting("pvalue", p * last), exact)


def test_a_p_value_of_0_is_finite_and_the_most_interesting() -> None:
    zero, least = interesting("pvalue", np.array([0.0, 1e-44], np.float32))
    assert math.isfinite(zero) and zero > least
    assert np.isnan(interesting("pvalue", np.array([np.nan], np.float32))).all()


@pytest.mark.parametrize("name", ["weights", "hertz", "blind", "run"])
def test_columns_are_equally_long(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} has the shape"):
        trigger_events(5, **{name: np.zeros(4)})
    with pytest.raises(ValueError, match="dijet has the shape"):
        trigger_events(5, when={"dijet": np.zeros(6, bool)})
    with pytest.raises(ValueError, match="density has the shape"):
        trigger_events(5, scores={"density": np.zeros((5, 1), np.float32)})


def test_events_can_be_chosen() -> None:
    events = trigger_events(6, when={"dijet": np.arange(6) % 2 == 0}, hertz=np.arange(6.0), weights=np.arange(6.0))
    for chosen in (slice(1, 3), np.array([2, 1]), np.arange(6) > 3):
        part, wanted = events[chosen], np.arange(6)[chosen]
        assert len(part) == len(wanted)
        assert part.event.tolist() == part.weights.tolist() == part.hertz.tolist() == wanted.tolist()
        assert part.when["dijet"].tolist() == (wanted % 2 == 0).tolist()
        assert np.array_equal(part.scores["interest"], events.scores["interest"][chosen])
