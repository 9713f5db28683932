"""Is it an excess? Events counted where a signal is looked for, against those of a control sample."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincc
from scipy.stats import norm

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Excess:
    """Events above expectation.

    observed, expected: sums of weights.    excess: their difference.    uncertainty: that of the difference, 1σ.
    p_value: probability of at least so many without a signal.    significance: as σ of a normal distribution, one-sided
    (negative for a deficit).    n_effective: effective number of events behind the expectation.
    """

    observed: float
    expected: float
    excess: float
    uncertainty: float
    p_value: float
    significance: float
    n_effective: float


def on_off_excess(
    on: NDArray[np.floating[Any]], off: NDArray[np.floating[Any]], *, ratio: float, ends_with_off: bool = False
) -> Excess:
    """The excess of the events with weights `on` over `ratio` times those with weights `off`.

    `ratio` is the exposure of the one over that of the other; p-value and significance as `on_off_p_value`.
    """
    w_on, w_off = (float(np.sum(weights, dtype=np.float64)) for weights in (on, off))
    v_on, v_off = (float(np.sum(np.square(weights, dtype=np.float64))) for weights in (on, off))
    p_value, significance = on_off_p_value(
        *(np.array([value]) for value in (w_on, v_on, w_off, v_off)), ratio=ratio, ends_with_off=ends_with_off
    )
    return Excess(
        observed=w_on,
        expected=ratio * w_off,
        excess=w_on - ratio * w_off,
        uncertainty=float(np.sqrt(v_on + ratio**2 * v_off)),
        p_value=float(p_value[0]),
        significance=float(significance[0]),
        n_effective=w_off**2 / v_off if w_off > 0 else 0.0,
    )


def on_off_p_value(
    w_on: Values, v_on: Values, w_off: Values, v_off: Values, *, ratio: float, ends_with_off: bool = False
) -> tuple[Values, Values]:
    """[n] p-values and significances (σ, one-sided) of sums of weights w and of squared weights v, on and off.

    The p-value is the binomial one, exact for counts: p = I_ρ(n_on, 1 + n_off), ρ = ratio/(1 + ratio) (R. D. Cousins,
    J. T. Linnemann, J. Tucker, NIM A 595 (2008) 480). Weighted events enter as sums over the mean weight Σw²/Σw of
    both, an approximation that is exact for equal weights.

    `ends_with_off`: what is counted was chosen so that it ends with an event of `off`, as where that event's score is
    the threshold. n_off is then no random number, and n_on is negative binomial (J. B. S. Haldane, Biometrika 33 (1945)
    222): p = I_ρ(n_on, n_off).

    A ratio that is the total of on over the total of off, of both of which the counted events are a part, brings no
    uncertainty of its own. Given both totals, the n_on of n_on + n_off are hypergeometric (R. A. Fisher, J. R. Stat.
    Soc. 98 (1935) 39), with the mean of the binomial here and a variance that is smaller by 1 − ε, the share ε of all
    events being counted: the p-value is conservative. Without events in `off` nothing is known of the expectation:
    both are NaN. Without events in `on` they are 1 and −∞.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = np.where(w_off > 0, (v_on + v_off) / (w_on + w_off), np.nan)
        n_on, n_off, share = w_on / scale, w_off / scale, ratio / (1 + ratio)
        none, failures = n_on == 0, n_off if ends_with_off else 1 + n_off
        p_value = np.where(none, 1.0, betainc(n_on, failures, share))
        fewer = np.where(none, 0.0, betaincc(n_on, failures, share))  # the small tail, not to be lost to rounding
        significance = np.where(p_value < 0.5, norm.isf(p_value), norm.ppf(fewer))
    return p_value, significance
