"""Single events as they are shown, without what the menu that kept them blinds."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hepfilter.config.menu import CONTROL_STREAM
from hepfilter.errors import CheckpointError
from hepfilter.evaluation.choosing import RunLumiEvent
from hepfilter.evaluation.displayed import DisplayedEvent, read_displayed
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source, expand_sources
from hepfilter.models.metadata import read_metadata
from hepfilter.skim.parts import Part, read_parts
from hepfilter.skim.recipe import SHIPPED
from hepfilter.skim.reporting.outputs import read_output
from hepfilter.skim.reporting.shown import read_shown, unblinded


def read_visible(
    inputs: str | Path | Sequence[str | Path],
    *,
    entries: Sequence[int] = (),
    identities: Sequence[RunLumiEvent] = (),
    top: int = 0,
    model: str | None = "interest-objects",
    schema: str | None = None,
    device: str = "auto",
) -> tuple[DisplayedEvent, ...]:
    """What `evaluation.displayed.read_displayed` says, of outputs of a skim without what its menu blinds.

    Events in blind regions, and those that only blind paths took, are passed over by `top`, and a SourceError else.
    """
    given = [inputs] if isinstance(inputs, str | Path) else inputs
    sources = expand_sources([str(one) for one in given])
    parts = {source.path: _blinding_parts(source) for source in sources}
    hidden = {source.path: _hidden(source) for source in sources if parts[source.path]}
    events = read_displayed(
        given, entries=entries, identities=identities, top=top, model=model, schema=schema, device=device, hidden=hidden
    )
    return tuple(without_blinded(event, parts[event.file]) for event in events)


def own_model(part: Part) -> str:
    """The model that decided in a part of an output; CheckpointError if it is not here, or is another one now."""
    name = part.recipe.model or SHIPPED
    if read_metadata(name).model_hash != part.model_hash:
        raise CheckpointError(f"{name} is another model than the one that made it")
    return name


def without_blinded(event: DisplayedEvent, parts: Sequence[Part]) -> DisplayedEvent:
    """The event of an output with these parts without blind paths, and streams that it is in for these alone."""
    menus = [part.menu for part in parts if part.menu is not None and not unblinded(part)]
    blind = {name for menu in menus for name, path in menu.paths.items() if path.blind}
    if not blind:
        return event
    paths = tuple(name for name in event.paths if name not in blind)
    streams = {menu.paths[name].stream for menu in menus for name in paths if name in menu.paths} | {CONTROL_STREAM}
    return replace(event, paths=paths, streams=tuple(name for name in event.streams if name in streams))


def _blinding_parts(source: Source) -> list[Part]:
    """The parts of a file whose menu blinds something that was not to be shown; none if no skim wrote it."""
    with open_file(source) as file:
        parts = [part for part in read_parts(file) if part.menu is not None and not unblinded(part)]
    return [part for part in parts if part.menu and (part.menu.blind or any(p.blind for p in part.menu.paths.values()))]


def _hidden(source: Source) -> NDArray[np.bool_]:
    """[n] which events of an output may not be shown."""
    output = read_output(source)
    hidden = np.ones(output.facts.events, np.bool_)
    for _, shown in read_shown(output, 0, objects=False, progress=lambda *_: None):
        hidden[shown.entry] = False
    return hidden
