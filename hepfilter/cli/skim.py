"""`hepfilter skim`: the main job."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from hepfilter.cli import skim_options as options
from hepfilter.cli.notices import print_notice
from hepfilter.errors import UsageError
from hepfilter.wording import counted

if TYPE_CHECKING:
    from rich.console import Console

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
    as_json: options.AsJson = False,
) -> None:
    """Keep the events that pass a selection or score highest, with all their branches, bit for bit.

    Example: hepfilter skim data.root -o interesting.root --keep 1%
    """
    from hepfilter.cli.terminal import event_progress
    from hepfilter.skim.pipeline import skim as run
    from hepfilter.skim.recipe import Recipe, parse_fills, parse_size
    from hepfilter.trigger.lock import read_trigger
    from hepfilter.trigger.selection import parse_fraction
    from hepfilter.work.execution import parse_execution

    execution = parse_execution(
        executor=executor, workers=workers, scheduler=scheduler, cluster=cluster, notice=print_notice
    )
    trigger = None if menu is None else read_trigger(menu)
    if keep is None and threshold is None and trigger is None and model is not None:
        raise UsageError(
            f"--model {model} decides nothing without --keep or --threshold; with --keep 100% it scores all that pass"
        )
    recipe = Recipe(
        where=where,
        keep=None if keep is None else parse_fraction(keep),
        threshold=threshold,
        trigger=trigger,
        model=model or "",
        scores=None if scores is None else str(scores),
        schema=schema,
        lumi_mask=None if lumi_mask is None else str(lumi_mask),
        events=None if events is None else str(events),
        deduplicate=deduplicate,
        keep_branches=tuple(keep_branches or ()),
        drop_branches=tuple(drop_branches or ()),
        branches=None if branches is None else str(branches),
        layout=layout,  # type: ignore[arg-type]  # the recipe refuses what is none
        fills=parse_fills(fill or ()),
        split_events=split_events,
        split_bytes=None if split_size is None else parse_size(split_size),
        compression=compression,
        format=format,  # type: ignore[arg-type]  # the recipe refuses what is none
    )
    with event_progress() as progress, _resumable(output):
        report = run(
            inputs,
            output,
            recipe,
            list_events=list_events,
            device=device,
            execution=execution,
            unblind=unblind,
            on_bad_file=on_bad_file,  # type: ignore[arg-type]  # it is refused if it is none
            resume=resume,
            command=["hepfilter", *sys.argv[1:]],
            force=force,
            progress=progress,
        )
    if as_json:
        print(json.dumps(_plain(report), indent=2))
    else:
        _print_report(report)
    if report.bad:
        raise typer.Exit(QUARANTINED)


@contextmanager
def _resumable(output: Path) -> Iterator[None]:
    """Say, when a signal ends the run, how to go on."""
    from hepfilter.work.ledger import ledger_folder

    try:
        yield
    except SystemExit:
        if ledger_folder(output).exists():
            print_notice(f"{ledger_folder(output)} holds what was done; the same command goes on from there")
        raise


def _plain(report: "SkimReport") -> dict[str, Any]:
    """The report as plain data, with the cutflow of all inputs and of each dataset."""
    from hepfilter.cli.terminal import plain_data

    flows = {name: report.cutflow(name) for name in report.datasets}
    totals = {"read": report.read, "passed": report.passed, "written": report.written}
    plain: dict[str, Any] = plain_data({**vars(report), **totals, "cutflow": report.cutflow(), "datasets": flows})
    return plain


def _print_report(report: "SkimReport") -> None:
    """The cutflow, what was treated by rule, and warnings."""
    from hepfilter.cli.terminal import stdout

    console = stdout()
    first = report.outputs[0].path
    title = first if len(report.outputs) == 1 else f"{first} and {len(report.outputs) - 1} more"
    _print_cutflow(report, None, title, console)
    for name in report.datasets:
        _print_cutflow(report, name, f"dataset {name}", console)
    if report.rates is not None:
        from hepfilter.cli.rate_tables import print_rates

        print_rates(report.rates, report.predicted, console)
    elif report.menu:
        console.print("no rates: weights of events are negative")
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
    console.print(f"{counted(report.written, 'event')} written in {report.seconds:.1f} s")


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
