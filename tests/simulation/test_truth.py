from dataclasses import replace
from typing import Any, ClassVar

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hepfilter.config.card import load_card
from hepfilter.simulation.displacement import HCAL_LENGTH, HCAL_RADIUS, TRACKED_FULLY
from hepfilter.simulation.flat import matched
from hepfilter.simulation.pythia import generate
from hepfilter.simulation.truth import Record, Truth, read_record, read_truth, visible_particles

Row = tuple[int, int, int, float, float, float]


class _Table:
    """Charges in thirds and visibility, as Pythia's particle data give them."""

    CHARGES: ClassVar = {1000612: 3, 11: -3, 13: -3, 15: -3, 211: 3, 24: 3, 1: -1, 5: -1, 6: 2, 4122: 3}

    def chargeType(self, pdg_id: int) -> int:  # noqa: N802 - Pythia's name
        return int(np.sign(pdg_id)) * self.CHARGES.get(abs(pdg_id), 0)

    def isVisible(self, pdg_id: int) -> bool:  # noqa: N802 - Pythia's name
        return pdg_id not in (4900111,)


def _record(*events: list[Row], birth: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Record:
    """Events of rows (id, status, mother, px, py, pz), all born at `birth`; row 0 of each is the system."""
    place = dict(zip(("px", "py", "pz", "e"), (*birth, 0.0), strict=True))

    def entry(pdg_id: int, status: int, mother: int, x: float, y: float, z: float) -> dict[str, Any]:
        momentum = {"px": x, "py": y, "pz": z, "e": 0.0}
        return {"id": pdg_id, "status": status, "mother1": mother, "m": 0.0, "p": momentum, "vProd": place}

    prt = [[entry(90, -11, 0, 0.0, 0.0, 0.0), *(entry(*row) for row in rows)] for rows in events]
    return read_record(ak.Array({"prt": prt}), _Table())


def _read(*events: list[Row]) -> Truth:
    return read_truth(_record(*events), _Table())


TOP_DECAY: list[Row] = [
    (21, -21, 0, 0.0, 0.0, 9.0),  # 1
    (21, -21, 0, 0.0, 0.0, -9.0),  # 2
    (6, -22, 1, 5.0, 0.0, 0.0),  # 3: the top of the hard process
    (6, -44, 3, 5.0, 0.0, 0.0),  # 4, 5: its copies in the shower
    (6, -62, 4, 5.0, 0.0, 0.0),
    (24, -22, 5, 3.0, 0.0, 0.0),  # 6
    (5, -23, 5, 2.0, 0.0, 0.0),  # 7
    (24, -52, 6, 3.0, 0.0, 0.0),  # 8
    (1, -23, 8, 1.0, 0.0, 0.0),  # 9
]


def test_visible_are_the_stable_ones_that_leave_a_trace() -> None:
    truth = _read(
        [
            (211, 1, 0, 3.0, 4.0, 0.0),
            (12, 1, 0, 1.0, 0.0, 0.0),
            (-14, 1, 0, 1.0, 0.0, 0.0),
            (22, -51, 0, 9.0, 0.0, 0.0),
        ],
        [],
        [
            (52, 1, 0, 1.0, 0.0, 0.0),
            (1000022, 1, 0, 1.0, 0.0, 0.0),
            (4900022, 1, 0, 1.0, 0.0, 0.0),
            (4900111, 1, 0, 1.0, 0.0, 0.0),
            (130, 1, 0, 0.0, 2.0, 2.0),
        ],
    )
    assert truth.visible.objects.pdg_id.tolist() == [211, 130]
    assert truth.visible.objects.event.tolist() == [0, 2]
    assert truth.visible.objects.counts.tolist() == [1, 0, 1]
    assert truth.visible.objects.pt == pytest.approx([5.0, 2.0])
    assert truth.visible.objects.phi == pytest.approx([np.arctan2(4, 3), np.pi / 2])
    assert truth.visible.objects.eta == pytest.approx([0.0, np.arcsinh(1.0)])
    assert truth.visible.objects.charge.tolist() == [1, 0]


def test_hadrons_are_sorted_by_their_heaviest_quark() -> None:
    bottom = [511, -521, 531, 541, 5122, -5332, 553, 513, 10511, 20513, 100553]
    charm = [411, -421, 431, 4122, 4332, 443, 413, 10411, 100443]
    neither = [310, 211, 3122, 2212, 5503, 4203, 5, 4, 21, 3334, 9_900_041]
    truth = _read([(pdg_id, -83, 0, 10.0, 0.0, 0.0) for pdg_id in bottom + charm + neither])
    assert truth.bottom.pdg_id.tolist() == bottom
    assert truth.charm.pdg_id.tolist() == charm


def test_soft_heavy_hadrons_are_left_out() -> None:
    assert len(_read([(511, -83, 0, 4.9, 0.0, 50.0)]).bottom) == 0


def test_taus_that_decay_to_hadrons_are_found_with_their_visible_momentum() -> None:
    truth = _read(
        [(211, 1, 0, 1.0, 0.0, 0.0)],
        [
            (15, -23, 0, 40.0, 0.0, 0.0),  # row 1: the τ⁻, which radiates
            (15, -52, 1, 39.0, 0.0, 0.0),  # row 2: its last copy, to π⁻ ν
            (-15, -23, 0, -50.0, 0.0, 0.0),  # row 3: the τ⁺, to e⁺ ν ν
            (16, 1, 2, 9.0, 0.0, 0.0),
            (-211, 1, 2, 30.0, 0.0, 0.0),
            (-16, 1, 3, -20.0, 0.0, 0.0),
            (-11, 1, 3, -20.0, 0.0, 0.0),
            (12, 1, 3, -10.0, 0.0, 0.0),
        ],
    )
    assert truth.taus.event.tolist() == [1]
    assert truth.taus.pt == pytest.approx([30.0])
    assert truth.taus.charge.tolist() == [-1]


def test_the_mothers_of_the_hard_process_are_found_through_the_showers_copies() -> None:
    truth = _read(TOP_DECAY, TOP_DECAY)
    assert truth.hard.pdg_id.tolist() == [21, 21, 6, 24, 5, 1] * 2
    assert truth.hard_mother.tolist() == [-1, -1, 0, 2, 2, 3] * 2
    assert truth.hard_status.tolist() == [21, 21, 22, 22, 23, 23] * 2
    assert np.all(np.abs(truth.hard.eta) <= 20.0)


def test_what_living_particles_of_the_hard_process_decay_to_belongs_to_it_and_nothing_else() -> None:
    rows: list[Row] = [
        (23, -22, 0, 5.0, 0.0, 0.0),  # 1
        (15, -23, 1, 40.0, 0.0, 0.0),  # 2: a τ that radiates
        (15, -51, 2, 39.0, 0.0, 0.0),  # 3
        (15, -52, 3, 38.0, 0.0, 0.0),  # 4: its last copy
        (16, 91, 4, 9.0, 0.0, 0.0),  # 5
        (-213, -91, 4, 29.0, 0.0, 0.0),  # 6: a ρ, of which the pions are no decay of the τ's own
        (-211, 91, 6, 20.0, 0.0, 0.0),  # 7
        (5, -23, 1, 30.0, 0.0, 0.0),  # 8
        (511, -83, 8, 25.0, 0.0, 0.0),  # 9: a hadron, of which nothing belongs here
        (-211, 91, 9, 9.0, 0.0, 0.0),  # 10
        (22, 51, 2, 1.0, 0.0, 0.0),  # 11: of the shower
        (25, -22, 0, 50.0, 0.0, 0.0),  # 12
        (-5, -91, 12, 30.0, 0.0, 0.0),  # 13: of a long-lived one
    ]
    record = _record(TOP_DECAY, rows)
    place = np.arange(len(record), dtype=np.float64)
    truth = read_truth(replace(record, x=place, y=-place, z=2.0 * place), _Table())
    hard = truth.hard[truth.hard.event == 1]
    status, mother = (values[truth.hard.event == 1] for values in (truth.hard_status, truth.hard_mother))
    assert hard.pdg_id.tolist() == [23, 15, 16, -213, 5, 25, -5]
    assert status.tolist() == [22, 23, 91, 91, 23, 22, 91]
    assert mother.tolist() == [-1, 0, 1, 1, 0, -1, 5]
    born = truth.hard_birth[truth.hard.event == 1]
    row = len(TOP_DECAY) + 1 + np.array([1, 2, 5, 6, 8, 12, 13])
    assert born.tolist() == np.stack([row, -row, 2 * row], axis=1).tolist()
    only = truth.of_events(np.array([False, True]))
    assert np.array_equal(only.hard_birth, born) and np.array_equal(only.hard_status, status)


def test_neutral_r_hadrons_are_invisible_and_charged_ones_are_not() -> None:
    codes = [1000993, 1009113, 1000612, -1000612, 2000001, 1000022, 111, 211]
    truth = _read([(code, 104, 0, 50.0, 0.0, 0.0) for code in codes])
    # Of a neutral one (a partner without electric charge too) there is neither track nor energy.
    assert truth.visible.objects.pdg_id.tolist() == [1000612, -1000612, 111, 211]
    assert truth.visible.objects.charge.tolist() == [1, -1, 0, 1]


def test_no_event_has_anything() -> None:
    truth = _read([], [])
    assert truth.visible.objects.n_events == 2
    assert [len(part) for part in (truth.visible.objects, truth.bottom, truth.charm, truth.taus, truth.hard)] == [0] * 5


def test_top_pairs_in_the_real_record(top_truth: Truth) -> None:
    hard = top_truth.hard
    tops = np.bincount(hard.event, np.abs(hard.pdg_id) == 6, hard.n_events)
    assert np.all(tops == 2)
    start = np.cumsum(hard.counts) - hard.counts
    bosons = np.flatnonzero(np.abs(hard.pdg_id) == 24)
    mothers = top_truth.hard_mother[bosons] + start[hard.event[bosons]]
    assert len(bosons) == 240
    assert np.all(hard.pdg_id[mothers] == np.sign(hard.pdg_id[bosons]) * 6)
    assert np.median(hard.mass[np.abs(hard.pdg_id) == 6]) == pytest.approx(172.5, abs=1.5)
    assert np.mean(np.bincount(top_truth.bottom.event, minlength=120) >= 2) > 0.95
    # 65 % of the taus from W decay to hadrons.
    promised = hard[np.abs(hard.pdg_id) == 15]
    hadronic = int(np.sum(matched(promised, top_truth.taus, radius=0.3)))
    assert abs(hadronic - 0.648 * len(promised)) < 3 * np.sqrt(0.648 * 0.352 * len(promised))


def test_places_of_birth_are_read_and_all_belong_to_the_hard_collision() -> None:
    record = _record([(211, 1, 0, 3.0, 4.0, 0.0), (12, 1, 0, 1.0, 0.0, 0.0)], birth=(1.5, -2.5, 30.0))
    assert (record.x[1], record.y[1], record.z[1]) == (1.5, -2.5, 30.0)
    seen = visible_particles(record, _Table())
    assert (seen.x.tolist(), seen.y.tolist(), seen.z.tolist()) == ([1.5], [-2.5], [30.0])
    assert seen.collision.tolist() == [0]


def test_a_last_copy_has_no_daughter_of_its_code() -> None:
    record = _record(TOP_DECAY, [], TOP_DECAY)
    last = record.last_copies()
    # Of the three tops that which decays, of the two W bosons too; an antiparticle is no copy.
    once = [False, True, True, True, True]
    of_top = [True, True, True, False, False, True, False, True, True, True]
    assert last.tolist() == [*of_top, True, *of_top]
    assert _record([(5, -23, 0, 1.0, 0.0, 0.0), (-5, -71, 1, 1.0, 0.0, 0.0)]).last_copies().tolist() == once[2:]
    assert not _record(
        [(21, -23, 0, 9.0, 0.0, 0.0), (21, 1, 1, 5.0, 0.0, 0.0), (21, 1, 1, 4.0, 0.0, 0.0)]
    ).last_copies()[1]


@given(st.lists(st.booleans(), min_size=4, max_size=4))
def test_mothers_stay_right_when_events_are_dropped(kept: list[bool]) -> None:
    events = [[(code, -23, 0, 1.0 + code, 0.0, 0.0), *TOP_DECAY] for code in (1, 2, 3)]
    record = _record(*events[:2], [], events[2])
    part = record.of_events(np.array(kept))
    expected = [rows for rows, keep in zip((*events[:2], [], events[2]), kept, strict=True) if keep]
    assert part.objects.n_events == len(expected)
    assert part.objects.counts.tolist() == [len(rows) + 1 for rows in expected]
    if not expected:
        return
    again = _record(*expected)
    for name in ("status", "mother", "x", "y", "z"):
        assert np.array_equal(getattr(part, name), getattr(again, name)), name
    assert np.array_equal(part.objects.pt, again.objects.pt)
    assert np.array_equal(part.last_copies(), again.last_copies())


def test_the_truth_of_some_events_is_that_of_their_record(top_truth: Truth) -> None:
    mask = np.arange(120) % 3 == 1
    part = top_truth.of_events(mask)
    for name in ("visible", "bottom", "charm", "taus", "hard"):
        whole, kept = getattr(top_truth, name), getattr(part, name)
        whole, kept = (getattr(o, "objects", o) for o in (whole, kept))
        assert kept.n_events == 40
        assert np.array_equal(kept.counts, whole.counts[mask])
        assert np.array_equal(kept.pt, whole.pt[mask[whole.event]])
    start = np.cumsum(part.hard.counts) - part.hard.counts
    bosons = np.flatnonzero(np.abs(part.hard.pdg_id) == 24)
    mothers = part.hard_mother[bosons] + start[part.hard.event[bosons]]
    assert np.all(part.hard.pdg_id[mothers] == np.sign(part.hard.pdg_id[bosons]) * 6)
    assert np.array_equal(part.hard_status, top_truth.hard_status[mask[top_truth.hard.event]])


def test_the_hard_process_of_some_events_keeps_its_mothers_and_status() -> None:
    other: list[Row] = [(21, -21, 0, 0.0, 0.0, 9.0), (23, -22, 1, 5.0, 0.0, 0.0), (11, -23, 2, 5.0, 0.0, 0.0)]
    part = _read(TOP_DECAY, other, [], TOP_DECAY).of_events(np.array([False, True, True, True]))
    assert part.hard.event.tolist() == [0] * 3 + [2] * 6
    assert part.hard_mother.tolist() == [-1, 0, 1, -1, -1, 0, 2, 2, 3]
    assert part.hard_status.tolist() == [21, 22, 23, 21, 21, 22, 22, 23, 23]


def test_long_lived_particles_are_born_away_and_none_behind_the_calorimeters() -> None:
    card = load_card("h_ss_llp_4b").model_copy(update={"multiple_interactions": False})
    made = generate(card, events=60, seed=3)
    record = read_record(made.events, made.particle_data)
    seen = visible_particles(record, made.particle_data)
    radius = np.hypot(seen.x, seen.y)
    assert np.mean(radius > TRACKED_FULLY) > 0.2
    assert radius.max() <= HCAL_RADIUS and np.abs(seen.z).max() <= HCAL_LENGTH
    assert not np.any(seen.objects.pdg_id == 4900022)
    # Straight from where it was born to where it decays, cτ = 500 mm: the mean of the proper length is that.
    truth = read_truth(record, made.particle_data)
    mothers = truth.hard_mother + (np.cumsum(truth.hard.counts) - truth.hard.counts)[truth.hard.event]
    product = (truth.hard_mother >= 0) & (truth.hard.pdg_id[mothers] == 4900022) & (np.abs(truth.hard.pdg_id) == 5)
    assert product.sum() > 200
    assert set(truth.hard_status[product].tolist()) == {91}
    assert np.abs(truth.hard_birth[~product & (truth.hard_status < 30)]).max() < 1e-9
    pairs = truth.hard_birth[product].reshape(-1, 2, 3)
    assert np.array_equal(pairs[:, 0], pairs[:, 1]) and np.all(np.linalg.norm(pairs[:, 0], axis=1) > 0)
    # They lie on the line in which the scalar flew.
    scalars = truth.hard[mothers[product][::2]]
    direction = np.stack(scalars.momentum, axis=1)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    along = np.sum(direction * pairs[:, 0], axis=1)
    assert along == pytest.approx(np.linalg.norm(pairs[:, 0], axis=1), rel=1e-3)
    scalar = np.flatnonzero((record.absolute == 4900022) & record.last_copies())
    decays = np.flatnonzero((record.mother >= 0) & (record.absolute[record.mother] == 4900022) & (record.absolute == 5))
    _, first = np.unique(record.mother[decays], return_index=True)
    mother, child = record.mother[decays[first]], decays[first]
    way = np.sqrt(sum(getattr(record, axis)[child] ** 2 for axis in "xyz"))
    size = record.objects.pt[mother] * np.cosh(record.objects.eta[mother])
    proper = way * record.objects.mass[mother] / size
    assert 0 < len(scalar) - len(mother) < len(scalar) / 4  # some leave the detector whole
    assert np.median(proper) == pytest.approx(500.0 * np.log(2.0), abs=4 * 500.0 / np.sqrt(len(proper)))
