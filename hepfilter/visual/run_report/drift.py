"""Whether a run stayed the same: scores and the kept share by luminosity section and by run."""

import altair as alt
import numpy as np

from hepfilter.skim.reporting.containers import SkimStory
from hepfilter.skim.summary import Course
from hepfilter.statistics.intervals import clopper_pearson_of
from hepfilter.visual.page import INK, SERIES, Block, Cell, Chart, Folded, Section, Table, Text, Value
from hepfilter.visual.rounding import rounded
from hepfilter.visual.run_report.charts import Rows, colours, data
from hepfilter.visual.run_report.numbers import interval
from hepfilter.wording import counted

_HEIGHT = 200
_LEAST_EXPECTED = 5.0
_ALL_TICKS = 12
"""Up to so many blocks each has a tick."""
_DRIFTED = "drifted"


def drift_section(story: SkimStory) -> Section:
    """The course by sections, then by runs; the alarms of a lock's drift check where there are some."""
    title, anchor = "Drift", "drift"
    notes = dict.fromkeys(note for part in story.parts for note in part.facts.get("warnings", ()) if _DRIFTED in note)
    blocks: list[Block] = [Text(note, warning=True) for note in notes]
    summary = story.summary
    if summary is None or summary.sections is None or not len(summary.sections.run):
        why = "the run keeps no summary" if summary is None else "no run and luminosity section was read of its events"
        return Section(title, anchor, [*blocks, Text(f"There is no course to show: {why}.")])
    course = summary.sections
    if len(course.run) == 1:
        blocks.append(Text("All events are of one luminosity section."))
    else:
        blocks += [Text(_constancy(course)), _kept_chart(course), *_score_chart(course)]
    tables = [("Runs", summary.runs), ("Luminosity sections", course)]
    blocks += [Folded(name, [_table(one)]) for name, one in tables if one is not None and len(one.run)]
    return Section(title, anchor, blocks)


def _constancy(course: Course) -> str:
    """A test of whether the kept share is the same in all blocks: the χ² of a 2 × N table."""
    events, kept = course.events.astype(float), course.kept.astype(float)
    share = kept.sum() / max(events.sum(), 1.0)
    enough = np.minimum(events * share, events * (1 - share)) >= _LEAST_EXPECTED
    blocks = f"{len(course.run):,} blocks of luminosity sections"
    if enough.sum() < 2:
        return f"{blocks}; too few kept events in each to test whether their share is constant."
    from scipy.stats import chi2_contingency

    test = chi2_contingency(np.array([kept[enough], (events - kept)[enough]]), correction=False)
    verdict = "is compatible with one constant" if test.pvalue > 0.01 else "changes"
    return (
        f"In {blocks} the kept share {verdict}: χ² = {test.statistic:.1f} for {counted(test.dof, 'degree')} of "
        f"freedom, p = {test.pvalue:.2g} (blocks with at least {_LEAST_EXPECTED:g} events expected on either side)."
    )


def _name(course: Course, place: int) -> str:
    """``run:section``, or from where to where."""
    first, last = (course.run[place], course.first[place]), (course.last_run[place], course.last[place])
    if first == last:
        return f"{first[0]}:{first[1]}"
    return f"{first[0]}:{first[1]}–{last[1]}" if first[0] == last[0] else f"{first[0]}:{first[1]} – {last[0]}:{last[1]}"


