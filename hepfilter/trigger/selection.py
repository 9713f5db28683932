"""Which events a fraction keeps: the threshold that lets just so many pass, ties broken by the event hash."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from hepfilter.config.quantities import parse_share
from hepfilter.errors import UsageError
from hepfilter.events.identity import Identity
from hepfilter.trigger.hashing import event_hash


@dataclass(frozen=True)
class Selection:
    """The result of a cut: `passed` (bool, one an event) and the lowest score that passed (None where nothing did)."""

    passed: npt.NDArray[np.bool_]
    threshold: float | None
    ties_dropped: int


def parse_fraction(text: str, *, option: str = "--keep") -> Fraction:
    """``1%``, ``0.01`` or ``1/100`` as an exact fraction in (0, 1]; UsageError, naming the `option`, otherwise."""
    try:
        return parse_share(text)
    except ValueError as error:
        raise UsageError(f"{option} {error}") from error


def ties(who: Identity) -> npt.NDArray[np.float64]:
    """[B] in [0, 1): what decides among events of equal score, of each event alone."""
    return event_hash(who.run, who.luminosity_block, who.event, seed=1, purpose="ties")


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
