"""The second pass: all branches of the chosen events are fetched and written, to one output or to several."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hepfilter.errors import OutputError, SourceError, UnreadableEventsError
from hepfilter.events.identity import Identity
from hepfilter.io.checksum import open_unchanged
from hepfilter.io.compression import Compression, parse_compression
from hepfilter.io.converting import Chosen
from hepfilter.io.copy_plan import CopyPlan, Piece, plan_clusters
from hepfilter.io.layout import Layout, TreeLayout
from hepfilter.io.ntuple import NTupleLayout
from hepfilter.io.output import SkimOutput, refuse_unlike
from hepfilter.io.own_branches import score_column
from hepfilter.io.publishing import Publication
from hepfilter.io.reading import open_file
from hepfilter.io.writing import Column
from hepfilter.skim.added import ENTRY, PASSED, AddedValues, Values
from hepfilter.skim.cluster_copy import BASKETS, VALUES, ClusterCopy, copying_job, useful_execution
from hepfilter.skim.findings import SurveyedFile
from hepfilter.skim.formats import converted
from hepfilter.skim.recipe import Recipe
from hepfilter.skim.report import OutputCount
from hepfilter.skim.transfer import ImportTransfer, NTupleTransfer, TreeTransfer
from hepfilter.work.execution import Execution, open_executor
from hepfilter.work.parts import PartStore

_ROW_BYTES = 100.0
NTUPLE_COMPRESSION = Compression("ZSTD", 5)
"""ROOT's default for RNTuples."""
STAGED_BYTES = 200_000_000
"""Of compressed baskets; a worker reads as many in a few seconds."""


@dataclass(frozen=True)
class KeptEvents:
    """The events of one input that are written: those of its chosen ones that are `kept` (bool, one a chosen event).

    `bits` are what a menu says of the chosen events, by the column that it goes to.
    """

    file: SurveyedFile
    kept: npt.NDArray[np.bool_]
    bits: Values = field(default_factory=dict)

    @cached_property
    def entries(self) -> npt.NDArray[np.int64]:
        """Their entries in the input."""
        return self.file.chosen[self.kept]

    @cached_property
    def added(self) -> AddedValues:
        """What the skim says of them: scores where a model decided, the bits of a menu, where they come from."""
        values: dict[Column, npt.NDArray[Any]] = {
            **{score_column(name): scores for name, scores in (self.file.scores or {}).items()},
            **(self.bits or {PASSED: np.ones(len(self.kept), bool)}),
            ENTRY: self.file.chosen,
        }
        return AddedValues(self.entries, {column: known[self.kept] for column, known in values.items()})

    @property
    def identity(self) -> Identity:
        """Who they are; the survey must have been asked for it."""
        assert self.file.identity is not None
        return self.file.identity[self.kept]


@dataclass(frozen=True)
class Written:
    """What the second pass did: events written, what could not be copied, and bytes read of the inputs."""

    events: int
    skipped: tuple[str, ...]
    bytes_read: int


@dataclass(frozen=True)
class Portion:
    """The events of one input that go to one output: [start, stop) of those that are kept."""

    output: int
    input: int
    start: int
    stop: int


def share_out(kept: Sequence[KeptEvents], recipe: Recipe) -> list[Portion]:
    """Which events go to which output: all to the first, or as many as the recipe allows."""
    limit = _events_per_output(kept, recipe)
    portions, output, room = [], 0, limit
    for number, events in enumerate(kept):
        start, count = 0, len(events.entries)
        while limit is not None and room is not None and count - start > room:
            portions.append(Portion(output, number, start, start + room))
            start, output, room = start + room, output + 1, limit
        portions.append(Portion(output, number, start, count))
        room = None if room is None else room - (count - start)
    return portions


def _events_per_output(kept: Sequence[KeptEvents], recipe: Recipe) -> int | None:
    """The most events that an output may hold; a number of bytes counts by what events take in the inputs."""
    if recipe.split_bytes is None:
        return recipe.split_events
    events = sum(len(part.entries) for part in kept)
    total = sum(len(part.entries) * part.file.entry_bytes[1] for part in kept)
    return max(1, int(recipe.split_bytes * events / total)) if total else None


def output_paths(output: Path, recipe: Recipe, count: int) -> list[Path]:
    """The names of `count` outputs: `output` itself, or numbered from 1 where the recipe splits."""
    if recipe.split_events is None and recipe.split_bytes is None:
        return [output]
    return [output.with_name(f"{output.stem}_{number}{output.suffix}") for number in range(1, count + 1)]


