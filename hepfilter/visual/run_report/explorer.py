"""The threshold explorer: a slider over a score that tells what a threshold there would take."""

import altair as alt
import numpy as np
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from hepfilter.skim.reporting.containers import Scan, SkimStory
from hepfilter.trigger.events import P_VALUES
from hepfilter.visual.page import INK, Block, Chart, Folded, Section, Text, fragment
from hepfilter.visual.rounding import rounded
from hepfilter.visual.run_report.charts import (
    HEIGHT,
    Rows,
    colours,
    data,
    floor_of,
    log_axis,
    log_ticks,
    ten_colours,
)
from hepfilter.visual.run_report.numbers import interval
from hepfilter.visual.run_report.scores import score_title

SCRIPT = "explorer.js"
_KINDS = {"all": "all", "dataset": "dataset", "signal": "signal"}


def explorer_section(story: SkimStory) -> Section:
    """An explorer for each score, that of `interest` open."""
    title, anchor = "Threshold explorer", "explorer"
    if not story.scans:
        why = "No score decided, so there is no threshold to move."
        return Section(title, anchor, [Text(why)])
    text = (
        "Move the slider, by mouse or by the arrow keys, to see what a threshold would keep of all events that passed "
        "the cuts. Shares are by weight; intervals are those of a binomial share (68 %, Clopper–Pearson), weighted "
        "events entering by the number of trials that has their variance. The stops are the edges of the stored "
        "histogram; the run's own threshold, where it alone decided, is one more, exact to the event."
    )
    blocks: list[Block] = [Text(text)]
    for number, scan in enumerate(story.scans):
        own: list[Block] = [_widget(scan, number), _chart(scan)]
        blocks += own if number == 0 else [Folded(score_title(scan.score), own)]
    return Section(title, anchor, blocks)


def start_of(scan: Scan) -> int:
    """The stop at which the slider stands first: the run's own threshold or the one nearest to it, else the 99 %."""
    marks = list(scan.marks.values())
    if scan.exact is not None or marks:
        wanted = scan.exact if scan.exact is not None else marks[0]
        return int(np.argmin(np.abs(scan.thresholds - wanted)))
    return int(np.searchsorted(-scan.rows[0].share.value, -0.01).clip(0, len(scan.thresholds) - 1))


def _widget(scan: Scan, number: int) -> Markup:
    """The controls, the table and its numbers as data."""
    rows = [
        {
            "name": row.name,
            "kind": row.kind,
            "events": row.events.tolist(),
            "weight": None if row.total is None else [rounded(w, 7) for w in row.weight.tolist()],
            "share": [_share(value) for value in row.share.value.tolist()],
            "lower": [_share(value) for value in row.share.lower.tolist()],
            "upper": [_share(value) for value in row.share.upper.tolist()],
        }
        for row in scan.rows
    ]
    start = start_of(scan)
    plain = {"thresholds": [rounded(t, 9) for t in scan.thresholds.tolist()], "rows": rows, "start": start}
    plain["digits"] = 3 if scan.unit == "Hz" else 6
    cells = [
        (row.name, row.kind, f"{int(row.events[start]):,}", _interval(scan, number, start))
        for number, row in enumerate(scan.rows)
    ]
    return fragment(
        "explorer.html.jinja",
        data=htmlsafe_json_dumps(plain | {"is_p": scan.score in P_VALUES, "name": score_title(scan.score)}),
        name=score_title(scan.score),
        number=number,
        last=len(scan.thresholds) - 1,
        start=start,
        value=rounded(float(scan.thresholds[start]), 9),
        cells=cells,
        weights="rate [Hz]" if scan.unit == "Hz" else "sum of weights",
        marks=[(name, rounded(value, 9)) for name, value in scan.marks.items()],
        shown_marks=[f"{value:.4g}" for value in scan.marks.values()],
    )


def _share(value: float) -> float | None:
    return None if np.isnan(value) else rounded(value)


def _interval(scan: Scan, row: int, stop: int) -> str | Markup:
    share = scan.rows[row].share
    return interval(float(share.value[stop]), float(share.lower[stop]), float(share.upper[stop])).text


def _chart(scan: Scan) -> Chart:
    """The share above each threshold, of every sample; a line stands where the slider does."""
    rows: Rows = [
        {"x": rounded(float(x)), "y": rounded(float(y)), "series": row.name}
        for row in scan.rows
        for x, y in zip(scan.thresholds, row.share.value, strict=True)
        if y > 0
    ]
    low, _ = floor_of([np.nan_to_num(row.share.value) for row in scan.rows])
    x = alt.X("x:Q", title=f"threshold of {score_title(scan.score)}", scale=alt.Scale(nice=False))
    threshold = alt.param("threshold", value=float(scan.thresholds[start_of(scan)]))
    lines = (
        alt.Chart(data(rows))
        .mark_line(strokeWidth=2)
        .encode(
            x=x,
            y=alt.Y(
                "y:Q",
                title="share at or above",
                scale=log_axis(low, 1.0),
                axis=alt.Axis(values=log_ticks(low, 1.0), format="~g"),
            ),
            color=colours(ten_colours([row.name for row in scan.rows])),
            tooltip=["series:N", alt.Tooltip("x:Q", format=".4~g"), alt.Tooltip("y:Q", format=".3~g")],
        )
    )
    marked: Rows = [{"x": value, "name": name} for name, value in scan.marks.items()]
    own = alt.Chart(data(marked)).mark_rule(strokeDash=[2, 3], color=INK, opacity=0.6).encode(x=x, tooltip="name:N")
    here = alt.Chart(data([{}])).transform_calculate(x="threshold").mark_rule(color=INK, strokeWidth=2).encode(x=x)
    chart = alt.layer(lines, *([own] if marked else []), here).add_params(threshold).properties(height=HEIGHT)
    names = ", ".join(row.name for row in scan.rows)
    return Chart(
        chart,
        f"Share of events at or above a threshold of {score_title(scan.score)}",
        f"A falling line for each of: {names}. The full line stands at the slider's threshold, dotted ones at those of "
        "the run.",
    )
