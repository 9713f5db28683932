"""The first pass over all inputs: what a skim decides by, and what a menu's rates are counted from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hepfilter.errors import SourceError, UsageError
from hepfilter.io.sources import Inputs, Source
from hepfilter.models.metadata import read_metadata
from hepfilter.skim.cuts import Cuts
from hepfilter.skim.deciding import menu_conditions
from hepfilter.skim.recipe import Recipe
from hepfilter.skim.score_sources import ScoreSource, open_scores
from hepfilter.skim.survey import SurveyedFile, Surveyor
from hepfilter.trigger.menus import check_scores

if TYPE_CHECKING:
    from hepfilter.config.datasets import Dataset

Progress = Callable[[str, int, int], None]
"""Called as (stage, done, in all)."""


@dataclass(frozen=True)
class FirstPass:
    """What was found in the inputs by a recipe, and the `surveyor` and `cuts` that remember what all have in common.

    The recipe is the one that was used: with the luminosity masks of the datasets, and the model's name. `scores` is
    what gave the scores, None where there are none.
    """

    recipe: Recipe
    files: tuple[SurveyedFile, ...]
    datasets: "Mapping[str, Dataset]"
    surveyor: Surveyor
    cuts: Cuts
    scores: ScoreSource | None


def first_pass(
    inputs: Inputs, recipe: Recipe, *, device: str = "auto", identified: bool = False, progress: Progress
) -> FirstPass:
    """Read of every input what the recipe needs; with `identified` every event must be known by its identity.

    One of hepfilter's errors for an input that cannot be read, or does not go with the others.
    """
    if recipe.lumi_mask is None:
        masks = {name: str(dataset.lumi_mask) for name, dataset in inputs.datasets.items() if dataset.lumi_mask}
        recipe = replace(recipe, dataset_masks=masks)
    cuts = Cuts(recipe, inputs.sources)
    scores = open_scores(recipe, device)
    if scores is not None:
        _refuse_other_model(recipe, scores)
        recipe = replace(recipe, model=str(scores.facts["model"]))
    conditions: dict[str, str] = {}
    if recipe.trigger is not None:
        recipe.trigger.check_model({} if scores is None else scores.facts)
        conditions = menu_conditions(recipe.trigger.menu)
        if scores is not None:
            check_scores(recipe.trigger.menu, scores.names, model=recipe.model, where=recipe.trigger.menu.name)
    surveyor = Surveyor(recipe, cuts, scores, identified=identified, conditions=conditions)
    files = _survey(surveyor, inputs.sources, progress)
    if recipe.trigger is not None:
        recipe.trigger.check_schemas({file.schema: file.schema_checksum for file in files})
    _refuse_mixture(files, recipe)
    return FirstPass(recipe, files, inputs.datasets, surveyor, cuts, scores)


def _refuse_other_model(recipe: Recipe, scores: ScoreSource) -> None:
    """UsageError if a menu's thresholds are for another model than stored scores, unless that was asked for."""
    if recipe.model or recipe.trigger is None or recipe.trigger.frozen is not None:
        return
    menu, said = recipe.trigger.menu, scores.facts["model"]
    if menu.model not in (None, said) and read_metadata(str(menu.model)).model_hash != scores.facts["model_hash"]:
        what = f"its scores are of {said}, the menu {menu.name} is for {menu.model}"
        raise UsageError(f"{recipe.scores}: {what}; give --model {said} if those shall decide")


def _survey(surveyor: Surveyor, sources: Sequence[Source], progress: Progress) -> tuple[SurveyedFile, ...]:
    files: list[SurveyedFile] = []

    def report(now: int, total: int) -> None:
        before = sum(file.num_entries for file in files)
        progress("selecting", before + now, before + total)

    for source in sources:
        files.append(surveyor.survey(source, report))
    return tuple(files)


def _refuse_mixture(files: Sequence[SurveyedFile], recipe: Recipe) -> None:
    """SourceError if the events of the inputs stand in trees of other names, or one input is a copy of another."""
    seen: dict[tuple[str, str], str] = {}
    for file in files:
        if file.tree != files[0].tree:
            what = f"{file.source.path}: its events are in tree {file.tree}, those of {files[0].source.path} in"
            raise SourceError(f"{what} {files[0].tree}; skim them apart")
        key = file.facts.uuid, file.tree
        if key in seen and not recipe.deduplicate and not file.has_no_uuid:
            what = f"{file.source.path}: is a copy of {seen[key]}, its events would count twice"
            raise SourceError(f"{what}; leave it out, or give --deduplicate")
        seen[key] = file.source.path
