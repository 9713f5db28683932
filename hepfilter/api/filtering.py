"""A filter over events in memory: an awkward array that the user has, or a chunk inside a coffea processor."""

import warnings
from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from hepfilter.config.schema import COLLECTIONS
from hepfilter.errors import UsageError
from hepfilter.events.expressions import parse_expression
from hepfilter.scoring.arrays import BoundArray, bind_array, is_record
from hepfilter.skim.file_reading import file_stamp
from hepfilter.skim.recipe import make_recipe
from hepfilter.trigger.decisions import Decisions, decide
from hepfilter.trigger.events import Mask, TriggerEvents
from hepfilter.trigger.lock import Trigger
from hepfilter.trigger.menus import check_scores
from hepfilter.trigger.selection import keep_above, keep_fraction
from hepfilter.trigger.thresholds import stated_thresholds

if TYPE_CHECKING:
    from hepfilter.scoring.scorer import Scorer

Scores = Mapping[str, NDArray[np.float32]]


class Filter:
    """A model, and what it keeps.

    `model` is one that ships or a checkpoint (that of the menu, else `interest-objects`). Of `threshold` (log-odds),
    `keep` (a share, ``"1%"``, of the events of each call) and `menu` (a lock, or a menu that states its thresholds) at
    most one is given; without any there are only scores. `schema` is one that ships, or a file; found from the array's
    fields if None. A filter is small, and can be sent to workers: a model is loaded once in each process. UsageError
    for what contradicts itself, and for a menu whose thresholds are not known.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        threshold: float | None = None,
        keep: str | float | Fraction | None = None,
        menu: str | Path | Trigger | None = None,
        schema: str | None = None,
        device: str = "auto",
    ) -> None:
        decides = (threshold, keep, menu) != (None, None, None)
        recipe = make_recipe(model=model if decides else None, threshold=threshold, keep=keep, menu=menu, schema=schema)
        self.model, self.threshold, self.keep = str(model or recipe.model), recipe.threshold, recipe.keep
        self.schema = schema
        self.trigger = None if recipe.trigger is None else _with_thresholds(recipe.trigger, menu)
        self._device = device

    def __repr__(self) -> str:
        how = {
            "threshold": self.threshold,
            "keep": None if self.keep is None else str(self.keep),
            "menu": None if self.trigger is None else self.trigger.menu.name,
        }
        said = "".join(f", {name}={value!r}" for name, value in how.items() if value is not None)
        return f"Filter({self.model!r}{said})"

    def __call__(self, events: ak.Array) -> Mask:
        """[B] which `events` are kept: what `decide` keeps, or those of highest score."""
        if self.trigger is not None:
            return self.decide(events).kept
        if self.threshold is None and self.keep is None:
            raise UsageError("the filter decides nothing; give threshold=, keep= or menu=, or ask for .scores(events)")
        interest = ak.to_numpy(self.scores(events).interest)
        if self.threshold is not None:
            return keep_above(interest, self.threshold).passed
        assert self.keep is not None
        return keep_fraction(interest, self._ties(events), self.keep).passed

    def scores(self, events: ak.Array) -> ak.Array:
        """[B] records of float32, by the names of the model's scores: those that a skim or `score` writes, to the bit.

        `events` are branches by their names (uproot), NanoEvents (coffea), or our own record. SchemaError if nothing in
        them is known. Where the model lacks collections or masses, a warning says so.
        """
        scorer = load_scorer(self.model, self._device)
        if is_record(events):
            return ak.zip(scorer.score_heads(events))
        return ak.zip(_scored(self._bound(events, scorer.collections), scorer))

    def decide(self, events: ak.Array) -> Decisions:
        """What the menu decides: bits of each path before and after its prescale, streams, and weights.

        UsageError without a menu; SchemaError if events have no run, luminosity block and event: prescales need them.
        """
        if self.trigger is None:
            raise UsageError("only a menu decides by path; give the filter menu=")
        if is_record(events):
            raise UsageError("a menu needs branches, of which our record has none; give arrays of uproot or coffea")
        menu, scored = self.trigger.menu, bool(self.trigger.menu.scores)
        scorer = load_scorer(self.model, self._device) if scored else None
        bound = self._bound(events, scorer.collections if scorer else COLLECTIONS)
        self._check(bound, scorer)
        who, count = bound.identity(), len(events)
        when = {name: np.ones(count, bool) for name in menu.paths}
        for name, path in menu.paths.items():
            if path.when is not None:
                when[name] = _passes(path.when, bound, count, where=f"path {name}")
        sample = TriggerEvents(
            run=who.run,
            luminosity_block=who.luminosity_block,
            event=who.event,
            weights=np.ones(count),
            hertz=None,
            scores={} if scorer is None else _scored(bound, scorer),
            when=when,
            blind=np.zeros(count, bool),  # no rate is made of them
        )
        return decide(sample, self.trigger.paths(), control=menu.control, seed=menu.seed)

    def _bound(self, events: ak.Array, wanted: tuple[str, ...]) -> BoundArray:
        return bind_array(events, wanted=wanted, schema=self.schema)

    def _check(self, bound: BoundArray, scorer: "Scorer | None") -> None:
        """UsageError if the menu is of another model, calibration, class of device or schema."""
        assert self.trigger is not None
        self.trigger.check_model({} if scorer is None else scorer.facts)
        self.trigger.check_schemas({bound.binding.schema.name: bound.binding.schema.checksum})
        if scorer is not None:
            check_scores(self.trigger.menu, scorer.names, model=self.model, where=self.trigger.menu.name)

    def _ties(self, events: ak.Array) -> NDArray[np.float64]:
        """What decides among events of equal score, as in a skim; for our own record their order."""
        if is_record(events):
            return np.arange(len(events), dtype=np.float64)
        return self._bound(events, load_scorer(self.model, self._device).collections).ties()


def load_scorer(model: str, device: str) -> "Scorer":
    """A model, loaded once in each process for as long as its file stays as it is."""
    return _load(model, device, file_stamp(model))


@lru_cache(maxsize=4)
def _load(model: str, device: str, stamp: tuple[int, int] | None) -> "Scorer":
    from hepfilter.scoring.scorer import Scorer

    return Scorer(model, device=device)


def _scored(bound: BoundArray, scorer: "Scorer") -> Scores:
    for lacking in bound.lacking(scorer.collections):
        warnings.warn(f"{scorer.metadata.name} scores {lacking}", stacklevel=4)
    return scorer.score_heads(bound.events().record)


def _passes(text: str, bound: BoundArray, count: int, *, where: str) -> Mask:
    """Which of the events pass a selection expression over their branches."""
    try:
        expression = parse_expression(text, bound.branches)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error
    return expression.passes(bound.branches.columns(expression.branches), count)


def _with_thresholds(trigger: Trigger, menu: str | Path | Trigger | None) -> Trigger:
    """The trigger of `menu` with thresholds that do not hang on the events; UsageError if they would."""
    if trigger.thresholds is not None:
        return trigger
    stated = stated_thresholds(trigger.menu)
    if stated is None:
        name = trigger.menu.name
        given = menu if isinstance(menu, str | Path) else "MENU"
        raise UsageError(f"menu {name}: a sample must tune it first: hepfilter rates lock {given} FILE… -o {name}.lock")
    return Trigger(trigger.menu, stated)
