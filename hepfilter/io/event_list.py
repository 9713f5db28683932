"""Lists of events as text: one ``run:luminosityBlock:event`` a line, read to choose events and written to name them."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hepfilter.config.files import remove
from hepfilter.errors import ConfigError, OutputError
from hepfilter.io.identity_set import (
    Identities,
    Integers,
    Words,
    find_sorted,
    mark_first,
    pack_identities,
    sort_identities,
    unpack_identities,
)

if TYPE_CHECKING:
    from hepfilter.io.publishing import Publication

_LINE = re.compile(r"(\d+)(?:\s*[:,]\s*|\s+)(\d+)(?:\s*[:,]\s*|\s+)(\d+)", re.ASCII)
_LARGEST_HALF, _LARGEST = 2**32 - 1, 2**64 - 1
_MOST_DIGITS = len(str(_LARGEST))
_HEADER = "# run:luminosityBlock:event\n"
_LINES_AT_ONCE = 100_000
_LARGEST_LIST = 10**9  # bytes: some 50 million events


@dataclass(frozen=True)
class MissingEvents:
    """The listed events that were never seen: how many, and the lowest few of them as ``run:luminosityBlock:event``."""

    count: int
    first: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class EventList:
    """The events of a list, each once, in an order made for searching (which is the list's `find` positions)."""

    listed: Identities

    def __len__(self) -> int:
        """Number of different events listed."""
        return len(self.listed)

    def find(self, run: Integers, luminosity_block: Integers, event: Integers) -> NDArray[np.intp]:
        """For each event of a chunk its position in 0 … len(self) − 1, or −1 where it is not listed.

        SourceError if a run or luminosityBlock is negative or above 32 bits.
        """
        return find_sorted(self.listed, pack_identities(run, luminosity_block, event))

    def contains(self, run: Integers, luminosity_block: Integers, event: Integers) -> NDArray[np.bool_]:
        """Which events of a chunk are listed, one entry an event, exact in all bits. Errors as for `find`."""
        return self.find(run, luminosity_block, event) >= 0

    def missing(self, seen: NDArray[np.bool_], *, first: int = 3) -> MissingEvents:
        """The listed events that are not marked in `seen`: one entry a listed event, at the positions of `find`.

        ``seen = np.zeros(len(events), bool)``, and for every chunk of every file ``seen[found[found >= 0]] = True``.
        """
        absent = self.listed[~seen]
        blocks, events = unpack_identities(absent)
        lowest = np.lexsort((events, blocks))[:first]
        return MissingEvents(len(absent), tuple(_lines(blocks[lowest], events[lowest])))


def read_event_list(path: Path | str) -> EventList:
    """The events that a text file lists: run, luminosityBlock and event, with ``:``, commas or spaces between them.

    What follows ``#`` and blank lines are skipped; an event that stands twice is listed once; a list
    may be empty. ConfigError tells file, line and text of what is no event; a list has at most 1 GB.
    """
    from hepfilter.config.base import read_text

    numbers = [
        _parse(entry, where=f"{path}: line {number}")
        for number, line in enumerate(read_text(Path(path), largest=_LARGEST_LIST).split("\n"), start=1)
        if (entry := line.partition("#")[0].strip())
    ]
    run, block, event = (
        np.array(column, np.uint64) for column in (zip(*numbers, strict=True) if numbers else [()] * 3)
    )
    identities = pack_identities(run, block, event)
    ordered = identities[sort_identities(identities)]
    return EventList(ordered[mark_first(ordered)])


def write_event_list(
    path: Path | str,
    run: Integers,
    luminosity_block: Integers,
    event: Integers,
    *,
    force: bool = False,
    publication: "Publication | None" = None,
) -> None:
    """Write events, one entry an event, in the order given; the file appears when it is whole, or with `publication`.

    OutputError if it exists (unless `force`) or cannot be written; SourceError as for `EventList.find`.
    """
    from hepfilter.io.publishing import refuse_output, unfinished

    path = Path(path)
    refuse_output(path, force=force)
    blocks, events = unpack_identities(pack_identities(run, luminosity_block, event))
    partial = unfinished(path)
    try:
        with partial.open("w", encoding="ascii") as stream:
            stream.write(_HEADER)
            for start in range(0, len(events), _LINES_AT_ONCE):
                chunk = slice(start, start + _LINES_AT_ONCE)
                stream.writelines(f"{line}\n" for line in _lines(blocks[chunk], events[chunk]))
            stream.flush()
            os.fsync(stream.fileno())
        if publication is not None:
            publication.add(partial, path)
            return
        partial.replace(path)
    except OSError as error:
        remove(partial)
        raise OutputError(f"{path}: cannot be written: {error.strerror}; nothing is left behind") from error
    except BaseException:
        remove(partial)
        raise


def _parse(entry: str, *, where: str) -> tuple[int, int, int]:
    """The three numbers of a line."""
    match = _LINE.fullmatch(entry)
    if match is None:
        raise ConfigError(f"{where}: {entry[:60]!r} is no event; write run:luminosityBlock:event in plain integers")
    # more digits than any number here can have are not even converted
    run, block, event = (int(text) if len(text) <= _MOST_DIGITS else _LARGEST + 1 for text in match.groups())
    if max(run, block) > _LARGEST_HALF or event > _LARGEST:
        raise ConfigError(
            f"{where}: {entry[:60]!r}: run and luminosityBlock have 32 bits, event has 64; a number is too large"
        )
    return run, block, event


def _lines(blocks: Words, events: Words) -> Iterator[str]:
    """``run:luminosityBlock:event`` of each event."""
    runs, lumis = blocks >> np.uint64(32), blocks & np.uint64(_LARGEST_HALF)
    for run, lumi, event in zip(runs.tolist(), lumis.tolist(), events.tolist(), strict=True):
        yield f"{run}:{lumi}:{event}"
