"""Shares and rates."""

from fractions import Fraction

import pytest

from hepfilter.config.quantities import parse_rate, parse_share


@pytest.mark.parametrize(("written", "value"), [("1%", "1/100"), (0.01, "1/100"), ("1/100", "1/100"), (1, "1")])
def test_shares_are_exact(written: object, value: str) -> None:
    assert parse_share(written) == Fraction(value)


@pytest.mark.parametrize(
    "written", [0, -0.5, 2, True, float("nan"), None, {}, "", "1 Hz", "1e-99999999", "1E+99999999%"]
)
def test_what_is_no_share_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="share"):
        parse_share(written)


@pytest.mark.parametrize(
    ("written", "hertz"), [("5 Hz", 5.0), ("1.5kHz", 1500.0), (" 300 mHz ", 0.3), ("1e-3 MHz", 1000.0)]
)
def test_rates_have_units(written: str, hertz: float) -> None:
    assert parse_rate(written) == pytest.approx(hertz, rel=1e-15)


@pytest.mark.parametrize(
    "written", [5, "5", "Hz", "5 hz", "5 GHz", "0 Hz", "-1 Hz", "nan Hz", "inf Hz", "1e999 Hz", ""]
)
def test_what_is_no_rate_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="rate"):
        parse_rate(written)
