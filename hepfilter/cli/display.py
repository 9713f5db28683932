"""`hepfilter display`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hepfilter.cli.completion import MODELS
from hepfilter.cli.options import Device, Schema

if TYPE_CHECKING:
    from hepfilter.evaluation.displayed import DisplayedEvent
    from hepfilter.io.sources import Source

_NO_MODEL = "none"
_SUFFIXES = (".html", ".png", ".svg", ".pdf")
_WHOLE = (".html", ".pdf")
"""Those that hold any number of events."""


def display(
    inputs: Annotated[
        list[str], typer.Argument(metavar="FILE…", help="ROOT files: paths, globs, folders, @list.txt, file.root:tree.")
    ],
    entry: Annotated[int | None, typer.Option(min=0, help="The event at this entry of the file, from 0 on.")] = None,
    event: Annotated[str | None, typer.Option(metavar="RUN:LUMI:EVENT", help="The event of this identity.")] = None,
    top: Annotated[
        int | None,
        typer.Option(
            min=1, max=1000, help="This many events of highest interest: as a skim stored it, or as the model says."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE.html|.png|.svg|.pdf",
            help="An interactive page, or pictures, by the suffix; several pictures are numbered. A name is made if "
            "none is given: a picture of one event, a page of several.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            autocompletion=MODELS,
            help="The model that explains: one that ships, a checkpoint file, or none. If not given, the one that made "
            "the skim, else interest-objects.",
        ),
    ] = None,
    schema: Schema = None,
    device: Device = "auto",
    force: Annotated[bool, typer.Option("--force", help="Replace outputs that exist.")] = False,
) -> None:
    """Show events: their objects in η–φ and along the beam, their scores, and what carries them.

    Every object and every edge of the graph is taken away by itself, and the event scored again.

    Example: hepfilter display data.root --top 5 -o top.html
    """
    from hepfilter.cli.extras import require_pages, require_plots
    from hepfilter.cli.terminal import stdout
    from hepfilter.errors import SourceError
    from hepfilter.io.publishing import refuse_output, write_whole
    from hepfilter.io.sources import expand_sources, refuse_inputs
    from hepfilter.skim.displaying import read_visible

    chosen = _chosen(entry, event, top)
    path = _default(inputs[0], chosen) if output is None else output
    paths, sources = _paths(path, top), expand_sources(inputs)
    refuse_inputs(paths, sources)
    for one in paths:
        refuse_output(one, force=force)
    (require_pages if path.suffix == ".html" else require_plots)()
    used = _model_of(sources[0]) if model is None else None if model == _NO_MODEL else model
    events = read_visible(inputs, **chosen, model=used, schema=schema, device=device)
    if not events:
        raise SourceError(f"{inputs[0]}: holds no event that can be shown; nothing is written")
    for shown in events:
        stdout().print(_line(shown), markup=False)
    for one, content in zip(paths, _contents(events, path.suffix), strict=False):
        write_whole(one, content)
        stdout().print(f"written: {one}", markup=False)


def _chosen(entry: int | None, event: str | None, top: int | None) -> dict[str, Any]:
    """Which events, as `read_visible` takes it; UsageError unless it is said in one way."""
    from hepfilter.errors import UsageError

    if [entry, event, top].count(None) != 2:
        raise UsageError("say which events in one way: --entry N, --event RUN:LUMI:EVENT or --top N")
    if event is not None:
        parts = event.split(":")
        if len(parts) != 3 or not all(part.isascii() and part.isdigit() and int(part) < 2**63 for part in parts):
            raise UsageError(f"--event {event}: is no RUN:LUMI:EVENT, as 1:23:456 is")
        return {"identities": [tuple(map(int, parts))]}
    return {"entries": [entry]} if top is None else {"top": top}


def _default(first: str, chosen: dict[str, Any]) -> Path:
    """A name in the folder where the command runs: of the input, and of the event."""
    stem = Path(first).name.partition(".root")[0].strip("*?@[]") or "events"
    match chosen:
        case {"entries": [entry]}:
            return Path(f"{stem}-entry-{entry}.png")
        case {"identities": [identity]}:
            return Path(f"{stem}-{'-'.join(map(str, identity))}.png")
        case _:
            return Path(f"{stem}-top-{chosen['top']}.html")


def _paths(path: Path, top: int | None) -> list[Path]:
    """The files to be written; UsageError for a suffix that means no kind of file."""
    from hepfilter.errors import UsageError, nearest

    if path.suffix not in _SUFFIXES:
        hint = nearest(path.suffix, _SUFFIXES) or f"; {', '.join(_SUFFIXES)} work"
        raise UsageError(f"{path}: its suffix {path.suffix!r} says no kind of output{hint}")
    if top in (None, 1) or path.suffix in _WHOLE:
        return [path]
    digits = len(str(top))
    return [path.with_stem(f"{path.stem}-{number:0{digits}}") for number in range(1, top + 1)]


def _contents(events: "Sequence[DisplayedEvent]", suffix: str) -> Iterator[bytes]:
    """The files, in their order."""
    if suffix == ".html":
        from hepfilter.visual.display_page import events_page

        yield events_page(events).encode()
        return
    from hepfilter.visual.display import draw_file

    if suffix in _WHOLE:
        yield draw_file(events, suffix)
    else:
        yield from (draw_file([event], suffix) for event in events)


def _model_of(source: "Source") -> str | None:
    """The model that decided in an output of a skim, or None with a notice if it is not here; else one that ships."""
    from hepfilter.cli.notices import print_notice
    from hepfilter.errors import CheckpointError
    from hepfilter.io.reading import open_file
    from hepfilter.skim.displaying import own_model
    from hepfilter.skim.parts import read_parts
    from hepfilter.skim.recipe import SHIPPED

    with open_file(source) as file:
        part = next((part for part in read_parts(file) if part.recipe.needs_scores), None)
    if part is None:
        return SHIPPED
    try:
        return own_model(part)
    except CheckpointError as error:
        print_notice(f"{source.path}: nothing is explained: {error}; give that with --model")
        return None


def _line(event: "DisplayedEvent") -> str:
    """Who the event is, its interest, and what carries it."""
    from hepfilter.visual import event_views

    facts = [f"{event.file}: {event.name}", event_views.counts(event)]
    if "interest" in event.scores:
        facts.append(f"interest {event.scores['interest']:.2f}")
    if raising := event_views.raising(event):
        facts.append(f"carried most by {', '.join(raising)}")
    if event.paths:
        facts.append(f"passed {', '.join(event.paths)}")
    return "; ".join(facts)
