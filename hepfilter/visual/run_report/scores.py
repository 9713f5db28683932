"""The scores of all events and of those that are kept, beside what they are compared with."""

import altair as alt
import numpy as np

from hepfilter.skim.reporting.containers import ReferenceScores, SkimStory
from hepfilter.skim.summary import Selected
from hepfilter.statistics.histograms import Histogram
from hepfilter.trigger.events import P_VALUES
from hepfilter.visual.page import Block, Chart, Folded, Section, Text
from hepfilter.visual.run_report.charts import (
    BEHIND,
    LINE,
    REFERENCE,
    Values,
    floor_of,
    layered_steps,
    log_axis,
    log_ticks,
    rebinned,
    steps,
)

_MOST_BINS = 70
_ALL, _KEPT = "all events", "kept"


def score_title(name: str) -> str:
    """What a score is called at an axis: p-values are shown as −ln p."""
    return f"−ln({name})" if name in P_VALUES else name


def scores_section(story: SkimStory) -> Section:
    """A chart for each score, `interest` first."""
    title, anchor = "Scores", "scores"
    if story.summary is None or not story.summary.scores:
        why = "The run keeps no summary of its scores." if story.parts[0].recipe.needs_scores else "No score decided."
        return Section(title, anchor, [Text(why)])
    sources = dict.fromkeys(reference.source for reference in story.references.values())
    note = f"Compared with {', '.join(sources)}." if sources else f"There is no reference: {story.why_no_reference}."
    blocks: list[Block] = [Text(note)]
    charts = [
        _chart(name, selected, story.references.get(name), story.summary.unit)
        for name, selected in story.summary.scores.items()
        if selected.every.counts.any()
    ]
    blocks += charts[:1]
    if len(charts) > 1:
        blocks.append(Folded(f"The other scores: {', '.join(list(story.summary.scores)[1:])}", charts[1:]))
    return Section(title, anchor, blocks)


def _chart(name: str, selected: Selected, reference: ReferenceScores | None, unit: str) -> Chart:
    """Events per unit of the score, on a logarithmic axis."""
    every, kept = selected.every, selected.kept
    filled = np.flatnonzero(every.counts)
    first, last = int(filled[0]), int(filled[-1]) + 1
    edges, (all_events, kept_events) = rebinned(
        every.edges, [every.weights, kept.weights], first=first, last=last, most=_MOST_BINS
    )
    widths = np.diff(edges)
    heights = [all_events / widths, kept_events / widths]
    floor, top = floor_of(heights)
    series = {_ALL: BEHIND, _KEPT: LINE}
    lines = steps(edges, heights[1], _KEPT, floor=floor)
    if reference is not None:
        series["reference"] = REFERENCE
        own, density = _reference(reference, edges)
        lines += steps(own, density * float(every.weights.sum()), "reference", floor=floor)
    label = score_title(name)
    chart = layered_steps(
        steps(edges, heights[0], _ALL, floor=floor),
        lines,
        series,
        x=alt.X("x:Q", title=label, scale=alt.Scale(domain=[float(edges[0]), float(edges[-1])], nice=False)),
        y=alt.Y(
            "y:Q",
            title=f"{_what(every, unit)} per unit",
            scale=log_axis(floor, top),
            axis=alt.Axis(values=log_ticks(floor, top), format="~s" if floor >= 1 else "~g"),
        ),
        dashed=["reference"],
    )
    n_all, n_kept = int(every.counts.sum()), int(kept.counts.sum())
    compared = "" if reference is None else " The dashed line is the reference, scaled to all events."
    return Chart(
        chart,
        f"{label} of {n_all:,} events",
        f"Grey: all {n_all:,} events that passed the cuts; blue: the {n_kept:,} that are kept; both by weight."
        f"{compared}",
    )


def _what(every: Histogram, unit: str) -> str:
    """What a bin holds."""
    if unit == "Hz":
        return "Hz"
    return "events" if np.array_equal(every.weights, every.counts) else "sum of weights"


def _reference(reference: ReferenceScores, edges: Values) -> tuple[Values, Values]:
    """(edges, share per unit of the score) of the reference in the range of `edges`, in as many bins as are useful."""
    same = np.isin(edges, reference.edges).all()
    if same:
        places = np.searchsorted(reference.edges, edges)
        above = np.append(np.cumsum(reference.shares[::-1])[::-1], 0.0)[places]
        return edges, -np.diff(above) / np.diff(edges)
    inner = reference.edges[(reference.edges > edges[0]) & (reference.edges < edges[-1])]
    own = np.concatenate([[edges[0]], inner, [edges[-1]]])
    places = np.clip(np.searchsorted(reference.edges, own[:-1], side="right") - 1, 0, len(reference.shares) - 1)
    return own, reference.shares[places] / np.diff(own)
