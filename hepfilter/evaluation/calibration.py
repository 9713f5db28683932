"""Whether the background p-values of a calibrated model are what they promise on the background of this sample."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hepfilter.evaluation.sample import ScoredEvents
from hepfilter.scoring.calibration import COMBINED, Calibration, fit_calibration
from hepfilter.statistics.intervals import Efficiency, effective_number, efficiency
from hepfilter.statistics.pvalues import LEAST_EFFECTIVE

NOMINAL: Final = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 1e-3, 1e-4)


@dataclass(frozen=True)
class Reliability:
    """What part of the background has at most this p-value: a calibrated score gives `nominal` within the interval."""

    nominal: float
    observed: Efficiency
    n_events: int


@dataclass(frozen=True)
class CalibrationCheck:
    """The p-values of one head on background, in the physical mix.

    `distance` is the largest between the cumulated share and the p-value (Kolmogorov–Smirnov's D; of an atom, a p-value
    that several events have, only with all of them, as less is promised below), `expected_95` what 95 % of calibrated
    samples of as many effective events stay below: 1.358 √(1/n + 1/m), for n above about 35, with m those that the
    tables were made of.
    """

    head: str
    n_effective: float
    distance: float
    expected_95: float
    points: tuple[Reliability, ...]


def check_calibration(
    head: str, p_values: NDArray[np.floating[Any]], weights: NDArray[np.float64], *, n_tables: float = np.inf
) -> CalibrationCheck:
    """Check p-values [n] of background events with weights ≥ 0; NaN where there is none with weight.

    `n_tables` is the effective number of events that the p-values were made of, if their error counts too.
    """
    n_effective = effective_number(weights)
    values, level, count = np.unique(np.asarray(p_values, np.float64), return_inverse=True, return_counts=True)
    summed = np.cumsum(np.bincount(level, weights, len(values)))
    share = summed / summed[-1] if n_effective > 0 else np.full(len(values), np.nan)
    before = np.where(count > 1, values, np.concatenate([[0.0], share[:-1]]))
    gaps = np.maximum(np.abs(share - values), np.abs(before - values))
    points = tuple(
        Reliability(nominal, efficiency(p_values <= nominal, weights), int(np.count_nonzero(p_values <= nominal)))
        for nominal in NOMINAL
    )
    return CalibrationCheck(
        head,
        n_effective,
        float(gaps.max()) if len(gaps) else float("nan"),
        1.358 * float(np.sqrt(1 / n_effective + 1 / n_tables)) if n_effective > 0 else float("nan"),
        points,
    )


def check_calibrations(calibration: Calibration, events: ScoredEvents) -> tuple[CalibrationCheck, ...]:
    """For every score that the calibration has a table of, and for their combination."""
    return _checks(calibration, events, np.flatnonzero(events.background))


def check_by_halves(calibration: Calibration, events: ScoredEvents) -> tuple[CalibrationCheck, ...]:
    """As `check_calibrations` where `calibration` was made of these very events: of its like from a random half.

    The other half of the background is what is checked. Nothing if either half is too small for a calibration.
    """
    background = np.random.default_rng(0).permutation(np.flatnonzero(events.background))
    learnt, checked = np.array_split(background, 2)
    scores, weights = {name: events.scores[name][learnt] for name in calibration.tables}, events.weights[learnt]
    if min(effective_number(weights), effective_number(events.weights[checked])) < LEAST_EFFECTIVE:
        return ()
    like = fit_calibration(
        scores, weights, model_hash=calibration.model_hash, background={}, uncombined=calibration.uncombined
    )
    return _checks(like, events, checked)


def _checks(calibration: Calibration, events: ScoredEvents, chosen: NDArray[np.int64]) -> tuple[CalibrationCheck, ...]:
    """Of the events numbered `chosen`."""
    scores = {name: events.scores[name][chosen] for name in calibration.tables}
    found = {name: calibration.pvalues(name, values).values for name, values in scores.items()}
    if calibration.combined is not None:
        found[COMBINED] = calibration.combine(scores).values
    weights, n_tables = events.weights[chosen], float(calibration.background["effective"])
    return tuple(check_calibration(name, values, weights, n_tables=n_tables) for name, values in found.items())
