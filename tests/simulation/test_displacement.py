from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hepfilter.simulation.calorimeter import CMS_ECAL
from hepfilter.simulation.detector import detect
from hepfilter.simulation.displacement import ECAL_LENGTH, ECAL_RADIUS, impact_errors, impact_parameters, reach
from hepfilter.simulation.flat import FlatObjects, Particles

Maker = Callable[..., FlatObjects]
Gun = Callable[..., FlatObjects]
Wrap = Callable[[FlatObjects], Particles]


def _at(particles: Particles, x: float, y: float, z: float, *, collision: int = 0) -> Particles:
    """The same particles, born at (x, y, z) in mm."""
    count = len(particles)
    place = (np.full(count, value) for value in (x, y, z))
    return Particles(particles.objects, *place, np.full(count, collision, dtype=np.int64))


def _one(objects: Maker, particles: Wrap, *, eta: float, phi: float, pt: float = 40.0) -> Particles:
    return particles(objects([(0, pt, eta, phi)], n_events=1))


@pytest.mark.parametrize(
    ("radius", "share"),
    [(0.0, 1.0), (20.0, 1.0), (165.0, 0.75), (310.0, 0.5), (455.0, 0.25), (600.0, 0.0), (1500.0, 0.0)],
)
def test_tracks_are_lost_in_a_straight_line_between_20_and_600_mm(
    objects: Maker, particles: Wrap, radius: float, share: float
) -> None:
    one = _one(objects, particles, eta=0.5, phi=1.0)
    for angle in (0.0, 2.0, -1.0):
        born = _at(one, radius * np.cos(angle), radius * np.sin(angle), 700.0)
        assert reach(born).track_share[0] == pytest.approx(share)


@pytest.mark.parametrize(
    ("x", "y", "z", "before"),
    [
        (0.0, 0.0, 0.0, True), (1289.0, 0.0, 0.0, True), (0.0, 1291.0, 0.0, False), (-1000.0, 1000.0, 0.0, False),
        (0.0, 0.0, 3149.0, True), (0.0, 0.0, -3149.0, True), (0.0, 10.0, 3151.0, False), (0.0, 10.0, -3151.0, False),
    ],
)  # fmt: skip
def test_the_ecal_is_a_cylinder(objects: Maker, particles: Wrap, x: float, y: float, z: float, before: bool) -> None:
    assert reach(_at(_one(objects, particles, eta=0.5, phi=1.0), x, y, z)).before_ecal.tolist() == [before]


def test_a_displaced_photon_enters_where_its_straight_line_does(objects: Maker, particles: Wrap) -> None:
    # From (300, 400, 500) along +x with pz = pT sinh(0.5): it meets x² + 400² = 1290² at x = 1226.42 after 926.42 mm.
    photon = _at(_one(objects, particles, eta=0.5, phi=0.0), 300.0, 400.0, 500.0)
    x = np.sqrt(1290.0**2 - 400.0**2)
    z = 500.0 + (x - 300.0) * np.sinh(0.5)
    place = reach(photon)
    assert x == pytest.approx(1226.42, abs=0.01)
    assert place.phi[0] == pytest.approx(np.arctan2(400.0, x))
    assert place.eta[0] == pytest.approx(np.arcsinh(z / 1290.0))
    # And the tower that the detector reports is the one around this point.
    seen = detect(photon, np.random.default_rng(1)).objects
    assert seen.pdg_id.tolist() == [22]
    assert seen.eta[0] == pytest.approx(place.eta[0], abs=np.pi / 360)
    assert seen.phi[0] == pytest.approx(place.phi[0], abs=np.pi / 360)
    assert abs(seen.eta[0] - 0.5) > 0.1  # far from the direction in which it flies


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_a_displaced_photon_may_enter_through_the_endcap(objects: Maker, particles: Wrap, side: float) -> None:
    # From (0, 200, 1000) at η = 2 along +x: z = 3150 after 2150 / sinh(2) = 592.8 mm, well within the barrel's radius.
    photon = _at(_one(objects, particles, eta=2.0 * side, phi=0.0), 0.0, 200.0, 1000.0 * side)
    way = 2150.0 / np.sinh(2.0)
    place = reach(photon)
    assert way == pytest.approx(592.8, abs=0.1)
    assert place.phi[0] == pytest.approx(np.arctan2(200.0, way))
    assert place.eta[0] == pytest.approx(side * np.arcsinh(3150.0 / np.hypot(200.0, way)))