def _shares(course: Course) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The kept share of each block, with its interval."""
    events, kept = course.events.astype(float), course.kept.astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        return kept / events, *clopper_pearson_of(kept, events)


def _x(course: Course) -> alt.X:
    title = "luminosity sections in order" + ("; lines where a run begins" if len(set(course.run.tolist())) > 1 else "")
    scale = alt.Scale(domain=[0.5, len(course.run) + 0.5], nice=False)
    few = list(range(1, len(course.run) + 1)) if len(course.run) <= _ALL_TICKS else alt.Undefined
    return alt.X("x:Q", title=title, scale=scale, axis=alt.Axis(values=few, tickMinStep=1, format="d"))


def _runs(course: Course) -> alt.Chart:
    """A line where another run begins."""
    begins = np.flatnonzero(course.run[1:] != course.run[:-1]) + 1.5
    rows: Rows = [{"x": float(x)} for x in begins]
    lines: alt.Chart = alt.Chart(data(rows)).mark_rule(color=INK, opacity=0.25).encode(x=_x(course))
    return lines


def _kept_chart(course: Course) -> Chart:
    value, lower, upper = _shares(course)
    rows: Rows = [
        {
            "x": place + 1,
            "y": rounded(100 * value[place]),
            "low": rounded(100 * lower[place]),
            "high": rounded(100 * upper[place]),
            "where": _name(course, place),
        }
        for place in np.flatnonzero(course.events).tolist()
    ]
    base = alt.Chart(data(rows)).encode(x=_x(course))
    y = alt.Scale(zero=True)
    chart = alt.layer(
        _runs(course),
        base.mark_rule(color=SERIES[0], opacity=0.6).encode(y=alt.Y("low:Q", title="kept [%]", scale=y), y2="high:Q"),
        base.mark_point(filled=True, color=SERIES[0], size=25, opacity=1).encode(
            y=alt.Y("y:Q", title="kept [%]", scale=y),
            tooltip=[alt.Tooltip("where:N", title="run:sections"), alt.Tooltip("y:Q", title="kept [%]", format=".3~g")],
        ),
    ).properties(height=_HEIGHT)
    low, high = float(np.nanmin(value)), float(np.nanmax(value))
    return Chart(
        chart,
        "Kept share by luminosity section",
        f"The share of events that is kept in each of {len(course.run):,} blocks, with 68 % intervals; "
        f"from {100 * low:.3g} % to {100 * high:.3g} %.",
    )


def _score_chart(course: Course) -> list[Block]:
    """Median and 99 % quantile of interest; nothing without scores."""
    series = {"99 % quantile": (course.top, SERIES[1]), "median": (course.median, SERIES[0])}
    rows: Rows = [
        {"x": place + 1, "y": rounded(float(values[place])), "series": name, "where": _name(course, place)}
        for name, (values, _) in series.items()
        for place in np.flatnonzero(np.isfinite(values)).tolist()
    ]
    if not rows:
        return []
    chart = alt.layer(
        _runs(course),
        alt.Chart(data(rows))
        .mark_line(point={"size": 20, "filled": True}, strokeWidth=1.5)
        .encode(
            x=_x(course),
            y=alt.Y("y:Q", title="interest", scale=alt.Scale(zero=False)),
            color=colours({name: colour for name, (_, colour) in series.items()}),
            tooltip=["series:N", alt.Tooltip("where:N", title="run:sections"), alt.Tooltip("y:Q", format=".3~f")],
        ),
    ).properties(height=_HEIGHT)
    spans = [f"the {name} from {np.nanmin(v):.3g} to {np.nanmax(v):.3g}" for name, (v, _) in series.items()]
    text = f"Quantiles of interest in each block: {' and '.join(spans)}."
    return [Chart(chart, "Score by luminosity section", text)]


def _table(course: Course) -> Table:
    value, lower, upper = _shares(course)
    rows: list[list[Value]] = []
    for place in range(len(course.run)):
        scores = [
            Cell("–") if np.isnan(one) else Cell(f"{one:.3f}", float(one))
            for one in (course.median[place], course.top[place])
        ]
        share = interval(float(value[place]), float(lower[place]), float(upper[place]))
        rows.append([_name(course, place), int(course.events[place]), int(course.kept[place]), share, *scores])
    columns = ["run:sections", "events", "kept", "share [%]", "median interest", "99 % quantile"]
    return Table(columns, rows, sortable=True)
