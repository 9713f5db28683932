"""Drift: is the input still like the sample that the menu was made for?

Windows of events are compared with a reference; the fluctuations of both are in every test. Each score: the χ² of
homogeneity of the two samples, in bins of equal shares of the reference, the topmost divided further as far as the
window's statistics allow, and the number of events in the tail, which is what a trigger's rate hangs on. Each reason
for which the input was treated by rule: its count. Counts are compared by the conditional binomial test of two Poisson
rates (J. Przyborowski, H. Wilenski, Biometrika 31 (1940) 313), those of reasons in units of their dispersion, as one
event may bring many. Events count once, whatever their weights.

With T tests, each alarms at p < false_alarm / T (C. E. Bonferroni, 1936), so that a window without drift alarms with at
most the stated probability: with about that if the scores are independent, less often if they are not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hepfilter.statistics.counts import ScoreCounts
from hepfilter.trigger.events import interesting

LEAST_EXPECTED: Final = 25.0
"""Events that a window must have in a bin, by the reference; else it is joined with the next lower one."""
NEW_PROBLEMS: Final = "new problems"

_EQUAL_BINS: Final = 10
_TAIL_BINS: Final = 12
_TOPMOST: Final = 2
"""Bins that are the tail: 50 events or more of a window."""


@dataclass(frozen=True)
class ProblemCounts:
    """How often, for each reason, something was treated by rule in a chunk of so many events."""

    events: int
    counts: Mapping[str, int]


@dataclass(frozen=True)
class ScoreReference:
    """The distribution of a score: K − 1 rising `edges` (each the lowest value of the bin above it), K `counts`."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class ProblemReference:
    """How often a reason occurred, and by what factor its variance from chunk to chunk exceeds that of Poisson, ≥ 1."""

    count: int
    dispersion: float


@dataclass(frozen=True)
class Reference:
    """What windows are compared with: scores by column, problems by reason, of so many events. All is plain data.

    Edges are in the units of `interesting`.
    """

    events: int
    scores: Mapping[str, ScoreReference]
    problems: Mapping[str, ProblemReference]

    @property
    def tests(self) -> int:
        """Tests of a window: a score or a reason each, and one for all reasons that the reference does not have."""
        return len(self.scores) + len(self.problems) + 1


@dataclass(frozen=True)
class WindowTest:
    """A window of so many events: p-values of its tests, by score or reason, and which lie below `threshold`."""

    events: int
    pvalues: Mapping[str, float]
    threshold: float

    @property
    def alarms(self) -> tuple[str, ...]:
        """What drifted, the most significant first."""
        ranked = sorted(self.pvalues, key=lambda name: self.pvalues[name])
        return tuple(name for name in ranked if self.pvalues[name] < self.threshold)


def make_reference(
    scores: Mapping[str, NDArray[np.floating[Any]]], problems: Sequence[ProblemCounts] = ()
) -> Reference:
    """The reference of events with these scores [n] by column, and of the chunks in which their input was read.

    The chunks give the dispersion of the problems; one alone gives none, and it is taken as 1. ValueError without
    events, for scores that are not finite, or if the chunks have not as many events as the scores.
    """
    lengths = {len(values) for values in scores.values()} | ({sum(p.events for p in problems)} if problems else set())
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(f"a reference needs events, and as many of every kind; there are {sorted(lengths)}")
    reasons = sorted({reason for chunk in problems for reason in chunk.counts})
    return Reference(
        events=lengths.pop(),
        scores={column: _binned(interesting(column, values)) for column, values in scores.items()},
        problems={reason: _dispersed(reason, problems) for reason in reasons},
    )


