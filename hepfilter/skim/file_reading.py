"""What a worker does in the first pass: opens files, and reads of every event only what the cuts and the model need."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hepfilter.errors import SchemaError, SourceError
from hepfilter.events.books import Books, find_books
from hepfilter.io.checksum import FileFacts, file_facts
from hepfilter.io.events import find_tree
from hepfilter.io.output import is_histogram
from hepfilter.io.own_branches import own_names
from hepfilter.io.own_records import listed_key_faults
from hepfilter.io.reading import OpenFile, OpenTree, Table, open_file
from hepfilter.io.shapes import shape_of
from hepfilter.io.sources import Source
from hepfilter.io.streamers import described_classes
from hepfilter.skim.added import ENTRY, PASSED
from hepfilter.skim.conditions import bind_conditions
from hepfilter.skim.cuts import Cuts
from hepfilter.skim.findings import FileHead, UnitRead
from hepfilter.skim.lumi_sections import masked_rows, stated_sections
from hepfilter.skim.parts import read_parts
from hepfilter.skim.recipe import Recipe
from hepfilter.skim.score_sources import FileScores, ScoreSource, open_scores
from hepfilter.skim.unit_reading import UnitReader
from hepfilter.work.units import cut_units

if TYPE_CHECKING:
    from hepfilter.config.schema import Schema

UNIT_ENTRIES = 20_000
UnitOutcome = UnitRead | SourceError


@dataclass(frozen=True)
class Survey:
    """What is asked of all files of a first pass.

    `conditions` are selection expressions by name, told of every event that passes the cuts. With `identified` events
    must be known by who they are, with `listed` by branches of their file. `sources` are all inputs, if cuts must know
    them. `device` and `threads` are those of a model. Units have `unit_entries` at most.
    `environment` is what workers on other machines must have too: the limits of remote reading.
    """

    recipe: Recipe
    conditions: Mapping[str, str] = field(default_factory=dict)
    identified: bool = False
    listed: bool = False
    sources: tuple[Source, ...] = ()
    device: str = "auto"
    threads: int | None = None
    unit_entries: int = field(default_factory=lambda: UNIT_ENTRIES)
    environment: Mapping[str, str] = field(default_factory=dict)


def open_reader(survey: Survey) -> "FileReader":
    """A reader, with its own cuts and model; errors as theirs. The process takes over the environment."""
    os.environ.update(survey.environment)
    cuts = Cuts(survey.recipe, survey.sources)
    return FileReader(survey, cuts, open_scores(survey.recipe, survey.device, survey.threads))


def survey_file(reader: "FileReader", source: Source, count: int) -> tuple[FileHead, list[UnitOutcome]]:
    """A task: the head of a file, and what its first `count` units hold."""
    head = reader.head(source)
    return head, reader.read(head.source, head.facts, head.units[:count])


def survey_units(
    reader: "FileReader", source: Source, facts: FileFacts, units: Sequence[tuple[int, int]]
) -> tuple[dict[str, Any] | None, list[UnitOutcome]]:
    """A task: what gives scores here, and what some units of a file hold."""
    return reader.score_facts, reader.read(source, facts, units)


@dataclass(frozen=True)
class _Opened:
    """A file that is open, its events' tree without what a skim added, and what reads its units."""

    source: Source
    file: OpenFile
    facts: FileFacts
    stamp: tuple[int, int] | None
    tree: Table
    schema: "Schema | None"
    own: tuple[str, ...]
    scores: FileScores | None
    units: UnitReader


