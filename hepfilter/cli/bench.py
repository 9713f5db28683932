"""`hepfilter bench`: events per second of a network, step by step."""

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from hepfilter.cli.completion import complete_shipped
from hepfilter.cli.options import Device
from hepfilter.wording import counted

if TYPE_CHECKING:
    from hepfilter.scoring.benchmark import BenchReport, Machine
    from hepfilter.scoring.inference import Precision
    from hepfilter.scoring.peers import PeerReport


class PrecisionChoice(StrEnum):
    """What a network may be computed in."""

    float32 = "float32"
    bfloat16 = "bfloat16"


def bench(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            autocompletion=complete_shipped("pretrained", "models"),
            help="A model that ships, a checkpoint, or an architecture (random weights).",
        ),
    ] = "interest-objects",
    graph: Annotated[
        str | None,
        typer.Option(
            autocompletion=complete_shipped("graphs"),
            help="Graph specification for an architecture; objects if not given.",
        ),
    ] = None,
    events: Annotated[int, typer.Option("--events", "-n", min=1, max=10**7, help="Events to generate.")] = 4096,
    batch: Annotated[
        int, typer.Option(min=1, max=10**6, help="Events in a batch of training, and beside the peers.")
    ] = 64,
    device: Device = "auto",
    precision: Annotated[
        list[PrecisionChoice] | None, typer.Option(help="float32 or bfloat16; repeatable; both if not given.")
    ] = None,
    compile: Annotated[bool, typer.Option("--compile", help="Compiled too; minutes, and a C++ compiler.")] = False,
    peers: Annotated[
        bool, typer.Option("--peers", help="Compare with ParticleNet and ParT of weaver-core instead.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Measure events per second from graphs to scores and in training, on generated events.

    Example: hepfilter bench interest-objects --precision float32
    """
    from dataclasses import asdict

    from hepfilter.cli.terminal import event_progress
    from hepfilter.scoring.benchmark import benchmark, network_of

    precisions: tuple[Precision, ...] = tuple(choice.value for choice in precision or PrecisionChoice)
    if peers:
        from hepfilter.scoring.peers import compare

        with event_progress("step") as progress:
            compared = compare(device=device, precisions=precisions, n_events=batch, progress=progress)
        print(json.dumps(asdict(compared), indent=2)) if as_json else _print_peers(compared)
        return
    network = network_of(model, graph)
    with event_progress("step") as progress:
        report = benchmark(
            network,
            name=model,
            device=device,
            precisions=precisions,
            compile=compile,
            n_events=events,
            batch=batch,
            progress=progress,
        )
    print(json.dumps(asdict(report), indent=2)) if as_json else _print_report(report)


def _print_report(report: "BenchReport") -> None:
    """One row per step, precision, and number of threads."""
    from rich.table import Table

    from hepfilter.cli.terminal import stdout

    console = stdout()
    console.print(_machine(report.machine), markup=False)
    console.print(
        f"{report.model}: {report.architecture} on {report.graph}, {counted(report.parameters, 'parameter')}, "
        f"{report.mean_nodes:.1f} nodes an event",
        markup=False,
    )
    table = Table("step", "precision", "compiled", "threads", "events × nodes", "first run, s", "events/s")
    for row in report.measurements:
        compiled, shape = "yes" if row.compiled else "no", f"{row.n_events} × {row.n_nodes}"
        rates = (f"{row.first:.3f}", f"{row.events_per_second:,.0f}")
        table.add_row(row.step, row.precision, compiled, str(row.threads), shape, *rates)
    console.print(table)


def _print_peers(report: "PeerReport") -> None:
    """One row per network, step and precision."""
    from rich.table import Table

    from hepfilter.cli.terminal import stdout

    console = stdout()
    threads = counted(report.threads, "thread")
    console.print(
        f"{_machine(report.machine)}, {threads}; {report.n_events} × {report.n_nodes} particles", markup=False
    )
    table = Table("size", "parameters", "step", "precision", "ours, events/s", "weaver, events/s", "ratio")
    for row in report.measurements:
        sizes = " / ".join(f"{number:,}" for number in report.parameters[row.size])
        rates = (f"{row.ours:,.1f}", f"{row.theirs:,.1f}", f"{row.ratio:.2f}")
        table.add_row(row.size, sizes, row.step, row.precision, *rates)
    console.print(table)


def _machine(machine: "Machine") -> str:
    """Processor, CUDA device if that is what was measured, and torch."""
    device = "" if machine.device == machine.processor else f", {machine.device}"
    return f"{machine.processor}{device}, torch {machine.torch}"
