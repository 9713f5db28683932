"""Keeping a share of the events."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hepfilter.errors import UsageError
from hepfilter.trigger.selection import keep_fraction, parse_fraction


@pytest.mark.parametrize(
    ("text", "value"),
    [("1%", "1/100"), ("0.01", "1/100"), ("1/100", "1/100"), ("100%", "1"), ("0.1 %", "1/1000"), ("1e-4", "1/10000")],
)
def test_shares_are_exact(text, value):
    assert parse_fraction(text) == Fraction(value)


@pytest.mark.parametrize("text", ["0", "0%", "-1%", "101%", "1.5", "x", "", "%", "1/0", "nan", "inf"])
def test_what_is_no_share_is_a_usage_error(text):
    with pytest.raises(UsageError, match="--keep"):
        parse_fraction(text)


@given(st.lists(st.integers(-3, 3), max_size=40), st.integers(1, 40), st.integers(0, 1000))
def test_just_the_best_are_kept_whatever_the_order(values, denominator, seed):
    scores, fraction = np.array(values, np.float32), Fraction(1, denominator)
    rng = np.random.default_rng(seed)
    ties = rng.permutation(len(values)) / 64
    selection = keep_fraction(scores, ties, fraction)
    assert selection.passed.sum() == round(fraction * len(values))
    if selection.passed.any():
        assert scores[selection.passed].min() == selection.threshold
        assert not (scores[~selection.passed] > selection.threshold).any()
        level = scores == selection.threshold
        assert ties[level & selection.passed].max() <= ties[level & ~selection.passed].min(initial=np.inf)
        assert selection.ties_dropped == (level & ~selection.passed).sum()
    order = rng.permutation(len(values))
    assert np.array_equal(keep_fraction(scores[order], ties[order], fraction).passed, selection.passed[order])


@pytest.mark.parametrize(("events", "kept"), [(0, 0), (1, 0), (5, 0), (6, 1), (15, 2), (25, 2), (200, 20)])
def test_the_number_kept_is_rounded(events, kept):
    scores = np.arange(events, dtype=np.float32)
    assert keep_fraction(scores, np.zeros(events), Fraction(1, 10)).passed.sum() == kept
