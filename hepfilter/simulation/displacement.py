"""Particles born away from the collision: where they enter the calorimeter, what can still see them, impact parameters.

Tracks are straight: there is no magnetic field. Sizes are those of CMS (JINST 3 (2008) S08004), rounded.
"""

from dataclasses import dataclass

import numpy as np

from hepfilter.simulation.flat import Floats, Mask, Particles, Rows

ECAL_RADIUS, ECAL_LENGTH = 1290.0, 3150.0  # mm, where the calorimeters begin
HCAL_RADIUS, HCAL_LENGTH = 1770.0, 3900.0  # behind, nothing decays: the generator keeps it whole
PROMPT = 10.0  # mm; nearer births change no direction that the cells could tell

# A track needs hits: found as if prompt up to the first radius (mm), never beyond the second, less and less between;
# the fall that CMS shows for its tracks against the radius of birth (arXiv:1405.6569), as a straight line.
TRACKED_FULLY, TRACKED_NEVER = 20.0, 600.0

# Errors of the impact parameters in cm: constant ⊕ slope / pT. For 1 < pT < 10 GeV and |η| < 1.4 they are 25 to 90 μm
# transverse and 45 to 150 μm longitudinal (CMS, arXiv:1405.6569).
D0_ERROR, DZ_ERROR = (20e-4, 85e-4), (40e-4, 140e-4)


@dataclass(frozen=True)
class Reach(Rows):
    """Of each particle: the share of tracks kept, whether it is born inside the ECAL, and the direction from the
    collision in which it enters the ECAL."""

    track_share: Floats
    before_ecal: Mask
    eta: Floats
    phi: Floats


def reach(particles: Particles) -> Reach:
    """What of the detector each particle can meet."""
    radius = np.hypot(particles.x, particles.y)
    eta, phi = particles.objects.eta.copy(), particles.objects.phi.copy()
    # Pile-up is displaced along the beam only: its towers are those of its own direction.
    far = np.flatnonzero((np.hypot(radius, particles.z) > PROMPT) & (particles.collision == 0))
    if len(far):
        eta[far], phi[far] = _entrance(particles[far])
    return Reach(
        track_share=np.clip((TRACKED_NEVER - radius) / (TRACKED_NEVER - TRACKED_FULLY), 0.0, 1.0),
        before_ecal=(radius < ECAL_RADIUS) & (np.abs(particles.z) < ECAL_LENGTH),
        eta=eta,
        phi=phi,
    )


def impact_parameters(particles: Particles) -> tuple[Floats, Floats]:
    """True d0 and dz to the hard collision in cm, signed as by CMS: d0 = (y px − x py) / pT for a birth at (x, y)."""
    objects = particles.objects
    cos, sin = np.cos(objects.phi), np.sin(objects.phi)
    along = particles.x * cos + particles.y * sin
    d0 = particles.y * cos - particles.x * sin
    return d0 / 10.0, (particles.z - along * np.sinh(objects.eta)) / 10.0


def impact_errors(pt: Floats) -> tuple[Floats, Floats]:
    """The errors of d0 and dz in cm."""
    d0, dz = (np.hypot(constant, slope / pt) for constant, slope in (D0_ERROR, DZ_ERROR))
    return d0, dz


def _entrance(particles: Particles) -> tuple[Floats, Floats]:
    """η and φ of the point where a straight line from the place of birth leaves the cylinder inside the ECAL.

    Particles born outside of it keep their place.
    """
    px, py, pz = particles.objects.momentum
    x, y, z = particles.x, particles.y, particles.z
    # |r + t p| = R in the plane: a t² + 2 b t + c = 0, the positive root.
    a, b, c = px**2 + py**2, x * px + y * py, x**2 + y**2 - ECAL_RADIUS**2
    to_barrel = (-b + np.sqrt(np.maximum(b**2 - a * c, 0.0))) / np.maximum(a, 1e-12)
    to_endcap = (np.where(pz >= 0, ECAL_LENGTH, -ECAL_LENGTH) - z) / np.where(pz == 0.0, 1e-12, pz)
    inside = (c < 0) & (np.abs(z) < ECAL_LENGTH)
    time = np.where(inside, np.minimum(to_barrel, to_endcap), 0.0)
    x, y, z = x + time * px, y + time * py, z + time * pz
    return np.arcsinh(z / np.maximum(np.hypot(x, y), 1e-9)), np.arctan2(y, x)