def test_a_displaced_photon_may_fly_back_through_the_axis(objects: Maker, particles: Wrap) -> None:
    photon = _at(_one(objects, particles, eta=1e-3, phi=0.0), -500.0, 0.0, 300.0)
    place = reach(photon)
    assert place.phi[0] == pytest.approx(0.0)
    assert place.eta[0] == pytest.approx(np.arcsinh((300.0 + 1790.0 * np.sinh(1e-3)) / 1290.0))


def test_a_displaced_photon_may_fly_straight_across_the_beam(objects: Maker, particles: Wrap) -> None:
    # η = 0 exactly: it never meets an endcap.
    place = reach(_at(_one(objects, particles, eta=0.0, phi=0.0), 300.0, 400.0, 500.0))
    assert place.phi[0] == pytest.approx(np.arctan2(400.0, np.sqrt(1290.0**2 - 400.0**2)))
    assert place.eta[0] == pytest.approx(np.arcsinh(500.0 / 1290.0))


@given(
    radius=st.floats(20.0, ECAL_RADIUS - 1.0),
    angle=st.floats(-3.0, 3.0),
    z=st.floats(1.0 - ECAL_LENGTH, ECAL_LENGTH - 1.0),
    eta=st.floats(-4.0, 4.0).filter(lambda value: abs(value) > 1e-6),
    phi=st.floats(-3.14, 3.14),
)
def test_the_point_of_entrance_lies_on_the_surface_and_ahead(
    objects: Maker, particles: Wrap, radius: float, angle: float, z: float, eta: float, phi: float
) -> None:
    born = _at(_one(objects, particles, eta=eta, phi=phi), radius * np.cos(angle), radius * np.sin(angle), z)
    place = reach(born)
    # The point: on the barrel or on the endcap, whichever the direction from the origin meets.
    end = ECAL_LENGTH / abs(np.sinh(place.eta[0])) if place.eta[0] else np.inf
    rho = min(ECAL_RADIUS, end)
    point = np.array([rho * np.cos(place.phi[0]), rho * np.sin(place.phi[0]), rho * np.sinh(place.eta[0])])
    way = point - np.array([born.x[0], born.y[0], z])
    direction = np.array([np.cos(phi), np.sin(phi), np.sinh(eta)]) / np.cosh(eta)
    assert way @ direction > 0.0
    assert np.linalg.norm(way - (way @ direction) * direction) < 1e-3


def test_prompt_particles_and_pile_up_keep_their_direction(objects: Maker, particles: Wrap) -> None:
    one = _one(objects, particles, eta=1.2, phi=-2.0)
    for born in (one, _at(one, 6.0, 7.0, 3.0), _at(one, 0.0, 0.0, 80.0, collision=3)):
        place = reach(born)
        assert (place.eta[0], place.phi[0]) == (1.2, -2.0)
    # As far along the beam from the hard collision, the direction does change.
    assert reach(_at(one, 0.0, 0.0, 80.0)).eta[0] != 1.2
    assert reach(_at(one, 6.0, 8.1, 0.0)).phi[0] != -2.0


def test_what_is_born_behind_the_ecal_stands_where_it_is_born(objects: Maker, particles: Wrap) -> None:
    place = reach(_at(_one(objects, particles, eta=2.0, phi=1.0), 0.0, -1500.0, 900.0))
    assert place.phi[0] == pytest.approx(-np.pi / 2)
    assert place.eta[0] == pytest.approx(np.arcsinh(900.0 / 1500.0))


