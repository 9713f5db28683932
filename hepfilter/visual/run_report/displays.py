"""The displays of the most interesting events, for a run's page."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from hepfilter.errors import CheckpointError, SchemaError
from hepfilter.evaluation.displayed import read_displayed
from hepfilter.skim.displaying import own_model, without_blinded
from hepfilter.skim.parts import Part
from hepfilter.skim.reporting.containers import RunReport, TopEvent
from hepfilter.visual.display_page import event_section
from hepfilter.visual.page import Section

Displays = Mapping[tuple[str, int], Section]
"""Event displays, by output and entry."""


def make_displays(report: RunReport, *, device: str = "auto") -> Displays:
    """The displays of the report's most interesting events; none where the output's objects cannot be read.

    Explained by the run's model, if that is here.
    """
    found: dict[tuple[str, int], Section] = {}
    for story in report.stories:
        of_path: dict[str, list[TopEvent]] = defaultdict(list)
        for event in story.top:
            of_path[event.path].append(event)
        for path, events in of_path.items():
            found |= _of_output(path, events, story.parts, device=device)
    return found


def _of_output(
    path: str, events: Sequence[TopEvent], parts: Sequence[Part], *, device: str
) -> dict[tuple[str, int], Section]:
    """The displays of some events of one output of a skim with these parts."""
    model = _model(parts[0])
    try:
        shown = read_displayed(path, entries=[one.entry for one in events], model=model, device=device)
    except SchemaError:
        return {}
    known = [without_blinded(one, parts) for one in shown]
    return {(path, one.entry): event_section(one, anchor=f"event-{one.entry}") for one in known}


def _model(part: Part) -> str | None:
    """The run's model, None if it is not here or another one now."""
    try:
        return own_model(part)
    except CheckpointError:
        return None