class FileReader:
    """Reads files, one after the other: the last one stays open."""

    def __init__(self, survey: Survey, cuts: Cuts, scores: ScoreSource | None) -> None:
        self._survey, self._cuts, self._scores = survey, cuts, scores
        self._recipe = survey.recipe
        self._identified = survey.identified or scores is not None or survey.recipe.trigger is not None
        self._stack = ExitStack()
        self._last: _Opened | None = None

    @property
    def score_facts(self) -> dict[str, Any] | None:
        """What a report says of what gives scores, as plain data."""
        return None if self._scores is None else _plain(self._scores.facts)

    @property
    def needed(self) -> tuple[str, ...]:
        """The branches that are read of every event of the file that was opened last."""
        if self._last is None:
            return ()
        scores = self._last.scores
        return tuple(dict.fromkeys((*self._last.units.branches, *(() if scores is None else scores.branches))))

    def head(self, source: Source) -> FileHead:
        """What opening the file tells. Any fault is one of hepfilter's errors."""
        self._close()
        opened = self._open(source)
        file, tree, schema = opened.file, opened.tree, opened.schema
        if torn := listed_key_faults(file):
            raise SourceError(f"{file.path}: {torn[0]}; the file is damaged, fetch it again")
        tables = {name: tree if name == tree.name else file.table(name) for name in file.table_names}
        mask = self._cuts.lumi_mask(source)
        problems = None if opened.scores is None else opened.scores.problems
        head = FileHead(
            source=replace(source, path=file.path, replicas=_others(source, file.path)),
            facts=opened.facts,
            stamp=opened.stamp,
            made_from=_made_from(file),
            tree=tree.name,
            schema="" if schema is None else schema.name,
            schema_checksum=None if schema is None else schema.checksum,
            num_entries=tree.num_entries,
            units=self._cut(opened),
            steps=("read", *opened.units.steps),
            identity_branches=opened.units.books.identity or (),
            weighted=opened.units.books.weight is not None,
            identified=opened.units.identified,
            asked=tuple(self._survey.conditions),
            stated=stated_sections(file, tree, schema, mask),
            rows={} if mask is None else masked_rows(file, tree, schema, mask),
            others={name: table.num_entries for name, table in tables.items() if name != tree.name},
            shapes={name: shape_of(table) for name, table in tables.items()},
            classes=described_classes(file),
            histograms=tuple(name for name, kind in file.class_names.items() if is_histogram(kind)),
            entry_bytes=tree.entry_bytes,
            head_bytes=0,
            head_problems=None if problems is None else dict(problems),
            absent=() if opened.scores is None else opened.scores.absent,
            warnings=self._notes(opened, tables.values()),
            score_facts=self.score_facts,
        )
        self._last = replace(opened, source=head.source)
        return replace(head, head_bytes=_taken(file))

    def read(self, source: Source, facts: FileFacts, units: Sequence[tuple[int, int]]) -> list[UnitOutcome]:
        """What each unit holds, or why it cannot be read. SourceError if the file is not what it was."""
        if self._last is None or self._last.source != source:
            self._close()
            self._last = self._open(source)
        opened = self._last
        outcomes: list[UnitOutcome] = []
        for start, stop in units:
            try:
                outcomes.append(replace(opened.units.read(start, stop), bytes_read=_taken(opened.file)))
            except SourceError as fault:
                outcomes.append(fault)
        if opened.facts != facts or file_stamp(opened.file.path) != opened.stamp:
            self._close()
            raise SourceError(f"{source.path}: changed while it was read; start again when nothing writes to it")
        return outcomes

    def _close(self) -> None:
        self._last = None
        with suppress(SourceError):  # what was read of it had been looked at
            self._stack.close()

    def _open(self, source: Source) -> _Opened:
        file = self._stack.enter_context(open_file(source))
        stamp = file_stamp(file.path)
        found = find_tree(file, tree=source.tree, schema=self._recipe.schema)
        own = tuple(own_names(found.tree.branch_names))
        tree, schema = found.tree.without(own), found.schema
        scores = self._scores.of_file(file, found, hidden=own) if self._scores else None
        books = self._books(tree, schema)
        cuts = self._cuts.of_file(source, tree, books)
        conditions = bind_conditions(self._survey.conditions, tree, self._cuts.fills)
        identified = self._identified or cuts.identified
        units = UnitReader(tree, books, cuts, conditions, scores, identified=identified)
        return _Opened(source, file, file_facts(file), stamp, tree, schema, own, scores, units)

    def _books(self, tree: Table, schema: "Schema | None") -> Books:
        """The branches of identity and weight. SchemaError if events must have an identity, and have none."""
        books = find_books(schema, tree.branch_names)
        if self._survey.listed and books.identity is None:
            what = f"{tree.path}: tree {tree.name} has no run, luminosityBlock and event that a schema names"
            raise SchemaError(f"{what}, so that --list-events cannot name its events; give one with --schema")
        return books

    def _cut(self, opened: _Opened) -> tuple[tuple[int, int], ...]:
        edges = opened.tree.cluster_edges(opened.units.branches)
        return tuple((unit.start, unit.stop) for unit in cut_units(0, edges, target=self._survey.unit_entries))

    def _notes(self, opened: _Opened, tables: Iterable[Table]) -> tuple[str, ...]:
        """What a user should know of a file."""
        scores, source, path = opened.scores, opened.source, opened.file.path
        notes = [*(() if scores is None else scores.warnings), *_attachments(tables)]
        if opened.own:
            notes.append(_skimmed_before(opened.own, scored=scores is not None))
        if self._identified and opened.units.books.identity is None and scores is None:
            notes.append("no run, luminosityBlock and event: events are identified by file name and entry")
        if path != source.path:
            notes.append(f"{source.path} cannot be read; {path} serves")
        return tuple(notes)


def file_stamp(path: str) -> tuple[int, int] | None:
    """Size and time of change (ns) of a local file that is there."""
    try:
        found = None if "://" in path else Path(path).stat()
    except OSError:
        return None
    return None if found is None else (found.st_size, found.st_mtime_ns)


def _plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts as they come back from JSON."""
    plain: dict[str, Any] = json.loads(json.dumps(dict(facts)))
    return plain


def _taken(file: OpenFile) -> int:
    """The bytes read since the last call."""
    taken, file.source.read = file.source.read, 0
    return taken


def _others(source: Source, path: str) -> tuple[str, ...]:
    return tuple(address for address in (source.path, *source.replicas) if address != path)


def _made_from(file: OpenFile) -> tuple[tuple[str, frozenset[str]], ...]:
    """Of a skim: what tells its own outputs from those of other skims, and the checksums of its inputs."""
    return tuple((str(part.outputs), frozenset(one.checksum for one in part.inputs)) for part in read_parts(file))


def _attachments(tables: Iterable[Table]) -> list[str]:
    """What of the trees of a file is not copied, as notes."""
    trees = (table for table in tables if isinstance(table, OpenTree))
    attached = [tree.name for tree in trees if tree.metadata.attached]
    return [f"friends, index or user info of tree {name} are not copied" for name in attached]


def _skimmed_before(own: Sequence[str], *, scored: bool) -> str:
    """What becomes of the branches that an older skim added; without a model nothing takes the place of its scores."""
    lost = () if scored else [name for name in own if name not in (PASSED.name, ENTRY.name)]
    left_out = f", {', '.join(lost)} left out as no model decides" if lost else ""
    return f"the file is a skim already; what that added is replaced{left_out}"
