"""The command ``hepfilter simulate``."""

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hepfilter.cli.completion import complete_shipped, complete_words
from hepfilter.cli.notices import print_error, print_notice
from hepfilter.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from hepfilter.config.sample import Production, SampleSet
    from hepfilter.simulation.sample import ProcessReport, SampleReport

_HEADER = ("process", "label", "events", "cross-section [pb]", "kept", "in file [pb]")
DEFAULT_EVENTS, DEFAULT_SEED, DEFAULT_SIZE = 1000, 1, "tiny"


def simulate(
    cards: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CARD…",
            autocompletion=complete_shipped("simulation"),
            help="Processes: built-in cards (see --list), YAML or Pythia .cmnd files. CARD@VALUE is a mass of a scan "
            "or a slice of pT-hat, CARD@all are all masses or slices.",
            show_default=False,
        ),
    ] = None,
    events: Annotated[
        int | None,
        typer.Option("--events", "-n", help="Events of each process in the file.", show_default=str(DEFAULT_EVENTS)),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed", "-s", help="Same cards, events and seed: same file content.", show_default="1, or the set's own"
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="ROOT file to write.", show_default=False)
    ] = None,
    sample: Annotated[
        str | None,
        typer.Option(
            "--set",
            autocompletion=complete_shipped("samples"),
            help="Make a sample set instead of cards (see --list).",
            show_default=False,
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            "--size",
            autocompletion=complete_words("tiny", "quick", "small", "full"),
            help="Size of the sample set.",
            show_default=DEFAULT_SIZE,
        ),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", "-w", help="Processes that generate side by side.")] = 1,
    particles: Annotated[
        bool | None,
        typer.Option(
            "--particles/--no-particles",
            help="Write all particle-flow candidates too (PFCands): 3 to 8 kB more an event.",
            show_default="no, or as the set says",
        ),
    ] = None,
    pileup: Annotated[
        float | None,
        typer.Option("--pileup", help="Mean number of further collisions.", show_default="0, or the set's own"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an output that exists.")] = False,
    list_cards: Annotated[bool, typer.Option("--list", help="List the built-in cards and sets and stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Simulate collisions with Pythia 8 and a parametric detector, as NanoAOD-style ROOT with truth labels.

    What is made waits in OUTPUT.blocks until the file is whole: after Ctrl-C or a crash, the same command goes on.

    Example: hepfilter simulate qcd@200 ttbar zprime_ll@1500 -n 1000 -o sample.root
    """
    if list_cards:
        _print_catalogue(as_json=as_json)
        return
    from hepfilter.cli.terminal import event_progress
    from hepfilter.config.sample import overlaps
    from hepfilter.errors import UsageError
    from hepfilter.io.publishing import refuse_output
    from hepfilter.simulation.sample import simulate as make_sample
    from hepfilter.simulation.scheduling import adding_up
    from hepfilter.simulation.store import finished_blocks

    if output is None:
        raise UsageError("no output given; add -o FILE.root")
    refuse_output(output, force=force)
    chosen = _chosen_set(sample, cards, events, size)
    productions = chosen.productions(size or DEFAULT_SIZE) if chosen else _productions(cards, events)
    for name, others in overlaps(productions).items():
        print_notice(f"{name} has events of {', '.join(others)}: the weights count them twice")
    if blocks := finished_blocks(output):
        print_notice(f"going on from {counted(blocks, 'finished block')} in {output}.blocks")
    with _told_where_to_go_on(output), event_progress() as bar:
        report = make_sample(
            productions,
            seed=seed if seed is not None else chosen.seed if chosen else DEFAULT_SEED,
            output=output,
            workers=workers,
            particles=particles if particles is not None else bool(chosen and chosen.particles),
            pileup=pileup if pileup is not None else chosen.pileup if chosen else 0.0,
            progress=adding_up(bar, total=sum(production.events for production in productions)),
        )
    _print_report(report, as_json=as_json)


@contextmanager
def _told_where_to_go_on(output: Path) -> "Iterator[None]":
    """When a signal, the generator or a worker ends the block, say what is kept for the next try."""
    from hepfilter.errors import SimulationError, WorkerError
    from hepfilter.simulation.store import finished_blocks

    try:
        yield
    except (KeyboardInterrupt, SystemExit, SimulationError, WorkerError):
        if blocks := finished_blocks(output):
            kept = counted(blocks, "finished block")
            print_error(f"kept: {kept}; the same command goes on from there")
        raise


def _chosen_set(
    name: str | None, cards: "Sequence[str] | None", events: int | None, size: str | None
) -> "SampleSet | None":
    """The sample set, if one is named; UsageError where it comes with what it decides itself, or with nothing."""
    from hepfilter.config.sample import load_sample
    from hepfilter.errors import UsageError

    if name is None:
        if not cards:
            raise UsageError("no card given; `hepfilter simulate --list` names those that ship")
        if size is not None:
            raise UsageError("--size is that of a sample set: give --set, or --events for cards")
        return None
    if cards or events is not None:
        raise UsageError("a set decides cards and events itself: leave CARD and --events out, or leave --set out")
    return load_sample(name)


def _productions(cards: "Sequence[str] | None", events: int | None) -> "tuple[Production, ...]":
    from hepfilter.config.card import load_cards
    from hepfilter.config.sample import Production

    wanted = DEFAULT_EVENTS if events is None else events
    return tuple(Production(card, wanted) for name in cards or () for card in load_cards(name))


def _print_catalogue(*, as_json: bool) -> None:
    """The built-in cards and sample sets."""
    import json

    from hepfilter.config.card import card_names, load_card_file
    from hepfilter.config.sample import load_sample, sample_names

    files = [load_card_file(name) for name in card_names()]
    sets = [load_sample(name) for name in sample_names()]
    if as_json:
        catalogue = {
            kind: [entry.model_dump(mode="json") for entry in found]
            for kind, found in (("cards", files), ("sets", sets))
        }
        typer.echo(json.dumps(catalogue, indent=1))
        return
    kinds = {True: "signal", False: "background"}
    rows = []
    for file in files:
        card = file.cards(None, where=file.name)[0]
        points = file.scan.points if file.scan else file.slices.edges if file.slices else ()
        row = (file.name, card.family, str(card.label), kinds[card.is_signal], _span(points), card.title)
        rows.append(row)
    _print_table(("card", "family", "label", "kind", "points", "title"), rows)
    typer.echo()
    _print_table(("set", "sizes", "title"), [(s.name, ", ".join(s.sizes), s.title) for s in sets])


def _span(points: "Sequence[float]") -> str:
    """First and last of the points that may stand behind the @."""
    return f"@{points[0]:g}…{points[-1]:g}" if points else ""


def _print_report(report: "SampleReport", *, as_json: bool) -> None:
    import json

    processes = [
        {
            "name": process.card.name,
            "family": process.card.family,
            "label": process.card.label,
            "is_signal": process.card.is_signal,
            "events": process.events,
            "generated": process.generated,
            "filter_efficiency": process.efficiency,
            "weight_sum_pb": process.books.weight_sum,
            "cross_section_pb": process.cross_section.value_pb,
            "cross_section_error_pb": process.cross_section.error_pb,
            "generator_seconds": round(process.generator_seconds, 3),
            "reconstruction_seconds": round(process.reconstruction_seconds, 3),
        }
        for process in report.processes
    ]
    if as_json:
        summary = {"output": str(report.output), "seed": report.seed, "events": report.events}
        seconds = {"seconds": round(report.seconds, 3), "writing_seconds": round(report.writing_seconds, 3)}
        typer.echo(json.dumps({**summary, **seconds, "processes": processes}, indent=1))
        return
    times = [
        (f"{process.generator_seconds:.1f}", f"{process.reconstruction_seconds:.1f}") for process in report.processes
    ]
    rows = [(*made, *took) for made, took in zip(_rows(report), times, strict=True)]
    _print_table((*_HEADER, "generator [s]", "detector [s]"), rows)
    rate = report.events / report.seconds
    typer.echo(f"{report.output}: {counted(report.events, 'event')} in {report.seconds:.1f} s, {rate:.0f} events/s")


def print_report(report: "SampleReport", console: "Console") -> None:
    """What was made of each process."""
    from hepfilter.cli.performance import make_table

    console.print(make_table("", _HEADER, _rows(report)))


def _rows(report: "SampleReport") -> list[tuple[str, ...]]:
    """Of each process what `_HEADER` names."""
    return [
        (
            process.card.name,
            str(process.card.label),
            str(process.events),
            _with_error(process),
            f"{100 * process.efficiency:.3g} %",
            f"{process.books.weight_sum:.4g}",
        )
        for process in report.processes
    ]


def _with_error(process: "ProcessReport") -> str:
    """The cross-section with Pythia's error, or as the card states it."""
    section = process.cross_section
    if process.card.cross_section_pb is not None:
        return f"{section.value_pb:.4g} (card)"
    return f"{section.value_pb:.4g} ± {section.error_pb:.1g}"


def _print_table(header: tuple[str, ...], rows: "Sequence[tuple[str, ...]]") -> None:
    """Columns padded to their widest cell, so that the output is the same on a terminal and in a pipe."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    for row in [header, *rows]:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
