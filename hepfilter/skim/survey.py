"""The first pass: of every event only what the cuts and the model need is read, and what is left is remembered."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hepfilter.errors import OutputError, SchemaError
from hepfilter.events.books import find_books
from hepfilter.events.identity import Identity
from hepfilter.io.branch_selection import BranchChoice, BranchRules, branch_rules, parse_branch_file, select_branches
from hepfilter.io.checksum import FileFacts, file_facts, has_uuid
from hepfilter.io.converting import counted_columns
from hepfilter.io.events import find_tree
from hepfilter.io.layout import Layout, LayoutGatherer
from hepfilter.io.output import is_histogram
from hepfilter.io.own_branches import own_names
from hepfilter.io.reading import OpenFile, Table, open_file
from hepfilter.io.sources import Source
from hepfilter.io.streamers import described_classes
from hepfilter.skim.added import ENTRY, PASSED
from hepfilter.skim.chunks import Flow, Index, Scores, SurveyedChunks, Weights
from hepfilter.skim.conditions import Mask, bind_conditions
from hepfilter.skim.cuts import Cuts
from hepfilter.skim.formats import refuse_unconvertible
from hepfilter.skim.lumi_sections import Sections, masked_rows, stated_sections
from hepfilter.skim.parts import read_parts
from hepfilter.skim.recipe import Recipe
from hepfilter.skim.score_sources import FileScores, ScoreSource
from hepfilter.trigger.drift import ProblemCounts
from hepfilter.trigger.hashing import event_hash
from hepfilter.work.units import cut_units

if TYPE_CHECKING:
    from hepfilter.config.schema import Schema

UNIT_ENTRIES = 20_000


@dataclass(frozen=True)
class SurveyedFile:
    """What the first pass found in one input.

    `chosen` (int64, rising) are the entries that passed all cuts; `weights`, `scores` and `identity` are theirs, None
    where there are none, and `conditions` by name which of them fulfil what was asked for. `sections` are the
    luminosity sections that pass the luminosity mask, with events or without. `rows` holds for other trees the entries
    that a luminosity mask leaves. `entry_bytes` are the mean bytes of an entry, unpacked and in the file, `bytes_read`
    those read of the file. `problems` counts objects treated by rule, `problem_counts` chunk by chunk. `made_from` has,
    for each skim that the file comes from, its outputs and its inputs' checksums.
    """

    source: Source
    facts: FileFacts
    made_from: tuple[tuple[str, frozenset[str]], ...]
    tree: str
    schema: str
    schema_checksum: str | None
    num_entries: int
    chosen: Index
    weights: Weights
    scores: Scores
    conditions: Mapping[str, Mask]
    identity: Identity | None
    sections: Sections
    flow: Flow
    rows: Mapping[str, Index]
    others: Mapping[str, int]
    entry_bytes: tuple[float, float]
    bytes_read: int
    problems: Mapping[str, int]
    problem_counts: tuple[ProblemCounts, ...]
    absent: tuple[str, ...]
    warnings: tuple[str, ...]
    empty: int

    @property
    def dataset_name(self) -> str:
        """The dataset that the file is of, empty if it is of none."""
        return self.source.dataset or ""

    @property
    def event_weights(self) -> npt.NDArray[np.float64]:
        """The weights of the chosen events, 1 each where there are none."""
        return np.ones(len(self.chosen)) if self.weights is None else self.weights

    @property
    def total_weight(self) -> float:
        """The weights of all events that were read."""
        return self.flow.weights.get("read", float(self.flow.events.get("read", 0)))

    @property
    def has_no_uuid(self) -> bool:
        """Whether the file has no identity of its own, as old files and some writers leave it."""
        return not has_uuid(self.facts.uuid)

    @property
    def ties(self) -> npt.NDArray[np.float64]:
        """The number that decides among chosen events of equal score, in [0, 1)."""
        assert self.identity is not None
        who = self.identity
        return event_hash(who.run, who.luminosity_block, who.event, seed=1, purpose="ties")


class Surveyor:
    """Surveys files one after the other, and gathers the layouts of their trees.

    `conditions` are selection expressions by name, told of every event that passes the cuts.
    """

    def __init__(
        self,
        recipe: Recipe,
        cuts: Cuts,
        scores: ScoreSource | None,
        *,
        identified: bool = False,
        conditions: Mapping[str, str] | None = None,
    ) -> None:
        self._recipe = recipe
        self._cuts = cuts
        self._scores = scores
        self._conditions = conditions or {}
        self._identified = identified or scores is not None or recipe.trigger is not None
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
            self._main, self._path = tree.name, file.path
            scores = self._scores.of_file(file, events, hidden=own) if self._scores else None
            chunks = self._chunks(source, tree, schema, scores)
            for unit in cut_units(0, tree.cluster_edges(chunks.branches), target=UNIT_ENTRIES):
                chunks.read(unit)
                progress(unit.stop, tree.num_entries)
            others, mask = self._add_layouts(file, tree), self._cuts.lumi_mask(source)
            self._refuse_early()
            self._check_classes(file)
            self._histograms.update(name for name, kind in file.class_names.items() if is_histogram(kind))
            return SurveyedFile(
                source=replace(source, path=file.path, replicas=_others(source, file.path)),
                made_from=_made_from(file),
                facts=file_facts(file),
                tree=tree.name,
                schema="" if schema is None else schema.name,
                schema_checksum=None if schema is None else schema.checksum,
                num_entries=tree.num_entries,
                chosen=chunks.chosen,
                weights=chunks.weights,
                scores=chunks.scores(self._scores.names) if self._scores else None,
                conditions=chunks.conditions(),
                identity=chunks.identity(),
                sections=np.union1d(chunks.sections, stated_sections(file, tree, schema, mask)),
                flow=chunks.flow,
                rows={} if mask is None else masked_rows(file, tree, schema, mask),
                others=others,
                entry_bytes=tree.entry_bytes,
                bytes_read=file.source.read,
                problems=chunks.all_problems,
                problem_counts=chunks.problem_counts,
                absent=() if scores is None else scores.absent,
                warnings=self._notes(file, source, own, chunks, scores),
                empty=0 if scores is None else scores.empty,
            )

    def _chunks(
        self, source: Source, tree: Table, schema: "Schema | None", scores: FileScores | None
    ) -> SurveyedChunks:  # fmt: skip
        """What reads a file's events. SchemaError if they must have an identity, and have none."""
        books = find_books(schema, tree.branch_names)
        self._identity |= dict.fromkeys(books.identity or ())
        if self._listed and books.identity is None:
            what = f"{tree.path}: tree {tree.name} has no run, luminosityBlock and event that a schema names"
            raise SchemaError(f"{what}, so that --list-events cannot name its events; give one with --schema")
        cuts = self._cuts.of_file(source, tree, books)
        conditions = bind_conditions(self._conditions, tree, self._cuts.fills)
        identified = self._identified or cuts.identified
        return SurveyedChunks(tree, books, cuts, conditions, scores, identified=identified)

    def _notes(
        self, file: OpenFile, source: Source, own: Sequence[str], chunks: SurveyedChunks, scores: FileScores | None
    ) -> tuple[str, ...]:
        """What a user should know of a file."""
        notes = [*(() if scores is None else scores.warnings), *_attachments(file)]
        if own:
            notes.append(_skimmed_before(own, scored=scores is not None))
        if self._identified and chunks.books.identity is None and scores is None:
            notes.append("no run, luminosityBlock and event: events are identified by file name and entry")
        if file.path != source.path:
            notes.append(f"{source.path} cannot be read; {file.path} serves")
        return tuple(notes)

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


def _skimmed_before(own: Sequence[str], *, scored: bool) -> str:
    """What becomes of the branches that an older skim added; without a model nothing takes the place of its scores."""
    lost = () if scored else [name for name in own if name not in (PASSED.name, ENTRY.name)]
    left_out = f", {', '.join(lost)} left out as no model decides" if lost else ""
    return f"the file is a skim already; what that added is replaced{left_out}"
