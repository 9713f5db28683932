"""What a skim would do: its plan, found from the heads of its inputs and by trying a few of their events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hepfilter.errors import SourceError
from hepfilter.io.sources import Inputs, expand_inputs
from hepfilter.skim.cuts import Cuts
from hepfilter.skim.file_reading import FileReader, open_reader
from hepfilter.skim.findings import BadInput, FileHead
from hepfilter.skim.first_pass import Common, Progress, ask, with_masks
from hepfilter.skim.gathering import BAD_INPUT, OnBadFile, refuse_unknown
from hepfilter.skim.journal import EarlierRun, find_earlier_run
from hepfilter.skim.layout_notes import layout_notes
from hepfilter.skim.outputs import output_paths
from hepfilter.skim.pipeline import Orders, refuse_orders, refuse_outputs
from hepfilter.skim.probing import Estimate, Probe, estimate, probe
from hepfilter.skim.recipe import Recipe
from hepfilter.skim.survey import Surveyor
from hepfilter.work.execution import Execution


@dataclass(frozen=True)
class PlannedFile:
    """An input that can be opened: its `size` in bytes, its events, and in how many units they are read."""

    path: str
    dataset: str | None
    tree: str
    schema: str
    size: int
    entries: int
    units: int


@dataclass(frozen=True)
class PlannedBranches:
    """The branches of the events' tree: what the output has of them, and what is `read` of every event to decide."""

    kept: tuple[str, ...]
    dropped: tuple[str, ...]
    read: tuple[str, ...]


@dataclass(frozen=True)
class SkimPlan:
    """What a skim would do.

    `steps` are those of its cutflow before scores decide, `decision` what does then, None where nothing does. `scores`
    say what gives them, as a report does, None where there are none. `bad` are inputs that would be quarantined.
    `outputs` are the first that would be written, `replaced` those that are there. `earlier` is the run that it would
    go on with. `probe` is what was tried, and `estimate` what follows for the whole; None where there is no event.
    """

    files: tuple[PlannedFile, ...]
    bad: tuple[BadInput, ...]
    branches: PlannedBranches
    steps: tuple[str, ...]
    decision: str | None
    scores: Mapping[str, Any] | None
    outputs: tuple[str, ...]
    replaced: tuple[str, ...]
    earlier: EarlierRun | None
    warnings: tuple[str, ...]
    workers: int | None
    probe: Probe | None
    estimate: Estimate | None

    @property
    def entries(self) -> int:
        """Events of all inputs."""
        return sum(file.entries for file in self.files)

    @property
    def size(self) -> int:
        """Bytes of all inputs."""
        return sum(file.size for file in self.files)


def plan_skim(
    inputs: str | Path | Sequence[str | Path],
    output: Path | str,
    recipe: Recipe,
    *,
    list_events: Path | str | None = None,
    device: str = "auto",
    workers: int = 1,
    execution: Execution | None = None,
    unblind: bool = False,
    on_bad_file: OnBadFile = "stop",
    resume: bool = False,
    force: bool = False,
    progress: Progress = lambda *_: None,
) -> SkimPlan:
    """The plan of `skim` with the same arguments; what that would refuse before it reads events is refused here too.

    Every input is opened. Of one a unit of events at most is read, scored, decided and written to a temporary file, to
    estimate how much is kept, and how long it takes. Beside the output nothing is written.
    """
    given = [inputs] if isinstance(inputs, str | Path) else inputs
    found = expand_inputs([str(one) for one in given])
    recipe = with_masks(recipe, found)
    listed = None if list_events is None else Path(list_events)
    orders = Orders(listed, device, execution or Execution(workers), unblind, on_bad_file, (), force, progress)
    paths, earlier = _look_at_outputs(found, Path(output), recipe, orders, resume=resume)
    survey = ask(found, recipe, device=device, identified=listed is not None, execution=orders.execution)
    reader = open_reader(survey)
    opened = _open_all(found, recipe, reader, orders)
    layouts, choice = opened.surveyor.layouts(complete=not opened.bad)
    notes = layout_notes(layouts, opened.heads[0].tree, choice, recipe.format, shared=opened.surveyor.shared_histograms)
    tried = probe(reader, opened.heads, layouts, recipe, found.datasets)
    return SkimPlan(
        files=tuple(map(_planned, opened.heads)),
        bad=opened.bad,
        branches=PlannedBranches(choice.kept, choice.dropped, opened.needed),
        steps=opened.heads[0].steps[1:],
        decision=_decision(recipe),
        scores=opened.heads[0].score_facts,
        outputs=tuple(map(str, paths)),
        replaced=tuple(str(path) for path in paths if path.exists()),
        earlier=earlier,
        warnings=(*dict.fromkeys(note for head in opened.heads for note in head.warnings), *notes),
        workers=orders.execution.workers,
        probe=tried,
        estimate=None
        if tried is None
        else estimate(tried, opened.heads, recipe, orders.execution, earlier.read if earlier else 0),
    )


def _look_at_outputs(
    inputs: Inputs, output: Path, recipe: Recipe, orders: Orders, *, resume: bool
) -> tuple[list[Path], EarlierRun | None]:
    """The files that would be written, as far as they are known, and the run to go on with; errors as `skim`."""
    refuse_unknown(orders.on_bad_file)
    refuse_orders(output, recipe, orders)
    listed = [] if orders.list_events is None else [orders.list_events]
    earlier = find_earlier_run(output, inputs, recipe, identified=bool(listed), anew=orders.force, resume=resume)
    paths = [*output_paths(output, recipe, 1), *listed]
    refuse_outputs(paths, inputs.sources, orders, ours=() if earlier is None else earlier.outputs)
    return paths, earlier


@dataclass(frozen=True)
class _Opened:
    """All inputs that can be opened, at least one; `needed` are the branches that are read of every event of them."""

    heads: tuple[FileHead, ...]
    bad: tuple[BadInput, ...]
    surveyor: Surveyor
    needed: tuple[str, ...]


def _open_all(inputs: Inputs, recipe: Recipe, reader: FileReader, orders: Orders) -> _Opened:
    """Open every input, in order. Its fault for one that cannot be, unless that is to be quarantined; SourceError if
    none can."""
    common, surveyor = Common(recipe), Surveyor(recipe, Cuts(recipe))
    heads, bad, needed = [], [], dict[str, None]()
    for number, source in enumerate(inputs.sources, start=1):
        try:
            head = reader.head(source)
        except BAD_INPUT as error:
            if orders.on_bad_file == "stop":
                raise
            bad.append(BadInput(source.path, source.dataset, None, None, str(error)))
            continue
        common.take(head)
        surveyor.add(head)
        heads.append(head)
        needed |= dict.fromkeys(reader.needed)
        orders.progress("opening", number, len(inputs.sources))
    if not heads:
        raise SourceError(f"no input can be read; the first: {bad[0].reason}")
    return _Opened(tuple(heads), tuple(bad), surveyor, tuple(needed))


def _planned(head: FileHead) -> PlannedFile:
    source, size = head.source, head.facts.size
    return PlannedFile(source.path, source.dataset, head.tree, head.schema, size, head.num_entries, len(head.units))


def _decision(recipe: Recipe) -> str | None:
    """What decides after the cuts."""
    if recipe.trigger is not None:
        return f"menu {recipe.trigger.menu.name}"
    if recipe.keep is not None:
        return f"the {100 * float(recipe.keep):.4g}% of highest score"
    return None if recipe.threshold is None else f"interest ≥ {recipe.threshold:g}"
