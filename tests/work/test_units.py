"""Cutting files into units."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from hepfilter.work.units import cut_units


@given(st.lists(st.integers(1, 50), max_size=30), st.integers(1, 120))
def test_units_cover_every_entry_once_and_in_order(sizes, target):
    edges = [0]
    for size in sizes:
        edges.append(edges[-1] + size)
    units = cut_units(3, edges, target=target)
    assert [(unit.start, unit.stop) for unit in units] == list(pairwise([0, *(unit.stop for unit in units)]))
    assert (units[-1].stop if units else 0) == edges[-1]
    assert all(0 < unit.num_entries <= target and unit.file == 3 for unit in units)


def test_units_end_at_basket_borders_where_they_can():
    assert [unit.stop for unit in cut_units(0, [0, 40, 80, 120], target=100)] == [80, 120]


def test_a_basket_larger_than_a_unit_is_cut_evenly():
    assert [unit.num_entries for unit in cut_units(0, [0, 10, 260], target=100)] == [10, 83, 83, 84]


def test_no_entries_no_units():
    assert cut_units(0, [0], target=10) == []
