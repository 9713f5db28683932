"""The main job: read, cut, build graphs, score, decide, fetch, write. Only chosen events cost their payload."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hepfilter.errors import OutputError, UnreadableEventsError, UsageError
from hepfilter.events.identity import Identity
from hepfilter.io.event_list import write_event_list
from hepfilter.io.output import SkimOutput
from hepfilter.io.publishing import Publication, refuse_output
from hepfilter.io.sources import Inputs, Source, expand_inputs, refuse_inputs
from hepfilter.skim.books import check_books, make_books
from hepfilter.skim.deciding import decide_events, split_verdict
from hepfilter.skim.first_pass import Progress, first_pass, with_masks
from hepfilter.skim.gathering import OnBadFile
from hepfilter.skim.journal import Journal, open_journal, place
from hepfilter.skim.layout_notes import layout_notes
from hepfilter.skim.outputs import KeptEvents, OutputWriter, output_paths
from hepfilter.skim.provenance import write_provenance
from hepfilter.skim.recipe import Recipe
from hepfilter.skim.report import SkimReport
from hepfilter.wording import counted, sized
from hepfilter.work.execution import Execution

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Orders:
    """How a skim runs, and what stands beside its output: see `skim`."""

    list_events: Path | None
    device: str
    execution: Execution
    unblind: bool
    on_bad_file: OnBadFile
    command: Sequence[str]
    force: bool
    progress: Progress


def skim(
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
    command: Sequence[str] = (),
    force: bool = False,
    progress: Progress = lambda *_: None,
) -> SkimReport:
    """Keep the events of `inputs` that pass the recipe's cuts, each with all kept branches, bit for bit.

    `inputs` are what `expand_inputs` takes: paths, globs, folders, lists, catalogues, ``file.root:tree``. The content
    of the output depends on them and the recipe alone, not on `workers`, the processes that work (a script that takes
    several needs the usual ``if __name__ == "__main__"``), or the `execution` that takes their place.
    `unblind` shows the rates of what a menu blinds. `list_events` names a file for the identities of the kept events,
    `command` is recorded. What cannot be read ends the run, or is quarantined (`on_bad_file`).

    What was done stands in ``output.ledger`` until the output is whole: after a crash the same call goes on from there.
    With `resume` there must be a run to go on with; one that has quarantined inputs tries them again, and replaces its
    output. What else exists is replaced only with `force`. Any of hepfilter's errors leaves no output behind.
    """
    started = time.perf_counter()
    output = Path(output)
    given = [inputs] if isinstance(inputs, str | Path) else inputs
    found = expand_inputs([str(one) for one in given])
    recipe = with_masks(recipe, found)
    listed = None if list_events is None else Path(list_events)
    execution = execution or Execution(workers)
    orders = Orders(listed, device, execution, unblind, on_bad_file, command, force, progress)
    refuse_orders(output, recipe, orders)
    with open_journal(output, found, recipe, identified=listed is not None, anew=force, resume=resume) as journal:
        beside = [] if listed is None else [listed]
        refuse_outputs([*output_paths(output, recipe, 1), *beside], found.sources, orders, ours=journal.outputs)
        while True:
            try:
                report = _attempt(journal, found, output, recipe, orders)
                break
            except UnreadableEventsError as fault:
                if on_bad_file == "stop":
                    raise
                journal.quarantine(fault)
        journal.close(report)
    return replace(report, resumed=journal.resumed, seconds=time.perf_counter() - started)


def _attempt(journal: Journal, found: Inputs, output: Path, recipe: Recipe, orders: Orders) -> SkimReport:
    """Both passes; UnreadableEventsError if what the second needs cannot be read."""
    begun = time.perf_counter()
    read = first_pass(
        found,
        recipe,
        device=orders.device,
        identified=orders.list_events is not None,
        execution=orders.execution,
        ledger=journal.ledger,
        on_bad_file=orders.on_bad_file,
        progress=orders.progress,
    )
    selected = time.perf_counter()
    verdict = decide_events(read.files, read.recipe, read.datasets, unblind=orders.unblind)
    recipe = replace(read.recipe, trigger=None if verdict is None else verdict.trigger)
    kept = split_verdict(read.files, verdict)
    report = make_books(kept, verdict, read)
    check_books(journal.ledger, report)
    layouts, choice = read.surveyor.layouts(complete=not read.bad)
    notes = layout_notes(layouts, read.files[0].tree, choice, recipe.format, shared=read.surveyor.shared_histograms)
    report = replace(report, warnings=report.warnings + notes)
    decided = time.perf_counter()
    with journal.located(read.numbers):
        writer = OutputWriter(kept, layouts, recipe, execution=orders.execution, parts=journal.ledger.parts)
    paths = output_paths(output, recipe, writer.num_outputs)
    files = [*paths, *([] if orders.list_events is None else [orders.list_events])]
    refuse_outputs(files, found.sources, orders, ours=journal.outputs)
    journal.begin(files)

    def beside(publication: Publication) -> None:
        refuse_outputs(files, found.sources, orders, ours=journal.outputs)  # much time has passed
        _list_events(orders.list_events, kept, publication)
        journal.list_retries(report.bad, publication)
        journal.publish(files)

    with journal.located(read.numbers):
        report = _write(report, writer, paths, recipe, orders, beside=beside)
    journal.keep(files)
    stages = {"selecting": selected - begun, "deciding": decided - selected, "writing": time.perf_counter() - decided}
    _LOGGER.info("%s of the inputs read, %s written", sized(report.bytes_read), counted(report.written, "event"))
    return replace(report, stages=stages)


def refuse_orders(output: Path, recipe: Recipe, orders: Orders) -> None:
    """UsageError for what can be told before any work."""
    if not recipe.selects:
        raise UsageError("nothing to select by; give --menu, --where, --keep, --threshold, --events or --lumi-mask")
    if orders.unblind and recipe.trigger is None:
        raise UsageError("--unblind: shows what a menu blinds; give one with --menu")
    first = output_paths(output, recipe, 1)
    listed = [] if orders.list_events is None else [orders.list_events]
    deciding = [Path(file) for file in (*recipe.files, recipe.model) if file]
    if any(path.resolve() == other.resolve() for path in listed for other in (*first, *deciding)):
        raise UsageError(f"{listed[0]}: is written or read otherwise; give another name with --list-events")
    if any(path.resolve() == other.resolve() for path in first for other in deciding):
        raise UsageError(f"{output}: decides what is kept; give another name with -o")


def refuse_outputs(paths: Sequence[Path], sources: Sequence[Source], orders: Orders, *, ours: Sequence[Path]) -> None:
    """UsageError if an output is one of the inputs, OutputError if it exists (and is not `ours`) or cannot be there."""
    refuse_inputs(paths, sources)
    for path in paths:
        refuse_output(path, force=orders.force or place(path) in ours)


def _list_events(path: Path | None, kept: Sequence[KeptEvents], publication: Publication) -> None:
    """Write who the kept events are, if that was asked for, in the place of what is there."""
    if path is not None:
        who = Identity.join([part.identity for part in kept])
        words = who.run, who.luminosity_block, who.event
        write_event_list(path, *words, force=True, publication=publication)


def _write(
    report: SkimReport,
    writer: OutputWriter,
    paths: Sequence[Path],
    recipe: Recipe,
    orders: Orders,
    *,
    beside: Callable[[Publication], None],
) -> SkimReport:
    """The second pass; the report, completed."""
    report = replace(report, outputs=writer.planned(paths))

    def finish(out: SkimOutput, number: int) -> None:
        write_provenance(out, report, recipe, number, command=orders.command, skipped=out.skipped)

    if report.written != report.passed:
        raise OutputError(f"{paths[0]}: events to be written: {report.written:,}, that passed: {report.passed:,}")
    written = writer.write(paths, finish, lambda done, total: orders.progress("writing", done, total), beside=beside)
    skipped = tuple(f"not copied: {name}" for name in written.skipped)
    return replace(report, warnings=report.warnings + skipped, bytes_read=report.bytes_read + written.bytes_read)
