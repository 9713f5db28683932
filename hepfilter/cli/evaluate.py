"""`hepfilter evaluate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hepfilter.cli.completion import MODELS
from hepfilter.cli.options import Device

if TYPE_CHECKING:
    from rich.console import Console

    from hepfilter.evaluation.run import Evaluation

RESULTS = "results.json"


def evaluate(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", autocompletion=MODELS, help="A model that ships, or a checkpoint.")
    ],
    data: Annotated[list[str], typer.Argument(metavar="DATA…", help="Files of `hepfilter simulate`.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A folder for results.json and the plots (PNG and SVG).")
    ] = None,
    shifted: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="The same processes under other conditions, to compare with; repeatable."),
    ] = None,
    card: Annotated[
        list[str] | None, typer.Option(metavar="FILE", help="A card of your own that the data are of; repeatable.")
    ] = None,
    all_events: Annotated[
        bool,
        typer.Option("--all-events", help="Not the test part of the model's split alone: it never saw these files."),
    ] = False,
    shifts: Annotated[
        bool, typer.Option("--shifts/--no-shifts", help="Other energy scales, and events without a collection.")
    ] = True,
    device: Device = "auto",
    force: Annotated[bool, typer.Option("--force", help="Replace results that exist.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Say what a model's scores are worth on simulated events.

    Signal efficiency at fixed background for each family of signals, seen and unseen, in the physical mix and
    hardness-matched; sculpting, correlations, injected signals, shifts, calibration; beside simple observables.

    Example: hepfilter evaluate my-model.safetensors sample.root -o evaluation
    """
    import json

    from hepfilter.cli.extras import require_plots
    from hepfilter.cli.terminal import event_progress, plain_data, stdout
    from hepfilter.evaluation.run import EvaluationOptions
    from hepfilter.evaluation.run import evaluate as run
    from hepfilter.io.publishing import refuse_output
    from hepfilter.io.sources import expand_sources

    if output is not None:
        refuse_output(output / RESULTS if output.exists() else output, force=force)
        require_plots()
    options = EvaluationOptions(cards=tuple(card or ()), all_events=all_events, shifts=shifts)
    with event_progress() as progress:
        found = run(
            model,
            expand_sources(data),
            shifted=expand_sources(shifted) if shifted else (),
            options=options,
            device=device,
            progress=progress,
        )
    text = json.dumps(plain_data(found), indent=2)
    if output is not None:
        _write(found, text, output)
    if as_json:
        print(text)
    else:
        print_report(found, stdout())
        if output is not None:
            stdout().print(f"results and plots: {output}", markup=False)


def _write(found: "Evaluation", text: str, folder: Path) -> None:
    """The results and the plots, all or none; OutputError if the folder cannot be made."""
    import tempfile

    from hepfilter.config.groups import load_groups
    from hepfilter.errors import OutputError
    from hepfilter.visual.evaluation import write_plots

    try:
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.absolute().parent) as made:
            (Path(made) / RESULTS).write_text(text + "\n", encoding="utf-8")
            write_plots(found, Path(made), load_groups())
            folder.mkdir(exist_ok=True)
            for path in Path(made).iterdir():
                path.replace(folder / path.name)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error.strerror}") from error


def print_report(found: "Evaluation", console: "Console") -> None:
    """Every table."""
    from hepfilter.cli.performance import print_families, print_summaries

    part = "test part of its training's split" if found.part == "test" else "all events"
    console.print(
        f"{found.model} ({found.model_hash[:12]}): {found.n_signal:,} signal and {found.n_background:,} background "
        f"events ({found.n_effective_background:,.0f} effective), {part}"
    )
    print_families(console, found.families, found.heads)
    print_summaries(console, found.summaries)
    _print_checks(console, found)


def _print_checks(console: "Console", found: "Evaluation") -> None:
    """Sculpting, correlations, injections, shifts, calibration: those that there are."""
    from hepfilter.cli import evaluation_tables as tables
    from hepfilter.cli.performance import print_table
    from hepfilter.wording import calibrated_with

    if any(sculpting.passing for sculpting in found.sculpting):
        console.print(tables.sculpting_table(found.sculpting))
    console.print(tables.correlation_table(found.correlations))
    if found.injections:
        print_table(console, tables.injection_table(found.injections), keys=3)
    else:
        console.print("no injection: fewer than 10 (effective) background events lie above in half of the sample")
    for head in found.heads:
        shifts = [shift for shift in found.shifts if shift.score == head and shift.thresholds]
        if shifts:
            print_table(console, tables.shift_table(shifts))
    if found.calibration:
        print_table(console, tables.calibration_table(found.calibration))
    if found.calibrated_on:
        console.print(calibrated_with(found.calibrated_on[0], checked=bool(found.calibration)))
