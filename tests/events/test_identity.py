"""Who an event is."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hepfilter.events.identity import Identity


def make(first: int, count: int) -> Identity:
    numbers = np.arange(first, first + count)
    return Identity(numbers.astype(np.uint32), (numbers % 3).astype(np.uint32), numbers.astype(np.uint64) + 2**63)


def rows(identity: Identity) -> list[tuple[int, int, int]]:
    columns = (identity.run, identity.luminosity_block, identity.event)
    assert [column.dtype for column in columns] == ["uint32", "uint32", "uint64"]
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_identity_from_entries() -> None:
    identity = Identity.from_entries("/data/a/file.root", 5, 3)
    assert identity.run.tolist() == [0, 0, 0]
    assert identity.event.tolist() == [5, 6, 7]
    assert (identity.run.dtype, identity.luminosity_block.dtype, identity.event.dtype) == ("uint32", "uint32", "uint64")
    # BLAKE2b, 4 bytes, little-endian, of "file.root": stated, so it must never change.
    assert set(identity.luminosity_block.tolist()) == {0x57296E06}


def test_identity_depends_on_the_name_and_not_on_the_folder() -> None:
    here, there, other = (
        Identity.from_entries(path, 0, 1).luminosity_block[0]
        for path in ("file.root", "root://host//store/file.root", "file2.root")
    )
    assert here == there
    assert here != other
    assert len(Identity.from_entries("file.root", 0, 0)) == 0


def test_a_file_without_a_name_of_ascii() -> None:
    assert len(set(Identity.from_entries("gemeinsam/µµ.root", 2**40, 2).luminosity_block.tolist())) == 1
    assert Identity.from_entries("gemeinsam/µµ.root", 2**40, 2).event.tolist() == [2**40, 2**40 + 1]


@given(st.lists(st.integers(0, 4), max_size=5))
def test_parts_joined_stand_one_after_the_other(counts: list[int]) -> None:
    parts = [make(10 * i, count) for i, count in enumerate(counts)]
    joined = Identity.join(parts)
    assert rows(joined) == [row for part in parts for row in rows(part)]
    assert len(joined) == sum(counts)


@given(st.lists(st.booleans(), max_size=8))
def test_the_chosen_ones(mask: list[bool]) -> None:
    every = make(5, len(mask))
    assert rows(every[np.array(mask, bool)]) == [row for row, chosen in zip(rows(every), mask, strict=True) if chosen]
