import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hepfilter.simulation.calorimeter import (
    ATLAS_ECAL,
    ATLAS_HCAL,
    CMS_ECAL,
    CMS_HCAL,
    Calorimeter,
    EnergyFlow,
    energy_flow,
    log_normal,
)
from hepfilter.simulation.flat import Floats

CALORIMETERS = {"cms-ecal": CMS_ECAL, "cms-hcal": CMS_HCAL, "atlas-ecal": ATLAS_ECAL, "atlas-hcal": ATLAS_HCAL}
each = pytest.mark.parametrize("calorimeter", CALORIMETERS.values(), ids=CALORIMETERS)


def _flow(
    calorimeter: Calorimeter,
    deposit: Floats,
    *,
    eta: float = 0.3,
    track: Floats | float = 0.0,
    error: float = 0.0,
    event: Floats | None = None,
) -> EnergyFlow:
    """Particles at (eta, 0.2) with these deposits; one an event unless told."""
    count = len(deposit)
    return energy_flow(
        calorimeter,
        event=np.arange(count) if event is None else event.astype(np.int64),
        eta=np.full(count, eta),
        phi=np.full(count, 0.2),
        deposit=deposit,
        track_energy=np.broadcast_to(track, count).astype(np.float64),
        track_error=np.full(count, error),
        rng=np.random.default_rng(5),
    )


@each
@given(eta=st.floats(-5, 5), phi=st.floats(-np.pi, np.pi))
def test_a_direction_lies_in_its_cell(calorimeter: Calorimeter, eta: float, phi: float) -> None:
    cells = calorimeter.cells
    number, centre_eta, centre_phi = cells.locate(np.array([eta]), np.array([phi]))
    fine = abs(eta) < cells.border
    half_eta = (cells.fine_eta if fine else cells.coarse_eta) / 2
    half_phi = np.pi / (cells.fine_phi if fine else cells.coarse_phi)
    assert abs(centre_eta[0] - eta) <= half_eta + 1e-9
    assert abs(np.angle(np.exp(1j * (centre_phi[0] - phi)))) <= half_phi + 1e-9
    assert 0 <= number[0] < 4000 * 400


@each
def test_cells_have_numbers_of_their_own(calorimeter: Calorimeter) -> None:
    rng = np.random.default_rng(1)
    number, eta, phi = calorimeter.cells.locate(rng.uniform(-5, 5, 40_000), rng.uniform(-np.pi, np.pi, 40_000))
    centres = np.unique(np.stack([eta, phi]).round(6), axis=1).shape[1]
    assert len(np.unique(number)) == centres


@pytest.mark.parametrize(
    ("calorimeter", "low", "high", "width", "degrees"),
    [
        (CMS_ECAL, -2.99, 2.99, np.pi / 180, 1.0), (CMS_ECAL, 3.01, 5.0, 0.35, 10.0),
        (CMS_HCAL, -1.73, 1.73, 0.087, 5.0), (CMS_HCAL, 1.75, 5.0, 0.174, 10.0),
        (ATLAS_ECAL, -2.99, 2.99, np.pi / 180, 1.0), (ATLAS_ECAL, 3.01, 5.0, 0.35, 10.0),
        (ATLAS_HCAL, -2.49, 2.49, 0.1, 10.0), (ATLAS_HCAL, 2.51, 5.0, 0.2, 20.0), (ATLAS_HCAL, -5.0, -2.51, 0.2, 20.0),
    ],
)  # fmt: skip
def test_granularity_is_the_stated_one(
    calorimeter: Calorimeter, low: float, high: float, width: float, degrees: float
) -> None:
    _, centres, azimuths = calorimeter.cells.locate(np.linspace(low, high, 20_001), np.linspace(-3.14, 3.14, 20_001))
    assert np.diff(np.unique(centres.round(9))) == pytest.approx(width)
    assert np.diff(np.unique(azimuths.round(9))) == pytest.approx(np.radians(degrees))


def test_log_normal_has_the_asked_mean_and_width() -> None:
    values = log_normal(np.full(200_000, 20.0), np.full(200_000, 6.0), np.random.default_rng(2))
    assert values.mean() == pytest.approx(20.0, abs=0.05)
    assert values.std() == pytest.approx(6.0, rel=0.02)
    assert values.min() > 0.0


@each
@pytest.mark.parametrize(("eta", "energy"), [(0.3, 40.0), (1.2, 80.0), (2.2, 150.0), (4.0, 600.0)])
def test_neutral_energy_and_its_resolution_are_the_cards(calorimeter: Calorimeter, eta: float, energy: float) -> None:
    shots = 20_000
    flow = _flow(calorimeter, np.full(shots, energy), eta=eta)
    sigma = calorimeter.resolution(calorimeter.cells.locate(np.array([eta]), np.array([0.2]))[1], np.array([energy]))[0]
    assert len(flow.energy) == shots
    assert flow.energy.mean() == pytest.approx(energy, abs=4 * sigma / np.sqrt(shots))
    assert flow.energy.std() == pytest.approx(sigma, rel=0.04)


