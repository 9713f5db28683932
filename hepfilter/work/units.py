"""Units of work: entry ranges that begin and end where baskets do."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Unit:
    """The entries [start, stop) of one file (by its index among the inputs)."""

    file: int
    start: int
    stop: int

    @property
    def num_entries(self) -> int:
        """Entries in the unit."""
        return self.stop - self.start


def cut_units(file: int, edges: Sequence[int], *, target: int) -> list[Unit]:
    """Cut a file into units of at most `target` entries, if possible at basket borders (`edges`, from 0 to the end).

    A stretch between two borders that is longer than `target` is cut evenly; a file without entries gives no unit.
    """
    units: list[Unit] = []
    start = 0
    for index, edge in enumerate(edges[1:], start=2):
        if index < len(edges) and edges[index] - start <= target:
            continue
        pieces = -(-(edge - start) // target)
        cuts = [start + (edge - start) * piece // pieces for piece in range(pieces + 1)]
        units += [Unit(file, low, high) for low, high in pairwise(cuts)]
        start = edge
    return units
