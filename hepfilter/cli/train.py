"""`hepfilter train`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from hepfilter.evaluation.metrics import Separation
    from hepfilter.training.run import FamilyResult, TrainingReport


def train(
    config: Annotated[str, typer.Argument(help="A training that ships, or a YAML file.")],
    data: Annotated[
        list[str], typer.Option("--data", "-d", metavar="FILE", help="Files of `hepfilter simulate`; repeatable.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The checkpoint to write (.safetensors).")],
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="FAMILY", help="A family to test on only; repeatable.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Instead of the configuration's number.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Replace an output that exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Train a network on simulated events and test it on events left aside.

    Writes the checkpoint and, beside it, the metrics as JSON.

    Example: hepfilter train interest-objects --data sample.root -o interest-objects.safetensors
    """
    import json

    from hepfilter.cli.terminal import event_progress
    from hepfilter.config.training import load_training
    from hepfilter.errors import UsageError
    from hepfilter.io.container import refuse_output
    from hepfilter.io.sources import expand_sources

    try:
        from hepfilter.training.run import train as run
    except ModuleNotFoundError as error:
        raise UsageError(
            f"training needs {error.name}, which is not installed: pip install 'hepfilter[train]'"
        ) from error
    loaded = load_training(config)
    refuse_output(output, force=force)
    if epochs is not None:
        loaded = loaded.model_copy(update={"fit": loaded.fit.model_copy(update={"epochs": epochs})})
    with event_progress() as progress:
        report = run(loaded, expand_sources(data), output, exclude=exclude or (), device=device, progress=progress)
    text = json.dumps(_as_data(report), indent=2)
    output.with_suffix(".metrics.json").write_text(text + "\n", encoding="utf-8")
    if as_json:
        print(text)
    else:
        _print_report(report)


def _as_data(report: "TrainingReport") -> dict[str, Any]:
    """The report as JSON data; what is not known is null."""
    from dataclasses import asdict

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {str(key): plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        if isinstance(value, Path):
            return value.name
        return None if isinstance(value, float) and value != value else value

    data: dict[str, Any] = plain(asdict(report))
    return data


def _print_report(report: "TrainingReport") -> None:
    """AUC and signal efficiency at fixed background by family, for the score and for Σ pt alone, in both mixes."""
    from hepfilter.cli.terminal import stdout

    console = stdout()
    for title, results in (("physical mix", report.families), ("as generated, unweighted", report.as_generated)):
        console.print(_table(f"signal efficiency at fixed background efficiency, test events, {title}", results))
    n_background = report.families[0].by_interest.n_background
    console.print(
        f"{n_background:,} background events; – where fewer than 10 (effective) of them lie above the threshold"
    )
    console.print(
        f"{report.model}: hash {report.model_hash[:12]}, {report.parameters:,} parameters, "
        f"best of {len(report.epochs)} epochs: {report.best_epoch + 1}; {report.seconds:.0f} s"
    )


def _table(title: str, results: "Sequence[FamilyResult]") -> "Table":
    """One row per family."""
    from rich.table import Table

    targets = list(results[0].by_interest.working_points)
    table = Table(title=title)
    for column in (
        "family",
        "trained on",
        "events",
        "AUC",
        *(f"at {t:g}" for t in targets),
        "Σpt: AUC",
        *(f"at {t:g}" for t in targets),
    ):
        table.add_column(column)
    for result in results:
        cells = [result.family, "yes" if result.seen else "no", str(result.by_interest.n_signal)]
        table.add_row(*cells, *_cells(result.by_interest), *_cells(result.by_hardness))
    return table


def _cells(result: "Separation") -> list[str]:
    """AUC and working points as text."""
    cells = [f"{result.auc:.3f}"]
    for point in result.working_points.values():
        if point is None:
            cells.append("–")
        else:
            signal = point.signal
            cells.append(f"{signal.value:.3f} [{signal.lower:.3f}, {signal.upper:.3f}]")
    return cells