@pytest.mark.parametrize(
    ("calorimeter", "eta", "sigma"),
    [
        (CMS_ECAL, 1.0, 1.64 * np.sqrt(0.8**2 + 1.1**2 + 0.4**2)),
        (CMS_ECAL, -2.2, (2.16 + 5.6 * 0.2**2) * np.sqrt(0.8**2 + 1.1**2 + 0.4**2)),
        (CMS_ECAL, 4.0, np.sqrt(10.7**2 + 20.8**2)),
        (CMS_HCAL, 0.0, np.sqrt(5.0**2 + 15.0**2)),
        (CMS_HCAL, -4.0, np.sqrt(13.0**2 + 27.0**2)),
        (ATLAS_ECAL, 1.0, np.sqrt(0.17**2 + 1.01**2)),
        (ATLAS_ECAL, 3.1, np.sqrt(0.17**2 + 1.01**2)),
        (ATLAS_ECAL, -4.0, np.sqrt(3.5**2 + 2.85**2)),
        (ATLAS_HCAL, 0.0, np.sqrt(3.02**2 + 5.205**2 + 1.59**2)),
        (ATLAS_HCAL, -2.0, np.sqrt(5.0**2 + 7.06**2)),
        (ATLAS_HCAL, 4.0, np.sqrt(9.42**2 + 10.0**2)),
    ],
)  # fmt: skip
def test_resolutions_at_100_gev_are_the_cards_by_hand(calorimeter: Calorimeter, eta: float, sigma: float) -> None:
    assert calorimeter.resolution(np.array([eta]), np.array([100.0]))[0] == pytest.approx(sigma)


@pytest.mark.parametrize(
    ("calorimeter", "energy", "significance"),
    [(CMS_ECAL, 0.5, 2.0), (CMS_HCAL, 1.0, 1.0), (ATLAS_ECAL, 0.5, 2.0), (ATLAS_HCAL, 1.0, 2.0)],
)
def test_towers_are_kept_from_the_stated_energy_and_significance(
    calorimeter: Calorimeter, energy: float, significance: float
) -> None:
    shots = 20_000
    deposit = np.random.default_rng(8).uniform(0.0, 20.0, shots)
    flow = _flow(calorimeter, deposit)
    centre = calorimeter.cells.locate(np.array([0.3]), np.array([0.2]))[1]
    sigma = calorimeter.resolution(np.broadcast_to(centre, len(flow.energy)), flow.energy)
    excess = np.minimum(flow.energy / energy, flow.energy / sigma / significance)
    # None below, and so many shots that some lie just above.
    assert 1.0 < excess.min() < 1.02
    assert 0.3 < len(flow.energy) / shots < 1.0


@each
def test_a_lost_track_counts_with_its_energy_and_a_found_one_takes_it(calorimeter: Calorimeter) -> None:
    deposit = np.full(5000, 60.0)
    lost = _flow(calorimeter, deposit)
    found = _flow(calorimeter, deposit, track=60.0, error=0.6)
    assert lost.energy.mean() == pytest.approx(60.0, rel=0.02)
    assert len(lost.energy) == 5000
    # With the track there, an excess is a fluctuation of more than the asked significance, on one side.
    assert len(found.energy) < 0.2 * 5000
    assert np.all(lost.track_scale == 1.0)


def test_tracks_move_to_the_weighted_mean() -> None:
    # The calorimeter measures 60 ± 11.6, the track says 50 ± 5: between them, nearer to the more precise.
    deposit = np.full(50_000, 60.0)
    flow = _flow(CMS_HCAL, deposit, track=50.0, error=5.0)
    kept = np.ones(len(deposit), dtype=bool)
    kept[flow.event] = False
    assert np.all(flow.track_scale[~kept] == 1.0)
    assert 0.9 < flow.track_scale[kept].mean() < 1.05
    assert flow.track_scale[kept].std() == pytest.approx(25 / (25 + 11.9**2) * 11.9 / 50, rel=0.35)


def test_excess_over_a_track_becomes_neutral_energy() -> None:
    flow = _flow(CMS_HCAL, np.full(5000, 200.0), track=100.0, error=1.0)
    assert len(flow.energy) > 0.99 * 5000
    assert flow.energy.mean() == pytest.approx(100.0, rel=0.05)


def test_a_cell_sums_its_event_alone() -> None:
    deposit = np.array([30.0, 50.0, 70.0])
    flow = _flow(CMS_ECAL, deposit, event=np.array([0.0, 0.0, 2.0]))
    assert flow.event.tolist() == [0, 2]
    assert flow.energy == pytest.approx([80.0, 70.0], rel=0.1)


@each
def test_noise_is_suppressed(calorimeter: Calorimeter) -> None:
    assert len(_flow(calorimeter, np.full(100, 0.01)).energy) == 0
    assert len(_flow(calorimeter, np.zeros(100)).energy) == 0
    assert len(_flow(calorimeter, np.zeros(0)).energy) == 0
