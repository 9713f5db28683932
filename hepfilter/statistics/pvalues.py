"""Background p-values of a score: the share of background that scores at least as high, and how well it is known.

Where the background sample supports it, the p-value is the weighted share itself. Beyond the highest score up to which
at least `MIN_EFFECTIVE` effective events (never more than raw ones) lie above, it is an extrapolation: an exponential
tail, fitted by maximum likelihood to the excesses over a threshold that `TAIL_EFFECTIVE` events lie above, as peaks
over a threshold are (J. Pickands, Ann. Statist. 3 (1975) 119; A. C. Davison, R. L. Smith, J. R. Statist. Soc. B 52
(1990) 393, here with shape 0: a log-likelihood ratio exceeds t by chance with at most exp(−t)). It is marked, with the
error of the fit.
Light events alone do not make a score measured again above the last heavy ones: they say nothing of heavy ones that may
be missing there.
Weights may be negative, as those of next-to-leading order are: sums are signed, and an event that takes away from a sum
counts in its variance like any other. The share above a score then need not fall with it; the p-value is the largest at
it or any higher score.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hepfilter.statistics.intervals import binomial_trials, clopper_pearson_of, effective_number

MIN_EFFECTIVE: Final = 10.0
TAIL_EFFECTIVE: Final = 50.0
LEAST_EFFECTIVE: Final = 100.0
"""Effective events without which there is no calibration at all."""
SMALLEST: Final = 2.0**-100

_LINEAR_KNOTS: Final = 201
_KNOTS_PER_DECADE: Final = 25
_ROUNDING: Final = 1e-9
_FARTHEST: Final = 1e300
"""Above the start of a tail; of an infinite score too, so that a rate of 0 leaves p what it is."""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Tail:
    """p = `pvalue` · exp(−`rate` · (score − `start`)) for scores above `start`; a rate of 0 bounds p from below.

    `n_effective` events lie at or above `start`; `relative_error` is that of the rate (1σ).
    """

    start: float
    pvalue: float
    n_effective: float
    rate: float
    relative_error: float


@dataclass(frozen=True)
class PValueTable:
    """Score → p-value: at K `scores` (rising) the `pvalues` (falling, the first is 1), and the tail beyond the last.

    `lower` and `upper` [K] are the Clopper–Pearson interval (68 %) for the number of trials with which a binomial share
    has the variance of the weighted one; it is that of the events where they have no weights.
    """

    scores: Values
    pvalues: Values
    lower: Values
    upper: Values
    tail: Tail


@dataclass(frozen=True)
class PValues:
    """[B] p-values in [`SMALLEST`, 1], their intervals (68 %), and whether each is an extrapolation."""

    values: Values
    lower: Values
    upper: Values
    extrapolated: NDArray[np.bool_]


@dataclass(frozen=True)
class _Levels:
    """The distinct scores [L], rising, and what lies at or above each: share, effective number of events, Σw².

    Shares fall; the effective number is 0 where the sum of weights is not above 0.
    """

    scores: Values
    shares: Values
    n_effective: Values
    squares: Values

    def highest(self, number: float) -> int:
        """The last level up to which at least `number` effective events lie at or above every level."""
        lacking = np.flatnonzero(self.n_effective < number - _ROUNDING)
        return int(lacking[0]) - 1 if len(lacking) else len(self.scores) - 1


def pvalue_table(scores: NDArray[np.floating], weights: NDArray[np.floating] | None = None) -> PValueTable:
    """The table of background events with these scores [n] and weights [n].

    Events of equal score count as at least as high as each other, so that the p-value of an atom is conservative.
    ValueError if a score or weight is not finite, the weights add up to less than 0, or there are fewer than
    `LEAST_EFFECTIVE` effective events.
    """
    w = np.ones(len(scores)) if weights is None else np.asarray(weights, np.float64)
    if not bool(np.isfinite(scores).all() and np.isfinite(w).all()):
        raise ValueError("a background score or weight is not finite")
    if w.sum() < 0:
        raise ValueError("the weights of background add up to less than 0")
    events = effective_number(w)
    if events < LEAST_EFFECTIVE:
        raise ValueError(f"{events:.0f} effective background events; at least {LEAST_EFFECTIVE:.0f} are needed")
    levels = _levels(np.asarray(scores, np.float64)[w != 0], w[w != 0])
    last = levels.highest(MIN_EFFECTIVE)
    knots = _knots(levels.shares[: last + 1])
    p, above = levels.shares[knots], levels.squares[knots]
    trials = binomial_trials(p, above, w)
    lower, upper = clopper_pearson_of(p * trials, trials)
    return PValueTable(levels.scores[knots], p, lower, upper, _tail(levels, last, scores, w))


def pvalues(table: PValueTable, scores: NDArray[np.floating]) -> PValues:
    """The p-values of scores [B]; they fall with the score. ValueError if one is NaN. Below all background p is 1.

    Above the tail's start the interval is that of a log-normal. With n events above the start, m of the fit (n < m),
    and x = ln p(start) − ln p, the variance of ln p is 1/n + x²/m + 2x ln(m/n)/m: p at the start, the rate, and what
    they have in common (by A. Rényi's representation of order statistics, Acta Math. Hung. 4 (1953) 191).
    """
    s, tail = np.asarray(scores, np.float64), table.tail
    if bool(np.isnan(s).any()):
        raise ValueError("a score is NaN and has no p-value")
    inside = (np.interp(s, table.scores, column) for column in (table.pvalues, table.lower, table.upper))
    value, lower, upper = (np.where(s < table.scores[0], 1.0, column) for column in inside)
    beyond = s > tail.start
    exponent = np.where(beyond, np.minimum(tail.rate * np.clip(s - tail.start, 0.0, _FARTHEST), -np.log(SMALLEST)), 0.0)
    common = 2 * exponent * max(-np.log(tail.relative_error**2 * tail.n_effective), 0.0)
    error = np.sqrt(1 / tail.n_effective + (exponent**2 + common) * tail.relative_error**2)
    far = tail.pvalue * np.exp(-exponent)
    value, lower, upper = (
        np.clip(np.where(beyond, there, here), SMALLEST, 1.0)
        for there, here in ((far, value), (far * np.exp(-error), lower), (far * np.exp(error), upper))
    )
    return PValues(value, lower, upper, beyond)


def fisher(values: NDArray[np.floating]) -> Values:
    """−Σ ln p over the first axis of [H, B] p-values: R. A. Fisher, Statistical Methods for Research Workers (1925).

    Large where several are small, or one very small. Its distribution is Fisher's only for independent p-values;
    correlated ones need a table of their own.
    """
    combined: Values = -np.log(np.asarray(values, np.float64)).sum(0)
    return combined


def _levels(scores: Values, weights: Values) -> _Levels:
    distinct, level = np.unique(scores, return_inverse=True)
    sums = [np.bincount(level, part, len(distinct)) for part in (weights, weights**2)]
    above, squares = (np.cumsum(part[::-1])[::-1].astype(np.float64) for part in sums)
    shares = np.clip(np.maximum.accumulate(above[::-1])[::-1] / above[0], 0.0, 1.0)
    return _Levels(distinct, shares, np.where(above > 0, above**2 / squares, 0.0), squares)


def _knots(shares: Values) -> NDArray[np.int64]:
    """The positions, among falling shares, that bracket equal steps of the share and of its logarithm."""
    decades = -np.log10(shares[-1])
    steps = np.geomspace(1.0, shares[-1], 2 + round(_KNOTS_PER_DECADE * decades))
    targets = np.concatenate([np.linspace(1.0, shares[-1], _LINEAR_KNOTS), steps])
    after = np.searchsorted(-shares, -targets)
    positions = np.clip(np.concatenate([after, after - 1, [0, len(shares) - 1]]), 0, len(shares) - 1)
    return np.unique(positions)


def _tail(levels: _Levels, last: int, scores: NDArray[np.floating], weights: Values) -> Tail:
    """The tail beyond level `last`; where nothing lies above the fit's threshold, p stays what it is."""
    threshold = levels.scores[min(last, levels.highest(TAIL_EFFECTIVE))]
    above = (scores > threshold) & (weights != 0)
    excess = float(np.sum(weights[above] * (scores[above] - threshold)))
    rate = max(float(np.sum(weights[above])) / excess, 0.0) if excess > 0 else 0.0
    events = effective_number(weights[above])
    return Tail(
        start=float(levels.scores[last]),
        pvalue=float(levels.shares[last]),
        n_effective=float(levels.n_effective[last]),
        rate=rate,
        relative_error=1 / np.sqrt(events) if events else 1.0,
    )
