"""An event as the rows of data that its Vega-Lite chart draws; short names and few digits keep pages small."""

from math import cos, degrees, pi, sin
from typing import Any, Final

from hepfilter.evaluation.displayed import DisplayedEdge, DisplayedEvent, DisplayedObject
from hepfilter.visual import event_views as views
from hepfilter.visual.rounding import rounded

MOST_PARTICLES: Final = 250
MOST_EDGES: Final = 250
"""As many particles, the hardest, and edges, those that carry most, are in a chart."""
_RIM: Final = 12  # points of a circle, joined by a smooth line

Rows = list[dict[str, Any]]


def shown_objects(event: DisplayedEvent) -> list[tuple[int, DisplayedObject]]:
    """(place, object) of those in the chart: all, but of particles those that are hard or carry something."""
    important = {place for place, _ in views.carriers(event)}
    return [
        (place, one)
        for place, one in enumerate(event.objects)
        if one.collection != "particle" or one.number <= MOST_PARTICLES or place in important
    ]


def object_rows(event: DisplayedEvent) -> Rows:
    """Where each object is in both views, and all that is known of it."""
    most, signs, rows = views.most_carried(event), views.signs(event), []
    for place, one in shown_objects(event):
        x, y = views.transverse(one.pt, one.phi)
        is_particle = one.collection == "particle"
        row = {
            "id": place,
            "name": one.name,
            "sign": "" if one.kind == "fatjet" else signs.get(one.name, ""),
            "kind": views.LOOKS[one.kind].title,
            "pt": rounded(one.pt),
            "eta": None if one.kind == "met" else rounded(one.eta),
            "phi": rounded(one.phi),
            "mass": rounded(one.mass),
            "x": rounded(x),
            "y": rounded(y),
            "size": rounded(min(8 + one.pt, 150) if is_particle else min(70 + one.pt, 350)),
            "turn": rounded(-degrees(one.phi)) if one.kind == "met" else 0,
            "rim": 0.0,
        }
        if one.charge is not None:
            row["charge"] = rounded(one.charge)
        if one.carried is not None:
            row |= {"carried": rounded(one.carried), "rim": rounded(2.5 * max(one.carried, 0.0) / most)}
        rows.append(row)
    return rows


def circle_rows(event: DisplayedEvent) -> Rows:
    """The rims of jets in the η–φ view; `line` tells one closed line from another."""
    rows = []
    for place, one in shown_objects(event):
        half_width = event.radii.get(one.collection, 0.0)
        for number, phi in enumerate(views.copies(one, half_width) if half_width else ()):
            for step in range(_RIM):
                angle = 2 * pi * step / _RIM
                at = {"eta": rounded(one.eta + half_width * cos(angle)), "phi": rounded(phi + half_width * sin(angle))}
                rows.append({"id": place, "line": f"{place}.{number}", "step": step, **at, **_who(one)})
    return rows


def cone_rows(event: DisplayedEvent) -> Rows:
    """The outlines of jets in the transverse view."""
    rows = []
    for place, one in shown_objects(event):
        if one.collection in event.radii:
            for step, (x, y) in enumerate(views.cone(one, event.radii[one.collection])):
                rows.append({"id": place, "step": step, "x": rounded(x), "y": rounded(y), **_who(one)})
    return rows


def edge_rows(event: DisplayedEvent) -> tuple[Rows, Rows]:
    """The lines of the edges in the η–φ view, and those in the transverse view, one each."""
    plane, across = [], []
    strongest = views.strongest(event.edges, MOST_EDGES)
    for edge in strongest:
        row = _edge_row(event, edge, share=abs(edge.carried) / (abs(strongest[0].carried) or 1.0))
        ends = event.objects[edge.first], event.objects[edge.second]
        (x, y), (x2, y2) = (views.transverse(one.pt, one.phi) for one in ends)
        across.append(row | {"x": rounded(x), "y": rounded(y), "x2": rounded(x2), "y2": rounded(y2)})
        for line in views.segments(*ends) if views.in_plane(*ends) else ():
            plane.append(row | dict(zip(("eta", "phi", "eta2", "phi2"), map(rounded, line), strict=True)))
    return plane, across


def carrier_rows(event: DisplayedEvent) -> Rows:
    """The objects that carry most."""
    return [
        {"id": place, "label": f"{one.name}, {one.pt:.0f} GeV", "carried": rounded(one.carried or 0.0), **_who(one)}
        for place, one in views.carriers(event)
    ]


def edge_bar_rows(event: DisplayedEvent) -> Rows:
    """The edges that carry most."""
    return [_edge_row(event, edge, share=1.0) for edge in views.strongest(event.edges, views.MOST_BARS)]


def ring_rows(event: DisplayedEvent) -> Rows:
    """The circles of equal pt in the transverse view; the first point of each has its label."""
    rows, quiet = [], views.quiet_direction(event)
    for pt in views.rings(event):
        for step in range(_RIM):
            x, y = views.transverse(pt, quiet + 2 * pi * step / _RIM)
            rows.append({"pt": pt, "step": step, "x": rounded(x), "y": rounded(y), "label": "" if step else f"{pt:g}"})
    return rows


def _edge_row(event: DisplayedEvent, edge: DisplayedEdge, *, share: float) -> dict[str, Any]:
    """An edge, with how it is drawn: `share` is what it carries in units of the largest."""
    return {
        "a": edge.first,
        "b": edge.second,
        "label": views.edge_name(event, edge),
        "carried": rounded(edge.carried),
        "size": rounded(abs(edge.carried)),
        "width": rounded(0.4 + 3 * share),
        "shade": rounded(0.15 + 0.6 * share),
    }


def _who(one: DisplayedObject) -> dict[str, Any]:
    return {"name": one.name, "kind": views.LOOKS[one.kind].title, "pt": rounded(one.pt), "mass": rounded(one.mass)}
