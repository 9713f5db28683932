"""The second pass: all branches of the chosen events are fetched and written, to one output or to several."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hepfilter.errors import OutputError
from hepfilter.events.identity import Identity
from hepfilter.io.compression import Compression, parse_compression
from hepfilter.io.container import Publication
from hepfilter.io.converting import Chosen
from hepfilter.io.copying import CopyPlan, Piece, cluster_baskets, cut_groups, plan_clusters, useful_workers
from hepfilter.io.layout import Layout
from hepfilter.io.ntuple import NTupleLayout
from hepfilter.io.output import SkimOutput
from hepfilter.io.own_branches import score_column
from hepfilter.io.reading import open_file
from hepfilter.io.tree_values import cluster_values
from hepfilter.io.writing import Column
from hepfilter.skim.added import ENTRY, PASSED, AddedValues, Values
from hepfilter.skim.formats import converted
from hepfilter.skim.recipe import Recipe
from hepfilter.skim.report import OutputCount
from hepfilter.skim.survey import SurveyedFile
from hepfilter.skim.transfer import ImportTransfer, NTupleTransfer, TreeTransfer
from hepfilter.work.streams import open_streams

_ROW_BYTES = 100.0
NTUPLE_COMPRESSION = Compression("ZSTD", 5)
"""ROOT's default for RNTuples."""


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
    """Writes the kept events of all inputs, with the layouts of all trees of the output, by name."""

    def __init__(
        self,
        kept: Sequence[KeptEvents],
        layouts: Mapping[str, Layout],
        recipe: Recipe,
        *,
        workers: int,
    ) -> None:
        self._kept = kept
        self._main = kept[0].file.tree
        self._layouts = layouts
        self._converted = converted(layouts, self._main, recipe.format)
        self._portions = share_out(kept, recipe)
        self._compression = self._find_compression(recipe)
        self._sources = tuple(replace(part.file.source, tree=None) for part in kept)
        self._workers = useful_workers(workers, sum(map(_payload, kept)))
        self.num_outputs = 1 + self._portions[-1].output

    def _find_compression(self, recipe: Recipe) -> Compression | None:
        if recipe.compression is not None:
            return parse_compression(recipe.compression)
        if self._main in self._converted and recipe.format == "rntuple":
            return NTUPLE_COMPRESSION
        with open_file(self._kept[0].file.source) as first:
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
        total, done, skipped = sum(len(part.entries) for part in self._kept), 0, dict[str, None]()
        with Publication() as publication, self._transfer() as transfer:
            for number, path in enumerate(paths):
                with SkimOutput(path, compression=self._compression, publication=publication) as out:
                    for written in transfer.write(out, number):
                        progress(done := done + written, total)
                    self._copy_rest(out, number)
                    finish(out, number)
                    skipped |= dict.fromkeys(out.skipped)
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
            own = [(portion.output, piece) for portion, piece, _ in self._pieces()]
            exports = self._main in self._converted
            yield NTupleTransfer(self._sources, self._main, layout, own, values, exports=exports)
            return
        clusters = plan_clusters([(p.output, piece, size) for p, piece, size in self._pieces()])
        plan = CopyPlan(self._sources, self._main, layout, clusters, self._compression)
        groups = cut_groups(plan, self._workers if clusters else 1)
        arguments = [(plan, group) for group in groups]
        if self._main in self._converted:
            with open_streams(cluster_values, arguments) as found:
                yield ImportTransfer(plan, found, values)
            return
        with open_streams(cluster_baskets, arguments) as streams:
            yield TreeTransfer(plan, streams, values)

    def _pieces(self) -> list[tuple[Portion, Piece, float]]:
        """The events of each portion, and the bytes of one."""
        return [
            (
                portion,
                Piece(portion.input, self._kept[portion.input].entries[portion.start : portion.stop]),
                self._kept[portion.input].file.entry_bytes[0],
            )
            for portion in self._portions
        ]

    def _copy_rest(self, out: SkimOutput, number: int) -> None:
        """All other trees and objects: rows of trees once, in the first output; the others have them empty."""
        for position, source in enumerate(self._sources):
            if not self._is_copy(position):
                with open_file(source) as file:
                    out.copy_objects(file, histograms=number == 0)
        for name, layout in self._layouts.items():
            if name == self._main:
                continue
            rows = self._rows(name)
            if isinstance(layout, NTupleLayout):
                own = [(self._sources[position], chosen if number == 0 else chosen[:0]) for position, chosen in rows]
                if name in self._converted:
                    out.export_ntuple(name, layout, [Chosen(*pair, {}) for pair in own])
                else:
                    out.copy_ntuple(name, layout, own)
            else:
                pieces = [(0, Piece(position, chosen), _ROW_BYTES) for position, chosen in rows if number == 0]
                plan = CopyPlan(self._sources, name, layout, plan_clusters(pieces), self._compression)
                (out.import_tree if name in self._converted else out.copy_tree)(plan)

    def _rows(self, name: str) -> list[tuple[int, npt.NDArray[np.int64]]]:
        """The rows of another tree that are copied, of every input that has it."""
        rows = []
        for position, part in enumerate(self._kept):
            if name in part.file.others and not self._is_copy(position):
                chosen = part.file.rows.get(name)
                rows.append((position, np.arange(part.file.others[name]) if chosen is None else chosen))
        return rows

    def _is_copy(self, position: int) -> bool:
        """Whether an input is a byte copy of an earlier one: its books must not count twice."""
        own = self._kept[position].file
        return any(part.file.facts == own.facts for part in self._kept[:position]) and not own.has_no_uuid


def _payload(part: KeptEvents) -> float:
    """The bytes of all events of an input of which any is kept, as they are compressed."""
    return part.file.entry_bytes[1] * part.file.num_entries if len(part.entries) else 0.0
