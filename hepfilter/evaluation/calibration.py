"""Whether the background p-values of a calibrated model are what they promise on the background of this sample."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hepfilter.evaluation.sample import ScoredEvents
from hepfilter.scoring.calibration import COMBINED, Calibration
from hepfilter.statistics.intervals import Efficiency, effective_number, efficiency

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

    `distance` is the largest between the cumulated share and the p-value (Kolmogorov–Smirnov's D), `expected_95` what
    95 % of calibrated samples of as many effective events stay below (1.358/√n, for n above about 35).
    """

    head: str
    n_effective: float
    distance: float
    expected_95: float
    points: tuple[Reliability, ...]


def check_calibration(head: str, p_values: NDArray[np.floating[Any]], weights: NDArray[np.float64]) -> CalibrationCheck:
    """Check p-values [n] of background events with weights ≥ 0; NaN where there is none with weight."""
    n_effective = effective_number(weights)
    order = np.argsort(p_values)
    above = np.cumsum(weights[order])
    share = above / above[-1] if n_effective > 0 else np.full(len(above), np.nan)
    before = np.concatenate([[0.0], share[:-1]])
    values = np.asarray(p_values, np.float64)[order]
    gaps = np.maximum(np.abs(share - values), np.abs(before - values))
    points = tuple(
        Reliability(nominal, efficiency(p_values <= nominal, weights), int(np.count_nonzero(p_values <= nominal)))
        for nominal in NOMINAL
    )
    return CalibrationCheck(
        head,
        n_effective,
        float(gaps.max()) if len(gaps) else float("nan"),
        1.358 / float(np.sqrt(n_effective)) if n_effective > 0 else float("nan"),
        points,
    )


def check_calibrations(calibration: Calibration, events: ScoredEvents) -> tuple[CalibrationCheck, ...]:
    """For every score that the calibration has a table of, and for their combination."""
    background, weights = events.background, events.weights[events.background]
    scores = {name: events.scores[name][background] for name in calibration.tables}
    found = {name: calibration.pvalues(name, values).values for name, values in scores.items()}
    if calibration.combined is not None:
        found[COMBINED] = calibration.combine(scores).values
    return tuple(check_calibration(name, values, weights) for name, values in found.items())
