"""The event record."""

from itertools import pairwise

import awkward as ak
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hepfilter.events.record import COLLECTIONS, Objects, build_record

BASIC = ("pt", "eta", "phi", "mass")


def objects(counts: list[int], **extra: np.ndarray) -> Objects:
    total = sum(counts)
    columns = {name: np.arange(total, dtype=np.float32) for name in BASIC}
    return Objects.from_counts(np.array(counts), columns | extra)


def test_every_collection_is_there_and_absent_ones_are_empty() -> None:
    record = build_record({"jet": objects([2, 0, 1], charge=np.array([1, -1, 1], np.int8))}, 3)
    assert tuple(record.fields) == COLLECTIONS
    assert len(record) == 3
    assert ak.to_list(record.jet.pt) == [[0, 1], [], [2]]
    for name in COLLECTIONS[1:]:
        assert ak.to_list(record[name]) == [[], [], []]
        assert tuple(record[name].fields) == BASIC
    assert str(record.jet.type) == "3 * var * {pt: float32, eta: float32, phi: float32, mass: float32, charge: float32}"


def test_record_of_no_events() -> None:
    record = build_record({}, 0)
    assert len(record) == 0
    assert tuple(record.fields) == COLLECTIONS


@given(st.lists(st.integers(0, 3), max_size=6), st.integers(0, 2**30))
def test_keep_moves_the_offsets_with_the_objects(counts: list[int], seed: int) -> None:
    every = objects(counts)
    mask = np.random.default_rng(seed).random(len(every)) < 0.5
    kept = every.keep(mask)
    for event, (low, high) in enumerate(pairwise(every.offsets)):
        expected = every.columns["pt"][low:high][mask[low:high]]
        assert np.array_equal(kept.columns["pt"][kept.offsets[event] : kept.offsets[event + 1]], expected)
    assert kept.n_events == len(counts)
    assert np.array_equal(kept.event, every.event[mask])
