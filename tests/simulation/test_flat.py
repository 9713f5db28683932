from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hepfilter.simulation.flat import (
    Candidates,
    FlatObjects,
    Particles,
    delta_phi,
    delta_r,
    from_momentum,
    matched,
    pairs,
    prompt,
    pt_order,
    rank_in_event,
)
from hepfilter.simulation.truth import Truth

Maker = Callable[..., FlatObjects]
events_of_objects = st.lists(st.integers(0, 5), max_size=12).map(sorted)


def _scattered(make: Maker, events: list[int], seed: int) -> FlatObjects:
    rng = np.random.default_rng(seed)
    rows = [(event, rng.uniform(1, 9), rng.uniform(-3, 3), rng.uniform(-np.pi, np.pi)) for event in events]
    return make(rows, n_events=6)


@given(left=events_of_objects, right=events_of_objects, radius=st.floats(0.1, 4.0))
def test_pairs_and_matches_equal_a_double_loop(
    objects: Maker, left: list[int], right: list[int], radius: float
) -> None:
    a, b = _scattered(objects, left, 1), _scattered(objects, right, 2)
    expected = [(i, j) for i in range(len(a)) for j in range(len(b)) if a.event[i] == b.event[j]]
    i, j = pairs(a, b)
    assert list(zip(i.tolist(), j.tolist(), strict=True)) == expected
    near = {
        i for i, j in expected if np.hypot(a.eta[i] - b.eta[j], np.angle(np.exp(1j * (a.phi[i] - b.phi[j])))) < radius
    }
    assert set(np.flatnonzero(matched(a, b, radius=radius))) == near


@given(st.floats(-np.pi, np.pi), st.floats(-np.pi, np.pi))
def test_delta_phi_is_the_short_way_round(one: float, other: float) -> None:
    difference = delta_phi(np.array([one]), np.array([other]))[0]
    assert -np.pi <= difference <= np.pi
    assert np.exp(1j * difference) == pytest.approx(np.exp(1j * (one - other)), abs=1e-9)


def test_delta_r_wraps(objects: Maker) -> None:
    a, b = objects([(0, 1.0, 0.0, 3.1)], n_events=1), objects([(0, 1.0, 0.3, -3.1)], n_events=1)
    i, j = pairs(a, b)
    assert delta_r(a, b, i, j)[0] == pytest.approx(np.hypot(0.3, 2 * np.pi - 6.2))


@given(events_of_objects)
def test_rank_counts_from_zero_in_each_event(events: list[int]) -> None:
    ranks = rank_in_event(np.array(events, dtype=np.int64))
    assert ranks.tolist() == [events[:place].count(event) for place, event in enumerate(events)]


def test_order_is_by_event_then_falling_pt() -> None:
    order = pt_order(np.array([0, 0, 1, 1]), np.array([1.0, 2.0, 3.0, 4.0]))
    assert order.tolist() == [1, 0, 3, 2]


def test_counts_and_energy(objects: Maker) -> None:
    found = objects([(1, 3.0, 0.0, 0.0), (1, 4.0, 1.0, 0.0), (3, 1.0, 0.0, 0.0)], n_events=5)
    assert found.counts.tolist() == [0, 2, 0, 1, 0]
    assert found.energy == pytest.approx([3.0, 4.0 * np.cosh(1.0), 1.0])
    assert found[found.pt > 2.0].counts.tolist() == [0, 2, 0, 0, 0]


@given(events=events_of_objects, kept=st.lists(st.booleans(), min_size=6, max_size=6))
def test_some_events_are_numbered_anew_with_their_own_objects(
    objects: Maker, events: list[int], kept: list[bool]
) -> None:
    whole, mask = _scattered(objects, events, 3), np.array(kept)
    part = whole.of_events(mask)
    numbers = np.flatnonzero(mask)
    assert part.n_events == len(numbers)
    assert len(part) == sum(kept[event] for event in events)
    for new, old in enumerate(numbers):
        assert part.pt[part.event == new].tolist() == whole.pt[whole.event == old].tolist()
    assert part.counts.tolist() == whole.counts[mask].tolist()


