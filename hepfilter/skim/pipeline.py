"""The main job: read, cut, build graphs, score, decide, fetch, write. Only chosen events cost their payload."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from hepfilter.errors import OutputError, UsageError
from hepfilter.events.identity import Identity
from hepfilter.io.branch_selection import BranchChoice
from hepfilter.io.container import Publication, refuse_output
from hepfilter.io.event_list import write_event_list
from hepfilter.io.layout import Layout, some
from hepfilter.io.output import SkimOutput
from hepfilter.io.sources import Source, expand_inputs
from hepfilter.skim.cuts import Cuts
from hepfilter.skim.deciding import Verdict, decide_events, split_verdict
from hepfilter.skim.drifting import check_drift
from hepfilter.skim.first_pass import FirstPass, Progress, first_pass
from hepfilter.skim.formats import format_notes
from hepfilter.skim.outputs import KeptEvents, OutputWriter, output_paths
from hepfilter.skim.provenance import write_provenance
from hepfilter.skim.recipe import Recipe
from hepfilter.skim.report import CutflowStep, FileCount, SkimReport, add_cutflows
from hepfilter.skim.survey import SurveyedFile
from hepfilter.wording import counted


def skim(
    inputs: str | Path | Sequence[str | Path],
    output: Path | str,
    recipe: Recipe,
    *,
    list_events: Path | str | None = None,
    device: str = "auto",
    workers: int = 1,
    unblind: bool = False,
    command: Sequence[str] = (),
    force: bool = False,
    progress: Progress = lambda *_: None,
) -> SkimReport:
    """Keep the events of `inputs` that pass the recipe's cuts, each with all kept branches, bit for bit.

    `inputs` are what `expand_inputs` takes: paths, globs, folders, lists, catalogues, ``file.root:tree``. The content
    of the output depends on them and the recipe alone, not on `workers`, the processes that copy (a script that takes
    several needs the usual ``if __name__ == "__main__"``).
    `unblind` shows the rates of what a menu blinds. `list_events` names a file for the identities of the kept events,
    `command` is recorded. What exists is replaced only with `force`. Any of hepfilter's errors leaves no output behind.
    """
    started = time.perf_counter()
    output = Path(output)
    given = [inputs] if isinstance(inputs, str | Path) else inputs
    found = expand_inputs([str(one) for one in given])
    _check(output, found.sources, recipe, list_events=list_events, unblind=unblind, force=force)
    read = first_pass(found, recipe, device=device, identified=list_events is not None, progress=progress)
    verdict = decide_events(read.files, read.recipe, read.datasets, unblind=unblind)
    recipe = replace(read.recipe, trigger=None if verdict is None else verdict.trigger)
    kept = split_verdict(read.files, verdict)
    report = _books(kept, verdict, read)
    layouts, choice = read.surveyor.layouts()
    tree = read.files[0].tree
    notes = (*_notes(layouts[tree], choice), *map(_shared, read.surveyor.shared_histograms))
    notes += format_notes(layouts, tree, recipe.format)
    report = replace(report, warnings=report.warnings + notes)
    writer = OutputWriter(kept, layouts, recipe, workers=workers)
    paths = output_paths(output, recipe, writer.num_outputs)
    _refuse_outputs(paths, found.sources, force=force)
    listing = partial(_list_events, list_events, kept, force=force)
    report = _write(report, writer, paths, recipe, command=command, progress=progress, beside=listing)
    return replace(report, seconds=time.perf_counter() - started)


def _check(
    output: Path,
    sources: Sequence[Source],
    recipe: Recipe,
    *,
    list_events: Path | str | None,
    unblind: bool,
    force: bool,
) -> None:
    """What can be told before any work."""
    if not recipe.selects:
        raise UsageError("nothing to select by; give --menu, --where, --keep, --threshold, --events or --lumi-mask")
    if unblind and recipe.trigger is None:
        raise UsageError("--unblind: shows what a menu blinds; give one with --menu")
    first = output_paths(output, recipe, 1)
    listed = [Path(list_events)] if list_events else []
    if any(path.resolve() == other.resolve() for path in listed for other in (*first, *map(Path, recipe.files))):
        raise UsageError(f"{listed[0]}: is written or read otherwise; give another name with --list-events")
    if any(path.resolve() == Path(other).resolve() for path in first for other in recipe.files):
        raise UsageError(f"{output}: decides what is kept; give another name with -o")
    _refuse_outputs([*first, *listed], sources, force=force)


def _refuse_outputs(paths: Sequence[Path], sources: Sequence[Source], *, force: bool) -> None:
    """UsageError if an output is one of the inputs, OutputError if it exists or cannot be there."""
    inputs = {Path(address).resolve() for source in sources for address in (source.path, *source.replicas)}
    for path in paths:
        if path.resolve() in inputs:
            raise UsageError(f"{path}: is one of the inputs; give another name")
        refuse_output(path, force=force)


def _list_events(path: Path | str | None, kept: Sequence[KeptEvents], publication: Publication, *, force: bool) -> None:
    """Write who the kept events are, if that was asked for."""
    if path is not None:
        who = Identity.join([part.identity for part in kept])
        words = who.run, who.luminosity_block, who.event
        write_event_list(path, *words, force=force, publication=publication)


def _write(
    report: SkimReport,
    writer: OutputWriter,
    paths: Sequence[Path],
    recipe: Recipe,
    *,
    command: Sequence[str],
    progress: Progress,
    beside: Callable[[Publication], None],
) -> SkimReport:
    """The second pass; the report, completed."""
    report = replace(report, outputs=writer.planned(paths))

    def finish(out: SkimOutput, number: int) -> None:
        write_provenance(out, report, recipe, number, command=command, skipped=out.skipped)

    if report.written != report.passed:
        raise OutputError(f"{paths[0]}: events to be written: {report.written:,}, that passed: {report.passed:,}")
    written = writer.write(paths, finish, lambda done, total: progress("writing", done, total), beside=beside)
    skipped = tuple(f"not copied: {name}" for name in written.skipped)
    return replace(report, warnings=report.warnings + skipped, bytes_read=report.bytes_read + written.bytes_read)


def _books(kept: Sequence[KeptEvents], verdict: Verdict | None, read: FirstPass) -> SkimReport:
    """Events and weights in and out of each file, and what decided; TriggerError as `check_drift`."""
    problems: Counter[str] = Counter()
    for part in kept:
        problems.update(part.file.problems)
    trigger = None if verdict is None else verdict.trigger
    windows = () if trigger is None else check_drift(read.files, trigger)
    drifted = tuple(window.note for window in windows if window.note)
    return SkimReport(
        files=tuple(_count(part, step=None if verdict is None else verdict.step) for part in kept),
        threshold=None if verdict is None else verdict.threshold,
        ties_dropped=0 if verdict is None else verdict.ties_dropped,
        rates=None if verdict is None else verdict.rates,
        predicted=None if verdict is None else verdict.resolution,
        unblinded=verdict is not None and verdict.unblinded,
        bytes_read=sum(part.file.bytes_read for part in kept),
        payload_bytes=round(sum(part.file.entry_bytes[1] * part.file.num_entries for part in kept)),
        problems=dict(sorted(problems.items())),
        warnings=_warnings(read.files, read.cuts) + drifted,
        catalogue={name: dataset.facts() for name, dataset in read.datasets.items()},
        menu="" if trigger is None else trigger.menu.name,
        **({} if read.scores is None else read.scores.facts),
    )


def _count(part: KeptEvents, *, step: str | None) -> FileCount:
    file, flow = part.file, part.file.flow
    steps = [CutflowStep(name, events, flow.weights.get(name)) for name, events in flow.events.items()]
    if step is not None:
        weight = None if file.weights is None else float(file.weights[part.kept].sum())
        steps.append(CutflowStep(step, len(part.entries), weight))
    facts = file.facts
    return FileCount(
        path=file.source.path,
        dataset=file.source.dataset,
        schema=file.schema,
        tree=file.tree,
        uuid=facts.uuid,
        size=facts.size,
        checksum=facts.checksum,
        cutflow=tuple(steps),
        absent=file.absent,
    )


def _warnings(files: Sequence[SurveyedFile], cuts: Cuts) -> tuple[str, ...]:
    """What a reader of the report should know, each once, with the number of files that it holds for."""
    notes: Counter[str] = Counter()
    for file in files:
        notes.update(file.warnings)
        if file.absent:
            lacking = ", ".join(file.absent)
            notes[f"no {lacking} in the file: scores compare its events with one another, not with other files"] += 1
    texts = [note if len(files) == 1 else f"{note} ({count} of {len(files)} files)" for note, count in notes.items()]
    empty = sum(file.empty for file in files)
    if empty:
        texts.append(f"{counted(empty, 'event')} without any object that the model looks at: all get the same score")
    missing = cuts.missing_events()
    if missing is not None:
        more = ", …" if missing.count > len(missing.first) else ""
        texts.append(f"listed and in no input: {missing.count:,}, namely {', '.join(missing.first)}{more}")
    flow = add_cutflows([[CutflowStep(n, e, None) for n, e in file.flow.events.items()] for file in files])
    texts += [f"no event is left after the cut {b.name!r}" for a, b in pairwise(flow) if a.events and not b.events]
    texts += _common_origins(files)
    identified = [file.ties for file in files if file.identity is not None]
    if identified:
        repeated = sum(map(len, identified)) - len(np.unique(np.concatenate(identified)))
        if repeated:
            text = f"{counted(repeated, 'event')} with run, luminosityBlock and event of another one: counted twice?"
            texts.append(f"{text} --deduplicate keeps the first of each")
    return tuple(texts)


def _common_origins(files: Sequence[SurveyedFile]) -> list[str]:
    """Skims of the same input among the inputs, whose books count twice; the parts of one split skim aside."""
    seen: dict[str, tuple[str, str]] = {}
    texts = []
    for file in files:
        for outputs, origins in file.made_from:
            for origin in origins:
                first, path = seen.setdefault(origin, (outputs, file.source.path))
                if first != outputs:
                    texts.append(f"{file.source.path} and {path} are skims of the same input: its books count twice")
    return list(dict.fromkeys(texts))


def _shared(histogram: str) -> str:
    what = f"histogram {histogram} is in several inputs: each stands as a cycle of the name, in the order of the inputs"
    return f"{what}, and they are not added up"


def _notes(layout: Layout, choice: BranchChoice) -> tuple[str, ...]:
    """What became of the branches, where a user may not expect it."""
    notes = []
    if choice.forced:
        notes.append(f"kept in spite of the rules, as others need them: {', '.join(choice.forced)}")
    notes += [f"{rule}: matches no branch" for rule in choice.unmatched]
    if layout.left_out:
        notes.append(f"not all inputs have, and the output has not: {some(layout.left_out)}")
    if layout.filled:
        filled = some([f"{name} = {value}" for name, value in layout.filled])
        notes.append(f"stands for what an input lacks: {filled}")
    return tuple(notes)
