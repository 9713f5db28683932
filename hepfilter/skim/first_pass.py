"""The first pass over all inputs: what a skim decides by, and what a menu's rates are counted from."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from hepfilter.errors import DifferentInputsError, UsageError
from hepfilter.io.remote.limits import RemoteLimits
from hepfilter.io.sources import Inputs
from hepfilter.models.metadata import read_metadata
from hepfilter.skim.cuts import Cuts
from hepfilter.skim.deciding import menu_conditions
from hepfilter.skim.file_reading import Survey, open_reader
from hepfilter.skim.findings import BadInput, FileHead, SurveyedFile
from hepfilter.skim.gathering import Gathering, OnBadFile, other_scores
from hepfilter.skim.joining import join
from hepfilter.skim.recipe import Recipe
from hepfilter.skim.survey import Surveyor
from hepfilter.trigger.menus import check_scores
from hepfilter.wording import counted
from hepfilter.work.execution import Execution, open_executor
from hepfilter.work.ledger import Ledger
from hepfilter.work.tasks import Job

if TYPE_CHECKING:
    from hepfilter.config.datasets import Dataset

ONE_PROCESS: Final = Execution()
_LOGGER: Final = logging.getLogger(__name__)
Progress = Callable[[str, int, int], None]
"""Called as (stage, done, in all)."""


@dataclass(frozen=True)
class FirstPass:
    """What was found in the inputs by a recipe, and the `surveyor` and `cuts` that remember what all have in common.

    The recipe is the one that was used: with the luminosity masks of the datasets, and the model's name. `numbers` are
    those of the `files` among the inputs: some may be quarantined, or units of them, as `bad` tells. `score_facts` say
    what gave the scores, None where there are none.
    """

    recipe: Recipe
    files: tuple[SurveyedFile, ...]
    numbers: tuple[int, ...]
    datasets: "Mapping[str, Dataset]"
    surveyor: Surveyor
    cuts: Cuts
    score_facts: Mapping[str, Any] | None
    bad: tuple[BadInput, ...] = ()


def with_masks(recipe: Recipe, inputs: Inputs) -> Recipe:
    """The recipe with the luminosity masks of the datasets, where it has none of its own."""
    if recipe.lumi_mask is not None:
        return recipe
    masks = {name: str(dataset.lumi_mask) for name, dataset in inputs.datasets.items() if dataset.lumi_mask}
    return replace(recipe, dataset_masks=masks)


def first_pass(
    inputs: Inputs,
    recipe: Recipe,
    *,
    device: str = "auto",
    identified: bool = False,
    execution: Execution = ONE_PROCESS,
    ledger: Ledger | None = None,
    on_bad_file: OnBadFile = "stop",
    progress: Progress,
) -> FirstPass:
    """Read of every input what the recipe needs; with `identified` every event must be known by its identity.

    What a `ledger` has is not read again. One of hepfilter's errors for an input that cannot be read, unless that is to
    be quarantined, or that does not go with the others.
    """
    recipe = with_masks(recipe, inputs)
    cuts = Cuts(recipe)
    surveyor = Surveyor(recipe, cuts)
    common = Common(recipe)

    def take(head: FileHead) -> None:
        common.take(head)
        surveyor.add(head)

    gathering = Gathering(
        inputs.sources,
        take,
        ledger=ledger,
        on_bad_file=on_bad_file,
        progress=lambda done, total: progress("selecting", done, total),
    )
    survey = ask(inputs, recipe, device=device, identified=identified, execution=execution)
    with open_executor(execution, Job(open_reader, (survey,))) as executor:
        gathering.run(executor)
    numbers = tuple(sorted(gathering.heads))
    files = tuple(join(gathering.heads[number], gathering.units(number), cuts) for number in numbers)
    if common.facts is not None:
        recipe = replace(recipe, model=str(common.facts["model"]))
    return FirstPass(recipe, files, numbers, inputs.datasets, surveyor, cuts, common.facts, gathering.bad)


def ask(inputs: Inputs, recipe: Recipe, *, device: str, identified: bool, execution: Execution) -> Survey:
    """What a first pass asks of all files."""
    return Survey(
        recipe,
        {} if recipe.trigger is None else menu_conditions(recipe.trigger.menu),
        identified=identified,
        listed=identified,
        sources=inputs.sources if recipe.layout == "union" else (),
        device=device,
        threads=None if execution.in_process else 1,
        environment=RemoteLimits.from_environment().to_environment() if execution.by_dask else {},
    )


class Common:
    """What the heads of all files must have in common."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._first: FileHead | None = None
        self._seen: dict[tuple[str, str], str] = {}
        self.facts: Mapping[str, Any] | None = None

    def take(self, head: FileHead) -> None:
        """Look at the next head.

        DifferentInputsError if its events stand in a tree of another name, or the file is a copy of another.
        UsageError if the menu does not go with the model, or the schema. WorkerError if its scores are of another kind.
        """
        trigger = self._recipe.trigger
        _tell_head(head)
        if self._first is None:
            self._first, self.facts = head, head.score_facts
            if self.facts is not None:
                what = self.facts["model"], self.facts["model_hash"][:12], self.facts["device_class"]
                _LOGGER.info("scores of the model %s (%s) by %s", *what)
                _refuse_other_model(self._recipe, self.facts)
            if trigger is not None:
                trigger.check_model(self.facts or {})
                if self.facts is not None:
                    names, model = self.facts["scores"], str(self.facts["model"])
                    check_scores(trigger.menu, names, model=model, where=trigger.menu.name)
        if head.score_facts != self.facts:
            raise other_scores(head.score_facts, self.facts)
        if trigger is not None:
            trigger.check_schemas({head.schema: head.schema_checksum})
        self._refuse_mixture(head)

    def _refuse_mixture(self, head: FileHead) -> None:
        first, path = self._first, head.source.path
        if first is not None and head.tree != first.tree:
            what = f"{path}: its events are in tree {head.tree}, those of {first.source.path} in {first.tree}"
            raise DifferentInputsError(f"{what}; skim them apart")
        key = head.facts.uuid, head.tree
        if key in self._seen and not self._recipe.deduplicate and not head.has_no_uuid:
            what = f"{path}: is a copy of {self._seen[key]}, its events would count twice"
            raise DifferentInputsError(f"{what}; leave it out, or give --deduplicate")
        self._seen[key] = path


def _tell_head(head: FileHead) -> None:
    """Log what was found when a file was opened."""
    size = f"{counted(head.num_entries, 'event')} in {counted(len(head.units), 'unit')}"
    _LOGGER.info("%s: tree %s, schema %s, %s", head.source.path, head.tree, head.schema or "none", size)


def _refuse_other_model(recipe: Recipe, facts: Mapping[str, Any]) -> None:
    """UsageError if a menu's thresholds are for another model than stored scores, unless that was asked for."""
    if recipe.scores is None or recipe.model or recipe.trigger is None or recipe.trigger.frozen is not None:
        return
    menu, said = recipe.trigger.menu, facts["model"]
    if menu.model not in (None, said) and read_metadata(str(menu.model)).model_hash != facts["model_hash"]:
        what = f"its scores are of {said}, the menu {menu.name} is for {menu.model}"
        raise UsageError(f"{recipe.scores}: {what}; give --model {said} if those shall decide")
