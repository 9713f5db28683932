"""The cuts that need no model: duplicates, luminosity mask, event list, selection expression."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hepfilter.errors import SchemaError
from hepfilter.events.books import Books
from hepfilter.events.expressions import Column
from hepfilter.events.identity import Identity
from hepfilter.io.deduplication import SeenEvents
from hepfilter.io.event_list import EventList, MissingEvents, read_event_list
from hepfilter.io.lumi_mask import LumiMask, load_lumi_mask
from hepfilter.io.reading import Table
from hepfilter.io.sources import Source
from hepfilter.skim.conditions import Conditions, Mask, bind_conditions
from hepfilter.skim.cut_fills import CutFills
from hepfilter.skim.recipe import Recipe

Positions = npt.NDArray[np.int64]
STEPS = UNIQUE, MASKED, LISTED, WHERE = ("not seen before", "luminosity mask", "event list", "where")
"""The names of the cuts in the cutflow, in the order in which they apply."""


class Cuts:
    """The cuts of a recipe; all `sources` of a union tell its `fills`.

    Duplicates and listed events that are missing are known where all units come together, in their order, alone.
    """

    def __init__(self, recipe: Recipe, sources: Sequence[Source] = ()) -> None:
        self._recipe = recipe
        self.fills = CutFills(recipe, sources)
        self._mask = load_lumi_mask(recipe.lumi_mask) if recipe.lumi_mask else None
        self._masks = {name: load_lumi_mask(path) for name, path in recipe.dataset_masks.items()}
        self._listed = read_event_list(recipe.events) if recipe.events else None
        self._found = np.zeros(len(self._listed or ()), bool)
        self._seen: SeenEvents | None = None

    def lumi_mask(self, source: Source) -> LumiMask | None:
        """The luminosity mask that holds for a source: the recipe's, or that of its dataset."""
        return self._mask or self._masks.get(source.dataset or "")

    def of_file(self, source: Source, tree: Table, books: Books) -> "FileCuts":
        """The cuts for one file. UsageError if the expression does not fit it, SchemaError if it has no identity."""
        mask = self.lumi_mask(source)
        identified = mask is not None or self._listed is not None or self._recipe.deduplicate
        if identified and books.identity is None:
            what = f"{tree.path}: tree {tree.name} has no run, luminosityBlock and event that a schema names"
            raise SchemaError(f"{what}, which --lumi-mask, --events and --deduplicate need; give one with --schema")
        texts = {} if self._recipe.where is None else {WHERE: self._recipe.where}
        masked = self._mask is not None or bool(self._masks)
        conditions = bind_conditions(texts, tree, self.fills)
        unique = self._recipe.deduplicate
        return FileCuts(mask, self._listed, conditions, identified=identified, masked=masked, unique=unique)

    def first_occurrences(self, who: Identity) -> Mask:
        """Which of the next events come for the first time."""
        if self._seen is None:
            self._seen = SeenEvents()
        return self._seen.first_occurrences(who.run, who.luminosity_block, who.event)

    def note_found(self, positions: Positions) -> None:
        """Take note of events of the list that were found, by their places in it."""
        self._found[positions] = True

    def missing_events(self) -> MissingEvents | None:
        """The listed events that were not found, None where there is no list or nothing is missing."""
        missing = None if self._listed is None else self._listed.missing(self._found)
        return missing if missing is not None and missing.count else None


@dataclass(frozen=True)
class FileCuts:
    """The cuts for the events of one file; `identified` says whether they look at identities.

    `where` holds the selection expression, if there is one. With `masked` the cutflow counts a luminosity mask, also of
    a file that none holds for: the steps of all files are the same. `unique` tells that duplicates will go, first.
    """

    mask: LumiMask | None
    listed: EventList | None
    where: Conditions
    identified: bool
    masked: bool
    unique: bool

    @property
    def steps(self) -> list[str]:
        """The names of the cuts in the cutflow, in order."""
        there = (self.unique, self.masked, self.listed is not None, bool(self.where.expressions))
        return [name for name, is_there in zip(STEPS, there, strict=True) if is_there]

    @property
    def branches(self) -> tuple[str, ...]:
        """The branches that the expression needs."""
        return self.where.branches

    def passes(self, columns: Mapping[str, Column], identity: Identity | None, count: int) -> dict[str, Mask]:
        """Which of `count` events are left after each cut but that for duplicates, by its name in the cutflow."""
        left = np.ones(count, bool)
        steps: dict[str, Mask] = {}
        if self.masked:
            if identity is not None and self.mask is not None:
                left = left & self.mask.passes(identity.run, identity.luminosity_block)
            steps[MASKED] = left
        if identity is not None and self.listed is not None:
            steps[LISTED] = left = left & (self.places(identity) >= 0)
        for step, passed in self.where.passes(columns, count).items():
            steps[step] = left = left & passed
        return steps

    def places(self, identity: Identity) -> Positions:
        """The place of each event in the list, negative if it is not there or there is no list."""
        if self.listed is None:
            return np.full(len(identity), -1)
        return self.listed.find(identity.run, identity.luminosity_block, identity.event)
