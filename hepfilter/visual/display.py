"""The picture of one event: where its objects are, what carries its score, and who it is."""

import warnings
from collections.abc import Callable, Sequence
from io import BytesIO
from math import pi
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Polygon
from matplotlib.text import Annotation
from numpy.typing import NDArray

from hepfilter.evaluation.displayed import DisplayedEdge, DisplayedEvent, DisplayedObject
from hepfilter.visual import event_views as views
from hepfilter.visual.style import GREY, colour, plot_style, say_why_empty

_INK, _SOFT = "#1b2126", "#55606b"
_DASHED = (0, (2, 2))
_WIDTH, _HEAD, _LINE, _VIEWS, _BARS = 13.6, 0.9, 0.33, 5.3, 3.1  # inches


def plot_event(event: DisplayedEvent, axes: Sequence[Axes] | None = None) -> Sequence[Axes]:
    """Draw the event: η–φ view, transverse view and, where a model explains it, what its objects and its edges carry.

    In the given axes, as many views as there are axes; else in a figure of its own, with who the event is above them.
    """
    with plot_style():
        panels = _figure(event) if axes is None else axes
        for panel, draw in zip(panels, (plot_eta_phi, plot_transverse, plot_carriers, plot_edges), strict=False):
            draw(panel, event)
        if axes is None:
            _add_legend(panels[0], event)
        return panels


def draw_file(events: Sequence[DisplayedEvent], suffix: str) -> bytes:
    """Pictures as a file: one event as ``.png`` or ``.svg``, any number as the pages of a ``.pdf``.

    The same events give the same bytes.
    """
    out = BytesIO()
    with plot_style(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph .* missing from font")  # a file's name may have any; a box says so
        figures = [_settled(plot_event(event)) for event in events]
        if suffix == ".pdf":
            with PdfPages(out, metadata={"CreationDate": None}) as pages:
                for figure in figures:
                    pages.savefig(figure)
        else:
            (figure,) = figures
            metadata = {"Software": None} if suffix == ".png" else {"Date": None}
            figure.savefig(out, format=suffix[1:], metadata=metadata)
    return out.getvalue()


def _settled(panels: Sequence[Axes]) -> Figure:
    """The figure of the panels, laid out once for all; what the layout leaves open in the last digits is rounded."""
    figure = panels[0].get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for part in figure.subfigs:
        part.bbox_relative.set_points(part.bbox_relative.get_points().round(5))
    for panel in panels:
        left, bottom, width, height = panel.get_position(original=True).bounds
        panel.set_position((round(left, 5), round(bottom, 5), round(width, 5), round(height, 5)))
    return figure


def plot_eta_phi(axes: Axes, event: DisplayedEvent) -> Axes:
    """Objects at their η and φ, by kind and pt, jets as circles of their radius, edges by what they carry."""
    signs = views.signs(event)
    for one in event.objects:
        if one.collection in event.radii:
            half_width, own = event.radii[one.collection], _colour(one)
            for phi in views.copies(one, half_width):
                axes.add_patch(Circle((one.eta, phi), half_width, facecolor=own, alpha=0.18, zorder=1))
                axes.add_patch(Circle((one.eta, phi), half_width, fill=False, edgecolor=own, linewidth=1.2, zorder=2))
    for edge in views.strongest(event.edges, views.MOST_EDGES):
        ends = event.objects[edge.first], event.objects[edge.second]
        if views.in_plane(*ends):
            for eta, phi, other_eta, other_phi in views.segments(*ends):
                _draw_edge(axes, event, edge, (eta, other_eta), (phi, other_phi))
    for one in event.objects:
        if one.kind == "met":
            axes.axhline(one.phi, color=_colour(one), linestyle="--", linewidth=1.5, zorder=1)
            behind = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1}
            axes.text(
                4.85, one.phi, f"MET {one.pt:.0f} GeV", color=_SOFT, fontsize=10, ha="right", va="center", bbox=behind
            )
        elif one.kind == "fatjet":
            _name(axes, signs[one.name], (one.eta - event.radii["fatjet"], one.phi))
        elif one.collection != "particle" and abs(one.eta) <= views.MAX_ETA:
            _mark(axes, event, one, (one.eta, one.phi), signs[one.name])
    _mark_particles(axes, event, lambda one: (one.eta, one.phi))
    axes.set(xlim=(-views.MAX_ETA, views.MAX_ETA), ylim=(-pi, pi), aspect="equal")
    axes.set_yticks([-pi, -pi / 2, 0, pi / 2, pi], ["−π", "−π/2", "0", "π/2", "π"])
    axes.set_xlabel("η", loc="right", labelpad=0)
    axes.set_ylabel("φ", loc="top", rotation=0, labelpad=0)
    return axes


