"""The functions, against numbers worked out by hand or by NumPy; their spellings."""

import math

import numpy as np
import pytest

from hepfilter.events.expressions.functions import FUNCTIONS
from tests.events.expressions.tables import lists, passing, scalars, which


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Sum$(Muon_charge) == 0", [0, 2]),
        ("Sum$(Muon_pt > 19) >= 2", [2]),
        ("Sum$(Muon_tight) == 1", [1, 2]),
        ("sum(Muon_pt[Muon_pt > 6]) == 30", [3]),
        ("Length$(Muon_pt) == nMuon", [0, 1, 2, 3]),
        ("len(Muon_pt[Muon_tight]) == 2", [3]),
        ("size(Muon_pt[Muon_pt > 1e6]) == 0 && size(Muon_pt) == nMuon", [0, 1, 2, 3]),
        ("Max$(Muon_charge) == -Min(Muon_charge)", [2, 3]),
        ("Max(Muon_tight) == 1", [1, 2, 3]),
        ("Min$(Muon_tight) == 1", [1]),
        ("MaxIf$(Muon_eta, Muon_charge < 0) == 1", [3]),
        ("MinIf$(Muon_eta, Muon_charge < 0) < 1", [2, 3]),
        ("MaxIf$(Muon_pt, Muon_charge > 0) > 0", [1, 2, 3]),  # the NaN is not taken
        ("MaxIf$(Muon_eta, nMuon > 1) > 0", [2, 3]),
        ("MaxIf$(Muon_eta, true) > 0.9", [1, 3]),
        ("!(MaxIf$(Muon_pt, Muon_pt > 1e6) > 0)", []),
        ("Any(Muon_pt > 40)", [2]),
        ("!any(Muon_pt > 40)", [0, 1, 3]),
        ("All(Muon_pt > 10)", [0, 1, 2]),
        ("!all(Muon_tight)", [2, 3]),
        ("Any(Muon_charge)", [1, 2, 3]),
        ("Any(Muon_pt < Muon_pt[1])", []),
        ("Any(Muon_tight || Muon_pt < Muon_pt[5])", [1, 2, 3]),  # one is true, be others missing
        ("!All(Muon_tight && Muon_pt < Muon_pt[5])", [2, 3]),  # one is false
        ("All(Muon_tight || Muon_pt < Muon_pt[5])", [0, 1]),
        ("Any(Muon_pt < Muon_pt[5])", []),
        ("!Any(Muon_pt < Muon_pt[5])", [0]),
        ("Sum$(Muon_pt < Muon_pt[5]) == 0", [0]),
        ("Length$(Muon_pt[Muon_pt < Muon_pt[5]]) == 0", [0, 1, 2, 3]),  # a mask takes only what is surely true
        ("mean(Jet_pt) == 60", [2]),
        ("Mean(Muon_charge) == 0", [2]),
        ("Jet_pt[Muon_jet[0]] > 50", [2, 3]),
        ("Any(Take(Jet_pt, Muon_jet) > 85)", [2]),
        ("Sum$(Alt$(Take(Jet_pt, Muon_jet), 0)) == 80", [3]),
        ("Sum$(Take(Jet_pt, Muon_jet)) == 150", [2]),
        ("Muon_pt[Muon_charge < 0][0] > 15", [2, 3]),
        ("(Muon_pt * 2)[0] > 50", [2, 3]),
        ("max(Muon_pt[0], 25, MET) == 25", [1]),
        ("min(nMuon, 2) == 2", [2, 3]),
        ("Sum$(max(Muon_charge, 0)) == 1", [1, 2, 3]),
        ("abs(MET) == 7.5 || fabs(MET) == 2", [1, 2]),
        ("abs(Muon_charge[0] * 3) & 2", [1, 2, 3]),
        ("floor(MET) % 2 == 0 && ceil(MET) == 2", [2]),
        ("floor(nMuon / 2) == 1", [2, 3]),
        ("fmod(MET, 2) == -1.5", [1]),
        ("TMath::Pi() > 3.14159 && TMath::Pi() < 3.1416", [0, 1, 2, 3]),
        ("DeltaPhi(Muon_phi[0], Muon_phi[1]) < -0.2", [2]),  # second minus first, the short way, as in ROOT
        ("DeltaPhi(0, 1) == 1", [0, 1, 2, 3]),
        ("abs(DeltaR(Muon_eta[0], Muon_eta[1], Muon_phi[0], Muon_phi[1]) - 1.41421356) < 1e-6", [3]),
        ("Any(DeltaR(Muon_eta, Muon_eta[0], Muon_phi, Muon_phi[0]) > 3)", [2, 3]),
        ("hypot(3, 4) == 5 && atan2(1, -1) > 2.35 && pow(2, 10) == 1024", [0, 1, 2, 3]),
    ],
)
def test_functions(text, expected):
    assert which(text) == expected


