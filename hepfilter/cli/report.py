"""`hepfilter report`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from hepfilter.cli.options import Device


def report(
    outputs: Annotated[
        list[str],
        typer.Argument(
            metavar="OUT…",
            help="Outputs of skims or merges: paths, globs, or a folder of them; or a model, metrics or folder of a "
            "training.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE.html", help="The page to write; if not given OUT.report.html beside it."
        ),
    ] = None,
    signal: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FILE", help="Events to score by the same model, for the threshold explorer; repeatable."
        ),
    ] = None,
    device: Device = "auto",
    force: Annotated[bool, typer.Option("--force", help="Replace a page that exists.")] = False,
) -> None:
    """Make a page of a run: one HTML file that needs no network, to look at, to print, to keep beside the output.

    Cutflow, rates, scores, a slider over thresholds, turn-on curves, sculpting, drift, the most interesting events,
    problems of the input, provenance. Of a training: its loss, efficiencies, calibration.

    Example: hepfilter report interesting.root
    """
    from hepfilter.cli.extras import require_pages
    from hepfilter.errors import UsageError
    from hepfilter.io.publishing import refuse_output
    from hepfilter.io.sources import Source, refuse_inputs

    require_pages()
    from hepfilter.visual.training_report import metrics_file

    path = _beside(outputs[0]) if output is None else output
    refuse_output(path, force=force)
    metrics = metrics_file(Path(outputs[0])) if len(outputs) == 1 else None
    if metrics is not None:
        if signal:
            raise UsageError("--signal: is for the report of a skim")
        refuse_inputs([path], [Source(str(metrics)), Source(outputs[0])])
        _of_training(metrics, path)
    else:
        _of_run(outputs, path, signal or (), device=device)
    print(path)


def _beside(first: str) -> Path:
    """``OUT.report.html`` beside what is reported of; in the working folder where that is an address."""
    given = Path(first)
    folder = Path() if "://" in first else given.parent
    return folder / f"{given.stem or 'run'}.report.html"


def _of_training(metrics: Path, path: Path) -> None:
    from hepfilter.visual.training_report import load_metrics, write_training_report

    write_training_report(load_metrics(metrics), path, source=str(metrics))


def _of_run(outputs: Sequence[str], path: Path, signals: Sequence[str], *, device: str) -> None:
    """OutputError and SourceError as `report_run`."""
    from hepfilter.cli.terminal import event_progress
    from hepfilter.io.sources import refuse_inputs
    from hepfilter.skim.reporting.outputs import expand_outputs
    from hepfilter.skim.reporting.signals import parse_signals
    from hepfilter.visual.run_report.composing import report_run

    sources = expand_outputs(outputs)
    refuse_inputs([path], sources)
    with event_progress() as progress:
        report_run(sources, path, signals=parse_signals(signals), device=device, progress=progress)