class OutputWriter:
    """Writes the kept events of all inputs, with the layouts of all trees of the output, by name.

    What is copied waits in `parts` until it is written, so that a run that was ended goes on from there; but where the
    inputs have less than `STAGED_BYTES` to be looked through, that is simply done again.
    """

    def __init__(
        self,
        kept: Sequence[KeptEvents],
        layouts: Mapping[str, Layout],
        recipe: Recipe,
        *,
        execution: Execution,
        parts: PartStore | None,
    ) -> None:
        self._kept = kept
        self._main = kept[0].file.tree
        self._layouts = layouts
        self._converted = converted(layouts, self._main, recipe.format)
        self._portions = share_out(kept, recipe)
        self._compression = self._find_compression(recipe)
        self._sources = tuple(replace(part.file.source, tree=None) for part in kept)
        self._facts = tuple(part.file.facts for part in kept)
        payload = sum(map(_payload, kept))
        self._execution = useful_execution(execution, payload)
        self._parts = parts if payload >= STAGED_BYTES else None
        self.num_outputs = 1 + self._portions[-1].output

    def _find_compression(self, recipe: Recipe) -> Compression | None:
        if recipe.compression is not None:
            return parse_compression(recipe.compression)
        if self._main in self._converted and recipe.format == "rntuple":
            return NTUPLE_COMPRESSION
        with self._locate(0), open_file(self._kept[0].file.source) as first:
            return first.compression

    def planned(self, paths: Sequence[Path]) -> tuple[OutputCount, ...]:
        """What each output will hold."""
        counts = np.zeros((len(paths), len(self._kept)), np.int64)
        for portion in self._portions:
            counts[portion.output, portion.input] += portion.stop - portion.start
        return tuple(
            OutputCount(str(path), int(row.sum()), tuple(row.tolist())) for path, row in zip(paths, counts, strict=True)
        )

    def write(
        self,
        paths: Sequence[Path],
        finish: Callable[[SkimOutput, int], None],
        progress: Callable[[int, int], None],
        *,
        beside: Callable[[Publication], None] = lambda _: None,
    ) -> Written:
        """Write all outputs; `finish` adds what stands in each at the end, `beside` other files.

        Nothing appears before all are whole. OutputError if not just what was kept was written.
        """
        total, skipped = sum(len(part.entries) for part in self._kept), dict[str, None]()
        done = 0

        def written(count: int) -> None:
            nonlocal done
            progress(done := done + count, total)

        with Publication() as publication, self._transfer() as transfer:
            for number, path in enumerate(paths):
                before = done
                with SkimOutput(path, compression=self._compression, publication=publication) as out:
                    transfer.write(out, number, written)
                    self._copy_rest(out, number)
                    finish(out, number)
                    skipped |= dict.fromkeys(out.skipped)
                refuse_unlike(publication.unpublished(path), path, self._main, done - before)
            if done != total:
                raise OutputError(f"{paths[0]}: events written: {done:,}, that passed: {total:,}")
            beside(publication)
        return Written(done, tuple(skipped), transfer.bytes_read)

    @contextmanager
    def _transfer(self) -> Iterator["TreeTransfer | ImportTransfer | NTupleTransfer"]:
        """What carries the events over: processes for the branches of a TTree, this one for an RNTuple."""
        layout = self._layouts[self._main]
        values = [part.added for part in self._kept]
        if isinstance(layout, NTupleLayout):
            own = [(output, piece) for output, piece, _ in self._pieces()]
            exports = self._main in self._converted
            yield NTupleTransfer(self._sources, self._facts, self._main, layout, own, values, exports=exports)
            return
        plan = self._plan(self._main, layout, self._pieces())
        entry_bytes = [part.file.entry_bytes[1] for part in self._kept]
        kind, transfer = (VALUES, ImportTransfer) if self._main in self._converted else (BASKETS, TreeTransfer)
        with open_executor(self._execution, copying_job(plan, kind)) as executor:
            yield transfer(ClusterCopy(plan, kind, entry_bytes, executor, self._parts), values)

    def _plan(self, name: str, layout: TreeLayout, pieces: Sequence[tuple[int, Piece, float]]) -> CopyPlan:
        return CopyPlan(self._sources, name, layout, plan_clusters(pieces), self._compression, self._facts)

    def _pieces(self) -> list[tuple[int, Piece, float]]:
        """The output of each portion, its events, and the bytes of one."""
        return [
            (
                portion.output,
                Piece(portion.input, self._kept[portion.input].entries[portion.start : portion.stop]),
                self._kept[portion.input].file.entry_bytes[0],
            )
            for portion in self._portions
        ]

    def _copy_rest(self, out: SkimOutput, number: int) -> None:
        """All other trees and objects: rows of trees once, in the first output; the others have them empty.

        UnreadableEventsError of a whole input if it cannot be read.
        """
        for position, source in enumerate(self._sources):
            if not self._is_copy(position):
                with self._locate(position), open_unchanged(source, self._facts[position]) as file:
                    out.copy_objects(file, histograms=number == 0)
        for name, layout in self._layouts.items():
            if name != self._main:
                rows = [row if number == 0 else row.none() for row in self._rows(name)]
                try:
                    self._copy_other(out, name, layout, rows)
                except UnreadableEventsError as error:
                    with self._locate(error.source):
                        raise SourceError(*error.args) from error

    def _copy_other(self, out: SkimOutput, name: str, layout: Layout, rows: Sequence[Chosen]) -> None:
        """Copy rows of another tree, of every input that has it."""
        if isinstance(layout, NTupleLayout):
            (out.export_ntuple if name in self._converted else out.copy_ntuple)(name, layout, rows)
            return
        pieces = [(0, Piece(row.number, row.entries), _ROW_BYTES) for row in rows]
        (out.import_tree if name in self._converted else out.copy_tree)(self._plan(name, layout, pieces))

    def _locate(self, position: int) -> AbstractContextManager[None]:
        """Makes of a SourceError one of a whole input."""
        return UnreadableEventsError.locate(position, 0, self._kept[position].file.num_entries - 1, whole=True)

    def _rows(self, name: str) -> list[Chosen]:
        """The rows of another tree that are copied, of every input that has it."""
        rows = []
        for position, part in enumerate(self._kept):
            if name in part.file.others and not self._is_copy(position):
                chosen = part.file.rows.get(name)
                entries = np.arange(part.file.others[name]) if chosen is None else chosen
                rows.append(Chosen(self._sources[position], entries, {}, position, self._facts[position]))
        return rows

    def _is_copy(self, position: int) -> bool:
        """Whether an input is a byte copy of an earlier one: its books must not count twice."""
        own = self._kept[position].file
        return any(part.file.facts == own.facts for part in self._kept[:position]) and not own.has_no_uuid


def _payload(part: KeptEvents) -> float:
    """The bytes of all events of an input of which any is kept, as they are compressed."""
    return part.file.entry_bytes[1] * part.file.num_entries if len(part.entries) else 0.0
