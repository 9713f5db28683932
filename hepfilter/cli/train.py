"""`hepfilter train`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hepfilter.cli.completion import complete_shipped
from hepfilter.cli.notices import print_error, print_notice
from hepfilter.cli.options import Device
from hepfilter.wording import counted

if TYPE_CHECKING:
    from rich.console import Console

    from hepfilter.training.history import Epoch
    from hepfilter.training.run import TrainingReport


def train(
    config: Annotated[
        str,
        typer.Argument(
            metavar="CONFIG",
            autocompletion=complete_shipped("training"),
            help="A training that ships, or a YAML file.",
        ),
    ],
    data: Annotated[
        list[str],
        typer.Option("--data", "-d", metavar="FILE", help="Files of `hepfilter simulate`, or one cache; repeatable."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The checkpoint to write (.safetensors).")],
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="FAMILY", help="A family to test on only; repeatable.")
    ] = None,
    exclude_group: Annotated[
        list[str] | None,
        typer.Option(metavar="GROUP", help="A group of families (configs/evaluation) to test on only; repeatable."),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep the graphs of the data here, or take them from here while both agree."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Instead of the configuration's number.")] = None,
    find_learning_rate: Annotated[
        bool, typer.Option("--find-learning-rate", help="By a range test, instead of the configuration's.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a training to this output that was ended, if there is one.")
    ] = False,
    logs: Annotated[Path | None, typer.Option(metavar="DIR", help="Write logs for TensorBoard here.")] = None,
    device: Device = "auto",
    devices: Annotated[
        int | None,
        typer.Option(min=1, help="How many, with a process for each; instead of the configuration's number."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE.html", help="Also write a page of the training, as `hepfilter report` does."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an output that exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Train a network on simulated events and test it on events left aside.

    Writes the checkpoint and, beside it, the metrics as JSON; while it runs, its state after each epoch.

    Example: hepfilter train interest-objects --data sample.root -o interest-objects.safetensors
    """
    import json

    from hepfilter.cli.extras import require_pages
    from hepfilter.cli.terminal import event_progress, plain_data, stdout
    from hepfilter.config.groups import load_groups
    from hepfilter.config.training import load_training
    from hepfilter.errors import UsageError
    from hepfilter.io.publishing import refuse_output, write_whole
    from hepfilter.models.metadata import metrics_path
    from hepfilter.models.rewriting import refuse_checkpoint

    try:
        from hepfilter.graphs.caching import expand_events
        from hepfilter.training.classes import families_of_groups
        from hepfilter.training.run import train as run
    except ModuleNotFoundError as error:
        raise UsageError(
            f"training needs {error.name}, which is not installed: pip install 'hepfilter[train]'"
        ) from error
    loaded = load_training(config)
    left_out = [*(exclude or ()), *families_of_groups(loaded, exclude_group or (), load_groups())]
    refuse_checkpoint(output, force=force)
    refuse_output(metrics_path(output), force=force)
    if report is not None:
        refuse_output(report, force=force)
        require_pages()
    instead = {"epochs": epochs, "devices": devices, "learning_rate": "auto" if find_learning_rate else None}
    fit = loaded.fit.model_copy(update={key: value for key, value in instead.items() if value is not None})
    loaded = loaded.model_copy(update={"fit": fit})
    with state_told(output, resume=resume), event_progress() as progress:
        found = run(
            loaded, expand_events(data), output, exclude=left_out, device=device, cache=cache, resume=resume, logs=logs,
            progress=progress, told=_tell_epoch, noted=print_notice,
        )  # fmt: skip
    metrics = plain_data(found)
    text = json.dumps(metrics, indent=2)
    write_whole(metrics_path(output), f"{text}\n".encode())
    if report is not None:
        from hepfilter.visual.training_report import write_training_report

        write_training_report(metrics, report)
    if as_json:
        print(text)
    else:
        print_report(found, stdout())
        since = " since it was resumed" if found.resumed else ""
        stdout().print(f"trained and tested in {found.seconds:.0f} s{since}")


@contextmanager
def state_told(output: Path, *, resume: bool) -> Iterator[None]:
    """Says what becomes of the state of a training that was ended: of an earlier one, and of this one."""
    from hepfilter.models.metadata import metrics_path
    from hepfilter.training.run import state_path

    state = state_path(output)
    if state.exists() and not resume:
        print_notice(f"{state}, of a training that was ended, is replaced: no --resume was given")
    try:
        yield
    except SystemExit as stop:
        if stop.code and state.exists():  # 0: a process beside the first
            options = "--resume --force" if output.exists() else "--resume"
            untested = output.exists() and not metrics_path(output).exists()
            note = f"{output} has no metrics; " if untested else ""
            print_error(f"{note}{state} has the state after the last whole epoch: {options} goes on")
        raise


def _tell_epoch(number: int, epoch: "Epoch") -> None:
    """A line for each epoch, in logs of batch jobs too."""
    losses = f"training loss {epoch.training_loss:.4f}, validation loss {epoch.validation_loss:.4f}"
    print_notice(f"epoch {number}: {losses}")


def print_report(report: "TrainingReport", console: "Console") -> None:
    """The results of the test, and what was trained."""
    from hepfilter.cli.performance import print_families, print_summaries

    print_families(console, report.families, ["interest"])
    print_summaries(console, report.summaries)
    console.print(
        f"{report.model}: hash {report.model_hash[:12]}, {report.parameters:,} parameters, "
        f"best of {counted(len(report.epochs), 'epoch')}: {report.best_epoch + 1}",
        markup=False,
    )
