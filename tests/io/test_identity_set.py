"""Exact identities in 16 bytes."""

import numpy as np
import pytest

from hepfilter.errors import SourceError
from hepfilter.io import identity_set
from hepfilter.io.identity_set import (
    find_sorted,
    mark_first,
    pack_blocks,
    pack_identities,
    sort_identities,
    unpack_identities,
)

EDGES = np.array([0, 1, 2**31, 2**32 - 1], np.uint64)
LARGE = np.array([0, 1, 2**53, 2**53 + 1, 2**63, 2**64 - 1], np.uint64)


def every_combination() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return tuple(grid.ravel() for grid in np.meshgrid(EDGES, EDGES, LARGE))


def test_nothing_is_lost_in_packing():
    run, block, event = every_combination()
    blocks, events = unpack_identities(pack_identities(run, block, event))
    assert (blocks >> np.uint64(32)).tolist() == run.tolist()
    assert (blocks & np.uint64(2**32 - 1)).tolist() == block.tolist()
    assert events.tolist() == event.tolist()


def test_blocks_sort_as_pairs_do():
    run, block, _ = every_combination()
    assert np.array_equal(
        np.argsort(pack_blocks(run, block), kind="stable"), sorted(range(len(run)), key=lambda i: (run[i], block[i]))
    )


@pytest.mark.parametrize("dtype", [np.int32, np.uint32, np.int64, np.uint64])
def test_the_width_of_the_columns_does_not_matter(dtype):
    narrow = pack_identities(np.array([7], dtype), np.array([8], dtype), np.array([9], dtype))
    wide = pack_identities(np.array([7], np.uint64), np.array([8], np.uint64), np.array([9], np.uint64))
    assert (narrow.keys[0], narrow.blocks[0]) == (wide.keys[0], wide.blocks[0])


@pytest.mark.parametrize("spread", [identity_set._SPREAD, np.uint64(0)])  # 0: events of different blocks share keys
def test_each_identity_is_found_where_it_stands(monkeypatch, spread):
    monkeypatch.setattr(identity_set, "_SPREAD", spread)
    identities = pack_identities(*every_combination())
    known = identities[sort_identities(identities)]
    assert find_sorted(known, known).tolist() == list(range(len(known)))
    half = known[np.arange(0, len(known), 2)]
    expected = [i // 2 if i % 2 == 0 else -1 for i in range(len(known))]
    assert find_sorted(half, known).tolist() == expected
    assert mark_first(known).all()
    assert find_sorted(known[np.zeros(len(known), bool)], known).tolist() == [-1] * len(known)


@pytest.mark.parametrize("spread", [identity_set._SPREAD, np.uint64(0)])
def test_equal_ones_stay_in_order(monkeypatch, spread):
    monkeypatch.setattr(identity_set, "_SPREAD", spread)
    run = np.array([2, 1, 2, 1, 2])
    identities = pack_identities(run, np.zeros(5, int), np.zeros(5, int))
    order = sort_identities(identities)
    assert [i for i in order.tolist() if run[i] == 2] == [0, 2, 4]
    assert sorted(order[mark_first(identities[order])].tolist()) == [0, 1]


def test_what_cannot_be_identified():
    one = np.array([1])
    with pytest.raises(SourceError, match=r"^run -1: lies outside 0 to 4294967295"):
        pack_identities(np.array([-1]), one, one)
    with pytest.raises(SourceError, match=r"^luminosityBlock 4294967296: lies outside"):
        pack_identities(one, np.array([1, 2**32]), one)
    with pytest.raises(SourceError, match=r"^event: is float64, not an integer"):
        pack_identities(one, one, np.array([1.0]))
