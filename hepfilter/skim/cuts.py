"""The cuts that need no model: duplicates, luminosity mask, event list, selection expression."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hepfilter.errors import SchemaError, UsageError
from hepfilter.events.books import Books
from hepfilter.events.expressions import Column, Expression, parse_expression
from hepfilter.events.identity import Identity
from hepfilter.io.deduplication import SeenEvents
from hepfilter.io.event_list import EventList, MissingEvents, read_event_list
from hepfilter.io.layout import Fill
from hepfilter.io.lumi_mask import LumiMask, load_lumi_mask
from hepfilter.io.reading import Table
from hepfilter.io.sources import Source
from hepfilter.skim.cut_fills import CutFills, fill_column
from hepfilter.skim.recipe import Recipe

Mask = npt.NDArray[np.bool_]
STEPS = UNIQUE, MASKED, LISTED, WHERE = ("not seen before", "luminosity mask", "event list", "where")
"""The names of the cuts in the cutflow, in the order in which they apply."""


class Cuts:
    """The cuts of a recipe, with what they remember from file to file; all `sources` of a union tell its fills."""

    def __init__(self, recipe: Recipe, sources: Sequence[Source] = ()) -> None:
        self._recipe = recipe
        self._fills = CutFills(recipe, sources)
        self._mask = load_lumi_mask(recipe.lumi_mask) if recipe.lumi_mask else None
        self._masks = {name: load_lumi_mask(path) for name, path in recipe.dataset_masks.items()}
        self._listed = read_event_list(recipe.events) if recipe.events else None
        self._found = np.zeros(len(self._listed or ()), bool)
        self._seen = SeenEvents() if recipe.deduplicate else None

    def lumi_mask(self, source: Source) -> LumiMask | None:
        """The luminosity mask that holds for a source: the recipe's, or that of its dataset."""
        return self._mask or self._masks.get(source.dataset or "")

    def of_file(self, source: Source, tree: Table, books: Books) -> "FileCuts":
        """The cuts for one file. UsageError if the expression does not fit it, SchemaError if it has no identity."""
        mask = self.lumi_mask(source)
        identified = mask is not None or self._listed is not None or self._seen is not None
        if identified and books.identity is None:
            what = f"{tree.path}: tree {tree.name} has no run, luminosityBlock and event that a schema names"
            raise SchemaError(f"{what}, which --lumi-mask, --events and --deduplicate need; give one with --schema")
        # a colon, as in the names of Athena's RNTuples, is none in an expression: a dot stands for it, as in schemas
        spelled = {name.replace(":", "."): name for name in tree.branch_names}
        spelled |= {name: name for name in tree.branch_names if ":" not in name}  # which a colon does not displace
        expression = self._parse(spelled, tree.path)
        lacking = () if expression is None else (name for name in expression.branches if name not in spelled)
        fills = {name: self._fills.fill(name, tree.path) for name in lacking}
        counters = [fill.counter for fill in fills.values() if fill.counter in tree.branch_names]
        masked = self._mask is not None or bool(self._masks)
        return FileCuts(
            self._seen, mask, self._listed, self._found, expression, spelled, fills, tuple(filter(None, counters)),
            identified=identified, masked=masked,
        )  # fmt: skip

    def _parse(self, names: Collection[str], path: str) -> Expression | None:
        """The expression over these branches or, if it does not fit, those of all inputs of a union."""
        where = self._recipe.where
        if where is None:
            return None
        try:
            return parse_expression(where, names)
        except UsageError as error:
            more = self._fills.names
            if not set(more) - set(names):
                raise UsageError(f"{path}: {error}") from error
        try:
            return parse_expression(where, dict.fromkeys([*names, *more]))
        except UsageError as error:
            raise UsageError(f"{path}: {error}") from error

    def missing_events(self) -> MissingEvents | None:
        """The listed events that were not found, None where there is no list or nothing is missing."""
        missing = None if self._listed is None else self._listed.missing(self._found)
        return missing if missing is not None and missing.count else None


@dataclass(frozen=True)
class FileCuts:
    """The cuts for the events of one file; `identified` says whether they look at identities.

    `spelled` maps the names that an expression uses to the file's; `fills` tells what stands for those that the file
    lacks, and `counters` are the branches that those need. With `masked` the cutflow counts a luminosity mask,
    also of a file that none holds for: the steps of all files are the same.
    """

    seen: SeenEvents | None
    mask: LumiMask | None
    listed: EventList | None
    found: Mask
    expression: Expression | None
    spelled: Mapping[str, str]
    fills: Mapping[str, Fill]
    counters: tuple[str, ...]
    identified: bool
    masked: bool

    @property
    def steps(self) -> list[str]:
        """The names of the cuts in the cutflow, in order."""
        there = (self.seen is not None, self.masked, self.listed is not None, self.expression is not None)
        return [name for name, is_there in zip(STEPS, there, strict=True) if is_there]

    @property
    def branches(self) -> tuple[str, ...]:
        """The branches that the expression needs."""
        named = () if self.expression is None else self.expression.branches
        return *(self.spelled[name] for name in named if name not in self.fills), *self.counters

    def passes(self, columns: Mapping[str, Column], identity: Identity | None, count: int) -> dict[str, Mask]:
        """Which of `count` events are left after each cut, by the cut's name in the cutflow."""
        left = np.ones(count, bool)
        steps: dict[str, Mask] = {}
        if identity is not None and self.seen is not None:
            steps[UNIQUE] = left = self.seen.first_occurrences(identity.run, identity.luminosity_block, identity.event)
        if self.masked:
            if identity is not None and self.mask is not None:
                left = left & self.mask.passes(identity.run, identity.luminosity_block)
            steps[MASKED] = left
        if identity is not None and self.listed is not None:
            positions = self.listed.find(identity.run, identity.luminosity_block, identity.event)
            self.found[positions[positions >= 0]] = True
            steps[LISTED] = left = left & (positions >= 0)
        if self.expression is not None:
            wanted = {
                name: fill_column(self.fills[name], columns, count)
                if name in self.fills
                else columns[self.spelled[name]]
                for name in self.expression.branches
            }
            steps[WHERE] = left = left & self.expression.passes(wanted, count)
        return steps
