"""Which events a fraction keeps: the threshold that lets just so many pass, ties broken by the event hash."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from hepfilter.errors import UsageError


@dataclass(frozen=True)
class Selection:
    """The result of a cut: `passed` (bool, one an event) and the lowest score that passed (None where nothing did)."""

    passed: npt.NDArray[np.bool_]
    threshold: float | None
    ties_dropped: int


def parse_fraction(text: str) -> Fraction:
    """``1%``, ``0.01`` or ``1/100`` as an exact fraction in (0, 1]; UsageError otherwise."""
    try:
        value = Fraction(text[:-1].strip()) / 100 if text.endswith("%") else Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise UsageError(f"--keep {text!r}: give a share such as 1%, 0.01 or 1/100") from error
    if not 0 < value <= 1:
        raise UsageError(f"--keep {text!r}: the share must lie above 0 and not above 100%")
    return value


def keep_fraction(scores: npt.NDArray[np.float32], ties: npt.NDArray[np.float64], fraction: Fraction) -> Selection:
    """Keep the round(fraction × N) events of highest score (N events; halves go to the even number).

    `scores` must be finite. Among events of the threshold's score those of lowest `ties` (the event hash) pass; events
    that share even that (the same event twice) pass in the order given. `ties_dropped` counts those left out there.
    """
    count = round(fraction * len(scores))
    passed = np.zeros(len(scores), bool)
    if count == 0:
        return Selection(passed, None, 0)
    order = np.lexsort((ties, -scores))
    passed[order[:count]] = True
    threshold = scores[order[count - 1]]
    return Selection(passed, float(threshold), int(np.count_nonzero((scores == threshold) & ~passed)))


def keep_above(scores: npt.NDArray[np.float32], threshold: float) -> Selection:
    """Keep the events of at least the score `threshold`."""
    passed = scores >= np.float64(threshold)
    lowest = float(scores[passed].min()) if passed.any() else None
    return Selection(passed, lowest, 0)
