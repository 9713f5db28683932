"""Angles and four-momenta, vectorised; the units are GeV and radians. NaN in gives NaN out, without a warning."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


def wrap_phi(phi: Floats) -> Floats:
    """The same angle in [-π, π], in the dtype of `phi`; angles that lie there already are returned as they are."""
    limit = phi.dtype.type(np.pi)
    outside = np.abs(phi) > limit
    if not outside.any():
        return phi
    wrapped = phi.copy()
    turns = phi[outside].astype(np.float64)
    wrapped[outside] = turns - 2 * np.pi * np.round(turns / (2 * np.pi))
    return np.clip(wrapped, -limit, limit)


def delta_phi(phi_1: Floats, phi_2: Floats) -> Floats:
    """φ₁ − φ₂ in [-π, π], the short way round; exchanging the two changes the sign alone."""
    difference = np.subtract(phi_1, phi_2)
    return difference - 2 * np.pi * np.round(difference / (2 * np.pi))


def delta_r(eta_1: Floats, phi_1: Floats, eta_2: Floats, phi_2: Floats) -> Floats:
    """ΔR = √(Δη² + Δφ²)."""
    return np.hypot(np.subtract(eta_1, eta_2), delta_phi(phi_1, phi_2))


def polar(px: Floats, py: Floats, pz: Floats) -> tuple[Floats, Floats, Floats]:
    """pt, η and φ of momenta, in float64. Without transverse momentum all three are 0: η and φ mean nothing."""
    px, py, pz = (np.asarray(component, np.float64) for component in (px, py, pz))
    pt = np.hypot(px, py)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        eta = np.where(pt == 0, 0.0, np.arcsinh(pz / pt))
    return pt, eta, np.arctan2(py, px)


def mass_from_energy(pt: Floats, eta: Floats, energy: Floats) -> Floats:
    """m = √(E² − p²) in float64; where rounding makes m² negative −√|m²|, for the cleaning to see and count."""
    pt, eta, energy = (np.asarray(value, np.float64) for value in (pt, eta, energy))
    with np.errstate(over="ignore", invalid="ignore"):
        momentum = pt * np.cosh(eta)
        squared = (energy - momentum) * (energy + momentum)
        return np.copysign(np.sqrt(np.abs(squared)), squared)
