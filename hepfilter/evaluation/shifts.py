"""The same model and thresholds on events that another detector, shower or file gives."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hepfilter.evaluation.metrics import BACKGROUND_EFFICIENCIES, BackgroundScores
from hepfilter.evaluation.sample import ScoredEvents
from hepfilter.statistics.intervals import Efficiency, efficiency


@dataclass(frozen=True)
class ShiftedFamily:
    """One signal family: AUC, and the efficiency above each nominal threshold, nominally and under the shift.

    Everything is NaN, and nothing passes, of a family that is not in the shifted data.
    """

    family: str
    nominal_auc: float
    shifted_auc: float
    nominal: Mapping[float, Efficiency]
    shifted: Mapping[float, Efficiency]


@dataclass(frozen=True)
class Shift:
    """One shift, for one score. Thresholds are those that the nominal background gives, in the physical mix.

    `nominal_background` and `background` are the shares of background above the threshold of each target, nominally and
    under the shift; targets without ten background events above are left out.
    """

    name: str
    score: str
    n_background: int
    thresholds: Mapping[float, float]
    nominal_background: Mapping[float, Efficiency]
    background: Mapping[float, Efficiency]
    families: tuple[ShiftedFamily, ...]


def compare_shift(name: str, nominal: ScoredEvents, shifted: ScoredEvents, score: str) -> Shift:
    """What the shift does to one score."""
    ordered = {
        events: BackgroundScores(sample.scores[score][sample.background], sample.weights[sample.background])
        for events, sample in (("nominal", nominal), ("shifted", shifted))
    }
    found = {target: ordered["nominal"].threshold(target) for target in BACKGROUND_EFFICIENCIES}
    thresholds = {target: threshold for target, threshold in found.items() if threshold is not None}
    families = []
    for family in nominal.families:
        before, after = (sample.scores[score][sample.signal(family)] for sample in (nominal, shifted))
        families.append(
            ShiftedFamily(
                family.name,
                ordered["nominal"].auc(before, None),
                ordered["shifted"].auc(after, None),
                {target: efficiency(before >= threshold) for target, threshold in thresholds.items()},
                {target: efficiency(after >= threshold) for target, threshold in thresholds.items()},
            )
        )
    passing = {
        events: {target: background.efficiency(threshold) for target, threshold in thresholds.items()}
        for events, background in ordered.items()
    }
    n_background = int(np.count_nonzero(shifted.background))
    return Shift(name, score, n_background, thresholds, passing["nominal"], passing["shifted"], tuple(families))
