"""Shifts: thresholds stay nominal."""

from dataclasses import replace

import numpy as np
import pytest

from hepfilter.evaluation.shifts import compare_shift
from tests.evaluation.generated import make_events


def test_a_shift_of_the_score_moves_all_efficiencies() -> None:
    nominal = make_events(20_000, 1_000)
    moved = replace(nominal, scores={"interest": nominal.scores["interest"] + np.float32(0.5)})
    found = compare_shift("up", nominal, moved, "interest")
    assert set(found.thresholds) == {1e-2, 1e-3}
    assert found.nominal_background[1e-2].value == pytest.approx(1e-2)
    background = moved.scores["interest"][moved.background]
    assert found.background[1e-2].value == np.mean(background >= found.thresholds[1e-2]) > 0.02
    for family in found.families:
        assert family.shifted_auc == pytest.approx(family.nominal_auc)
        assert family.shifted[1e-2].value > family.nominal[1e-2].value + 0.1


def test_the_background_alone_moves_the_auc() -> None:
    nominal = make_events(20_000, 1_000)
    score = nominal.scores["interest"] + np.float32(1) * nominal.background
    found = compare_shift("worse", nominal, replace(nominal, scores={"interest": score}), "interest")
    assert found.families[0].shifted == found.families[0].nominal
    assert found.families[0].shifted_auc < found.families[0].nominal_auc - 0.05


def test_a_family_that_is_not_there() -> None:
    nominal = make_events(5_000, 500)
    few = make_events(5_000, 500, families={"dijet": True})
    found = compare_shift("other", nominal, few, "interest").families[1]
    assert np.isnan(found.shifted_auc)
    assert found.shifted[1e-2].n_effective == 0
