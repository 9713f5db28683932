"""The interactive picture of one event, as a Vega-Lite chart: views that can be moved, and that light up together."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, pi
from typing import Any, Final

import altair as alt

from hepfilter.evaluation.displayed import DisplayedEvent
from hepfilter.visual import display_rows, event_views
from hepfilter.visual.page import FAINT, INK, SERIES
from hepfilter.visual.style import COLOURS

_SIDE: Final = 302
_WIDTH: Final = round(_SIDE * event_views.MAX_ETA / pi)
_BAR: Final = 19
_NOTHING: Final = "(!isValid(focus.id) && marked < 0)"
_LIT: Final = f"{_NOTHING} || indexof(focus.id || [], datum.id) >= 0 || datum.id === marked"
_EDGE_LIT: Final = " || ".join(
    [_NOTHING, *(f"indexof(focus.id || [], datum.{end}) >= 0 || datum.{end} === marked" for end in "ab")]
)
_PLANE, _ACROSS, _CARRIERS = "plane_0", "across_1", "carriers_2"  # altair wants the place of the view in a name
_EDGE_SHOWN: Final = "shown && datum.size >= least"
_PHI: Final = "{'-4': '−π', '-2': '−π/2', '0': '0', '2': 'π/2', '4': 'π'}[round(datum.value * 4 / PI)]"


@dataclass(frozen=True)
class Palette:
    """The colours of a chart: those of `style.COLOURS`, by kind; of what stands out; of what lies behind."""

    series: Sequence[str] = COLOURS
    ink: str = "#1b2126"
    faint: str = "#c9d1d6"


PLAIN: Final = Palette()
"""For notebooks and files of pictures."""
PAGE: Final = Palette(SERIES, INK, FAINT)
"""For `visual.page`, whose style sheet has the colours."""


def event_chart(event: DisplayedEvent, palette: Palette = PLAIN) -> alt.ConcatChart:
    """The views of `visual.display.plot_event`, to be moved and to be asked.

    Dragging moves a view, the wheel with Ctrl, or pinching, enlarges it, a double click puts it back. Pointing at an
    object, or choosing it from the menu, lights it and its edges up in all views. With a model a box hides the edges,
    and a slider sets the least that an edge must carry to be shown.
    """
    drawing = _Drawing(event, palette)
    parts: list[alt.Chart | alt.LayerChart] = [drawing.eta_phi(), drawing.transverse()]
    fit = [{"margin": 62, "ratio": pi / event_views.MAX_ETA}, {"margin": 14, "ratio": 1}]
    if event_views.carriers(event):
        parts.append(drawing.carriers())
        fit.append({"margin": 150})
    if event.edges:
        parts.append(drawing.edge_bars())
        fit.append({"margin": 180})
    chart = alt.concat(*parts, columns=2, spacing=18, align="none", usermeta={"fit": fit})
    # One parameter for layers of several views: altair's own way makes one of each view's, and complains.
    chart.params = [*_controls(event), *_pointing(explained=bool(event_views.carriers(event)))]
    whole: alt.ConcatChart = chart.resolve_scale(color="shared", shape="shared").configure_legend(columns=4)
    return whole


def _pointing(*, explained: bool) -> list[Any]:
    """The selection of an object, by the names of the layers that listen to the pointer, and how views are moved."""
    point = {"type": "point", "fields": ["id"], "on": "pointerover", "clear": "pointerout"}
    views = [_PLANE, _ACROSS, *([_CARRIERS] if explained else [])]
    # the wheel alone is for the page; pinching is a wheel with Ctrl
    area = {"type": "interval", "encodings": ["x", "y"], "zoom": "wheel![event.ctrlKey]"}
    moved = [
        alt.TopLevelSelectionParameter(name=f"move_{one}", select=area, bind="scales", views=[one])
        for one in (_PLANE, _ACROSS)
    ]
    return [alt.TopLevelSelectionParameter(name="focus", select=point, views=views), *moved]


def _controls(event: DisplayedEvent) -> list[Any]:
    """The menu of objects, and for edges the box and the slider; without edges these two are fixed."""
    named = [(place, one.name) for place, one in display_rows.shown_objects(event) if one.collection != "particle"]
    named += [(place, one.name) for place, one in event_views.carriers(event) if one.collection == "particle"]
    menu = alt.binding_select(
        options=[-1, *(place for place, _ in named)], labels=["nothing", *(name for _, name in named)], name="light up "
    )
    marked = alt.VariableParameter(name="marked", value=-1, bind=menu)
    strongest = event_views.strongest(event.edges, event_views.MOST_EDGES)
    if not strongest:
        return [
            marked,
            *(alt.VariableParameter(name=name, value=value) for name, value in (("shown", True), ("least", 0))),
        ]
    most = abs(strongest[0].carried) or 1.0
    step = next(
        float(f"{base}e{power}")
        for power in range(-9, 4)
        for base in (1, 2, 5)
        if 100 * float(f"{base}e{power}") >= most
    )
    least = 0.0 if len(event.edges) <= len(strongest) else step * floor(abs(strongest[-1].carried) / step)
    slider = alt.binding_range(min=0, max=step * 100, step=step, name="edges that carry at least ")
    shown = alt.VariableParameter(name="shown", value=True, bind=alt.binding_checkbox(name="edges "))
    return [marked, shown, alt.VariableParameter(name="least", value=float(f"{least:.4g}"), bind=slider)]


class _Drawing:
    """The views of an event, which share the selection of an object and the colours of kinds."""

    def __init__(self, event: DisplayedEvent, palette: Palette) -> None:
        self.event, self.palette = event, palette
        looks = [event_views.LOOKS[kind] for kind in event_views.kinds(event)]
        titles = [look.title for look in looks]
        legend = alt.Legend(title=None) if looks else None  # an empty one is infinitely high
        colours = alt.Scale(domain=titles, range=[palette.series[look.colour] for look in looks])
        self.colour = alt.Color("kind:N", scale=colours, legend=legend)
        shapes = alt.Scale(domain=titles, range=[look.shape for look in looks])
        self.shape = alt.Shape("kind:N", scale=shapes, legend=legend)
        self.objects = alt.InlineData(display_rows.object_rows(event))
        self.in_plane, self.across = map(alt.InlineData, display_rows.edge_rows(event))

    def eta_phi(self) -> alt.LayerChart:
        """Objects, rims of jets and edges at their η and φ; missing momentum as a line at its φ."""
        eta = alt.X("eta:Q", title="η").scale(domain=[-event_views.MAX_ETA, event_views.MAX_ETA], nice=False)
        phi = alt.Y("phi:Q", title="φ").scale(domain=[-pi, pi], nice=False)
        phi = phi.axis(values=[-pi, -pi / 2, 0, pi / 2, pi], labelExpr=_PHI, titleAngle=0)
        rims = (
            alt.Chart(alt.InlineData(display_rows.circle_rows(self.event)))
            .mark_line(
                interpolate="cardinal-closed", tension=0, clip=True, strokeWidth=1.3, filled=True, fillOpacity=0.16
            )
            .encode(
                eta,
                phi,
                detail="line:N",
                order="step:Q",
                color=self.colour,
                stroke=self.colour,
                opacity=_lit(),
                tooltip=_TOOLTIP,
            )
        )
        momentum = (
            alt.Chart(self.objects)
            .transform_filter("!isValid(datum.eta)")
            .mark_rule(strokeDash=[5, 4], strokeWidth=1.6)
            .encode(phi, color=self.colour, tooltip=_TOOLTIP, opacity=_lit())
        )
        edges = self._edges(self.in_plane).encode(eta, phi, x2="eta2:Q", y2="phi2:Q")
        points, signs = self._marks("isValid(datum.eta)", _PLANE)
        layers = [momentum, rims, edges, points.encode(eta, phi), signs.encode(eta, phi)]
        return alt.LayerChart(layer=layers, width=_WIDTH, height=_SIDE, title="Event in η and φ")

    def transverse(self) -> alt.LayerChart:
        """The event along the beam, with rings of equal pt; how many edges are shown."""
        end = event_views.reach(self.event)
        x = alt.X("x:Q", axis=None).scale(domain=[-end, end], nice=False)
        y = alt.Y("y:Q", axis=None).scale(domain=[-end, end], nice=False)
        rings = alt.Chart(alt.InlineData(display_rows.ring_rows(self.event))).encode(x, y)
        circles = rings.mark_line(
            interpolate="cardinal-closed", tension=0, clip=True, strokeWidth=0.8, color=self.palette.faint
        ).encode(detail="pt:N", order="step:Q")
        cones = (
            alt.Chart(alt.InlineData(display_rows.cone_rows(self.event)))
            .mark_line(clip=True, strokeWidth=1.1, filled=True, fillOpacity=0.2)
            .encode(
                x,
                y,
                detail="id:N",
                order="step:Q",
                color=self.colour,
                stroke=self.colour,
                opacity=_lit(),
                tooltip=_TOOLTIP,
            )
        )
        lines = alt.Chart(self.objects).transform_calculate(zero="0").encode(
            x, y, x2="zero:Q", y2="zero:Q", color=self.colour, tooltip=_TOOLTIP, opacity=_lit()
        )  # fmt: skip
        momentum = lines.transform_filter("!isValid(datum.eta)").mark_rule(strokeDash=[5, 4], strokeWidth=2, clip=True)
        straight = lines.transform_filter(_NO_JET).mark_rule(strokeWidth=1.4, clip=True)
        edges = self._edges(self.across).encode(x, y, x2="x2:Q", y2="y2:Q")
        points, signs = self._marks("true", _ACROSS)
        layers = [
            circles, rings.mark_text(fontSize=10, clip=True).encode(text="label:N"),
            cones, momentum, straight, edges, points.encode(x, y), signs.encode(x, y), *self._count(),
        ]  # fmt: skip
        title = "Along the beam: length as √pt, rings in GeV"
        return alt.LayerChart(layer=layers, width=_SIDE, height=_SIDE, title=title)

    def carriers(self) -> alt.Chart:
        """Bars: what objects carry."""
        rows = display_rows.carrier_rows(self.event)
        title = f"Score of {self.event.score or 0.0:.2f}: lost without the object"
        return (
            self._bars(rows, title)
            .encode(color=self.colour, opacity=_lit())
            .properties(name=_CARRIERS, width=1.2 * _SIDE)
        )

    def edge_bars(self) -> alt.Chart:
        """Bars: what edges carry."""
        bars = self._bars(display_rows.edge_bar_rows(self.event), "Lost when the edge is cut")
        return bars.encode(color=alt.value(self.palette.series[7]), opacity=_lit(_EDGE_LIT))

    def _bars(self, rows: display_rows.Rows, title: str) -> alt.Chart:
        names = [row["label"] for row in rows]
        chart: alt.Chart = (
            alt.Chart(alt.InlineData(rows))
            .mark_bar(height=0.7 * _BAR)
            .encode(
                alt.X("carried:Q", title="log-odds"),
                alt.Y("label:N", title=None, sort=names).axis(labelLimit=150, ticks=False, domain=False),
                tooltip=[alt.Tooltip("label:N"), alt.Tooltip("carried:Q", title="carries")],
            )
            .properties(width=_SIDE - 40, height=max(4, len(rows)) * _BAR, title=title)
        )
        return chart

    def _edges(self, rows: alt.InlineData) -> alt.Chart:
        """The edges that box and slider let through; dashed where they lower the score."""
        chart: alt.Chart = (
            alt.Chart(rows)
            .transform_filter(_EDGE_SHOWN)
            .mark_rule(clip=True, color=self.palette.ink)
            .encode(
                strokeWidth=alt.StrokeWidth("width:Q", scale=None, legend=None),
                strokeDash=alt.condition("datum.carried < 0", alt.value([4, 3]), alt.value([1, 0])),
                opacity=alt.condition(_EDGE_LIT, alt.Opacity("shade:Q", scale=None, legend=None), alt.value(0.04)),
                tooltip=[alt.Tooltip("label:N", title="edge"), alt.Tooltip("carried:Q", title="carries")],
            )
        )
        return chart

    def _marks(self, there: str, name: str) -> tuple[alt.Chart, alt.Chart]:
        """The markers of the objects that are `there`, and their signs; a fat jet's rim is enough of a marker.

        The markers, under this `name`, listen to the pointer for the whole view.
        """
        base = alt.Chart(self.objects).transform_filter(there)
        points = (
            base.transform_filter("datum.kind !== 'fat jet'")
            .mark_point(filled=True, clip=True, stroke=self.palette.ink)
            .encode(
                color=self.colour,
                shape=self.shape,
                size=alt.Size("size:Q", scale=None, legend=None),
                angle=alt.Angle("turn:Q", scale=None, legend=None),
                strokeWidth=alt.StrokeWidth("rim:Q", scale=None, legend=None),
                opacity=_lit(),
                tooltip=_TOOLTIP,
            )
            .properties(name=name)
        )
        signs = base.mark_text(dx=9, dy=-8, align="left", clip=True).encode(text="sign:N", opacity=_lit())
        return points, signs

    def _count(self) -> list[alt.Chart]:
        """How many edges are shown, in the corner."""
        if not self.event.edges:
            return []
        count = alt.Chart(self.across).transform_calculate(one=f"{_EDGE_SHOWN} ? 1 : 0")
        return [
            count.transform_aggregate(n="sum(one)")
            .transform_calculate(words=f"datum.n + ' of {len(self.event.edges)} edges'")
            .mark_text(align="left", baseline="top")
            .encode(x=alt.value(6), y=alt.value(6), text="words:N")
        ]


_NO_JET: Final = "isValid(datum.eta) && datum.kind !== 'jet' && datum.kind !== 'fat jet'"
_TOOLTIP: Final[list[Any]] = [
    alt.Tooltip("name:N", title="object"),
    alt.Tooltip("kind:N"),
    alt.Tooltip("pt:Q", title="pt (GeV)"),
    alt.Tooltip("eta:Q", title="η"),
    alt.Tooltip("phi:Q", title="φ"),
    alt.Tooltip("mass:Q", title="mass (GeV)"),
    alt.Tooltip("charge:Q"),
    alt.Tooltip("carried:Q", title="carries"),
]


def _lit(test: str = _LIT) -> Any:
    """Full where nothing is lit up, or the object is."""
    return alt.condition(test, alt.value(1), alt.value(0.18))
