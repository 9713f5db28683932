"""The recorded skim done again on its sources: which entries pass its cuts, and what the output's trees should be."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hepfilter.errors import CheckpointError, ConfigError, HepfilterError, SourceError, UsageError
from hepfilter.io.checksum import FileFacts, checksum, file_facts
from hepfilter.io.layout import Layout
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source
from hepfilter.skim.added import AddedValues
from hepfilter.skim.cuts import Cuts
from hepfilter.skim.deciding import decide_events, menu_conditions, split_verdict
from hepfilter.skim.file_reading import FileReader, Survey
from hepfilter.skim.findings import SurveyedFile
from hepfilter.skim.parts import Part
from hepfilter.skim.recipe import Recipe
from hepfilter.skim.score_sources import ModelSource
from hepfilter.skim.survey import Surveyor
from hepfilter.trigger.menus import check_scores

if TYPE_CHECKING:
    from hepfilter.scoring.scorer import Scorer

Index = npt.NDArray[np.int64]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Located:
    """The sources of a skim, one an input, None where one is not to be had: `missing` says why.

    `changed` tells which are not what they were.
    """

    sources: tuple[Source | None, ...]
    changed: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Evidence:
    """What a skim's cuts and rules give on its sources; one item an input, None where there is no source.

    `kept` are the entries that pass; `added` what the skim says of them, where it was computed again. With `doubts`
    those are at least the ones that were written, not just them. `faults` say where the recipe does not work at all.
    `layouts` are those of all trees, `choice` that of the events' tree with the kept branches, None where the rules are
    not known, and `layout_doubts` say why any of them may not be whole. `rows_known` is whether the other trees' rows
    are.
    """

    tree: str
    sources: tuple[Source | None, ...]
    files: tuple[SurveyedFile | None, ...]
    kept: tuple[Index | None, ...]
    added: tuple[AddedValues | None, ...]
    doubts: tuple[str, ...]
    faults: tuple[str, ...]
    layouts: Mapping[str, Layout]
    choice: Layout | None
    layout_doubts: tuple[str, ...]
    rows_known: bool

    def is_copy(self, number: int) -> bool:
        """Whether an input is a byte copy of an earlier one: its rows and objects were not written again."""
        own = self.files[number]
        earlier = [file.facts for file in self.files[:number] if file is not None]
        return own is not None and own.facts in earlier and not own.has_no_uuid

    def rows(self, name: str) -> list[tuple[int, Index]]:
        """The rows of another tree that the skim writes: (number of the input, entries) of each that has it."""
        found = []
        for number, file in enumerate(self.files):
            if file is not None and name in file.others and not self.is_copy(number):
                masked = file.rows.get(name)
                found.append((number, np.arange(file.others[name]) if masked is None else masked))
        return found


def locate(part: Part, given: Sequence[Source]) -> Located:
    """Find the sources of a part: where they were, or among those `given`, by facts, name or number."""
    known = [(source, _facts(source)) for source in given]
    if not given:
        known = [(Source(file.path), _facts(Source(file.path))) for file in part.inputs]
    sources: list[Source | None] = []
    changed, missing = [], []
    for number, file in enumerate(part.inputs):
        wanted = FileFacts(file.uuid, file.size, file.checksum)
        same = [source for source, facts in known if facts == wanted]
        named = [source for source, _ in known if PurePath(source.path).name == PurePath(file.path).name]
        numbered = [known[number][0]] if len(known) == len(part.inputs) else []
        recorded = [source for source, _ in known if source.path == file.path]
        source = next(iter([*same, *recorded, *named, *numbered]), None)
        facts = dict(known).get(source) if source is not None else None
        if source is None:
            missing.append(f"{file.path}: none of the given sources is this one")
        elif isinstance(facts, FileFacts):
            changed += [f"{source.path}: {what}, since the skim was made" for what in _changes(wanted, facts)]
        else:
            missing.append(str(facts))
        usable = source is not None and isinstance(facts, FileFacts)
        sources.append(replace(source, tree=file.tree, dataset=file.dataset) if source is not None and usable else None)
    return Located(tuple(sources), tuple(changed), tuple(missing))


def _facts(source: Source) -> FileFacts | SourceError:
    """The facts of a file, or why there are none."""
    try:
        with open_file(source) as file:
            return file_facts(file)
    except SourceError as error:
        return error


def _changes(wanted: FileFacts, facts: FileFacts) -> list[str]:
    pairs = [("size", wanted.size, facts.size), ("uuid", wanted.uuid, facts.uuid)]
    changes = [f"its {name} changed from {old} to {new}" for name, old, new in pairs if old != new]
    return changes or (["its trees changed"] if wanted.checksum != facts.checksum else [])


def load_scorer(part: Part, device: str) -> "tuple[Scorer | None, list[str]]":
    """(the model that decided, or None; why not). Its scores are comparable on the same class of device alone."""
    from hepfilter.scoring.scorer import Scorer

    try:
        scorer = Scorer(part.recipe.model, device=device)
    except CheckpointError as error:
        return None, [f"scores: {error}"]
    recorded = part.facts.get("model_hash"), part.facts.get("device_class")
    if (scorer.model_hash, scorer.device_class) == recorded:
        if scorer.calibration_hash == part.calibration_hash:
            return scorer, []
        known = (scorer.calibration_hash or "none")[:12]
        return None, [f"scores: {part.recipe.model} has another calibration now ({known})"]
    if scorer.model_hash != recorded[0]:
        return None, [f"scores: {part.recipe.model} is another model now ({scorer.model_hash[:12]})"]
    return None, [f"scores: made on {recorded[1]}, this is {scorer.device_class}"]


def gather(
    part: Part, sources: Sequence[Source | None], scorer: "Scorer | None", doubts: Sequence[str], progress: Progress
) -> Evidence:
    """Survey the sources of a part by its recipe, without scores if `scorer` is None; `doubts` say why."""
    recipe, more = _usable(part)
    doubts = [*doubts, *more]
    if recipe.deduplicate and None in sources:
        doubts.append("an event may be the second of its kind in a source that is missing")
    faults: list[str] = []
    try:
        surveyor, files, broken = _survey(part, recipe, sources, scorer, progress)
    except UsageError as error:
        open_ = None in sources and recipe.layout == "union"  # a source that is missing may have the branch
        (doubts if open_ else faults).append(f"the recorded selection cannot be applied: {error}")
        recipe = replace(recipe, where=None, trigger=None, scores=None)
        surveyor, files, broken = _survey(part, recipe, sources, scorer, progress)
    doubts += broken
    layouts, choice, layout_doubts = _layouts(surveyor, files, part)
    try:
        kept, added, more = _kept(recipe, files, scorer)
        doubts += more
    except (ConfigError, UsageError) as error:
        faults.append(f"the recorded menu cannot be applied: {error}")
        kept, added, _ = _kept(replace(recipe, trigger=None, scores=None), files, scorer)
    return Evidence(
        tree=part.tree,
        sources=tuple(source if file is not None else None for source, file in zip(sources, files, strict=True)),
        files=tuple(files),
        kept=tuple(kept),
        added=tuple(added),
        doubts=tuple(doubts),
        faults=tuple(faults),
        layouts=layouts,
        choice=choice,
        layout_doubts=tuple(layout_doubts),
        rows_known=(recipe.lumi_mask, recipe.dataset_masks) == (part.recipe.lumi_mask, part.recipe.dataset_masks),
    )


def _kept(
    recipe: Recipe, files: Sequence[SurveyedFile | None], scorer: "Scorer | None"
) -> tuple[list[Index | None], list[AddedValues | None], list[str]]:
    """(the entries of each file that pass again, what the skim says of them, what that leaves open).

    UsageError or ConfigError if the recorded menu does not fit the scores.
    """
    there = [file for file in files if file is not None]
    decidable = scorer is not None or not recipe.needs_scores
    if decidable and there and (len(there) == len(files) or recipe.trigger is not None):
        if recipe.trigger is not None and scorer is not None:
            check_scores(recipe.trigger.menu, scorer.names, model=recipe.model, where=recipe.trigger.menu.name)
        verdict = decide_events(there, recipe, {})
        found = iter(split_verdict(there, verdict))
        decided = [None if file is None else next(found) for file in files]
        entries = [None if one is None else one.entries for one in decided]
        return entries, [None if one is None else one.added for one in decided], []
    open_ = decidable and recipe.needs_scores
    doubts = ["scores: the share of highest score needs all sources"] if open_ else []
    return [None if file is None else file.chosen for file in files], [None] * len(files), doubts


def _usable(part: Part) -> tuple[Recipe, list[str]]:
    """(the recipe without what needs a file that is gone, what that leaves open)."""
    from hepfilter.events.schemas import load_schema

    recipe, doubts = part.recipe, []
    if recipe.schema is not None:
        try:
            load_schema(recipe.schema)
        except ConfigError as error:
            recipe = replace(recipe, schema=None)
            doubts.append(str(error))
    gone = {path: why for path in recipe.files if (why := _changed(path, part.facts.get("files", {})))}
    masks = {name: path for name, path in recipe.dataset_masks.items() if path not in gone}
    recipe = replace(
        recipe,
        lumi_mask=None if recipe.lumi_mask in gone else recipe.lumi_mask,
        dataset_masks=masks,
        events=None if recipe.events in gone else recipe.events,
        branches=None if recipe.branches in gone else recipe.branches,
        schema=None if recipe.schema in gone else recipe.schema,
        scores=None if recipe.scores in gone else recipe.scores,
    )
    return recipe, [*doubts, *gone.values()]


def _changed(path: str, recorded: Mapping[str, Any]) -> str:
    """Why a file that decided then is not what decides now; empty if it is."""
    try:
        same = checksum(path) == recorded.get(path)
    except SourceError as error:
        return str(error)
    return "" if same else f"{path}: is not the file that the skim was made with"


def _survey(
    part: Part, recipe: Recipe, sources: Sequence[Source | None], scorer: "Scorer | None", progress: Progress
) -> tuple[Surveyor, list[SurveyedFile | None], list[str]]:
    """(the surveyor, what it found in each source, which cannot be read). UsageError if the expression fails."""
    scores = None if scorer is None else ModelSource(scorer, recipe.model)
    cuts = Cuts(recipe, [source for source in sources if source is not None])
    conditions = {} if recipe.trigger is None else menu_conditions(recipe.trigger.menu)
    surveyor, reader = Surveyor(recipe, cuts), FileReader(Survey(recipe, conditions), cuts, scores)
    files: list[SurveyedFile | None] = []
    broken = []

    def report(done: int, total: int) -> None:
        progress("selecting again", done, total)

    for source, recorded in zip(sources, part.inputs, strict=True):
        skipped = part.quarantined(recorded.path)
        try:
            files.append(None if source is None else surveyor.survey(reader, source, report, skipped=skipped))
        except UsageError:
            raise
        except HepfilterError as error:
            files.append(None)
            broken.append(str(error))
    return surveyor, files, broken


def _layouts(
    surveyor: Surveyor, files: Sequence[SurveyedFile | None], part: Part
) -> tuple[Mapping[str, Layout], Layout | None, list[str]]:
    """(the layouts of all trees, that of the events' tree with the kept branches if known, what is not known)."""
    if all(file is None for file in files):
        return {}, None, ["no source is there"]
    doubts = []
    if None in files and part.recipe.layout != "strict":
        doubts.append(f"--layout {part.recipe.layout} needs all sources to tell the branches")
    try:
        layouts, _ = surveyor.layouts(complete=not part.bad)
    except HepfilterError as error:
        return {}, None, [*doubts, str(error)]
    rules = part.recipe.branches
    changed = "" if rules is None else _changed(rules, part.facts.get("files", {}))
    return layouts, None if changed else layouts[part.tree], [*doubts, *([changed] if changed else [])]