def test_all_spellings_of_a_function_agree_with_numpy():
    arguments = np.array([0.1, 0.5, 0.9])
    for name, reference in {
        "sqrt": np.sqrt, "exp": np.exp, "log": np.log, "log10": np.log10, "sin": np.sin, "cos": np.cos, "tan": np.tan,
        "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh,
        "floor": np.floor, "ceil": np.ceil, "fabs": np.abs,
    }.items():  # fmt: skip
        capital = {"asin": "ASin", "acos": "ACos", "atan": "ATan", "sinh": "SinH", "cosh": "CosH", "tanh": "TanH"}
        root = "TMath::" + {**capital, "fabs": "Abs"}.get(name, name.capitalize())
        columns = {"x": scalars(arguments, "float64"), "y": scalars(reference(arguments), "float64")}
        for spelling in (name, f"std::{name}", root):
            assert passing(f"{spelling}(x) == y", columns, 3) == [0, 1, 2], spelling
    for name in ("Sum", "Max", "DeltaR", "InvariantMass", "Take"):
        assert FUNCTIONS[f"ROOT::VecOps::{name}"] is FUNCTIONS[name]


def test_invariant_mass_is_that_of_the_sum_of_all_objects():
    columns = {
        "pt": lists([[], [30], [40, 40], [10, 20, 30]], "float32"),
        "eta": lists([[], [1.5], [0, 0], [0.1, -1, 2]], "float32"),
        "phi": lists([[], [2], [0, math.pi], [0, 1, 2]], "float32"),
        "mass": lists([[], [0.105], [0, 0], [0.1, 0.1, 0.1]], "float32"),
    }
    assert passing("InvariantMass(pt, eta, phi, mass) == 0", columns, 4) == [0]
    assert passing("abs(InvariantMass(pt, eta, phi, mass) - 0.105) < 1e-6", columns, 4) == [1]
    assert passing("abs(InvariantMass(pt, eta, phi, mass) - 80) < 1e-6", columns, 4) == [2]
    momenta = [(p * math.cos(f), p * math.sin(f), p * math.sinh(e), math.sqrt((p * math.cosh(e)) ** 2 + 0.01))
               for p, e, f in ((10, 0.1, 0), (20, -1, 1), (30, 2, 2))]  # fmt: skip
    x, y, z, energy = (sum(component) for component in zip(*momenta, strict=True))
    mass = math.sqrt(energy**2 - x**2 - y**2 - z**2)
    assert passing(f"abs(InvariantMass(pt, eta, phi, 0.1) - {mass}) < 1e-5", columns, 4) == [3]
    assert passing("InvariantMass(pt, eta[0], phi, mass) > -1", columns, 4) == [0, 1, 2, 3]
    assert passing("InvariantMass(pt, eta[1], phi, mass) > -1", columns, 4) == [0, 2, 3]


def test_the_mass_of_what_has_none_is_no_nan():
    draw = np.random.default_rng(1)
    columns = {name: lists(draw.uniform(0.1, scale, (500, 1)), "float32") for name, scale in
               (("pt", 100), ("eta", 3), ("phi", 3))}  # fmt: skip
    assert passing("InvariantMass(pt, eta, phi, 0) >= 0", columns, 500) == list(range(500))
