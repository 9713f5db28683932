"""Events as sections of a page: who they are, their views, and all their objects as a table."""

from collections.abc import Sequence

from hepfilter.evaluation.displayed import DisplayedEvent
from hepfilter.visual import event_views as views
from hepfilter.visual.display_chart import PAGE, event_chart
from hepfilter.visual.page import Block, Cell, Chart, Folded, Page, Section, Table, Text, Tile, Tiles, Value, render
from hepfilter.wording import counted

_MOST_ROWS = 60
_MEANING = (
    "What an object carries is what the score, in log-odds, loses when the event is built and scored without it. An "
    "edge carries what it loses when the two objects no longer hear of each other. Less than nothing means that it "
    "lowers the score. These numbers do not add up to the score, and claim no cause: they say what this network made "
    "of this event."
)


def events_page(events: Sequence[DisplayedEvent]) -> str:
    """A page that stands alone, with a section for each event, in their order."""
    files = list(dict.fromkeys(views.file_name(event) for event in events))
    where = ", ".join(files[:3]) + (f" and {counted(len(files) - 3, 'more file')}" if len(files) > 3 else "")
    title = views.title(events[0]) if len(events) == 1 else counted(len(events), "event")
    sections = [event_section(event, anchor=f"event-{number + 1}") for number, event in enumerate(events)]
    return render(Page(f"Event display: {title}", sections, subtitle=where))


def event_section(event: DisplayedEvent, *, anchor: str) -> Section:
    """One event, for `Page.sections`."""
    content: list[Block] = [Text(_who(event))]
    if scores := views.scores(event):
        content.append(Tiles([Tile(value, name) for name, value in scores]))
    content += [Text(f"{what.capitalize()}: {names}.") for what, names in views.passed(event)]
    content.append(Chart(event_chart(event, PAGE), "Views", _described(event)))
    if event.model is not None:
        content.append(Folded("What the numbers mean", [Text(_MEANING)]))
    content.append(Folded("All objects", [_table(event)]))
    return Section(views.title(event), anchor, content)


def _who(event: DisplayedEvent) -> str:
    """Where the event is from, what it has, and what explains it."""
    explained = "" if event.model is None else f" Explained by {event.model}."
    return f"{views.file_name(event)}, entry {event.entry}: {views.counts(event)}.{explained}"


def _described(event: DisplayedEvent) -> str:
    """The picture in words, and how it is used."""
    told = "Circles and cones are jets."
    if event.model is not None:
        told += " A dark rim marks what raises the score; edges that lower it are dashed."
    if raising := views.raising(event):
        told += f" Most of the score is carried by {', '.join(raising)}."
    return (
        f"{told} Point at an object to light it up; drag to move, Ctrl and the wheel to enlarge, double click to undo."
    )


def _table(event: DisplayedEvent) -> Table:
    """The objects, the hardest of each collection first; not all where there are very many."""
    columns = ["object", "kind", "pt (GeV)", "η", "φ", "mass (GeV)", "charge", "carries"]
    most, rows = views.most_carried(event), list[list[Value]]()
    for one in event.objects[:_MOST_ROWS]:
        shade = None if one.carried is None else max(one.carried, 0.0) / most
        carried = None if one.carried is None else Cell(f"{one.carried:+.2f}", one.carried, shade)
        eta = None if one.kind == "met" else Cell(f"{one.eta:.2f}", one.eta)
        place = [Cell(f"{one.pt:.1f}", one.pt), eta, Cell(f"{one.phi:.2f}", one.phi), Cell(f"{one.mass:.2f}", one.mass)]
        rows.append([one.name, views.LOOKS[one.kind].title, *place, _charge(one.charge), carried])
    left = len(event.objects) - len(rows)
    return Table(columns, rows, f"the first {len(rows)}, {left:,} more are not shown" if left else "", sortable=True)


def _charge(charge: float | None) -> Value:
    return None if charge is None else Cell(f"{charge:+.0f}", charge)
