"""Features of two fat jets against plain arithmetic."""

import awkward as ak
import numpy as np
import pytest

from hepfilter.events.dijet import dijet_events

JETS = [
    [],
    [{"pt": 1300.0, "eta": 0.5, "phi": 0.1, "mass": 400.0, "tau1": 0.2, "tau2": 0.05},
     {"pt": 1200.0, "eta": -0.5, "phi": 3.1, "mass": 90.0, "tau1": 0.4, "tau2": 0.1 * 4},
     {"pt": 900.0, "eta": 0.0, "phi": 0.0, "mass": 999.0, "tau1": 1.0, "tau2": 1.0}],
    [{"pt": 1300.0, "eta": 0.0, "phi": 0.0, "mass": 0.0, "tau1": 0.0, "tau2": 0.0}],
]  # fmt: skip


def test_the_lighter_jet_comes_first() -> None:
    found = dijet_events(ak.Array(JETS))
    assert found.chosen.tolist() == [False, True, False]
    vectors = [
        np.array([np.hypot(j["pt"] * np.cosh(j["eta"]), j["mass"]), j["pt"] * np.cos(j["phi"]),
                  j["pt"] * np.sin(j["phi"]), j["pt"] * np.sinh(j["eta"])])
        for j in JETS[1][:2]
    ]  # fmt: skip
    energy, *momentum = sum(vectors)
    assert found.mass == pytest.approx([np.sqrt(energy**2 - np.sum(np.square(momentum)))])
    assert found.features.tolist() == [pytest.approx([90.0, 310.0, 1.0, 0.25])]


def test_events_without_two_jets_give_an_empty_table() -> None:
    found = dijet_events(ak.Array(JETS)[[0, 2]])
    assert found.features.shape == (0, 4) and found.mass.shape == (0,)
    assert found.chosen.tolist() == [False, False]
