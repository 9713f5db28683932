"""Trying a skim on a few of its events, to tell how much of all is kept, and how long that takes."""

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from hepfilter.errors import UsageError
from hepfilter.io.layout import Layout
from hepfilter.skim.cuts import Cuts
from hepfilter.skim.deciding import decide_events, split_verdict
from hepfilter.skim.file_reading import FileReader
from hepfilter.skim.findings import FileHead, UnitRead
from hepfilter.skim.joining import join
from hepfilter.skim.outputs import KeptEvents, OutputWriter
from hepfilter.skim.recipe import Recipe
from hepfilter.work.execution import Execution
from hepfilter.work.ledger_rows import Range

if TYPE_CHECKING:
    from hepfilter.config.datasets import Dataset

_UNITS: Final = 4
"""Events of different kinds often lie one after the other, in a file or in files."""
_FIRST: Final = 500
"""Events that are read before time is taken: what is loaded only once does not count."""
_SECONDS: Final = 8.0
"""No further unit is read that would take longer together. Units are read whole: part of a basket costs all of it."""


@dataclass(frozen=True)
class Piece:
    """The entries [start, stop) of the input `path`."""

    path: str
    start: int
    stop: int


@dataclass(frozen=True)
class Writing:
    """A second pass that was tried: events written, bytes read of the input and of the output, seconds."""

    events: int
    bytes_read: int
    size: int
    seconds: float


@dataclass(frozen=True)
class Probe:
    """What was tried on some pieces of the inputs, by one process.

    `passed` events are left by the cuts; `bytes_read` and `seconds` are those of the first pass. `empty` and `written`
    are second passes, of no event and of those that the decision keeps. They are None, and `undecided` tells why, where
    so few events cannot tell what that would be.
    """

    pieces: tuple[Piece, ...]
    passed: int
    bytes_read: int
    seconds: float
    empty: Writing | None = None
    written: Writing | None = None
    undecided: str = ""

    @property
    def events(self) -> int:
        """Events that were read."""
        return sum(piece.stop - piece.start for piece in self.pieces)


@dataclass(frozen=True)
class Estimate:
    """What follows for all inputs if their events are like those of the probe.

    `selecting_bytes` are read of all events to decide, `writing_bytes` (at most) of those that are kept; `events` are
    kept, in outputs of `size` bytes together. Seconds are those of either pass, without the start of workers. None is
    not known.
    """

    selecting_bytes: int
    selecting_seconds: float
    events: int | None = None
    size: int | None = None
    writing_bytes: int | None = None
    writing_seconds: float | None = None

    @property
    def seconds(self) -> float | None:
        """Those of both passes."""
        return None if self.writing_seconds is None else self.selecting_seconds + self.writing_seconds


def probe(
    reader: FileReader,
    heads: Sequence[FileHead],
    layouts: Mapping[str, Layout],
    recipe: Recipe,
    datasets: "Mapping[str, Dataset]",
) -> Probe | None:
    """Try a few units, spread evenly over all inputs; None if there is no event.

    SourceError if they cannot be read.
    """
    if not any(head.num_entries for head in heads):
        return None
    read, seconds = _read_some(reader, heads)
    files, pieces = [], []
    for number, units in sorted(read.items()):
        head = heads[number]
        files.append(join(replace(head, stated=head.stated[:0]), units, Cuts(recipe)))
        pieces += [Piece(head.source.path, unit.start, unit.stop) for unit in units]
    passed, bytes_read = (
        sum(len(file.chosen) for file in files),
        sum(unit.bytes_read for units in read.values() for unit in units),
    )
    tried = Probe(tuple(pieces), passed, bytes_read, seconds)
    try:
        verdict = decide_events(files, recipe, datasets)
    except UsageError as error:  # a budget that asks for more events than these
        return replace(tried, undecided=str(error))
    trigger = None if verdict is None else verdict.trigger
    recipe = replace(recipe, trigger=trigger, split_events=None, split_bytes=None)
    kept = split_verdict(files, verdict)
    none = [replace(part, kept=np.zeros_like(part.kept)) for part in kept]
    _write(none, layouts, recipe)  # loads what is needed
    return replace(tried, empty=_write(none, layouts, recipe), written=_write(kept, layouts, recipe))


