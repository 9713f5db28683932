"""`hepfilter calibrate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hepfilter.cli.completion import MODELS
from hepfilter.cli.options import Device
from hepfilter.wording import counted

if TYPE_CHECKING:
    from rich.console import Console

    from hepfilter.scoring.calibrating import CalibrationReport


def calibrate(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", autocompletion=MODELS, help="A model that ships, or a checkpoint file.")
    ],
    data: Annotated[
        list[str] | None, typer.Argument(metavar="DATA…", help="Background events: paths, globs, folders, @list.txt.")
    ] = None,
    scores: Annotated[
        Path | None,
        typer.Option(
            metavar="S.parquet", help="Scores that `hepfilter score` wrote, all of background, in place of DATA."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The calibrated checkpoint; MODEL itself is written anew if not given."),
    ] = None,
    background: Annotated[
        list[str] | None,
        typer.Option(metavar="CARD", help="A card that is background; repeatable. All but signals if not given."),
    ] = None,
    trained_on: Annotated[
        bool, typer.Option("--trained-on", help="Use simulated events too that the model may have been trained on.")
    ] = False,
    device: Device = "auto",
    force: Annotated[bool, typer.Option("--force", help="Replace an output or a calibration that exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Turn a model's scores into background p-values, stored in its checkpoint; skims then write them too.

    Events count with their generator weights. Beyond the last 10 (effective) events p-values are extrapolated by an
    exponential tail, and marked so. The model hash stays; the calibration has a hash of its own.

    Example: hepfilter calibrate my-model.safetensors background.root -o calibrated.safetensors
    """
    import dataclasses
    import json

    from hepfilter.cli.terminal import event_progress, stdout
    from hepfilter.errors import UsageError
    from hepfilter.io.sources import expand_sources
    from hepfilter.scoring.calibrating import calibrate as run
    from hepfilter.scoring.calibrating_stored import calibrate_stored

    if (scores is None) == (not data):
        raise UsageError(
            "calibrate needs DATA or --scores, one of them: hepfilter calibrate my-model.safetensors background.root"
        )
    if scores is not None and (background or trained_on):
        raise UsageError("--scores: all of its events are background; --background and --trained-on go with DATA")
    with event_progress() as progress:
        report = (
            calibrate_stored(model, scores, output=output, force=force)
            if scores is not None
            else run(
                model,
                expand_sources(data or ()),
                output=output,
                background=background or (),
                trained_on=trained_on,
                device=device,
                force=force,
                progress=progress,
            )
        )
    if as_json:
        print(json.dumps(dataclasses.asdict(report), indent=2))
    else:
        print_report(report, stdout())


def print_report(report: "CalibrationReport", console: "Console") -> None:
    """Per score where its p-values end to be measured, and how they go on."""
    from rich.table import Table

    table = Table(title="background p-values")
    for column in ("score", "measured up to", "p there", "beyond, p falls per unit by"):
        table.add_column(column)
    for score in report.scores:
        slope = f"exp({score.rate:.3g} ± {score.rate * score.relative_error:.2g})" if score.rate else "nothing"
        table.add_row(score.name, f"{score.extrapolated_above:.4f}", f"{score.pvalue:.3g}", slope)
    console.print(table, markup=False)
    console.print(f"{counted(report.events, 'background event')}, {report.effective:,.0f} effective")
    if report.left_out:
        console.print(f"left out, as the model may have been trained on them: {report.left_out:,}")
    if report.not_background:
        console.print(f"no background: {report.not_background:,}")
    hashes = f"{report.model_hash[:12]}, calibration {report.calibration_hash[:12]}"
    console.print(f"{report.model}: model {hashes}", markup=False)