def test_particles_and_candidates_follow_their_objects(top_truth: Truth, top_candidates: Candidates) -> None:
    mask = np.arange(120) % 7 == 2
    rows = mask[top_truth.visible.objects.event]
    part = top_truth.visible.of_events(mask)
    assert len(part) == rows.sum() == part.objects.counts.sum()
    assert np.array_equal(part.z, top_truth.visible.z[rows])
    assert np.unique(part.objects.event).tolist() == list(range(int(mask.sum())))
    rows = mask[top_candidates.objects.event]
    seen = top_candidates.of_events(mask)
    assert np.array_equal(seen.d0, top_candidates.d0[rows])
    assert np.array_equal(seen.objects.pt, top_candidates.objects.pt[rows])
    assert (seen.objects.n_events, len(seen.puppi)) == (int(mask.sum()), len(seen))


def test_a_choice_of_rows_reaches_into_the_objects(objects: Maker) -> None:
    made = objects([(0, 1.0, 0.0, 0.0), (0, 2.0, 0.0, 0.0), (2, 3.0, 0.0, 0.0)], n_events=4)
    particles = Particles(made, *np.arange(9.0).reshape(3, 3), np.array([0, 1, 2]))
    chosen = particles[np.array([1, 0, 2])]
    assert chosen.objects.pt.tolist() == [2.0, 1.0, 3.0]
    assert (chosen.x.tolist(), chosen.z.tolist()) == ([1.0, 0.0, 2.0], [7.0, 6.0, 8.0])
    assert chosen.collision.tolist() == [1, 0, 2]
    assert chosen.objects.n_events == 4


def test_prompt_particles_are_born_in_the_hard_collision(objects: Maker) -> None:
    made = prompt(objects([(0, 1.0, 0.0, 0.0), (2, 3.0, 0.0, 0.0)], n_events=4))
    for axis in (made.x, made.y, made.z, made.collision):
        assert axis.tolist() == [0, 0]
    assert made.collision.dtype == np.int64
    assert len(prompt(objects([], n_events=4))) == 0


def test_joined_objects_stand_one_after_the_other(objects: Maker) -> None:
    one = objects([(0, 1.0, 0.1, 0.2), (2, 3.0, 0.0, 0.0)], n_events=4, pdg_id=11, charge=-1)
    both = one.joined(objects([(1, 5.0, 0.3, 0.4)], n_events=4))
    assert both.event.tolist() == [0, 2, 1]
    assert both.pt.tolist() == [1.0, 3.0, 5.0]
    assert (both.pdg_id.tolist(), both.charge.tolist()) == ([11, 11, 22], [-1, -1, 0])
    assert both.n_events == 4


@given(st.floats(0.1, 1e3), st.floats(-8.0, 8.0), st.floats(-3.14, 3.14), st.floats(0.0, 200.0))
def test_momenta_and_back(pt: float, eta: float, phi: float, mass: float) -> None:
    one = np.ones(1)
    x, y, z = pt * np.cos(phi) * one, pt * np.sin(phi) * one, pt * np.sinh(eta) * one
    integers = np.zeros(1, dtype=np.int64)
    made = from_momentum(x, y, z, mass * one, n_events=1, event=integers, pdg_id=integers, charge=integers)
    assert (made.pt[0], made.eta[0], made.phi[0]) == pytest.approx((pt, eta, phi), rel=1e-9, abs=1e-9)
    assert np.concatenate(made.momentum) == pytest.approx(np.concatenate([x, y, z]), rel=1e-9, abs=1e-9)
    assert made.energy[0] == pytest.approx(np.sqrt(x[0] ** 2 + y[0] ** 2 + z[0] ** 2 + mass**2), rel=1e-9)


def test_what_flies_along_the_beam_has_a_finite_direction() -> None:
    zero, integers = np.zeros(2), np.zeros(2, dtype=np.int64)
    along = np.array([6500.0, -6500.0])
    made = from_momentum(zero, zero, along, zero, n_events=1, event=integers, pdg_id=integers, charge=integers)
    assert made.eta.tolist() == [20.0, -20.0]
