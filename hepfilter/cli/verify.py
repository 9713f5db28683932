"""`hepfilter verify`: the proof that an output is what it says."""

import dataclasses
import json
from typing import TYPE_CHECKING, Annotated

import typer

from hepfilter.cli.options import Device
from hepfilter.wording import counted

if TYPE_CHECKING:
    from rich.console import Console

    from hepfilter.skim.proof.checks import OutputProof, VerificationReport


def verify(
    outputs: Annotated[list[str], typer.Argument(metavar="OUT…", help="Outputs of skims: paths, globs, folders.")],
    source: Annotated[
        list[str] | None,
        typer.Option(help="The input that a skim was made from, if it is not where it was; may be repeated."),
    ] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, help="Compare only so many events of each output; all if not given.")
    ] = None,
    rescore: Annotated[bool, typer.Option("--rescore", help="Compute the scores again; needs the model.")] = False,
    device: Device = "auto",
    workers: Annotated[int | None, typer.Option(min=1, help="Processes that compare; one a core if not given.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the checks as JSON.")] = False,
) -> None:
    """Prove outputs against their sources: every branch of every kept event, the selection, the books.

    Exit code 4 if a check failed; what cannot be proven, for want of a source or a score, is told and is no failure.

    Example: hepfilter verify interesting.root
    """
    from hepfilter.cli.terminal import event_progress, stdout
    from hepfilter.errors import VerificationError
    from hepfilter.io.sources import expand_sources
    from hepfilter.skim.proof.verification import verify as run
    from hepfilter.work.processes import cores

    with event_progress() as progress:
        report = run(
            expand_sources(outputs),
            sources=expand_sources(source) if source else (),
            sample=sample,
            rescore=rescore,
            device=device,
            workers=workers or cores(),
            progress=progress,
        )
    if as_json:
        print(json.dumps({"passed": report.passed} | dataclasses.asdict(report), indent=2))
    else:
        print_report(report, stdout())
    if not report.passed:
        raise VerificationError(f"{counted(len(report.failed), 'check')} failed: {', '.join(report.failed)}")


def print_report(report: "VerificationReport", console: "Console") -> None:
    """The checks of each output."""
    for proof in report.outputs:
        _print_proof(proof, console)


def _print_proof(proof: "OutputProof", console: "Console") -> None:
    """The checks as a table, and below it what was found."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(proof.path), title_justify="left")
    for column in ("check", "result", "what was compared"):
        table.add_column(column)
    for check in proof.checks:
        table.add_row(check.name, check.status, Text(check.what))
    console.print(table, markup=False)
    for check in proof.checks:
        for finding in check.findings:
            console.print(f"{check.name}: {finding}", markup=False)
