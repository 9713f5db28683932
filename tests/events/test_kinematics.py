"""Angles and four-momenta."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hepfilter.events.kinematics import delta_phi, delta_r, mass_from_energy, polar, wrap_phi

angle = st.floats(-50, 50)


def array(*values: float) -> np.ndarray:
    return np.array(values, np.float64)


@given(angle, angle)
def test_delta_phi_is_the_short_way_round(phi_1: float, phi_2: float) -> None:
    difference = delta_phi(array(phi_1), array(phi_2))[0]
    assert -np.pi - 1e-12 <= difference <= np.pi + 1e-12
    assert math.isclose(math.cos(difference), math.cos(phi_1 - phi_2), abs_tol=1e-9)
    assert math.isclose(math.sin(difference), math.sin(phi_1 - phi_2), abs_tol=1e-9)


@given(angle, angle)
def test_delta_phi_changes_sign_alone_when_exchanged(phi_1: float, phi_2: float) -> None:
    assert delta_phi(array(phi_1), array(phi_2))[0] == -delta_phi(array(phi_2), array(phi_1))[0]


@given(angle, angle, st.integers(-3, 3))
def test_delta_phi_ignores_whole_turns(phi_1: float, phi_2: float, turns: int) -> None:
    one = delta_phi(array(phi_1), array(phi_2))[0]
    other = delta_phi(array(phi_1 + turns * 2 * np.pi), array(phi_2))[0]
    assert abs(delta_phi(array(one), array(other))[0]) < 1e-9


def test_delta_phi_across_the_seam() -> None:
    assert delta_phi(array(3.1), array(-3.1))[0] == pytest.approx(-(2 * np.pi - 6.2))


def test_delta_r() -> None:
    assert delta_r(array(1.0), array(3.1), array(1.3), array(-3.1))[0] == pytest.approx(
        math.hypot(0.3, 2 * np.pi - 6.2)
    )


@given(st.lists(st.floats(-6.25, 6.25, width=32), max_size=20))
def test_wrapped_angles_lie_within_pi_and_are_the_same_angles(values: list[float]) -> None:
    phi = np.array(values, np.float32)
    wrapped = wrap_phi(phi)
    assert wrapped.dtype == np.float32
    assert (np.abs(wrapped) <= np.float32(np.pi)).all()
    np.testing.assert_allclose(np.exp(1j * wrapped.astype(float)), np.exp(1j * phi.astype(float)), atol=1e-6)


def test_angles_inside_are_returned_bit_for_bit() -> None:
    phi = np.array([np.pi, -np.pi, 0.3], np.float32)
    assert wrap_phi(phi) is phi


def test_polar_inverts_the_cartesian_form() -> None:
    rng = np.random.default_rng(1)
    pt, eta, phi = rng.uniform(0.1, 1e3, 100), rng.uniform(-6, 6, 100), rng.uniform(-np.pi, np.pi, 100)
    back = polar(pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta))
    for value, expected in zip(back, (pt, eta, phi), strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-9)


def test_polar_without_transverse_momentum_and_with_nan() -> None:
    with np.errstate(all="raise"):
        pt, eta, _ = polar(array(0, np.nan), array(0, 1), array(5, 1))
    assert pt[0] == 0
    assert eta[0] == 0
    assert np.isnan(pt[1])
    assert np.isnan(eta[1])


def test_mass_from_energy() -> None:
    pt, eta, mass = array(30, 30, 30), array(0.5, 0.5, 0.5), array(91.2, 0, 0)
    energy = np.hypot(pt * np.cosh(eta), mass)
    energy[2] *= 1 - 1e-9  # rounding makes m² negative
    result = mass_from_energy(pt, eta, energy)
    np.testing.assert_allclose(result[:2], [91.2, 0], atol=1e-5)
    assert result[2] < 0


def test_mass_of_absurd_values_is_no_number_and_no_warning() -> None:
    with np.errstate(all="raise", under="ignore"):
        assert not np.isfinite(mass_from_energy(array(10), array(1e4), array(5)))[0]
