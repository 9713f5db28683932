"""What any threshold of a score would take: of all events, of each dataset, and of signals that are scored for it."""

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from hepfilter.skim.parts import Part
from hepfilter.skim.reporting.containers import Scan, ScanRow, Values
from hepfilter.skim.reporting.shown import shown_paths
from hepfilter.skim.reporting.turn_on import shares_of
from hepfilter.skim.summary import SCORE_EDGES, RunSummary, Selected
from hepfilter.statistics.histograms import Histogram
from hepfilter.statistics.intervals import WeightSums, weight_powers

ALL = "all events"
Sums = tuple[float, float, float, float]
"""Events, and what `statistics.intervals.WeightSums` has of their weights."""


def make_scans(
    parts: Sequence[Part], summary: RunSummary, signals: Mapping[str, Mapping[str, "SignalScores"]]
) -> tuple[Scan, ...]:
    """A scan of each score that the summary and `signals`, by name and score, have."""
    return tuple(_scan(parts, summary, name, signals.get(name, {})) for name in summary.scores)


class SignalScores:
    """The scores of a signal: a histogram in `SCORE_EDGES`, and what lies at or above the run's own threshold."""

    def __init__(self, histogram: Histogram, values: Values, weights: Values) -> None:
        self.histogram, self._values, self._weights = histogram, values, weights

    def above(self, threshold: float) -> Sums:
        """What lies at or above a threshold."""
        mask = self._values >= threshold
        signed, negative, squares = (float(part.sum()) for part in weight_powers(self._weights[mask]))
        return float(mask.sum()), signed, negative, squares


def _scan(parts: Sequence[Part], summary: RunSummary, score: str, signals: Mapping[str, SignalScores]) -> Scan:
    every = summary.scores[score].every
    filled = [h.counts for h in (every, *(signal.histogram for signal in signals.values()))]
    places = np.flatnonzero(reduce(add, filled))
    first, last = (int(places[0]), int(places[-1]) + 1) if len(places) else (0, 1)
    stops = np.arange(first, last + 1)
    marks, exact = _marks(parts, score), _exact(parts, score)
    named: list[tuple[str, str, Histogram, Sums | None]] = [(ALL, "all", every, _kept(summary.scores[score]))]
    if score == "interest" and len(summary.datasets) > 1:
        found = [(one.name, one.interest) for one in summary.datasets if one.interest is not None]
        named += [(name, "dataset", interest.every, _kept(interest)) for name, interest in found]
    named += [
        (name, "signal", one.histogram, None if exact is None else one.above(exact)) for name, one in signals.items()
    ]
    thresholds = SCORE_EDGES[stops]
    place = None if exact is None else int(np.searchsorted(thresholds, exact))
    if exact is not None and place is not None and place < len(thresholds) and thresholds[place] == exact:
        thresholds, stops = np.delete(thresholds, place), np.delete(stops, place)
    rows = tuple(_row(name, kind, histogram, stops, place, own) for name, kind, histogram, own in named)
    if exact is not None and place is not None:
        thresholds = np.insert(thresholds, place, exact)
    return Scan(score, summary.unit, thresholds, rows, marks, exact)


def _row(
    name: str,
    kind: str,
    histogram: Histogram,
    stops: NDArray[np.int64],
    place: int | None,
    own: Sums | None,
) -> ScanRow:
    """The sums from the top down; at `place` those that are known to the event."""
    sums = [np.append(np.cumsum(part[::-1])[::-1], 0.0)[stops] for part in _parts(histogram)]
    if place is not None and own is not None:
        sums = [np.insert(part, place, value) for part, value in zip(sums, own, strict=True)]
    totals = [float(part.sum()) for part in _parts(histogram)]
    events = sums[0].astype(np.int64)
    share = shares_of(WeightSums(*sums[1:]), WeightSums(*map(np.asarray, totals[1:])), events)
    return ScanRow(name, kind, None if kind == "signal" else totals[1], events, sums[1], share)


def _parts(histogram: Histogram) -> tuple[Values, Values, Values, Values]:
    """What `Sums` are the sums of, in each bin; of negative weights the least that there must be."""
    least = np.maximum(np.abs(histogram.weights), np.sqrt(histogram.squares))  # of Σ|w|
    return histogram.counts.astype(np.float64), histogram.weights, (least - histogram.weights) / 2, histogram.squares


def _kept(selected: Selected) -> Sums:
    """What is kept, in all: the events at or above the run's threshold, where a threshold decided alone."""
    counts, weights, negative, squares = (float(part.sum()) for part in _parts(selected.kept))
    return counts, weights, negative, squares


def _exact(parts: Sequence[Part], score: str) -> float | None:
    """The threshold that alone decided what is kept; None where there is no such one, or several."""
    found = {part.facts.get("threshold") for part in parts if part.menu is None}
    alone = len(parts) == 1 and score == "interest" and len(found) == 1
    (own,) = found if alone else (None,)
    return None if own is None else float(own)


def _marks(parts: Sequence[Part], score: str) -> dict[str, float]:
    """The run's own thresholds of a score, by what they are of."""
    marks: dict[str, float] = {}
    for part in parts:
        own = part.facts.get("threshold")
        if part.menu is None and own is not None and score == "interest":
            marks.setdefault("the run's threshold" if len(parts) == 1 else f"threshold {own:.4g}", float(own))
        if part.menu is None or part.recipe.trigger is None:
            continue
        for path in shown_paths(part):
            threshold = (part.recipe.trigger.thresholds or {}).get(path)
            if part.menu.paths[path].column == score and threshold is not None:
                marks.setdefault(path, float(threshold))
    return marks