def check_window(
    reference: Reference,
    scores: Mapping[str, NDArray[np.floating[Any]]],
    problems: ProblemCounts,
    *,
    false_alarm: float,
) -> WindowTest:
    """Compare a window with the reference: its scores [n] by column, and the problems of its n events.

    `false_alarm` is the probability that a window without drift alarms. KeyError for a column that is missing.
    ValueError without events, or if there are not as many scores.
    """
    found = {column: interesting(column, scores[column]) for column in reference.scores}
    n_events = problems.events
    if n_events == 0 or any(len(values) != n_events for values in found.values()):
        raise ValueError(f"a window needs events, and a score of each; there are {n_events} events")
    ratio = n_events / reference.events
    pvalues = {column: _same_score(reference.scores[column], values, ratio) for column, values in found.items()}
    for reason, known in reference.problems.items():
        pvalues[reason] = _same_rate(problems.counts.get(reason, 0), known, ratio)
    new = sum(count for reason, count in problems.counts.items() if reason not in reference.problems)
    widest = max((known.dispersion for known in reference.problems.values()), default=1.0)
    pvalues[NEW_PROBLEMS] = _same_rate(new, ProblemReference(0, widest), ratio)
    return WindowTest(n_events, pvalues, false_alarm / reference.tests)


def _binned(values: NDArray[np.float64]) -> ScoreReference:
    """Bins of equal shares, the topmost halved again and again; equal edges, of many events of one score, are one."""
    counts = ScoreCounts.of(values)
    shares = np.arange(1, _EQUAL_BINS) / _EQUAL_BINS
    tail = 1 - 2.0 ** -np.arange(1, _TAIL_BINS) / _EQUAL_BINS
    edges = np.unique(counts.quantile(np.concatenate([shares, tail])))
    return ScoreReference(tuple(edges.tolist()), tuple(_histogram(edges, values).tolist()))


def _histogram(edges: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.int64]:
    """[K] events below the first edge, from each edge to the next, and from the last on."""
    return np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)


def _same_score(reference: ScoreReference, values: NDArray[np.float64], ratio: float) -> float:
    """The p-value that both have the same parent: twice the lower of those of shape and tail; 1 in a single bin."""
    counts = np.array([reference.counts, _histogram(np.array(reference.edges), values)])
    joined = _joined(counts, counts[0] * min(ratio, 1.0))
    if joined.shape[1] == 1:
        return 1.0
    from scipy.stats import chi2_contingency  # half a second, and most commands test nothing

    shape = float(chi2_contingency(joined, correction=False).pvalue)
    known, found = joined[:, max(joined.shape[1] - _TOPMOST, 1) :].sum(axis=1).tolist()
    return min(1.0, 2 * min(shape, _same_rate(found, ProblemReference(known, 1.0), ratio)))


def _joined(counts: NDArray[np.int64], expected: NDArray[np.float64]) -> NDArray[np.int64]:
    """The counts [2, K'] in bins that are joined, from the top down, until `LEAST_EXPECTED` are expected in each."""
    starts, inside = [], 0.0
    for position in reversed(range(len(expected))):
        inside += float(expected[position])
        if inside >= LEAST_EXPECTED:
            starts.append(position)
            inside = 0.0
    return np.add.reduceat(counts, sorted({0, *starts[:-1]}), axis=1)


def _dispersed(reason: str, chunks: Sequence[ProblemCounts]) -> ProblemReference:
    """The count, and Pearson's χ² of the chunks over its degrees of freedom (P. McCullagh, J. A. Nelder, 1989)."""
    events = np.array([chunk.events for chunk in chunks if chunk.events], np.float64)
    counts = np.array([chunk.counts.get(reason, 0) for chunk in chunks if chunk.events])
    expected = counts.sum() * events / events.sum()
    square = float(np.sum((counts - expected) ** 2 / expected)) if counts.any() else 0.0
    return ProblemReference(int(counts.sum()), max(square / max(len(events) - 1, 1), 1.0))


def _same_rate(count: int, reference: ProblemReference, ratio: float) -> float:
    """The two-sided p-value of `count` in a sample that is `ratio` times the reference."""
    here, there = count / reference.dispersion, reference.count / reference.dispersion
    share = ratio / (1 + ratio)
    from scipy.special import betainc  # a quarter of a second, as above

    as_many = float(betainc(here, there + 1, share)) if here > 0 else 1.0
    as_few = 1 - float(betainc(here + 1, there, share)) if there > 0 else 1.0
    return min(1.0, 2 * min(as_many, as_few))
