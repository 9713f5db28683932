"""What the selection did to the events: turn-on curves, sculpting, and the most interesting events."""

from collections.abc import Sequence
from math import isnan

import altair as alt
import numpy as np

from hepfilter.events.spectra import SPECTRUM_EDGES
from hepfilter.skim.reporting.containers import Sculpted, SkimStory, TurnOn
from hepfilter.statistics.histograms import Histogram
from hepfilter.visual.page import Block, Cell, Chart, Folded, Section, Table, Text, Value
from hepfilter.visual.rounding import rounded
from hepfilter.visual.run_report.charts import (
    BEHIND,
    HEIGHT,
    Rows,
    Values,
    colours,
    data,
    layered_steps,
    rebinned,
    steps,
    ten_colours,
)
from hepfilter.visual.run_report.displays import Displays
from hepfilter.visual.run_report.numbers import interval

_NAMES = {
    "interest": "interest",
    "ht": "HT [GeV]",
    "leading_pt": "leading jet pt [GeV]",
    "met": "MET [GeV]",
    "dijet_mass": "dijet mass [GeV]",
}
_SHORT = {"ht": "HT", "dijet_mass": "m(jj)", "met": "MET"}
_ALL = "all events"
_MOST_LINES = 9
_LEAST_DRAWN = 20
"""Effective events below which a selection has no line."""
_JOINED = 2


def turn_on_section(story: SkimStory) -> Section:
    """A chart for each variable, with a curve a path, and the numbers below."""
    title, anchor = "Turn-on curves", "turn-on"
    if not story.turn_ons:
        return Section(title, anchor, [Text(f"There are none: {story.why_no_turn_on or 'no event may be shown'}.")])
    text = (
        f"Of {story.n_control:,} events of the control stream, which takes events whatever they are: the share that "
        "passes each path before its prescale, with 68 % intervals. Each event counts with one over its probability of "
        "getting into the stream, times its weight. Click a path in the legend to see it alone."
    )
    variables = dict.fromkeys(curve.variable for curve in story.turn_ons)
    charts = [_turn_on([curve for curve in story.turn_ons if curve.variable == one]) for one in variables]
    return Section(title, anchor, [Text(text), *charts])


def _turn_on(curves: Sequence[TurnOn]) -> Chart:
    """All paths against one variable."""
    variable = _NAMES[curves[0].variable]
    edges = curves[0].edges
    positive = edges[0] >= 0 and curves[0].variable != "interest"
    starts = np.maximum(edges, 1.0) if positive else edges  # a logarithmic axis begins at 1 GeV
    middles = np.sqrt(starts[:-1] * starts[1:]) if positive else (starts[:-1] + starts[1:]) / 2
    silent = [curve.path for curve in curves if not np.nansum(curve.share.value)]
    rows, table = _points([curve for curve in curves if curve.path not in silent], middles)
    ends = [rounded(float(starts[0])), rounded(float(starts[-1]))]
    scale = alt.Scale(type="log" if positive else "linear", nice=False, domain=ends)
    choice = alt.selection_point(fields=["series"], bind="legend", name="path")
    base = alt.Chart(data(rows)).encode(
        x=alt.X("x:Q", title=variable, scale=scale, axis=alt.Axis(format="~s" if positive else "~g", tickCount=10)),
        color=colours({path: own for path, own in ten_colours([c.path for c in curves]).items() if path not in silent}),
        opacity=alt.condition(choice, alt.value(1), alt.value(0.08)),
        tooltip=["series:N", alt.Tooltip("where:N", title=variable), alt.Tooltip("y:Q", title="share", format=".3~f")],
    )
    y = alt.Scale(domain=[0, 1], clamp=True)  # with negative weights a share may lie outside
    chart = alt.layer(
        base.mark_line(strokeWidth=1.2).encode(y=alt.Y("y:Q", title="efficiency", scale=y)),
        base.mark_rule(strokeWidth=1.5).encode(y=alt.Y("low:Q", title="efficiency", scale=y), y2="high:Q"),
        base.mark_point(filled=True, size=30).encode(y=alt.Y("y:Q", title="efficiency", scale=y)).add_params(choice),
    ).properties(height=HEIGHT)
    columns = ["path", variable, "control events", "share [%]"]
    return Chart(
        chart,
        f"Efficiency against {variable}",
        f"Points with intervals for each path, in {len(edges) - 1} bins, most of equally many events."
        + (f" Of {', '.join(silent)} no control event passes." if silent else ""),
        Table(columns, table, sortable=True),
    )


def _points(curves: Sequence[TurnOn], middles: Values) -> tuple[Rows, list[list[Value]]]:
    """(what is drawn at the middles of the bins, the same as rows of a table)."""
    rows: Rows = []
    table: list[list[Value]] = []
    for curve in curves:
        share, edges = curve.share, curve.edges
        for n in np.flatnonzero((share.events > 0) & ~np.isnan(share.value)).tolist():
            where = f"{edges[n]:.4g} to {edges[n + 1]:.4g}"
            value, low, high = (float(part[n]) for part in (share.value, share.lower, share.upper))
            rows.append(
                {"x": rounded(float(middles[n])), "y": rounded(value), "low": rounded(low), "high": rounded(high)}
                | {"series": curve.path, "where": where}
            )
            table.append([curve.path, Cell(where, float(edges[n])), int(share.events[n]), interval(value, low, high)])
    return rows, table


