"""The first pass: of every event only what the cuts and the model need is read, and what is left is remembered."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hepfilter.errors import OutputError, SchemaError
from hepfilter.events.books import Books, find_books
from hepfilter.events.expressions import Column
from hepfilter.events.identity import Identity
from hepfilter.io.branch_selection import BranchChoice, BranchRules, branch_rules, parse_branch_file, select_branches
from hepfilter.io.checksum import FileFacts, file_facts
from hepfilter.io.converting import counted_columns
from hepfilter.io.events import find_tree
from hepfilter.io.layout import Layout, LayoutGatherer
from hepfilter.io.output import is_histogram
from hepfilter.io.reading import OpenFile, Table, open_file
from hepfilter.io.sources import Source
from hepfilter.io.streamers import described_classes
from hepfilter.skim.added import ENTRY, PASSED, own_names
from hepfilter.skim.cuts import Cuts, FileCuts
from hepfilter.skim.formats import refuse_unconvertible
from hepfilter.skim.parts import read_parts
from hepfilter.skim.recipe import Recipe
from hepfilter.trigger.hashing import event_hash
from hepfilter.work.units import Unit, cut_units

if TYPE_CHECKING:
    from hepfilter.config.schema import Schema
    from hepfilter.io.events import EventTree
    from hepfilter.scoring.files import EventScorer

Progress = Callable[[str, int, int], None]
"""Called as (stage, done, in all)."""

UNIT_ENTRIES = 20_000

Index = npt.NDArray[np.int64]
Weights = npt.NDArray[np.float64] | None
Scores = Mapping[str, npt.NDArray[np.float32]] | None
"""What a model says of events, by name, ``interest`` among it; None where there is no model."""


@dataclass
class Flow:
    """Events and their sum of weights after each cut, in the order of the cuts; the first is all that were read."""

    events: dict[str, int] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)

    def count(self, step: str, events: int, weight: float | None) -> None:
        """Add to a step."""
        self.events[step] = self.events.get(step, 0) + events
        if weight is not None:
            self.weights[step] = self.weights.get(step, 0.0) + weight


@dataclass(frozen=True)
class SurveyedFile:
    """What the first pass found in one input.

    `chosen` (int64, rising) are the entries that passed all cuts; `weights`, `scores` and `identity` are theirs, None
    where there are none. `rows` holds for other trees the entries that a luminosity mask leaves. `entry_bytes` are the
    mean bytes of an entry, unpacked and in the file, `bytes_read` those read of the file. `problems` counts objects
    treated by rule. `made_from` has, for each skim that the file comes from, its outputs and its inputs' checksums.
    """

    source: Source
    facts: FileFacts
    made_from: tuple[tuple[str, frozenset[str]], ...]
    tree: str
    schema: str
    num_entries: int
    chosen: Index
    weights: Weights
    scores: Scores
    identity: Identity | None
    flow: Flow
    rows: Mapping[str, Index]
    others: Mapping[str, int]
    entry_bytes: tuple[float, float]
    bytes_read: int
    problems: Mapping[str, int]
    absent: tuple[str, ...]
    warnings: tuple[str, ...]
    empty: int

    @property
    def has_no_uuid(self) -> bool:
        """Whether the file has no identity of its own, as old files and some writers leave it."""
        return self.facts.uuid.startswith("00000000-0000")

    @property
    def ties(self) -> npt.NDArray[np.float64]:
        """The number that decides among chosen events of equal score, in [0, 1)."""
        assert self.identity is not None
        who = self.identity
        return event_hash(who.run, who.luminosity_block, who.event, seed=1, purpose="ties")


class Surveyor:
    """Surveys files one after the other, and gathers the layouts of their trees."""

    def __init__(self, recipe: Recipe, cuts: Cuts, scorer: "EventScorer | None", *, identified: bool = False) -> None:
        self._recipe = recipe
        self._cuts = cuts
        self._scorer = scorer
        self._identified = identified or scorer is not None
        self._listed = identified
        self._rules = _rules(recipe)
        self._mergers: dict[str, LayoutGatherer] = {}
        self._main = self._path = ""
        self._identity: dict[str, None] = {}
        self._classes: frozenset[tuple[str, int]] | None = None
        self._histograms: Counter[str] = Counter()

    @property
    def shared_histograms(self) -> tuple[str, ...]:
        """The histograms that more than one file has."""
        return tuple(name for name, files in self._histograms.items() if files > 1)

    @property
    def identity_branches(self) -> tuple[str, ...]:
        """The branches that identify the events of the files so far."""
        return tuple(self._identity)

    def layouts(self) -> tuple[dict[str, Layout], BranchChoice]:
        """(the layout of each tree of the output, by name, how the branches of the events' tree were chosen).

        OutputError if the files do not agree, or hold what cannot be copied; UsageError or ConfigError if the rules
        for branches do not fit.
        """
        layouts = {name: merger.result() for name, merger in self._mergers.items()}
        columns = counted_columns(layouts[self._main], self._recipe.format)
        choice = select_branches(self._rules, columns, needed=self.identity_branches)
        layouts[self._main] = layouts[self._main].keep(choice.kept)
        for layout in layouts.values():
            layout.refuse_obstacles()
        refuse_unconvertible(self._path, self._main, layouts[self._main], self._recipe.format)
        return layouts, choice

    def _refuse_early(self) -> None:
        """OutputError for what no later file can mend; patterns may still find their branches there."""
        for name, merger in self._mergers.items():
            may_convert = name == self._main and self._recipe.format and self._recipe.layout != "intersection"
            if not (merger.is_doubtful or may_convert):
                continue
            layout = merger.result(final=False)
            if name == self._main:
                rules = replace(self._rules, strict=False)
                columns = counted_columns(layout, self._recipe.format)
                layout = layout.keep(select_branches(rules, columns, needed=self.identity_branches).kept)
                if may_convert:
                    refuse_unconvertible(self._path, name, layout, self._recipe.format)
            layout.refuse_obstacles()

    def survey(self, source: Source, progress: Callable[[int, int], None]) -> SurveyedFile:
        """Look at one input. Any fault is one of hepfilter's errors; `progress` is called with (done, in all)."""
        with open_file(source) as file:
            events = find_tree(file, tree=source.tree, schema=self._recipe.schema)
            own = own_names(events.tree.branch_names)
            tree, schema = events.tree.without(own), events.schema
            books = find_books(schema, tree.branch_names)
            self._identity |= dict.fromkeys(books.identity or ())
            self._main, self._path = tree.name, file.path
            if self._listed and books.identity is None:
                what = f"{tree.path}: tree {tree.name} has no run, luminosityBlock and event that a schema names"
                raise SchemaError(f"{what}, so that --list-events cannot name its events; give one with --schema")
            cuts = self._cuts.of_file(source, tree, books)
            found = events.bind(hidden=own, wanted=self._scorer.collections) if self._scorer else None
            chunks = _Chunks(tree, books, cuts, found, self._scorer, identified=self._identified or cuts.identified)
            for unit in cut_units(0, tree.cluster_edges(chunks.branches), target=UNIT_ENTRIES):
                chunks.read(unit)
                progress(unit.stop, tree.num_entries)
            others = self._add_layouts(file, tree)
            self._refuse_early()
            self._check_classes(file)
            self._histograms.update(name for name, kind in file.class_names.items() if is_histogram(kind))
            notes = () if found is None else found.binding.warnings
            notes = (*notes, *_attachments(file))
            if own:
                notes = (*notes, _skimmed_before(own, scored=self._scorer is not None))
            if file.path != source.path:
                notes = (*notes, f"{source.path} cannot be read; {file.path} serves")
            return SurveyedFile(
                source=replace(source, path=file.path, replicas=_others(source, file.path)),
                made_from=_made_from(file),
                facts=file_facts(file),
                tree=tree.name,
                schema="" if schema is None else schema.name,
                num_entries=tree.num_entries,
                chosen=_joined(chunks.chosen, np.int64),
                weights=_joined(chunks.weights, np.float64) if books.weight else None,
                scores=chunks.scores(),
                identity=chunks.identity(),
                flow=chunks.flow,
                rows=self._rows(source, file, tree, schema),
                others=others,
                entry_bytes=tree.entry_bytes,
                bytes_read=file.source.read,
                problems=chunks.problems,
                absent=_absent(found, self._scorer),
                warnings=tuple(notes),
                empty=chunks.empty,
            )

    def _add_layouts(self, file: OpenFile, main: Table) -> dict[str, int]:
        """Take the layouts of all trees of a file; entries of those beside the events' tree."""
        others = {}
        for name in file.table_names:
            tree = main if name == main.name else file.table(name)
            fills = self._recipe.fills_of("" if name == main.name else f"{name}/")
            if name not in self._mergers:
                self._mergers[name] = LayoutGatherer(self._recipe.layout, fills)
            self._mergers[name].add(tree)
            if name != main.name:
                others[name] = tree.num_entries
        return others

    def _check_classes(self, file: OpenFile) -> None:
        """The class descriptions of the first file serve the output: OutputError if a later one needs others."""
        known = described_classes(file)
        if self._classes is None:
            self._classes = known
        elif not known <= self._classes:
            more = ", ".join(sorted(f"{name} {version}" for name, version in known - self._classes)[:5])
            raise OutputError(f"{file.path}: describes classes that the first input does not: {more}; skim it apart")

    def _rows(self, source: Source, file: OpenFile, main: Table, schema: "Schema | None") -> dict[str, Index]:
        """The rows of the books that a luminosity mask leaves, for each tree that names a run."""
        mask = self._cuts.lumi_mask(source)
        if mask is None or schema is None or schema.identity is None:
            return {}
        run, block = schema.identity.run, schema.identity.luminosity_block
        rows = {}
        for name in schema.bookkeeping:
            tree = file.table(name) if name in file.table_names and name != main.name else None
            if tree is None or run not in tree.branch_names:
                continue
            columns = tree.values([branch for branch in (run, block or "") if branch in tree.branch_names])
            runs = columns[run].values
            blocks = columns.get(block or "")
            passed = np.isin(runs, mask.runs) if blocks is None else mask.passes(runs, blocks.values)
            rows[name] = np.flatnonzero(passed)
        return rows


class _Chunks:
    """The survey of one file, chunk by chunk."""

    def __init__(
        self,
        tree: Table,
        books: Books,
        cuts: FileCuts,
        found: "EventTree | None",
        scorer: "EventScorer | None",
        *,
        identified: bool,
    ) -> None:
        self._tree, self._books, self._cuts, self._found, self._scorer = tree, books, cuts, found, scorer
        self._identified = identified
        self.flow = Flow()
        for step in ("read", *cuts.steps):
            self.flow.count(step, 0, 0.0 if books.weight else None)
        self.chosen: list[Index] = []
        self.weights: list[npt.NDArray[np.float64]] = []
        self._scores: list[Mapping[str, npt.NDArray[np.float32]]] = []
        self.problems: Counter[str] = Counter()
        self.empty = 0
        self._identities: list[Identity] = []

    @property
    def branches(self) -> tuple[str, ...]:
        """All branches that are read, apart from those of the event record."""
        identity = self._books.identity if self._identified else None
        return tuple(dict.fromkeys([*Books(identity, self._books.weight).branches, *self._cuts.branches]))

    def read(self, unit: Unit) -> None:
        """Apply the cuts to a chunk, and score what is left."""
        count = unit.num_entries
        columns = self._tree.values(self.branches, unit.start, unit.stop)
        weights, faults = self._books.read_weight(columns)
        self.problems.update(faults)
        self.flow.count("read", count, None if weights is None else float(weights.sum()))
        identity = self._read_identity(columns, unit)
        left = np.ones(count, bool)
        for step, left in self._cuts.passes(columns, identity, count).items():
            self.flow.count(step, int(left.sum()), None if weights is None else float(weights[left].sum()))
        self.chosen.append(np.flatnonzero(left) + unit.start)
        if weights is not None:
            self.weights.append(weights[left])
        if identity is not None:
            self._identities.append(identity[left])
        if self._found is not None and self._scorer is not None:
            from hepfilter.scoring.files import score_entries

            scored = score_entries(self._found, self._scorer, unit.start, unit.stop, left)
            self._scores.append(scored.scores)
            self.problems.update(scored.problems)
            self.empty += scored.empty

    def _read_identity(self, columns: Mapping[str, Column], unit: Unit) -> Identity | None:
        if not self._identified:
            return None
        where = {"file": self._tree.path, "first_entry": unit.start}
        return self._books.read_identity(columns, count=unit.num_entries, **where)  # type: ignore[arg-type]

    def scores(self) -> Scores:
        """What the model says of the chosen events."""
        if self._scorer is None:
            return None
        return {name: _joined([part[name] for part in self._scores], np.float32) for name in self._scorer.names}

    def identity(self) -> Identity | None:
        """The identities of the chosen events."""
        if not self._identified:
            return None
        return Identity.join(self._identities)


def _joined(parts: list[npt.NDArray[Any]], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    return np.concatenate([np.empty(0, dtype), *parts])


def _others(source: Source, path: str) -> tuple[str, ...]:
    return tuple(address for address in (source.path, *source.replicas) if address != path)


def _made_from(file: OpenFile) -> tuple[tuple[str, frozenset[str]], ...]:
    """Of a skim: what tells its own outputs from those of other skims, and the checksums of its inputs."""
    return tuple((str(part.outputs), frozenset(one.checksum for one in part.inputs)) for part in read_parts(file))


def _rules(recipe: Recipe) -> BranchRules:
    """The rules for branches; ConfigError or UsageError if they are none."""
    if recipe.branches is not None:
        return parse_branch_file(recipe.branches)
    return branch_rules(keep=recipe.keep_branches, drop=recipe.drop_branches)


def _attachments(file: OpenFile) -> list[str]:
    """What of the trees of a file is not copied, as notes."""
    trees = (file.tree(name) for name in file.tree_names)
    attached = [tree.name for tree in trees if tree.metadata.attached]
    return [f"friends, index or user info of tree {name} are not copied" for name in attached]


def _absent(found: "EventTree | None", scorer: "EventScorer | None") -> tuple[str, ...]:
    """The collections that the model uses and the file lacks."""
    if found is None or scorer is None:
        return ()
    return tuple(name for name in scorer.collections if name in found.binding.absent)


def _skimmed_before(own: Sequence[str], *, scored: bool) -> str:
    """What becomes of the branches that an older skim added; without a model nothing takes the place of its scores."""
    lost = () if scored else [name for name in own if name not in (PASSED.name, ENTRY.name)]
    left_out = f", {', '.join(lost)} left out as no model decides" if lost else ""
    return f"the file is a skim already; what that added is replaced{left_out}"
