"""`hepfilter merge`: several outputs of skims as one."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hepfilter.wording import counted

if TYPE_CHECKING:
    from rich.console import Console

    from hepfilter.skim.merging import MergeReport


def merge(
    outputs: Annotated[list[str], typer.Argument(metavar="OUT…", help="Outputs of skims: paths, globs, folders.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The ROOT file to write.")],
    force: Annotated[bool, typer.Option("--force", help="Replace an output that exists.")] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that copy events; one a core if not given.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Put outputs of skims together in the order given; refuses what differs and what would count twice.

    Example: hepfilter merge part_1.root part_2.root -o whole.root
    """
    from hepfilter.cli.terminal import event_progress, stdout
    from hepfilter.io.sources import expand_sources
    from hepfilter.skim.merging import merge as run
    from hepfilter.work.processes import cores

    with event_progress() as progress:
        report = run(
            expand_sources(outputs),
            output,
            workers=workers or cores(),
            command=["hepfilter", *sys.argv[1:]],
            force=force,
            progress=progress,
        )
    if as_json:
        print(json.dumps(dataclasses.asdict(report) | {"events": report.events}, indent=2))
        return
    print_report(report, stdout())
    stdout().print(f"{report.path}: {counted(report.events, 'event')} written in {report.seconds:.1f} s", markup=False)


def print_report(report: "MergeReport", console: "Console") -> None:
    """What came from where."""
    for part in report.parts:
        console.print(f"{part.path}: {counted(part.events, 'event')} of {report.tree}", markup=False)
    for note in report.notes:
        console.print(f"note: {note}", markup=False)
