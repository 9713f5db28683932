from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hepfilter.simulation.flat import FlatObjects, delta_phi, delta_r, matched, pairs, pt_order, rank_in_event

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
