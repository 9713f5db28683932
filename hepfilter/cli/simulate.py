"""The command ``hepfilter simulate``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.progress import Progress

    from hepfilter.simulation.sample import SampleReport


def simulate(
    cards: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CARD…",
            help="Processes to make: names of built-in cards (see --list) or YAML files.",
            show_default=False,
        ),
    ] = None,
    events: Annotated[int, typer.Option("--events", "-n", help="Events of each process.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", "-s", help="Same cards, events and seed: same file content.")] = 1,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="ROOT file to write.", show_default=False)
    ] = None,
    workers: Annotated[int, typer.Option("--workers", "-w", help="Processes that generate side by side.")] = 1,
    particles: Annotated[
        bool,
        typer.Option("--particles", help="Write all particle-flow candidates too (PFCands): 2 to 3 kB more an event."),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an output that exists.")] = False,
    list_cards: Annotated[bool, typer.Option("--list", help="List the built-in cards and stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Simulate collisions with Pythia 8 and a parametric detector, as NanoAOD-style ROOT with truth labels.

    Example: hepfilter simulate qcd_200 ttbar -n 1000 -o sample.root
    """
    if list_cards:
        _print_cards(as_json=as_json)
        return
    from hepfilter.config.card import load_card
    from hepfilter.errors import UsageError
    from hepfilter.io.container import refuse_output
    from hepfilter.simulation.sample import simulate as make_sample

    if not cards:
        raise UsageError("no card given; `hepfilter simulate --list` names those that ship")
    if output is None:
        raise UsageError("no output given; add -o FILE.root")
    refuse_output(output, force=force)
    chosen = [load_card(name) for name in cards]
    with _progress_bar() as bar:
        report = make_sample(
            chosen,
            events=events,
            seed=seed,
            output=output,
            workers=workers,
            particles=particles,
            progress=_follow(bar, total=events * len(chosen)),
        )
    _print_report(report, as_json=as_json)


def _progress_bar() -> "Progress":
    """A bar with events/s on stderr, where that is a terminal; silent elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )


def _follow(bar: "Progress", *, total: int) -> "Callable[[str, int], None]":
    """A callback that moves the bar and says how many events a second there were so far."""
    task = bar.add_task("cross-sections", total=total, rate="")

    def moved(process: str, events: int) -> None:
        current = bar.tasks[0]
        elapsed = current.elapsed or 0.0
        rate = f"{(current.completed + events) / elapsed:.0f} events/s" if elapsed > 0 else ""
        bar.update(task, advance=events, description=process, rate=rate)

    return moved


def _print_cards(*, as_json: bool) -> None:
    import json

    from hepfilter.config.card import card_names, load_card

    shipped = [load_card(name) for name in card_names()]
    if as_json:
        typer.echo(json.dumps([card.model_dump(mode="json") for card in shipped], indent=1))
        return
    kinds = {True: "signal", False: "background"}
    rows = [(card.name, card.family, str(card.label), kinds[card.is_signal], card.title) for card in shipped]
    _print_table(("card", "family", "label", "kind", "title"), rows)


def _print_report(report: "SampleReport", *, as_json: bool) -> None:
    import json

    processes = [
        {
            "name": process.card.name,
            "family": process.card.family,
            "label": process.card.label,
            "is_signal": process.card.is_signal,
            "events": process.events,
            "cross_section_pb": process.cross_section.value_pb,
            "cross_section_error_pb": process.cross_section.error_pb,
            "generator_seconds": round(process.generator_seconds, 3),
            "reconstruction_seconds": round(process.reconstruction_seconds, 3),
        }
        for process in report.processes
    ]
    if as_json:
        summary = {"output": str(report.output), "seed": report.seed, "events": report.events}
        seconds = {"seconds": round(report.seconds, 3)}
        typer.echo(json.dumps({**summary, **seconds, "processes": processes}, indent=1))
        return
    rows = [
        (
            process.card.name,
            str(process.card.label),
            str(process.events),
            f"{process.cross_section.value_pb:.4g} ± {process.cross_section.error_pb:.1g}",
            f"{process.generator_seconds:.1f}",
            f"{process.reconstruction_seconds:.1f}",
        )
        for process in report.processes
    ]
    _print_table(("process", "label", "events", "cross-section [pb]", "generator [s]", "detector [s]"), rows)
    rate = report.events / report.seconds
    typer.echo(f"{report.output}: {report.events} events in {report.seconds:.1f} s, {rate:.0f} events/s")


def _print_table(header: tuple[str, ...], rows: "Sequence[tuple[str, ...]]") -> None:
    """Columns padded to their widest cell, so that the output is the same on a terminal and in a pipe."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    for row in [header, *rows]:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
