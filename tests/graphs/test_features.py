"""Node and pair features: values by hand, symmetries, and no NaN whatever comes."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hepfilter.config.graph import load_graph_specification
from hepfilter.graphs.build import build_padded
from hepfilter.graphs.features import (
    MIN_DELTA_R,
    MIN_M2,
    Kinematics,
    delta_phi,
    pair_features,
)
from tests.graph_records import record_of

ALL = ("ln_delta_r", "ln_kt", "ln_z", "ln_m2")


def pair(first: tuple[float, ...], second: tuple[float, ...]) -> dict[str, float]:
    a, b = (Kinematics.of(torch.tensor(values)) for values in (first, second))
    return dict(zip(ALL, pair_features(a, b, ALL).tolist(), strict=True))


def test_pair_features_by_hand() -> None:
    found = pair((100.0, 0.5, 3.0, 10.0), (50.0, -0.5, -3.0, 5.0))
    d_phi = 2 * math.pi - 6.0
    delta = math.hypot(1.0, d_phi)
    assert found["ln_delta_r"] == pytest.approx(math.log(delta), abs=1e-6)
    assert found["ln_kt"] == pytest.approx(math.log(50 * delta), abs=1e-6)
    assert found["ln_z"] == pytest.approx(math.log(50 / 150), abs=1e-6)
    vectors = []
    for pt, eta, phi, mass in ((100, 0.5, 3.0, 10), (50, -0.5, -3.0, 5)):
        p = np.array([pt * math.cos(phi), pt * math.sin(phi), pt * math.sinh(eta)])
        vectors.append((math.sqrt(p @ p + mass**2), p))
    energy, momentum = vectors[0][0] + vectors[1][0], vectors[0][1] + vectors[1][1]
    assert found["ln_m2"] == pytest.approx(math.log(energy**2 - momentum @ momentum), abs=1e-6)


def test_identical_and_zero_objects_give_the_floors() -> None:
    same = pair((100.0, 2.0, 1.0, 0.0), (100.0, 2.0, 1.0, 0.0))
    assert same["ln_delta_r"] == pytest.approx(math.log(MIN_DELTA_R))
    assert same["ln_m2"] == pytest.approx(math.log(MIN_M2))
    assert all(math.isfinite(value) for value in pair((0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0)).values())


def test_collinear_massive_pair_keeps_its_mass() -> None:
    """E₁E₂ − p₁·p₂ in float32 would be lost in rounding here: 1 GeV² beside 1e10."""
    found = pair((1e5, 0.0, 0.0, 0.5), (1e5, 0.0, 0.0, 0.5))
    assert found["ln_m2"] == pytest.approx(math.log(1.0), abs=1e-4)


momentum = st.tuples(
    st.floats(0, 1e10, width=32),
    st.floats(-20, 20, width=32),
    st.floats(-10, 10, width=32),
    st.floats(0, 1e10, width=32),
)


@given(momentum, momentum)
def test_pair_features_are_finite_and_symmetric(first: tuple[float, ...], second: tuple[float, ...]) -> None:
    one, other = pair(first, second), pair(second, first)
    assert all(math.isfinite(value) for value in one.values())
    assert one == pytest.approx(other, rel=1e-4, abs=1e-4)


def test_nan_is_not_hidden() -> None:
    assert all(math.isnan(value) for name, value in pair((math.nan,) * 4, (10.0, 0.0, 0.0, 0.0)).items())


@given(st.floats(-math.pi, math.pi), st.floats(-math.pi, math.pi))
def test_delta_phi_is_wrapped(first: float, second: float) -> None:
    found = delta_phi(torch.tensor(first, dtype=torch.float64), torch.tensor(second, dtype=torch.float64)).item()
    assert abs(found) <= math.pi + 1e-12
    assert math.cos(found) == pytest.approx(math.cos(first - second), abs=1e-9)


def test_node_features_by_hand() -> None:
    specification = load_graph_specification("objects")
    record = record_of(
        jet=[[{"pt": 100.0, "eta": -2.0, "mass": 20.0}]], muon=[[{"pt": 50.0, "eta": 1.0, "charge": -1.0}]]
    )
    graphs = build_padded(record, specification)
    columns = {name: graphs.features[0, :2, i].tolist() for i, name in enumerate(specification.feature_names)}
    # The muon comes first: the specification names it before jets.
    assert columns["ln_pt"] == pytest.approx([math.log(50), math.log(100)], abs=1e-6)
    energies = [50 * math.cosh(1), math.hypot(100 * math.cosh(2), 20)]
    assert columns["ln_energy"] == pytest.approx([math.log(e) for e in energies], abs=1e-6)
    assert columns["ln_pt_fraction"] == pytest.approx([math.log(1 / 3), math.log(2 / 3)], abs=1e-6)
    assert columns["abs_eta"] == [1.0, 2.0]
    assert columns["ln_mass"] == pytest.approx([0.0, math.log(21)], abs=1e-6)
    assert columns["charge"] == [-1.0, 0.0]
    assert columns["is_muon"] == [1.0, 0.0]
    assert columns["is_jet"] == [0.0, 1.0]
    assert columns["is_met"] == [0.0, 0.0]
    assert "phi" not in "".join(specification.feature_names)


def test_particle_classes() -> None:
    specification = load_graph_specification("particles")
    kinds = [211, -211, 130, 22, 11, -13, 1, 2, 321, 0]
    charges = [1, -1, 0, 0, -1, 1, 0, 0, 1, 0]
    objects = [
        {"pt": 50.0 - i, "charge": charge, "pdg_id": kind}
        for i, (kind, charge) in enumerate(zip(kinds, charges, strict=True))
    ]
    features = build_padded(record_of(particle=[objects]), specification).features[0, : len(kinds)]
    names = specification.feature_names
    one_hot = features[:, names.index("is_charged_hadron") : names.index("is_muon") + 1]
    found = [int(row.argmax()) if row.sum() == 1 else None for row in one_hot]
    charged, neutral, photon, electron, muon = range(5)
    assert found == [charged, charged, neutral, photon, electron, muon, neutral, photon, charged, None]
