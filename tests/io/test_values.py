"""Values that differ are found, to the last bit and in the right entry."""

import numpy as np

from hepfilter.io.values import Values, join_values


def counts(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def test_equal_values_differ_nowhere():
    for dtype in (bool, np.int8, np.float32, np.uint64):
        own = Values(np.arange(4).astype(dtype), (counts(1, 0, 3),))
        assert len(own.different(Values(own.numbers.copy(), own.counts), 3)) == 0
    nothing = Values(np.empty(0, np.float32))
    assert len(nothing.different(nothing, 0)) == 0


def test_signs_of_zero_and_nan_are_bits():
    own = Values(np.array([0.0, np.nan, 1.0], np.float32))
    assert len(own.different(Values(own.numbers.copy()), 3)) == 0
    assert own.different(Values(np.array([-0.0, np.nan, 1.0], np.float32)), 3).tolist() == [0]
    other_nan = own.numbers.copy()
    other_nan.view(np.uint32)[1] ^= 1
    assert own.different(Values(other_nan), 3).tolist() == [1]


def test_a_moved_border_is_found_where_numbers_agree():
    numbers = np.arange(6)
    own = Values(numbers, (counts(2, 1, 1), counts(1, 1, 2, 2)))
    inner = Values(numbers, (counts(2, 1, 1), counts(2, 0, 2, 2)))
    outer = Values(numbers, (counts(1, 2, 1), counts(1, 1, 2, 2)))
    assert own.different(inner, 3).tolist() == [0]
    assert own.different(outer, 3).tolist() == [0, 1]


def test_arrays_and_lists_show_their_entry():
    own = Values(np.arange(12), (), 4)
    changed = own.numbers.copy()
    changed[[5, 11]] += 1
    assert own.different(Values(changed, (), 4), 3).tolist() == [1, 2]
    listed = Values(np.arange(4), (counts(0, 3, 0, 1),))
    changed = listed.numbers.copy()
    changed[3] = 9
    assert listed.different(Values(changed, listed.counts), 4).tolist() == [3]


def test_pieces_are_joined():
    parts = [Values(np.arange(3), (counts(2, 1),)), Values(np.arange(2), (counts(2),))]
    joined = join_values(parts)
    assert joined.numbers.tolist() == [0, 1, 2, 0, 1] and joined.counts[0].tolist() == [2, 1, 2]
