"""`hepfilter rates`: what a menu takes of a sample, its lock, and how two menus differ; no event is written."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hepfilter.errors import UsageError
from hepfilter.io.publishing import refuse_output, write_whole
from hepfilter.io.sources import expand_inputs
from hepfilter.shown import Shown
from hepfilter.skim.deciding import Verdict, decide_events, trigger_events
from hepfilter.skim.drifting import Window, check_drift
from hepfilter.skim.first_pass import ONE_PROCESS, FirstPass, Progress, first_pass
from hepfilter.skim.recipe import Recipe
from hepfilter.trigger.decisions import raw_bits
from hepfilter.trigger.drift import make_reference
from hepfilter.trigger.lock import SUFFIX, Frozen, Trigger, lock_text
from hepfilter.trigger.rates import RateTable
from hepfilter.trigger.thresholds import Resolution, resolve
from hepfilter.work.execution import Execution


@dataclass(frozen=True)
class RatesReport(Shown):
    """What a menu takes of a sample. `resolution` predicts the next one, where thresholds were tuned here.

    `trigger` has the thresholds, `windows` are those of the drift check of a lock.
    """

    trigger: Trigger
    rates: RateTable
    resolution: Resolution | None
    windows: tuple[Window, ...]
    model: str
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class PathChange:
    """One path under two menus: events by the first (`before`), the second (`after`), by one of them alone.

    `lost` passed the first alone, `gained` the second alone; `unique_before` and `unique_after` are those that no other
    path of the same menu took. None where the path is in one menu alone.
    """

    path: str
    before: int | None
    after: int | None
    lost: int
    gained: int
    unique_before: int | None
    unique_after: int | None

    @property
    def change(self) -> float:
        """(lost + gained) / before; infinite where nothing was before and something is now."""
        moved = self.lost + self.gained
        return moved / self.before if self.before else (float("inf") if moved else 0.0)


@dataclass(frozen=True)
class RatesDifference:
    """Two menus on the same events: each path of either, and ``any path``; without what is `blinded` in either."""

    events: int
    changes: tuple[PathChange, ...]
    blinded: tuple[str, ...]

    def beyond(self, limit: float) -> tuple[PathChange, ...]:
        """Those that changed by more than the share `limit`."""
        return tuple(each for each in self.changes if each.change > limit)


def show_rates(
    inputs: Sequence[str],
    recipe: Recipe,
    *,
    device: str = "auto",
    execution: Execution = ONE_PROCESS,
    unblind: bool = False,
    progress: Progress,
) -> RatesReport:
    """The rates of the recipe's menu or lock on `inputs`; errors as a skim's, and `resolve`'s."""
    read, verdict = _decided(inputs, recipe, device=device, execution=execution, unblind=unblind, progress=progress)
    assert verdict.trigger is not None
    return _report(read, verdict, verdict.trigger, verdict.resolution, check_drift(read.files, verdict.trigger))


def lock_menu(
    inputs: Sequence[str],
    recipe: Recipe,
    output: Path,
    *,
    future: int | None = None,
    device: str = "auto",
    execution: Execution = ONE_PROCESS,
    force: bool = False,
    progress: Progress,
) -> RatesReport:
    """Tune the thresholds of the recipe's menu on `inputs`, and write them with all that they depend on to `output`.

    Predictions are for a sample of `future` events (None: as many as here). UsageError if the menu is a lock already or
    the output does not end in .lock.
    """
    if recipe.trigger is None or recipe.trigger.frozen is not None:
        raise UsageError("only a menu can be locked; give a YAML file, or the name of one that ships")
    if output.suffix != SUFFIX:
        raise UsageError(f"{output}: a lock must end in {SUFFIX}")
    refuse_output(output, force=force)
    read, verdict = _decided(inputs, recipe, device=device, execution=execution, unblind=False, progress=progress)
    menu, resolution = recipe.trigger.menu, verdict.resolution
    if resolution is None or future is not None:
        resolution = resolve(menu, trigger_events(read.files, menu, read.datasets), future=future)
    assert verdict.trigger is not None
    if read.score_facts is not None:  # which need not be those of the model that the menu names
        menu = menu.model_copy(update={"model": read.recipe.model})
    trigger = Trigger(menu, verdict.trigger.thresholds, _frozen(read, resolution))
    write_whole(output, lock_text(trigger).encode())
    return _report(read, verdict, trigger, resolution, ())


