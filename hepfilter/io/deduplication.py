"""Which events come a second time: exact, for any number of chunks, 16 bytes for each event seen."""

import numpy as np
from numpy.typing import NDArray

from hepfilter.io.identity_set import (
    Identities,
    Integers,
    find_sorted,
    mark_first,
    pack_identities,
    sort_identities,
)


class SeenEvents:
    """The events seen so far, by (run, luminosityBlock, event).

    They are held in a few sorted parts, each more than twice as large as the next (so that each event is merged, and
    searched for, a logarithmic number of times). While two parts are merged, their memory is needed three times.
    """

    def __init__(self) -> None:
        self._parts: list[Identities] = []

    def __len__(self) -> int:
        """Number of different events seen."""
        return sum(len(part) for part in self._parts)

    def first_occurrences(self, run: Integers, luminosity_block: Integers, event: Integers) -> NDArray[np.bool_]:
        """Which events of this chunk come for the first time, one entry an event; from now on all of them are seen.

        Of equal ones within the chunk the first in order counts, so that the answer does not depend on where chunks
        end. SourceError if a run or luminosityBlock is negative or above 32 bits.
        """
        chunk = pack_identities(run, luminosity_block, event)
        order = sort_identities(chunk)
        order = order[mark_first(chunk[order])]
        for part in self._parts:
            order = order[find_sorted(part, chunk[order]) < 0]
        self._add(chunk[order])
        first = np.zeros(len(chunk), bool)
        first[order] = True
        return first

    def _add(self, part: Identities) -> None:
        """Add sorted events that are not there yet."""
        if not len(part):
            return
        while self._parts and len(self._parts[-1]) <= 2 * len(part):
            last = self._parts.pop()
            both = Identities(np.concatenate([last.keys, part.keys]), np.concatenate([last.blocks, part.blocks]))
            part = both[sort_identities(both)]
        self._parts.append(part)
