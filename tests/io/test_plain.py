"""Branches of plain numbers, decoded."""

import numpy as np
import pytest

from hepfilter.io.baskets import raw_entries, raw_lists
from hepfilter.io.plain import decode, is_plain, plain_dtype
from hepfilter.io.ttree import Branch, Element, Leaf
from hepfilter.io.writing import Column, column_branch

TYPES = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"]


def make_branch(dtype: str, *, jagged: bool) -> Branch:
    leaves: dict[str, Leaf] = {}
    column_branch(Column("n", "int32"), leaves)
    return column_branch(Column("x", dtype, counter="n" if jagged else None), leaves)


@pytest.mark.parametrize("dtype", TYPES)
def test_numbers_come_back_bit_for_bit(dtype):
    raw = np.random.default_rng(2).integers(0, 256, 80, dtype=np.uint8)
    values = raw[:10] % 2 == 1 if dtype == "bool" else raw.view(dtype)[:10]
    branch = make_branch(dtype, jagged=False)
    assert is_plain(branch)
    assert plain_dtype(branch) == dtype
    column = decode(branch, [raw_entries(values[:3]), raw_entries(values[3:3]), raw_entries(values[3:])])
    assert column.offsets is None
    assert column.values.dtype == dtype
    assert column.values.dtype.isnative
    assert column.values.tobytes() == values.tobytes()


@pytest.mark.parametrize("dtype", TYPES)
def test_lists_come_back_with_their_offsets(dtype):
    values = np.arange(10).astype(dtype)
    branch = make_branch(dtype, jagged=True)
    pieces = [
        raw_lists(values[:4], np.array([3, 0, 1])),
        raw_entries(values[4:6]),
        raw_lists(values[6:], np.array([0, 4])),
    ]
    column = decode(branch, pieces)
    assert column.offsets.tolist() == [0, 3, 3, 4, 5, 6, 6, 10]
    assert column.offsets.dtype == np.int64
    assert column.values.tobytes() == values.tobytes()


@pytest.mark.parametrize("jagged", [True, False])
def test_no_pieces_are_no_entries(jagged):
    column = decode(make_branch("float32", jagged=jagged), [])
    assert (column.values.dtype, len(column.values)) == (np.float32, 0)
    assert (column.offsets is None) == (not jagged)
    assert not jagged or column.offsets.tolist() == [0]


def test_what_is_not_plain():
    def leaf(kind: str = "TLeafI", **members: object) -> Leaf:
        return Leaf(kind, "x", "x", **members)

    element = Element("vector<float>", "", "", 0, 0, 0, 0, 0, 0, None, None)
    counter = Leaf("TLeafI", "n", "n")
    plain = [Branch("x", "", [leaf()]), Branch("x", "", [leaf(count=counter)], entry_offset_length=1000)]
    other = [
        Branch("x", "", [leaf(), leaf()]),
        Branch("x", "", []),
        Branch("x", "", [leaf()], element=element),
        Branch("x", "", [leaf()], children=[plain[0]]),
        Branch("x", "", [leaf()], obstacle="is odd"),
        Branch("x", "", [leaf(length=3)]),
        Branch("x", "", [leaf(length=3, count=counter)], entry_offset_length=1000),
        Branch("x", "", [leaf()], entry_offset_length=1000),
        Branch("x", "", [leaf(count=counter)]),
        *(Branch("x", "", [leaf(kind)]) for kind in ("TLeafC", "TLeafD32", "TLeafF16", "TLeafElement")),
    ]
    assert [is_plain(branch) for branch in plain] == [True, True]
    assert not any(is_plain(branch) for branch in other)