def plot_transverse(axes: Axes, event: DisplayedEvent) -> Axes:
    """The event along the beam: objects as lines as long as √pt, jets as cones, missing momentum as an arrow."""
    end, quiet, signs = views.reach(event), views.quiet_direction(event), views.signs(event)
    for pt in views.rings(event):
        axes.add_patch(Circle((0, 0), views.radius(pt), fill=False, edgecolor=GREY, linewidth=0.6, zorder=0))
        behind = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
        place = views.transverse(pt, quiet)
        axes.text(*place, f"{pt:g}", color=_SOFT, fontsize=9, ha="center", va="center", bbox=behind, zorder=0.5)
    for one in event.objects:
        tip, own = views.transverse(one.pt, one.phi), _colour(one)
        if one.collection in event.radii:
            outline = views.cone(one, event.radii[one.collection])
            axes.add_patch(Polygon(outline, facecolor=own, alpha=0.22, zorder=1))
            axes.add_patch(Polygon(outline, fill=False, edgecolor=own, linewidth=1.0, zorder=2))
        elif one.kind == "met":
            arrow = {"arrowstyle": "-|>", "linestyle": "--", "color": own, "linewidth": 2, "mutation_scale": 18}
            axes.annotate("", tip, (0, 0), arrowprops={**arrow, "shrinkA": 0, "shrinkB": 0})
        elif one.collection != "particle":
            axes.plot([0, tip[0]], [0, tip[1]], color=own, linewidth=2.2, zorder=3)
    for edge in views.strongest(event.edges, views.MOST_EDGES):
        tips = [views.transverse(one.pt, one.phi) for one in (event.objects[edge.first], event.objects[edge.second])]
        _draw_edge(axes, event, edge, [x for x, _ in tips], [y for _, y in tips])
    for one in event.objects:
        if one.kind == "met":
            _name(axes, signs[one.name], views.transverse(one.pt, one.phi))
        elif one.kind == "fatjet":
            _name(axes, signs[one.name], views.transverse(one.pt, one.phi + event.radii["fatjet"]))
        elif one.collection != "particle":
            _mark(axes, event, one, views.transverse(one.pt, one.phi), signs[one.name])
    _mark_particles(axes, event, lambda one: views.transverse(one.pt, one.phi), lines=True)
    axes.set(xlim=(-end, end), ylim=(-end, end), aspect="equal", xticks=[], yticks=[])
    axes.set_xlabel("along the beam, length as √pt, rings in GeV", loc="right", fontsize=11)
    return axes


def plot_carriers(axes: Axes, event: DisplayedEvent) -> Axes:
    """Bars: the objects that carry most of the score, up or down."""
    found = [(f"{one.name}, {one.pt:.0f} GeV", one.carried or 0.0, _colour(one)) for _, one in views.carriers(event)]
    _draw_bars(axes, found, "the model looks at no object of it")
    axes.set_title(f"what carries the interest of {event.score or 0.0:.2f}: objects", loc="left")
    axes.set_xlabel("score lost without it (log-odds)", loc="right")
    return axes


def plot_edges(axes: Axes, event: DisplayedEvent) -> Axes:
    """Bars: the edges that carry most of the score, up or down."""
    strongest = views.strongest(event.edges, views.MOST_BARS)
    _draw_bars(
        axes, [(views.edge_name(event, edge), edge.carried, _SOFT) for edge in strongest], "the graph has no edge"
    )
    axes.set_title("edges", loc="left")
    axes.set_xlabel("score lost when cut (log-odds)", loc="right")
    return axes


def _figure(event: DisplayedEvent) -> Sequence[Axes]:
    """An empty figure with two views, or four where there is something to explain, below who the event is."""
    heights = (_HEAD + _LINE * bool(event.paths), _VIEWS, _BARS)[: 3 if event.model is not None else 2]
    figure = Figure(figsize=(_WIDTH, sum(heights) + 0.7), layout="constrained")
    head, *rows = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False).ravel().tolist()
    _write_head(head, event, lines=(heights[0] - np.array([0.35, 0.7, 0.7 + _LINE])) / heights[0])
    ratios = [{"width_ratios": (1.62, 1)}, {"width_ratios": (1.3, 1)}]
    return [panel for row, own in zip(rows, ratios, strict=False) for panel in row.subplots(1, 2, gridspec_kw=own)]


def _write_head(head: SubFigure, event: DisplayedEvent, *, lines: NDArray[np.float64]) -> None:
    """Who the event is, at these heights of lines."""
    name = head.text(0.02, lines[0], "hepfilter", fontsize=22, fontweight="bold")
    beside: dict[str, Any] = {"xycoords": name, "textcoords": "offset points", "fontsize": 17, "fontstyle": "italic"}
    head.add_artist(Annotation("event display", (1, 0), (9, 4.5), **beside))
    head.text(0.985, lines[0], views.file_name(event), fontsize=13, color=_SOFT, ha="right", parse_math=False)
    head.text(0.02, lines[1], views.title(event), fontsize=15)
    head.text(
        0.985, lines[1], "    ".join(f"{what} {value}" for what, value in views.scores(event)), fontsize=13, ha="right"
    )
    if event.paths:
        head.text(0.02, lines[2], "    ".join(f"{what} {value}" for what, value in views.passed(event)), fontsize=13)


