"""How numbers of a run are written in its page."""

from math import floor, isnan, log10

from hepfilter.visual.page import Cell

_MOST_PLACES = 6


def percent(share: float) -> str:
    """``1.23 %``; a dash of nothing."""
    return "–" if isnan(share) else f"{100 * share:.3g} %"


def interval(value: float, lower: float, upper: float, *, unit: str = "%") -> Cell:
    """A number with its interval: shares in %, rates in their unit."""
    if isnan(value):
        return Cell("–")
    scale = 100.0 if unit == "%" else 1.0
    ends = [scale * one for one in (value, lower, upper)]
    shown = _form((ends[2] - ends[1]) / 2)
    return Cell("{} [{}, {}]".format(*(format(one, shown) if one else "0" for one in ends)), value)


def _form(half: float) -> str:
    """The format that shows two digits of half an interval's width, one of those above 354, as the PDG rounds."""
    power = floor(log10(half)) if half > 0 else -2
    places = (1 if half < 3.55 * 10.0**power else 0) - power
    return f",.{max(places, 0)}f" if places <= _MOST_PLACES else ".3g"


def share_of(part: float, whole: float, *, bar: bool = False) -> Cell:
    """The share in %, with a shade as long as it is; a dash of nothing."""
    if not whole:
        return Cell("–")
    return Cell(percent(part / whole), part / whole, part / whole if bar else None)
