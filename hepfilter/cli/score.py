"""`hepfilter score`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hepfilter.cli.completion import MODELS
from hepfilter.cli.options import Device, Schema
from hepfilter.wording import counted

if TYPE_CHECKING:
    from rich.console import Console

    from hepfilter.scoring.score import ScoreReport


def score(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE…",
            help="ROOT files: paths, globs, folders, @list.txt, file.root:tree, catalogue.yaml:DATASET.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="S.parquet|S.root", help="The file to write, by its suffix.")
    ],
    model: Annotated[
        str, typer.Option(autocompletion=MODELS, help="A model that ships, or a checkpoint file.")
    ] = "interest-objects",
    schema: Schema = None,
    device: Device = "auto",
    force: Annotated[bool, typer.Option("--force", help="Replace an output that exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Write the scores of all events, keyed by run, luminosityBlock, event, file and entry.

    `hepfilter skim --scores` starts from them: another threshold then costs no new pass of the model.

    Example: hepfilter score data.root -o scores.parquet
    """
    import json

    from hepfilter.cli.terminal import event_progress, stdout
    from hepfilter.scoring.score import score_files

    with event_progress() as progress:
        report = score_files(inputs, output, model=model, schema=schema, device=device, force=force, progress=progress)
    if as_json:
        print(json.dumps(_plain(report), indent=2))
    else:
        print_report(report, stdout())
        stdout().print(f"{counted(report.events, 'event')} scored in {report.seconds:.1f} s")


def _plain(report: "ScoreReport") -> dict[str, Any]:
    """The report as plain data."""
    named = {"path": report.path, "size": report.size, "seconds": report.seconds, "events": report.events}
    return named | {"problems": report.problems} | report.facts.model_dump(mode="json")


def print_report(report: "ScoreReport", console: "Console") -> None:
    """What was scored, by what, and what a user should know."""
    facts = report.facts
    files, events = counted(len(facts.files), "file"), counted(report.events, "event")
    console.print(f"{report.path}: {events} of {files}, {counted(report.size, 'byte')}", markup=False)
    console.print(f"model {facts.model} ({facts.model_hash[:12]}): {', '.join(facts.names)}", markup=False)
    for name, limit in facts.extrapolated_below.items():
        known = f"calibration {(facts.calibration_hash or '')[:12]}"
        console.print(f"{name} ({known}): extrapolated below {limit:.3g}", markup=False)
    for problem, count in report.problems.items():
        console.print(f"treated by rule: {problem}: {count:,}", markup=False)
    for file in facts.files:
        notes = [*file.warnings, *([f"no {', '.join(file.absent)} in the file"] if file.absent else [])]
        for note in notes:
            console.print(f"note: {file.path}: {note}", markup=False)
