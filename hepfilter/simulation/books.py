"""The bookkeeping trees of a simulated file."""

from dataclasses import dataclass

import numpy as np

from hepfilter.io.writing import NewFile
from hepfilter.simulation.nano import BLOCK_COLUMNS, RUN_COLUMNS

RUN = 1  # as in CMS simulation


@dataclass(frozen=True)
class Books:
    """What a file holds: events, sums of their weights (as stored, in float32) and of the squares, and blocks."""

    events: int
    weight_sum: float
    weight_square_sum: float
    luminosity_blocks: int


def write_books(out: NewFile, books: Books) -> None:
    """Runs with the sums of weights, and LuminosityBlocks with a row per block."""
    with out.new_tree("Runs", RUN_COLUMNS) as tree:
        tree.extend(
            {
                "run": np.array([RUN], dtype=np.uint32),
                "genEventCount": np.array([books.events]),
                "genEventSumw": np.array([books.weight_sum]),
                "genEventSumw2": np.array([books.weight_square_sum]),
            }
        )
    with out.new_tree("LuminosityBlocks", BLOCK_COLUMNS) as tree:
        numbers = np.arange(1, books.luminosity_blocks + 1, dtype=np.uint32)
        tree.extend({"run": np.full(len(numbers), RUN, dtype=np.uint32), "luminosityBlock": numbers})