def estimate(tried: Probe, heads: Sequence[FileHead], recipe: Recipe, execution: Execution, done: int) -> Estimate:
    """From a probe to all inputs, of which an earlier run has read some events: `done`."""
    entries = sum(head.num_entries for head in heads)
    share, units = entries / tried.events, sum(len(head.units) for head in heads)
    workers = max(1, min(execution.workers or 1, units))
    left = (entries - done) / tried.events
    first = Estimate(
        selecting_bytes=round(tried.bytes_read * left) + sum(head.head_bytes for head in heads),
        selecting_seconds=tried.seconds * left / workers,
    )
    if tried.empty is None or tried.written is None:
        return first
    events, outputs = round(tried.written.events * share), 1
    if recipe.split_events is not None:
        outputs = max(1, -(-events // recipe.split_events))
    more, fixed, size = tried.written, tried.empty, sum(head.facts.size for head in heads)
    return replace(
        first,
        events=events,
        size=round(outputs * fixed.size + share * (more.size - fixed.size)),
        writing_bytes=min(size, round(fixed.bytes_read + share * (more.bytes_read - fixed.bytes_read))),
        writing_seconds=fixed.seconds + share * max(0.0, more.seconds - fixed.seconds) / workers,
    )


def _read_some(reader: FileReader, heads: Sequence[FileHead]) -> tuple[dict[int, list[UnitRead]], float]:
    """Units by the number of their input, in order, and the seconds that they took together."""
    spots = _spots(heads)
    number, (start, stop) = spots[0]
    _timed(reader, heads[number], start, min(start + _FIRST, stop))
    read, total, longest = dict[int, list[UnitRead]](), 0.0, 0.0
    for number, unit in spots:
        if total + longest > _SECONDS:
            break
        found, seconds = _timed(reader, heads[number], *unit)
        read.setdefault(number, []).append(found)
        total, longest = total + seconds, max(longest, seconds)
    return {number: sorted(units, key=lambda unit: unit.start) for number, units in read.items()}, total


def _spots(heads: Sequence[FileHead]) -> list[tuple[int, Range]]:
    """(number of the input, unit) of the units in the middle of equal parts of all events, each once, not in order."""
    ends = np.cumsum([head.num_entries for head in heads])
    spots: dict[tuple[int, Range], None] = {}
    for part in (*range(1, _UNITS, 2), *range(0, _UNITS, 2)):
        entry = int((part + 0.5) / _UNITS * ends[-1])
        number = int(np.searchsorted(ends, entry, side="right"))
        entry -= int(ends[number]) - heads[number].num_entries
        unit = next(unit for unit in heads[number].units if unit[0] <= entry < unit[1])
        spots[number, unit] = None
    return list(spots)


def _timed(reader: FileReader, head: FileHead, start: int, stop: int) -> tuple[UnitRead, float]:
    begun = time.perf_counter()
    (outcome,) = reader.read(head.source, head.facts, [(start, stop)])
    if not isinstance(outcome, UnitRead):
        raise outcome
    return outcome, time.perf_counter() - begun


def _write(kept: Sequence[KeptEvents], layouts: Mapping[str, Layout], recipe: Recipe) -> Writing:
    """Write events to a file that goes again."""
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="hepfilter-") as folder:
        path = Path(folder) / "probe.root"
        writer = OutputWriter(kept, layouts, recipe, execution=Execution(1), parts=None)
        written = writer.write([path], lambda *_: None, lambda *_: None)
        return Writing(written.events, written.bytes_read, path.stat().st_size, time.perf_counter() - begun)
