"""The layout of all inputs, gathered file by file."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from hepfilter.errors import OutputError
from hepfilter.io.branch_selection import BranchChoice, BranchRules, branch_rules, parse_branch_file, select_branches
from hepfilter.io.converting import counted_columns
from hepfilter.io.layout import Layout, LayoutGatherer
from hepfilter.io.own_branches import own_names
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source
from hepfilter.skim.cuts import Cuts
from hepfilter.skim.file_reading import FileReader
from hepfilter.skim.findings import FileHead, SurveyedFile, UnitRead
from hepfilter.skim.formats import refuse_unconvertible
from hepfilter.skim.joining import join
from hepfilter.skim.provenance import CUTFLOW, WEIGHTED
from hepfilter.skim.recipe import Recipe


class Surveyor:
    """Takes the heads of files in the order of the inputs, and gathers the layouts of their trees."""

    def __init__(self, recipe: Recipe, cuts: Cuts) -> None:
        self._recipe = recipe
        self._cuts = cuts
        self._rules = _rules(recipe)
        self._mergers: dict[str, LayoutGatherer] = {}
        self._main = self._path = ""
        self._identity: dict[str, None] = {}
        self._classes: frozenset[tuple[str, int]] | None = None
        self._histograms: Counter[str] = Counter()

    @property
    def shared_histograms(self) -> tuple[str, ...]:
        """The histograms that more than one file has, but for those of earlier skims."""
        return tuple(name for name, files in self._histograms.items() if files > 1 and name not in (CUTFLOW, WEIGHTED))

    @property
    def identity_branches(self) -> tuple[str, ...]:
        """The branches that identify the events of the files so far."""
        return tuple(self._identity)

    def add(self, head: FileHead) -> None:
        """Take the next file. OutputError if it does not go with the others, and no later one can mend that."""
        self._main, self._path = head.tree, head.source.path
        self._identity |= dict.fromkeys(head.identity_branches)
        self._add_layouts(head)
        self._refuse_early()
        if self._classes is None:
            self._classes = head.classes
        elif not head.classes <= self._classes:
            more = ", ".join(sorted(f"{name} {version}" for name, version in head.classes - self._classes)[:5])
            raise OutputError(f"{self._path}: describes classes that the first input does not: {more}; skim it apart")
        self._histograms.update(head.histograms)

    def layouts(self, *, complete: bool = True) -> tuple[dict[str, Layout], BranchChoice]:
        """(the layout of each tree of the output, by name, how the branches of the events' tree were chosen).

        OutputError if the files do not agree, or hold what cannot be copied; UsageError or ConfigError if the rules
        for branches do not fit, or the files are `complete` and need not what is to be filled in.
        """
        layouts = {name: merger.result(final=complete) for name, merger in self._mergers.items()}
        columns = counted_columns(layouts[self._main], self._recipe.format)
        choice = select_branches(self._rules, columns, needed=self.identity_branches)
        layouts[self._main] = layouts[self._main].keep(choice.kept)
        for layout in layouts.values():
            layout.refuse_obstacles()
        refuse_unconvertible(self._path, self._main, layouts[self._main], self._recipe.format)
        return layouts, choice

    def survey(
        self,
        reader: FileReader,
        source: Source,
        progress: Callable[[int, int], None] = lambda *_: None,
        *,
        skipped: Sequence[tuple[int, int]] = (),
    ) -> SurveyedFile:
        """Look at one input here and now, but for entries to be `skipped`. Any fault is one of hepfilter's errors."""
        head, units = reader.head(source), []
        for start, stop in _without(head.units, skipped):
            (outcome,) = reader.read(head.source, head.facts, [(start, stop)])
            if not isinstance(outcome, UnitRead):
                raise outcome
            units.append(outcome)
            progress(stop, head.num_entries)
        self.add(head)
        return join(head, units, self._cuts)

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

    def _add_layouts(self, head: FileHead) -> None:
        """Take the layouts of all trees of a file; it is only opened for those of a new shape."""
        new = []
        for name, shape in head.shapes.items():
            if name not in self._mergers:
                fills = self._recipe.fills_of("" if name == head.tree else f"{name}/")
                self._mergers[name] = LayoutGatherer(self._recipe.layout, fills)
            if not self._mergers[name].add_shape(shape):
                new.append(name)
        if not new:
            return
        with open_file(head.source) as file:
            for name in new:
                table = file.table(name)
                if name == head.tree:
                    table = table.without(own_names(table.branch_names))
                self._mergers[name].add(table, head.shapes[name])


def _without(units: Sequence[tuple[int, int]], skipped: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """What is left of the units."""
    left = list(units)
    for low, high in skipped:
        cut = [(start, stop, max(start, min(low, stop)), min(stop, max(high, start))) for start, stop in left]
        left = [piece for start, stop, a, b in cut for piece in ((start, a), (b, stop)) if piece[0] < piece[1]]
    return left


def _rules(recipe: Recipe) -> BranchRules:
    """The rules for branches; ConfigError or UsageError if they are none."""
    if recipe.branches is not None:
        return parse_branch_file(recipe.branches)
    return branch_rules(keep=recipe.keep_branches, drop=recipe.drop_branches)
