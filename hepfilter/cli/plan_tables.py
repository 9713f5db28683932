"""The plan of a skim on a terminal."""

from typing import TYPE_CHECKING

from hepfilter.cli.notices import is_verbose
from hepfilter.wording import counted, lasting, sized

if TYPE_CHECKING:
    from rich.console import Console

    from hepfilter.skim.planning import SkimPlan
    from hepfilter.skim.probing import Estimate


def print_plan(plan: "SkimPlan", console: "Console") -> None:
    """What would be read, decided and written, and what that is likely to take."""
    lines = ["dry run: nothing is written", *_input_lines(plan), *_decision_lines(plan), *_branch_lines(plan)]
    for line in (*lines, *_output_lines(plan), *(f"note: {note}" for note in plan.warnings)):
        console.print(line, markup=False)
    if plan.estimate is None or plan.probe is None:
        console.print("no events: nothing to estimate")
        return
    _print_estimate(plan.estimate, console)
    tried = f"{counted(plan.probe.events, 'event')} in {counted(len(plan.probe.pieces), 'unit')}"
    console.print(f"estimated from {tried}, read, decided and written by one process to a temporary file")
    if plan.probe.undecided:
        console.print(f"what would be kept is not known: {plan.probe.undecided}", markup=False)
    workers = counted(plan.workers or 1, "worker")
    console.print(f"times are for {workers} of equal speed, without their start, where nothing else runs")


def _input_lines(plan: "SkimPlan") -> list[str]:
    files, units = counted(len(plan.files), "file"), counted(sum(file.units for file in plan.files), "unit")
    schemas = ", ".join(dict.fromkeys(file.schema or "none" for file in plan.files))
    datasets = dict.fromkeys(file.dataset for file in plan.files if file.dataset)
    of = f" of {counted(len(datasets), 'dataset')} ({', '.join(datasets)})" if datasets else ""
    size = f"{counted(plan.entries, 'event')}, {sized(plan.size)}, {units}"
    lines = [f"inputs: {files}{of}: {size}; tree {plan.files[0].tree}, schema {schemas}"]
    if is_verbose():
        lines += [
            f"  {file.path}: {counted(file.entries, 'event')}, schema {file.schema or 'none'}" for file in plan.files
        ]
    return lines + [f"would be quarantined: {bad.path}: {bad.reason}" for bad in plan.bad]


def _decision_lines(plan: "SkimPlan") -> list[str]:
    kept = "all that pass are kept" if plan.decision is None else f"then {plan.decision}"
    lines = [f"cuts: {', '.join(plan.steps) or 'none'}; {kept}"]
    if plan.scores is not None:
        scores = plan.scores
        lines.append(f"model: {scores['model']} ({scores['model_hash'][:12]}), {scores['device_class']}")
    return lines


def _branch_lines(plan: "SkimPlan") -> list[str]:
    branches = plan.branches
    counts = f"{len(branches.kept):,} kept, {len(branches.dropped):,} dropped"
    lines = [f"branches: {counts}; {len(branches.read):,} read of every event"]
    if is_verbose():
        named = (("kept", branches.kept), ("dropped", branches.dropped), ("read of every event", branches.read))
        lines += [f"  {what}: {', '.join(names)}" for what, names in named if names]
    return lines


def _output_lines(plan: "SkimPlan") -> list[str]:
    lines = [f"output: {path}{', replacing what is there' * (path in plan.replaced)}" for path in plan.outputs]
    if plan.earlier is not None:
        lines.append(f"goes on from {plan.earlier.folder}: {counted(plan.earlier.read, 'event')} read already")
    return lines


def _print_estimate(found: "Estimate", console: "Console") -> None:
    from rich.table import Table

    table = Table("pass", title="estimate", title_justify="left")
    for column in ("bytes read", "time"):
        table.add_column(column, justify="right")
    table.add_row("selecting", sized(found.selecting_bytes), lasting(found.selecting_seconds))
    if found.writing_bytes is not None and found.writing_seconds is not None:
        table.add_row("writing", f"at most {sized(found.writing_bytes)}", lasting(found.writing_seconds))
    console.print(table)
    if found.events is not None and found.size is not None and found.seconds is not None:
        console.print(
            f"about {counted(found.events, 'event')} kept, in {sized(found.size)}, after {lasting(found.seconds)}"
        )