def compare_menus(
    inputs: Sequence[str],
    before: Recipe,
    after: Recipe,
    *,
    device: str = "auto",
    execution: Execution = ONE_PROCESS,
    unblind: bool = False,
    progress: Progress,
) -> RatesDifference:
    """The decisions of two menus, before prescales, on the same events, without what either blinds."""
    triggers, samples = [], []
    for recipe in (before, after):
        read, verdict = _decided(inputs, recipe, device=device, execution=execution, unblind=False, progress=progress)
        assert verdict.trigger is not None
        triggers.append(verdict.trigger)
        samples.append(trigger_events(read.files, verdict.trigger.menu, read.datasets))
    both = [trigger.paths() for trigger in triggers]
    blinded = {path.name for paths in both for path in paths if path.blind and not unblind}
    shown = [tuple(path for path in paths if path.name not in blinded) for paths in both]
    seen = np.full(len(samples[0]), unblind) | ~(samples[0].blind | samples[1].blind)
    masks = [raw_bits(sample, paths)[seen] for sample, paths in zip(samples, shown, strict=True)]
    names = [tuple(path.name for path in paths) for paths in shown]
    changes = [_change(name, names, masks) for name in dict.fromkeys(names[0] + names[1])]
    union = [mask.any(axis=1) for mask in masks]
    lost, gained = (int(np.count_nonzero(a & ~b)) for a, b in (union, union[::-1]))
    whole = PathChange("any path", int(union[0].sum()), int(union[1].sum()), lost, gained, None, None)
    return RatesDifference(len(masks[0]), (*changes, whole), tuple(sorted(blinded)))


def _decided(
    inputs: Sequence[str], recipe: Recipe, *, device: str, execution: Execution, unblind: bool, progress: Progress
) -> tuple[FirstPass, Verdict]:
    recipe = replace(recipe, layout="intersection")  # no branch is written, so that files may differ in others
    read = first_pass(expand_inputs(inputs), recipe, device=device, execution=execution, progress=progress)
    verdict = decide_events(read.files, read.recipe, read.datasets, unblind=unblind)
    assert verdict is not None
    return read, verdict


def _report(
    read: FirstPass, verdict: Verdict, trigger: Trigger, resolution: Resolution | None, windows: tuple[Window, ...]
) -> RatesReport:
    assert verdict.rates is not None
    return RatesReport(
        trigger=trigger,
        rates=verdict.rates,
        resolution=resolution,
        windows=windows,
        model="" if read.score_facts is None else read.recipe.model,
        warnings=tuple(dict.fromkeys(note for file in read.files for note in file.warnings)),
    )


def _frozen(read: FirstPass, resolution: Resolution) -> Frozen:
    """What the thresholds were found with."""
    facts = read.score_facts or {}
    # all that the model says, used or not: one score alone may miss a drift; p-values rise and fall with interest
    said = [name for name in facts.get("scores", ()) if name != "pvalue"]
    scores = {name: np.concatenate([file.scores[name] for file in read.files if file.scores]) for name in said}
    problems = [chunk for file in read.files for chunk in file.problem_counts]
    return Frozen(
        model_hash=facts.get("model_hash"),
        calibration_hash=facts.get("calibration_hash"),
        device_class=facts.get("device_class"),
        schemas={file.schema: file.schema_checksum or "" for file in read.files},
        sample={
            "events": sum(len(file.chosen) for file in read.files),
            "files": [
                {"path": Path(file.source.path).name, "uuid": file.facts.uuid, "size": file.facts.size}
                for file in read.files
            ],
        },
        predictions=resolution.predictions,
        union=resolution.union,
        reference=make_reference(scores, problems) if scores else None,
    )


def _change(name: str, names: Sequence[Sequence[str]], masks: Sequence[Any]) -> PathChange:
    """One path under both menus."""
    found = [mask[:, own.index(name)] if name in own else None for own, mask in zip(names, masks, strict=True)]
    alone = [
        None if one is None else int(np.count_nonzero(one & (mask.sum(axis=1) == 1)))
        for one, mask in zip(found, masks, strict=True)
    ]
    before, after = (np.zeros(len(masks[0]), bool) if one is None else one for one in found)
    return PathChange(
        path=name,
        before=None if found[0] is None else int(before.sum()),
        after=None if found[1] is None else int(after.sum()),
        lost=int(np.count_nonzero(before & ~after)),
        gained=int(np.count_nonzero(after & ~before)),
        unique_before=alone[0],
        unique_after=alone[1],
    )
