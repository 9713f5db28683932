"""`hepfilter skim`: the main job."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from hepfilter.cli import skim_options as options
from hepfilter.cli.notices import print_error, print_notice
from hepfilter.wording import counted

if TYPE_CHECKING:
    from rich.console import Console

    from hepfilter.skim.recipe import Recipe
    from hepfilter.skim.report import SkimReport

QUARANTINED: Final = 3
"""The exit code of a run that is whole but for inputs that could not be read."""


def skim(
    inputs: options.Inputs,
    *,
    where: options.Where = None,
    keep: options.Keep = None,
    threshold: options.Threshold = None,
    menu: options.Menu = None,
    unblind: options.Unblind = False,
    lumi_mask: options.LumiMask = None,
    events: options.Events = None,
    deduplicate: options.Deduplicate = False,
    schema: options.Schema = None,
    keep_branches: options.KeepBranches = None,
    drop_branches: options.DropBranches = None,
    branches: options.Branches = None,
    layout: options.Layout = "strict",
    fill: options.Fill = None,
    output: options.Output,
    force: options.Force = False,
    split_events: options.SplitEvents = None,
    split_size: options.SplitSize = None,
    list_events: options.ListEvents = None,
    report: options.Report = None,
    compression: options.Compression = None,
    format: options.Format = None,
    model: options.Model = None,
    scores: options.Scores = None,
    device: options.Device = "auto",
    workers: options.Workers = None,
    executor: options.Executor = None,
    scheduler: options.Scheduler = None,
    cluster: options.Cluster = None,
    resume: options.Resume = False,
    on_bad_file: options.OnBadFile = "stop",
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
) -> None:
    """Keep the events that pass a selection or score highest, with all their branches, bit for bit.

    Example: hepfilter skim data.root -o interesting.root --keep 1%
    """
    from hepfilter.cli.terminal import event_progress
    from hepfilter.skim.pipeline import skim as run
    from hepfilter.skim.recipe import make_recipe
    from hepfilter.work.execution import parse_execution

    execution = parse_execution(
        executor=executor, workers=workers, scheduler=scheduler, cluster=cluster, notice=print_notice
    )
    recipe = make_recipe(
        where=where,
        keep=keep,
        threshold=threshold,
        menu=menu,
        model=model,
        scores=scores,
        schema=schema,
        lumi_mask=lumi_mask,
        events=events,
        deduplicate=deduplicate,
        keep_branches=keep_branches,
        drop_branches=drop_branches,
        branches=branches,
        layout=layout,
        fill=fill,
        split_events=split_events,
        split_size=split_size,
        compression=compression,
        format=format,
    )
    how: dict[str, Any] = {
        "list_events": list_events,
        "device": device,
        "execution": execution,
        "unblind": unblind,
        "on_bad_file": on_bad_file,
        "resume": resume,
        "force": force,
    }
    if report is not None:
        others = (str(output), list_events, menu, model, *recipe.files)
        _prepare_page(report, inputs, [Path(other) for other in others if other], force=force or resume)
    if dry_run:
        _plan(inputs, output, recipe, how, as_json=as_json)
        return
    with event_progress() as progress, _resumable(output):
        done = run(inputs, output, recipe, **how, command=["hepfilter", *sys.argv[1:]], progress=progress)
    if as_json:
        print(json.dumps(_plain(done), indent=2))
    else:
        from hepfilter.cli.terminal import stdout

        print_report(done, stdout())
        stdout().print(f"{counted(done.written, 'event')} written in {done.seconds:.1f} s")
    if report is not None:  # last: whatever becomes of the page, the output is whole, and that is told
        _write_page(report, done, device=device)
    if done.bad:
        raise typer.Exit(QUARANTINED)


def _prepare_page(path: Path, inputs: list[str], others: Sequence[Path], *, force: bool) -> None:
    """What can be told of the page before the work that it is of; `others` are what else is written, or read."""
    from hepfilter.cli.extras import require_pages
    from hepfilter.errors import UsageError
    from hepfilter.io.publishing import refuse_output
    from hepfilter.io.sources import expand_sources, refuse_inputs

    require_pages()
    refuse_inputs([path], expand_sources(inputs))
    if path.resolve() in {other.resolve() for other in others}:
        raise UsageError(f"{path}: is written or read otherwise; give another name with --report")
    refuse_output(path, force=force)


def _write_page(path: Path, done: "SkimReport", *, device: str) -> None:
    """The page of a run that has just ended."""
    from hepfilter.cli.terminal import event_progress
    from hepfilter.io.sources import Source
    from hepfilter.visual.run_report.composing import report_run

    sources = [Source(output.path) for output in done.outputs]
    with event_progress() as progress:
        report_run(sources, path, run=done, device=device, progress=progress)


def _plan(inputs: list[str], output: Path, recipe: "Recipe", how: dict[str, Any], *, as_json: bool) -> None:
    """Print what the same skim would do."""
    from hepfilter.cli.plan_tables import print_plan
    from hepfilter.cli.terminal import event_progress, plain_data, stdout
    from hepfilter.skim.planning import plan_skim

    with event_progress("file") as progress:
        plan = plan_skim(inputs, output, recipe, **how, progress=progress)
    if as_json:
        totals = {"entries": plan.entries, "size": plan.size}
        print(json.dumps(plain_data({**vars(plan), **totals}), indent=2))
    else:
        print_plan(plan, stdout())


@contextmanager
def _resumable(output: Path) -> Iterator[None]:
    """Say, when a signal ends the run, how to go on."""
    from hepfilter.work.ledger import ledger_folder

    try:
        yield
    except SystemExit:
        if ledger_folder(output).exists():
            print_error(f"{ledger_folder(output)} holds what was done; the same command goes on from there")
        raise


def _plain(report: "SkimReport") -> dict[str, Any]:
    """The report as plain data, with the cutflow of all inputs and of each dataset."""
    from hepfilter.cli.terminal import plain_data

    flows = {name: report.cutflow(name) for name in report.datasets}
    totals = {"read": report.read, "passed": report.passed, "written": report.written}
    shown = {name: value for name, value in vars(report).items() if name != "summary"}  # that is for pictures
    plain: dict[str, Any] = plain_data({**shown, **totals, "cutflow": report.cutflow(), "datasets": flows})
    return plain


def print_report(report: "SkimReport", console: "Console") -> None:
    """The cutflow, what was treated by rule, and warnings."""
    first = report.outputs[0].path
    title = first if len(report.outputs) == 1 else f"{first} and {len(report.outputs) - 1} more"
    _print_cutflow(report, None, title, console)
    for name in report.datasets:
        _print_cutflow(report, name, f"dataset {name}", console)
    if report.rates is not None:
        from hepfilter.cli.rate_tables import print_rates

        print_rates(report.rates, report.predicted, console)
    if report.model and report.menu:
        console.print(f"model {report.model} ({report.model_hash[:12]})", markup=False)
    elif report.model:
        score = "nothing passed" if report.threshold is None else f"interest ≥ {report.threshold:.4f}"
        console.print(f"model {report.model} ({report.model_hash[:12]}): {score}", markup=False)
    for name, limit in report.extrapolated_below.items():
        known = f"calibration {(report.calibration_hash or '')[:12]}"
        console.print(f"{name} ({known}): extrapolated below {limit:.3g}", markup=False)
    if report.ties_dropped:
        console.print(f"the event hash left out {counted(report.ties_dropped, 'event')} with the threshold's score")
    for problem, count in sorted(report.problems.items()):
        console.print(f"treated by rule: {problem}: {count:,}", markup=False)
    for warning in report.warnings:
        console.print(f"note: {warning}", markup=False)
    if report.resumed:
        console.print(f"{counted(report.resumed, 'event')} had been read by an earlier run")
    _print_bad(report, console)


def _print_bad(report: "SkimReport", console: "Console") -> None:
    """What is quarantined."""
    if not report.bad:
        return
    for bad in report.bad:
        where = "" if bad.start is None or bad.stop is None else f", entries {bad.start} to {bad.stop - 1}"
        console.print(f"quarantined: {bad.path}{where}: {bad.reason.removeprefix(f'{bad.path}: ')}", markup=False)
    unknown = sum(bad.start is None for bad in report.bad)
    missing = [counted(report.quarantined, "event")] if report.quarantined or not unknown else []
    missing += [f"all of {counted(unknown, 'input')}"] if unknown else []
    console.print(f"missing: {', and '.join(missing)}; --resume tries them again", markup=False)


def _print_cutflow(report: "SkimReport", dataset: str | None, title: str, console: "Console") -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(f"{title}: cutflow"))
    table.add_column("step")
    for column in ("events", "share", "sum of weights"):
        table.add_column(column, justify="right")
    flow = report.cutflow(dataset)
    for step in flow:
        share = f"{step.events / flow[0].events:.3%}" if flow[0].events else ""
        table.add_row(step.name, f"{step.events:,}", share, "" if step.weight is None else f"{step.weight:.6g}")
    console.print(table)