@pytest.mark.parametrize(
    ("x", "y", "phi", "d0"),
    [
        (0.0, 2.0, 0.0, 0.2),  # above the beam, flying to the right: (y px − x py) / pT = 2 mm
        (0.0, -2.0, 0.0, -0.2),
        (2.0, 0.0, np.pi / 2, -0.2),
        (2.0, 0.0, -np.pi / 2, 0.2),
        (5.0, 0.0, 0.0, 0.0),  # it comes from the collision
        (3.0, 4.0, np.arctan2(4.0, 3.0), 0.0),
        (0.0, 2.0, np.pi / 3, 0.1),
    ],
)
def test_the_transverse_impact_parameter_has_cms_sign_and_size(
    objects: Maker, particles: Wrap, x: float, y: float, phi: float, d0: float
) -> None:
    found, _ = impact_parameters(_at(_one(objects, particles, eta=1.0, phi=phi), x, y, 0.0))
    assert found[0] == pytest.approx(d0, abs=1e-12)


def test_the_longitudinal_impact_parameter_is_that_of_the_nearest_point(objects: Maker, particles: Wrap) -> None:
    # Born 30 mm along its way, whose slope is sinh(1): back at the beam it is 30 sinh(1) mm less along z.
    for phi in (0.0, 2.5):
        one = _one(objects, particles, eta=1.0, phi=phi)
        _, dz = impact_parameters(_at(one, 30.0 * np.cos(phi), 30.0 * np.sin(phi), 50.0))
        assert dz[0] == pytest.approx((50.0 - 30.0 * np.sinh(1.0)) / 10.0)
    _, dz = impact_parameters(_at(one, 0.0, 0.0, -7.0))
    assert dz[0] == pytest.approx(-0.7)


def test_errors_are_those_that_cms_shows() -> None:
    d0, dz = impact_errors(np.array([1.0, 10.0, 1e6]))
    assert d0 * 1e4 == pytest.approx([np.hypot(20, 85), np.hypot(20, 8.5), 20.0], rel=1e-6)  # μm
    assert dz * 1e4 == pytest.approx([np.hypot(40, 140), np.hypot(40, 14.0), 40.0], rel=1e-6)
    assert 20e-4 < d0[1] < 25e-4 and 85e-4 < d0[0] < 90e-4
    assert 40e-4 < dz[1] < 45e-4 and 140e-4 < dz[0] < 150e-4


@pytest.mark.parametrize(("pt", "y", "z"), [(3.0, 0.0, 0.0), (3.0, 5.0, 0.5), (50.0, -5.0, -1.0)])
def test_pulls_of_the_impact_parameters_have_mean_0_and_width_1(
    gun: Gun, particles: Wrap, pt: float, y: float, z: float
) -> None:
    shots = 20_000
    made = particles(gun(13, -1, pt=pt, eta=0.7, shots=shots))
    made = replace(made, y=np.full(shots, y), z=np.full(shots, z))
    seen = detect(made, np.random.default_rng(4))
    tracks = seen[seen.objects.charge != 0]
    count = len(tracks)
    true_d0 = y * np.cos(tracks.objects.phi) / 10.0
    true_dz = (z - y * np.sin(tracks.objects.phi) * np.sinh(0.7)) / 10.0
    for value, true, error in ((tracks.d0, true_d0, tracks.d0_error), (tracks.dz, true_dz, tracks.dz_error)):
        pull = (value - true) / error
        assert abs(pull.mean()) < 4 / np.sqrt(count)
        assert abs(pull.std() - 1.0) < 4 / np.sqrt(2 * count)
    assert np.corrcoef(tracks.d0 - true_d0, tracks.dz - true_dz)[0, 1] == pytest.approx(0.0, abs=4 / np.sqrt(count))


def test_towers_have_no_impact_parameters(gun: Gun, particles: Wrap) -> None:
    made = particles(gun(22, 0, pt=20.0, eta=0.7, shots=50))
    seen = detect(replace(made, y=np.full(50, 100.0)), np.random.default_rng(4))
    assert len(seen) == 50
    for values in (seen.d0, seen.d0_error, seen.dz, seen.dz_error):
        assert not values.any()


def test_displaced_photons_keep_their_energy(gun: Gun, particles: Wrap) -> None:
    made = particles(gun(22, 0, pt=50.0, eta=0.7, shots=2000))
    energy = detect(replace(made, y=np.full(2000, 600.0)), np.random.default_rng(4)).objects.energy
    true = 50.0 * np.cosh(0.7)
    sigma = CMS_ECAL.resolution(np.array([0.9]), np.array([true]))[0]
    assert energy.mean() == pytest.approx(true, abs=4 * sigma / np.sqrt(2000))
