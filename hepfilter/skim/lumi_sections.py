"""Luminosity sections of a file: of which there are events, and which its books tell of, with what a mask leaves."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hepfilter.events.identity import pack_sections
from hepfilter.io.lumi_mask import LumiMask
from hepfilter.io.reading import OpenFile, Table

if TYPE_CHECKING:
    from hepfilter.config.schema import Schema

Sections = npt.NDArray[np.uint64]
"""[n] distinct `pack_sections`, rising."""


def masked_rows(
    file: OpenFile, main: Table, schema: "Schema | None", mask: LumiMask
) -> dict[str, npt.NDArray[np.int64]]:
    """The rows of the books that the mask leaves, for each tree beside `main` that names a run."""
    rows = {}
    for name, run, block in _books(file, main, schema):
        passed = np.isin(run, mask.runs) if block is None else mask.passes(run, block)
        rows[name] = np.flatnonzero(passed)
    return rows


def stated_sections(file: OpenFile, main: Table, schema: "Schema | None", mask: LumiMask | None) -> Sections:
    """The sections that the books of a file tell of, whether it has events of them or not."""
    found = np.empty(0, np.uint64)
    for _, run, block in _books(file, main, schema):
        if block is not None:
            passed = np.ones(len(run), bool) if mask is None else mask.passes(run, block)
            found = np.union1d(found, pack_sections(run, block)[passed])
    return found


def _books(
    file: OpenFile, main: Table, schema: "Schema | None"
) -> list[tuple[str, npt.NDArray[Any], npt.NDArray[Any] | None]]:
    """(name, runs, luminosity blocks if it has them) of each bookkeeping tree beside `main` that names a run."""
    if schema is None or schema.identity is None:
        return []
    run, block = schema.identity.run, schema.identity.luminosity_block
    books = []
    for name in schema.bookkeeping:
        tree = file.table(name) if name in file.table_names and name != main.name else None
        if tree is None or run not in tree.branch_names:
            continue
        columns = tree.values([branch for branch in (run, block or "") if branch in tree.branch_names])
        blocks = columns.get(block or "")
        books.append((name, columns[run].values, None if blocks is None else blocks.values))
    return books
