"""Sets of events by (run, luminosityBlock, event), exact in all 128 bits and searched for whole chunks at once.

An event is held in 16 bytes: its block (run and luminosityBlock in one word) and a key that mixes event and block. For
a given block the key tells the event, so that key and block together are the identity; numpy sorts and searches the
key, a plain word, fast. Two events may share a key by chance: the block then decides.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepfilter.errors import SourceError

Words = NDArray[np.uint64]
Integers = NDArray[np.integer]

_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2⁶⁴ divided by the golden ratio: events of neighbouring blocks stay apart
_HALF_WORD = 32


@dataclass(frozen=True, eq=False)
class Identities:
    """Who each event is: key and block (uint64), one entry an event. Made by `pack_identities`."""

    keys: Words
    blocks: Words

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, chosen: "NDArray[np.bool_] | NDArray[np.intp]") -> "Identities":
        """The chosen events."""
        return Identities(self.keys[chosen], self.blocks[chosen])


def pack_blocks(run: Integers, luminosity_block: Integers) -> Words:
    """run · 2³² + luminosityBlock, sorting as the pairs do. SourceError if a number is negative or above 32 bits."""
    upper = _half_word(run, "run")
    return (upper << np.uint64(_HALF_WORD)) | _half_word(luminosity_block, "luminosityBlock")


def pack_identities(run: Integers, luminosity_block: Integers, event: Integers) -> Identities:
    """The identities of a chunk of events; `event` counts with its 64 bits, whether they are signed or not.

    SourceError if a run or luminosityBlock is negative or above 32 bits, or a column does not hold integers.
    """
    blocks = pack_blocks(run, luminosity_block)
    events = _integers(event, "event").astype(np.uint64)
    return Identities(events + blocks * _SPREAD, blocks)


def unpack_identities(identities: Identities) -> tuple[Words, Words]:
    """Blocks (run · 2³² + luminosityBlock) and events, one entry an event: what `pack_identities` was given."""
    return identities.blocks, identities.keys - identities.blocks * _SPREAD


def sort_identities(identities: Identities) -> NDArray[np.intp]:
    """The order that sorts by key, then block; equal identities stay in the order given."""
    order = np.argsort(identities.keys, kind="stable")
    ordered = identities[order]
    same_key = ordered.keys[1:] == ordered.keys[:-1]
    if np.any(same_key & (ordered.blocks[1:] != ordered.blocks[:-1])):
        return np.lexsort((identities.blocks, identities.keys))
    return order


def find_sorted(known: Identities, wanted: Identities) -> NDArray[np.intp]:
    """For each of `wanted` the position of the first equal one in `known`, which is sorted; −1 if there is none."""
    place = np.searchsorted(known.keys, wanted.keys)
    found = np.full(len(wanted), -1, np.intp)
    pending = np.flatnonzero(place < len(known))
    while len(pending):  # more than one round only where different events share a key
        pending = pending[known.keys[place[pending]] == wanted.keys[pending]]
        equal = known.blocks[place[pending]] == wanted.blocks[pending]
        found[pending[equal]] = place[pending[equal]]
        pending = pending[~equal]
        place[pending] += 1
        pending = pending[place[pending] < len(known)]
    return found


def mark_first(ordered: Identities) -> NDArray[np.bool_]:
    """Of sorted identities those that differ from the one before."""
    first = np.ones(len(ordered), bool)
    first[1:] = (ordered.keys[1:] != ordered.keys[:-1]) | (ordered.blocks[1:] != ordered.blocks[:-1])
    return first


def _half_word(numbers: Integers, name: str) -> Words:
    values = _integers(numbers, name)
    if values.dtype != np.uint32 and values.size and (values.min() < 0 or values.max() >= 2**_HALF_WORD):
        worst = values.min() if values.min() < 0 else values.max()
        raise SourceError(f"{name} {worst}: lies outside 0 to {2**_HALF_WORD - 1}; such events cannot be identified")
    return values.astype(np.uint64)


def _integers(numbers: Integers, name: str) -> Integers:
    values = np.asarray(numbers)
    if values.dtype.kind not in "iu":
        raise SourceError(f"{name}: is {values.dtype}, not an integer; such events cannot be identified")
    return values