def _add_legend(axes: Axes, event: DisplayedEvent) -> None:
    """Below all, what kinds of objects the event has."""
    own: dict[str, Any] = {"markersize": 9, "markeredgecolor": "white", "linestyle": ""}
    looks = [views.LOOKS[kind] for kind in views.kinds(event)]
    handles = [Line2D([], [], color=colour(look.colour), marker=look.marker, label=look.title, **own) for look in looks]
    if event.edges:
        handles.append(Line2D([], [], color=_INK, linewidth=1.5, label="edge that raises the score"))
        handles.append(Line2D([], [], color=_INK, linewidth=1.5, linestyle=_DASHED, label="lowers it"))
    if event.model is not None:
        rim = {**own, "markeredgecolor": _INK, "markeredgewidth": 2}
        handles.append(Line2D([], [], color="none", marker="o", label="rim: it raises the score", **rim))
    figure = axes.get_figure(root=True)
    if handles and figure is not None:
        figure.legend(handles=handles, loc="outside lower center", ncols=6, fontsize=12)


def _mark(axes: Axes, event: DisplayedEvent, one: DisplayedObject, place: tuple[float, float], sign: str) -> None:
    """A marker as large as its pt says, with a dark rim as wide as what it carries, and its sign."""
    width = _rim(event, one)
    axes.plot(
        *place, views.LOOKS[one.kind].marker, color=_colour(one), markersize=min(5 + 0.9 * (4 + one.pt) ** 0.5, 16.0),
        markeredgecolor=_INK if width else "white", markeredgewidth=width or 0.8, zorder=5,
    )  # fmt: skip
    _name(axes, sign, place)


def _mark_particles(
    axes: Axes, event: DisplayedEvent, place: Callable[[DisplayedObject], tuple[float, float]], *, lines: bool = False
) -> None:
    """All particles, small and without signs, kind by kind: there may be thousands; with `lines` from the origin."""
    particles = [one for one in event.objects if one.collection == "particle"]
    for kind in dict.fromkeys(one.kind for one in particles):
        own = [one for one in particles if one.kind == kind]
        tips, shade = [place(one) for one in own], _colour(own[0])
        if lines:
            axes.add_collection(
                LineCollection([((0, 0), tip) for tip in tips], colors=shade, linewidths=0.7, alpha=0.6)
            )
        x, y = zip(*tips, strict=True)
        rims = [_rim(event, one) for one in own]
        sizes = [min(1.2 * (1 + one.pt), 250.0) for one in own]
        style: dict[str, Any] = {"color": shade, "marker": views.LOOKS[kind].marker, "alpha": 0.8, "zorder": 5}
        axes.scatter(x, y, sizes, linewidths=rims, edgecolors=_INK, **style)


def _rim(event: DisplayedEvent, one: DisplayedObject) -> float:
    """How wide its rim is: what it carries, if it raises the score much."""
    share = max(one.carried or 0.0, 0.0) / views.most_carried(event)
    return 2.2 * share if share > 0.15 else 0.0


def _name(axes: Axes, sign: str, place: tuple[float, float]) -> None:
    """The sign of an object beside its place."""
    text: dict[str, Any] = {"textcoords": "offset points", "fontsize": 11, "color": _INK, "annotation_clip": True}
    axes.annotate(sign, place, (6, 5), zorder=6, **text)


def _draw_edge(axes: Axes, event: DisplayedEvent, edge: DisplayedEdge, x: Sequence[float], y: Sequence[float]) -> None:
    """A line as wide and as dark as what it carries says, dashed where it lowers the score."""
    share = abs(edge.carried) / max(abs(views.strongest(event.edges, 1)[0].carried), 1e-9)
    style = "-" if edge.carried >= 0 else _DASHED
    axes.plot(x, y, color=_INK, linestyle=style, linewidth=0.3 + 2.7 * share, alpha=0.12 + 0.6 * share, zorder=2.5)


def _draw_bars(axes: Axes, bars: Sequence[tuple[str, float, str]], reason: str) -> None:
    """(name, value, colour) of each, the first on top."""
    if not bars:
        say_why_empty(axes, reason)
        axes.set(xticks=[], yticks=[])
        return
    names, values, colours = zip(*bars, strict=True)
    axes.barh(range(len(bars)), values, height=0.7, color=colours)
    axes.axvline(0, color=_INK, linewidth=1)
    axes.set_yticks(range(len(bars)), names, fontsize=11)
    axes.yaxis.set_tick_params(which="both", length=0)
    axes.set_ylim(max(len(bars), 4) - 0.4, -0.6)


def _colour(one: DisplayedObject) -> str:
    return colour(views.LOOKS[one.kind].colour)
