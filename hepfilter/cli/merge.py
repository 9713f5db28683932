"""`hepfilter merge`: several outputs of skims as one."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from hepfilter.wording import counted


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
    from hepfilter.cli.terminal import event_progress
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
    for part in report.parts:
        print(f"{part.path}: {counted(part.events, 'event')} of {report.tree}")
    for note in report.notes:
        print(f"note: {note}")
    print(f"{report.path}: {counted(report.events, 'event')} written in {report.seconds:.1f} s")
