"""`hepfilter skim`: the main job."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from hepfilter.skim.report import SkimReport

_SELECTION, _BRANCHES, _OUTPUT = "Which events", "Which branches", "Output"


def skim(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE…",
            help="ROOT files: paths, globs, folders, @list.txt, file.root:tree, catalogue.yaml:DATASET.",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The ROOT file to write.")],
    where: Annotated[
        str | None,
        typer.Option(
            help="A selection expression, as in ROOT: 'nMuon >= 2 && Muon_pt[0] > 20'.", rich_help_panel=_SELECTION
        ),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            help="The share of highest score to keep of all that pass the rest: 1%, 0.01 or 1/100.",
            rich_help_panel=_SELECTION,
        ),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="The lowest score to keep, in log-odds.", rich_help_panel=_SELECTION)
    ] = None,
    lumi_mask: Annotated[
        Path | None,
        typer.Option(
            help="A certification (golden) JSON; Runs and LuminosityBlocks follow it.", rich_help_panel=_SELECTION
        ),
    ] = None,
    events: Annotated[
        Path | None,
        typer.Option(help="A list of events to keep, run:luminosityBlock:event a line.", rich_help_panel=_SELECTION),
    ] = None,
    deduplicate: Annotated[
        bool,
        typer.Option("--deduplicate", help="Of events of one identity keep the first.", rich_help_panel=_SELECTION),
    ] = False,
    model: Annotated[
        str, typer.Option(help="A model that ships, or a checkpoint file.", rich_help_panel=_SELECTION)
    ] = "interest-objects",
    schema: Annotated[
        str | None,
        typer.Option(
            help="A schema that ships, or a YAML file; found from the branches if not given.",
            rich_help_panel=_SELECTION,
        ),
    ] = None,
    keep_branches: Annotated[
        list[str] | None,
        typer.Option(help="Keep only branches of this name; a glob; may be repeated.", rich_help_panel=_BRANCHES),
    ] = None,
    drop_branches: Annotated[
        list[str] | None,
        typer.Option(help="Drop branches of this name; a glob; may be repeated.", rich_help_panel=_BRANCHES),
    ] = None,
    branches: Annotated[
        Path | None, typer.Option(help="A keep/drop file as nanoAOD-tools reads it.", rich_help_panel=_BRANCHES)
    ] = None,
    layout: Annotated[
        str,
        typer.Option(help="Where inputs differ in branches: strict, union or intersection.", rich_help_panel=_BRANCHES),
    ] = "strict",
    fill: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=VALUE for events of inputs without branch NAME (union); may be repeated.",
            rich_help_panel=_BRANCHES,
        ),
    ] = None,
    split_events: Annotated[
        int | None, typer.Option(help="Begin a new output after so many events.", rich_help_panel=_OUTPUT)
    ] = None,
    split_size: Annotated[
        str | None, typer.Option(help="Begin a new output after about this size: 2GB, 500MB.", rich_help_panel=_OUTPUT)
    ] = None,
    list_events: Annotated[
        Path | None,
        typer.Option(help="Also write the identities of the kept events, for --events.", rich_help_panel=_OUTPUT),
    ] = None,
    compression: Annotated[
        str | None,
        typer.Option(
            help="ALGORITHM:LEVEL, such as ZSTD:5, or none; the first source's own if not given.",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an output that exists.", rich_help_panel=_OUTPUT)
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that copy events; one a core if not given.")
    ] = None,
    device: Annotated[str, typer.Option(help="Where the model runs: auto, cpu or cuda.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Keep the events that pass a selection or score highest, with all their branches, bit for bit.

    Example: hepfilter skim data.root -o interesting.root --keep 1%
    """
    from hepfilter.cli.terminal import event_progress
    from hepfilter.skim.pipeline import skim as run
    from hepfilter.skim.recipe import Recipe, parse_fills, parse_size
    from hepfilter.trigger.selection import parse_fraction
    from hepfilter.work.executors import cores

    recipe = Recipe(
        where=where,
        keep=None if keep is None else parse_fraction(keep),
        threshold=threshold,
        model=model,
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
    )
    with event_progress() as progress:
        report = run(
            inputs,
            output,
            recipe,
            list_events=list_events,
            device=device,
            workers=workers or cores(),
            command=["hepfilter", *sys.argv[1:]],
            force=force,
            progress=progress,
        )
    if as_json:
        print(json.dumps(_plain(report), indent=2))
    else:
        _print_report(report)


def _plain(report: "SkimReport") -> dict[str, Any]:
    """The report as plain data, with the cutflow of all inputs and of each dataset."""
    flows = {name: [dataclasses.asdict(step) for step in report.cutflow(name)] for name in report.datasets}
    whole = [dataclasses.asdict(step) for step in report.cutflow()]
    totals = {"read": report.read, "passed": report.passed, "written": report.written}
    return dataclasses.asdict(report) | totals | {"cutflow": whole, "datasets": flows}


def _print_report(report: "SkimReport") -> None:
    """The cutflow, what was treated by rule, and warnings."""
    from hepfilter.cli.terminal import stdout

    console = stdout()
    first = report.outputs[0].path
    title = first if len(report.outputs) == 1 else f"{first} and {len(report.outputs) - 1} more"
    _print_cutflow(report, None, title, console)
    for name in report.datasets:
        _print_cutflow(report, name, f"dataset {name}", console)
    if report.model:
        score = "nothing passed" if report.threshold is None else f"interest ≥ {report.threshold:.4f}"
        console.print(f"model {report.model} ({report.model_hash[:12]}): {score}", markup=False)
    if report.ties_dropped:
        console.print(f"{report.ties_dropped} more events have the threshold's score; the event hash decided")
    for problem, count in sorted(report.problems.items()):
        console.print(f"treated by rule: {problem}: {count:,}", markup=False)
    for warning in report.warnings:
        console.print(f"note: {warning}", markup=False)
    console.print(f"{report.written:,} events written in {report.seconds:.1f} s")


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
