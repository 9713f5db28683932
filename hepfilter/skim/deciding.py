"""The decision about all events that passed the cuts: by a share or a threshold of one score, or by a menu."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hepfilter.config.menu import Menu
from hepfilter.skim.added import PASSED, PROBABILITY, WEIGHT, Values, bit_column
from hepfilter.skim.conditions import blind_conditions, blinded
from hepfilter.skim.event_rates import event_rates
from hepfilter.skim.findings import SurveyedFile
from hepfilter.skim.outputs import KeptEvents
from hepfilter.skim.recipe import Recipe
from hepfilter.trigger.decisions import Decisions, decide
from hepfilter.trigger.events import Mask, TriggerEvents
from hepfilter.trigger.lock import Trigger
from hepfilter.trigger.rates import RateTable, rate_table
from hepfilter.trigger.selection import Selection, keep_above, keep_fraction
from hepfilter.trigger.thresholds import Resolution, is_sample, resolve, stated_thresholds

if TYPE_CHECKING:
    from hepfilter.config.datasets import Dataset


@dataclass(frozen=True)
class Verdict:
    """Which of the B events that passed the cuts are `kept` [B], by the `step` of that name in the cutflow.

    `threshold` and `ties_dropped` are those of one score. A menu gives `bits` [B] by the column that they go to, the
    trigger with its thresholds, what these will give (None if a lock brought them, or these events cannot tell), and
    the rates here; `unblinded` says whether that shows what the menu blinds.
    """

    step: str
    kept: npt.NDArray[np.bool_]
    threshold: float | None = None
    ties_dropped: int = 0
    bits: Values = field(default_factory=dict)
    trigger: Trigger | None = None
    resolution: Resolution | None = None
    rates: RateTable | None = None
    unblinded: bool = False


def decide_events(
    files: Sequence[SurveyedFile], recipe: Recipe, datasets: "Mapping[str, Dataset]", *, unblind: bool = False
) -> Verdict | None:
    """The verdict on the events of all files, None where nothing but the cuts decides; errors as `resolve`."""
    if recipe.trigger is not None:
        return _by_menu(files, recipe.trigger, datasets, unblind=unblind)
    if not recipe.needs_scores:
        return None
    selection = _by_score(files, recipe)
    return Verdict("score", selection.passed, selection.threshold, selection.ties_dropped)


def split_verdict(files: Sequence[SurveyedFile], verdict: Verdict | None) -> list[KeptEvents]:
    """What is kept of each file."""
    if verdict is None:
        return [KeptEvents(file, np.ones(len(file.chosen), bool)) for file in files]
    edges = np.cumsum([0, *(len(file.chosen) for file in files)])
    parts = [slice(start, stop) for start, stop in pairwise(edges)]
    return [
        KeptEvents(file, verdict.kept[part], {column: values[part] for column, values in verdict.bits.items()})
        for file, part in zip(files, parts, strict=True)
    ]


def menu_conditions(menu: Menu) -> dict[str, str]:
    """The selection expressions of a menu: by path, and the blind regions by number."""
    conditions = {name: path.when for name, path in menu.paths.items() if path.when is not None}
    return conditions | blind_conditions(menu.blind)


def trigger_events(
    files: Sequence[SurveyedFile], menu: Menu, datasets: "Mapping[str, Dataset]"
) -> TriggerEvents:  # fmt: skip
    """The events that passed the cuts, as a trigger sees them."""
    who = [file.identity for file in files if file.identity is not None]
    count = sum(len(file.chosen) for file in files)
    conditional = {name for name, path in menu.paths.items() if path.when is not None}
    return TriggerEvents(
        run=np.concatenate([one.run for one in who]),
        luminosity_block=np.concatenate([one.luminosity_block for one in who]),
        event=np.concatenate([one.event for one in who]),
        weights=np.concatenate([file.event_weights for file in files]),
        hertz=event_rates(files, menu, datasets),
        scores={name: np.concatenate([file.scores[name] for file in files if file.scores]) for name in menu.scores},
        when={
            name: np.concatenate([file.conditions[name] for file in files])
            if name in conditional
            else np.ones(count, bool)
            for name in menu.paths
        },
        blind=np.concatenate([blinded(file.conditions, len(file.chosen)) for file in files]),
    )


def _by_score(files: Sequence[SurveyedFile], recipe: Recipe) -> Selection:
    scores = np.concatenate([file.scores["interest"] for file in files if file.scores is not None])
    if recipe.threshold is not None:
        return keep_above(scores, recipe.threshold)
    assert recipe.keep is not None
    return keep_fraction(scores, np.concatenate([file.ties for file in files]), recipe.keep)


def _by_menu(
    files: Sequence[SurveyedFile], trigger: Trigger, datasets: "Mapping[str, Dataset]", *, unblind: bool
) -> Verdict:
    """Thresholds where no lock brought them, then decisions."""
    menu, resolution = trigger.menu, None
    events = trigger_events(files, menu, datasets)
    if trigger.thresholds is None:
        found = stated_thresholds(menu)
        if found is None or is_sample(events):
            resolution = resolve(menu, events, unblind=unblind)
            found = {path.name: path.threshold for path in resolution.paths if path.threshold is not None}
        trigger = Trigger(menu, found)
    paths = trigger.paths()
    decisions = decide(events, paths, control=menu.control, seed=menu.seed)
    sections = np.concatenate([file.sections for file in files])
    return Verdict(
        step="menu",
        kept=decisions.kept,
        bits=_bits(decisions),
        trigger=trigger,
        resolution=resolution,
        rates=rate_table(events, decisions, paths, sections=sections, unblind=unblind),
        unblinded=unblind,
    )


def _bits(decisions: Decisions) -> Values:
    """[B] each, in the order of `added_columns`."""
    named: dict[str, Mask] = {}
    for number, name in enumerate(decisions.paths):
        named |= {name: decisions.passed[:, number], f"{name}_raw": decisions.raw[:, number]}
    named |= {f"stream_{name}": bits for name, bits in decisions.streams.items()}
    return {
        **{bit_column(name): values for name, values in named.items()},
        PROBABILITY: decisions.probability.astype(np.float32),
        WEIGHT: decisions.weight.astype(np.float32),
        PASSED: np.asarray(decisions.passed.any(axis=1)),
    }
