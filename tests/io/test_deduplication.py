"""Events that come a second time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hepfilter.errors import SourceError
from hepfilter.io import identity_set
from hepfilter.io.deduplication import SeenEvents

numbers = st.integers(0, 3)
events = st.lists(st.tuples(numbers, numbers, numbers | st.sampled_from([2**53, 2**53 + 1, 2**64 - 1])), max_size=60)


def columns(rows: list[tuple[int, int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    run, block, event = zip(*rows, strict=True) if rows else ((), (), ())
    return np.array(run, np.uint32), np.array(block, np.uint32), np.array(event, np.uint64)


def in_chunks(rows: list[tuple[int, int, int]], size: int) -> list[bool]:
    seen = SeenEvents()
    return [
        first
        for start in range(0, len(rows), size)
        for first in seen.first_occurrences(*columns(rows[start : start + size])).tolist()
    ]


@given(events, st.integers(1, 70))
@pytest.mark.parametrize("spread", [identity_set._SPREAD, np.uint64(0)])  # 0: different events share keys all the time
def test_the_first_in_order_wins_however_chunks_are_cut(spread, rows, size):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(identity_set, "_SPREAD", spread)
        assert in_chunks(rows, size) == [rows.index(row) == i for i, row in enumerate(rows)]


def test_many_events_against_a_set():
    rng = np.random.default_rng(2)
    rows = [tuple(row) for row in rng.integers(0, [3, 40, 400], (30_000, 3)).tolist()]
    known: set[tuple[int, int, int]] = set()
    expected = [row not in known and not known.add(row) for row in rows]
    assert in_chunks(rows, 777) == expected
    assert 0 < sum(expected) < len(rows)


def test_few_parts_of_sixteen_bytes_an_event():
    seen = SeenEvents()
    for chunk in range(200):
        event = np.arange(chunk * 100, chunk * 100 + 100)
        assert seen.first_occurrences(np.ones(100, int), event // 50, event).all()
        assert not seen.first_occurrences(np.ones(100, int), event // 50, event).any()
    assert len(seen) == 20_000
    assert sum(part.keys.nbytes + part.blocks.nbytes for part in seen._parts) == 16 * 20_000
    assert len(seen._parts) <= 8


def test_numbers_that_cannot_be_told_apart():
    one = np.array([1])
    with pytest.raises(SourceError, match="luminosityBlock -1"):
        SeenEvents().first_occurrences(one, np.array([-1]), one)
