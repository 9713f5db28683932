"""What a future sample will give: intervals that hold the fluctuations of both the sample at hand and the future one.

A threshold is put at the k-th highest of n events. The share of the parent distribution above it is then a random
number of the beta distribution B(k, n + 1 − k), and of m future events a beta-binomial number pass, whatever the parent
is (S. S. Wilks, Ann. Math. Statist. 13 (1942) 400). With a threshold that was given, k of n is a binomial number, and
the same distribution with k + ½ and n − k + ½ is the prediction (J. Aitchison, I. R. Dunsmore, Statistical Prediction
Analysis, Cambridge 1975, with the prior of H. Jeffreys).

Weighted events enter by effective numbers: n and m are the numbers of unweighted trials with which the share would have
the variance that it has. With negative weights these are the numbers for the share of Σ|w|, and the interval is moved
to the share of Σw and stretched by the ratio of the two shares' standard deviations, as in
`statistics.intervals.weighted_shares`. All that is exact for equal weights and an approximation otherwise, which tests
hold to 68 ± 5 % for weights that vary by a factor of 30, and for signed ones, with 50 events passing. The variances are
those of the delta method: Σw must lie several of its own standard deviations √Σw² above 0.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from hepfilter.statistics.intervals import ONE_SIGMA, effective_number, moved_interval, weight_powers

Unit = Literal["fraction", "Hz"]
"""What a rate is told in: a share of all events (by weight), or events per second."""

_WINDOW: Final = 12.0
_KNOWN: Final = 1e3
"""A share known from this many times the future's trials adds nothing to the interval."""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Prediction:
    """What is expected of a future sample: lower ≤ value ≤ upper, in the unit `of`; not below 0 for weights ≥ 0.

    `value` is what the sample at hand gives, `n_effective` the effective number of events behind it.
    """

    value: float
    lower: float
    upper: float
    n_effective: float
    of: Unit


def predict(
    probability: NDArray[np.floating[Any]],
    amounts: NDArray[np.floating[Any]],
    *,
    of: Unit,
    tuned: bool,
    future: int | None = None,
    coverage: float = ONE_SIGMA,
) -> Prediction:
    """The rate in a sample of `future` events (None: as many as here), given those at hand [n].

    `probability` [n] in [0, 1] is that with which each event passes: 0 or 1, or less under a prescale. `amounts` [n]
    are what events add to the rate: their weights (the result is a share of the sum) or Hz. The sum of all Hz, passing
    or not, is taken as known. `tuned` says that the threshold was put where these very events give the value.
    ValueError unless the sum of all amounts is above 0.
    """
    s, (a, negative, _) = np.asarray(probability, np.float64), weight_powers(amounts)
    total, sizes = float(a.sum()), np.abs(a)
    if not total > 0:
        raise ValueError("no events, or amounts that add up to no more than 0: nothing can be predicted of them")
    size = total + 2 * float(negative.sum())
    unsigned = min((float(a @ s) + 2 * float(negative @ s)) / size, 1.0)
    share = float(a @ s) / total if unsigned < 1 else 1.0
    ratio = len(a) / (len(a) if future is None else future)
    here, there = _variances(s, sizes / size, unsigned, ratio)
    n_all = effective_number(sizes)
    n_future = _trials(unsigned, there, n_all / ratio)
    n_here = min(_trials(unsigned, here, n_all if unsigned in (0, 1) else np.inf), _KNOWN * n_future)
    lower, upper = beta_binomial_interval(unsigned, n_here, n_future, tuned=tuned, coverage=coverage)
    variance = sum(_variances(s, a / total, share, ratio))
    stretch = float(np.sqrt(variance / (here + there))) if here + there > 0 else size / total
    scale = 1.0 if of == "fraction" else total
    least, most = moved_interval(unsigned, lower, upper, to=share, stretch=stretch)
    return Prediction(share * scale, float(least) * scale, float(most) * scale, effective_number(a * s), of)


def beta_binomial_interval(
    share: float, trials: float, future: float, *, tuned: bool, coverage: float = ONE_SIGMA
) -> tuple[float, float]:
    """The central interval of the share of `future` trials (rounded to whole ones) that pass, as this module says.

    Its ends are quantiles of the mid-distribution P(< j) + P(j)/2, interpolated between whole numbers j (H. O.
    Lancaster, J. Am. Stat. Assoc. 56 (1961) 223): the coverage is right on average, not at least, and no number of
    events makes it jump.
    """
    from scipy.stats import betabinom  # half a second, and most commands predict nothing

    m = max(round(future), 1)
    first, second = (0.0, 1.0) if tuned else (0.5, 0.5)
    a, b = share * trials + first, (1 - share) * trials + second
    mean, sigma = (float(moment) for moment in (betabinom.mean(m, a, b), betabinom.std(m, a, b)))
    reach = _WINDOW * (sigma + 1)
    passing = np.arange(max(int(mean - reach), 0), min(int(mean + reach) + 1, m) + 1)
    chances = betabinom.pmf(passing, m, a, b)
    middles = np.cumsum(chances) - chances / 2
    lower, upper = np.interp([(1 - coverage) / 2, (1 + coverage) / 2], middles / chances.sum(), passing)
    return float(lower) / m, float(upper) / m


def _variances(probability: Values, parts: Values, share: float, ratio: float) -> tuple[float, float]:
    """Those of the share of `parts` that passes, here and in a future sample that is 1 / `ratio` times as large."""
    here = float(np.sum((parts * (probability - share)) ** 2))
    there = float(np.sum(parts**2 * (probability * (1 - share) ** 2 + (1 - probability) * share**2)))
    return here, ratio * there


def _trials(share: float, variance: float, otherwise: float) -> float:
    """The number of trials whose share has this variance; `otherwise` where it is 0, as where none or all pass."""
    return share * (1 - share) / variance if 0 < share < 1 and variance > 0 else otherwise