def sculpting_section(story: SkimStory) -> Section:
    """A chart for each spectrum, and a table of divergences."""
    title, anchor = "Sculpting", "sculpting"
    if not story.sculpted:
        return Section(
            title, anchor, [Text(f"No spectra can be compared: {story.why_no_shapes or 'no event may be shown'}.")]
        )
    text = (
        "Spectra of all events that passed the cuts and of what the selection took, each normalised to 1. The "
        "Jensen–Shannon divergence is 0 for equal spectra and 1 for such as never overlap; beside it stands what a "
        "random choice of as many events gives (mean, and 95 % quantile). With negative weights there may be none."
    )
    return Section(title, anchor, [Text(text), *map(_spectrum, story.sculpted), _divergences(story.sculpted)])


def _divergences(found: Sequence[Sculpted]) -> Table:
    """A row a selection, for each spectrum the divergence and what chance gives."""
    rows: list[list[Value]] = []
    for shapes in zip(*(one.after for one in found), strict=True):
        effective = shapes[0].n_effective
        row: list[Value] = [shapes[0].selection, Cell(f"{effective:,.0f}", effective)]
        for shape in shapes:
            beyond = shape.divergence > shape.expected_95
            chance = "–" if isnan(shape.expected) else f"{shape.expected:.4f}, {shape.expected_95:.4f}"
            row += [_number(shape.divergence, shaded=beyond), Cell(chance, shape.expected_95)]
        rows.append(row)
    columns = [column for one in found for column in (_NAMES[one.observable].removesuffix(" [GeV]"), "by chance")]
    caption = "Jensen–Shannon divergence; by chance: mean, 95 % quantile; shaded where it lies beyond"
    return Table(["selection", "effective events", *columns], rows, caption=caption)


def _energy(observable: str, value: float) -> Cell:
    """GeV; a dash where there are no two jets that have a mass."""
    return Cell("–" if observable == "dijet_mass" and not value else f"{value:.0f}", value)


def _number(value: float, *, shaded: bool) -> Cell:
    return Cell("–") if isnan(value) else Cell(f"{value:.4f}", value, 0.6 if shaded else None)


def _spectrum(found: Sculpted) -> Chart:
    """One observable: all events filled, the selections as lines."""
    filled = np.flatnonzero(found.before.counts)
    # the first bin is that of events without such an object: it has no place on a logarithmic axis
    first = max(int(filled[0]), 1) if len(filled) else 1
    last = max(int(filled[-1]) + 1, first + 1) if len(filled) else first + 1
    shapes = [shape for shape in found.after if shape.n_effective >= _LEAST_DRAWN][:_MOST_LINES]
    series = {_ALL: BEHIND} | ten_colours([shape.selection for shape in shapes])
    edges, before = _shares(found.before, first, last)
    lines = [row for shape in shapes for row in steps(*_shares(shape.spectrum, first, last), shape.selection)]
    label = _NAMES[found.observable]
    chart = layered_steps(
        steps(edges, before, _ALL),
        lines,
        series,
        x=alt.X(
            "x:Q",
            title=label,
            scale=alt.Scale(type="log", domain=[float(edges[0]), float(edges[-1])], nice=False),
            axis=alt.Axis(format="~s"),
        ),
        y=alt.Y("y:Q", title="share of events in a bin"),
    )
    without = found.before.counts[0] / max(found.before.counts.sum(), 1)
    written = found.after[0]
    distance = "" if isnan(written.divergence) else f" What is written lies {written.divergence:.3f} from all events."
    return Chart(
        chart,
        f"Spectrum of {label}",
        f"Grey: all events that passed the cuts; lines: what was taken.{distance} {100 * without:.3g} % of all events "
        f"lie below {SPECTRUM_EDGES[1]:g} GeV and are not drawn.",
    )


def _shares(histogram: Histogram, first: int, last: int) -> tuple[Values, Values]:
    """(edges, the share of all weight in each), two bins joined."""
    edges, (weights,) = rebinned(
        histogram.edges, [histogram.weights], first=first, last=last, most=-(-(last - first) // _JOINED)
    )
    total = float(histogram.weights.sum())
    return edges, weights / total if total else weights


def top_section(story: SkimStory, displays: Displays) -> Section:
    """The most interesting events as a table, and their `displays` by output and entry."""
    title, anchor = "Most interesting events", "top"
    if not story.top:
        return Section(title, anchor, [Text(f"None is shown: {story.why_no_top}.")])
    scores = list(story.top[0].scores)
    observables = [name for name in _SHORT if name in story.top[0].observables]
    by_menu = story.parts[0].menu is not None
    rows: list[list[Value]] = []
    for event in story.top:
        name = f"entry {event.entry}" if event.identity is None else ":".join(map(str, event.identity))
        row: list[Value] = [name, *(event.scores[one] for one in scores)]
        row += [_energy(o, event.observables[o]) for o in observables]
        rows.append([*row, event.entry, *([", ".join(event.paths) or "–"] if by_menu else [])])
    columns = ["run:section:event", *scores, *(_SHORT[one] for one in observables), "entry", *["paths"] * by_menu]
    blocks: list[Block] = [
        Table(columns, rows, caption="energies in GeV; entries are those of the output", sortable=True)
    ]
    for event, row in zip(story.top, rows, strict=True):
        if (event.path, event.entry) in displays:
            shown = displays[event.path, event.entry].content
            blocks.append(Folded(f"{row[0]}: interest {event.scores['interest']:.2f}", shown))
    return Section(title, anchor, blocks)
