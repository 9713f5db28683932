"""`hepfilter skim`: the main job."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hepfilter.skim.report import SkimReport


def skim(
    inputs: Annotated[
        list[str], typer.Argument(metavar="FILE…", help="ROOT files: paths, globs, folders, @list.txt, file.root:tree.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The ROOT file to write.")],
    keep: Annotated[str, typer.Option(help="The share of all events to keep: 1%, 0.01 or 1/100.")],
    model: Annotated[str, typer.Option(help="A model that ships, or a checkpoint file.")] = "interest-objects",
    schema: Annotated[
        str | None, typer.Option(help="A schema that ships, or a YAML file; found from the branches if not given.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    compression: Annotated[
        str | None, typer.Option(help="ALGORITHM:LEVEL, such as ZSTD:5, or none; the first source's own if not given.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an output that exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Score every event and keep the most interesting ones, with all their branches, bit for bit.

    Example: hepfilter skim data.root -o interesting.root --keep 1%
    """
    from hepfilter.cli.terminal import event_progress
    from hepfilter.skim.pipeline import skim as run
    from hepfilter.trigger.selection import parse_fraction

    share = parse_fraction(keep)
    with event_progress() as progress:
        report = run(
            inputs,
            output,
            keep=share,
            model=model,
            schema=schema,
            device=device,
            compression=compression,
            force=force,
            progress=progress,
        )
    if as_json:
        print(json.dumps(dataclasses.asdict(report), indent=2))
    else:
        _print_report(report)


def _print_report(report: "SkimReport") -> None:
    """The cutflow, what was treated by rule, and warnings."""
    from rich.table import Table

    from hepfilter.cli.terminal import stdout

    console = stdout()
    table = Table(title=f"{report.output}: cutflow")
    table.add_column("step")
    for title in ("events", "share", "sum of weights"):
        table.add_column(title, justify="right")
    for step, events, weight in report.cutflow():
        share = f"{events / report.read:.3%}" if report.read else ""
        table.add_row(step, f"{events:,}", share, "" if weight is None else f"{weight:.6g}")
    console.print(table)
    score = "nothing passed" if report.threshold is None else f"interest ≥ {report.threshold:.4f}"
    console.print(f"model {report.model} ({report.model_hash[:12]}): {score}; {report.seconds:.1f} s in all")
    if report.ties_dropped:
        console.print(f"{report.ties_dropped} more events have the threshold's score; the event hash decided")
    for problem, count in sorted(report.problems.items()):
        console.print(f"treated by rule: {problem}: {count:,}")
    for warning in report.warnings:
        console.print(f"note: {warning}")
