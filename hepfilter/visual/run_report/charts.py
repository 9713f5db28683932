"""What the charts of a run share: steps of histograms, colours of what is named, axes."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import altair as alt
import numpy as np
from numpy.typing import NDArray

from hepfilter.visual.page import FAINT, INK, SERIES
from hepfilter.visual.rounding import rounded

Values = NDArray[np.floating[Any]]
Rows = list[dict[str, Any]]

HEIGHT = 260
WIDEST_RATIO = 1e9
_MANY_DECADES = 2.5


def steps(edges: Values, values: Values, series: str, *, floor: float | None = None) -> Rows:
    """The corners of a histogram, a row each: `x`, `y`, `series`; on a logarithmic axis nothing lies below `floor`."""
    heights = np.append(values, values[-1:]) if len(values) else np.zeros(len(edges))
    if floor is not None:
        heights = np.maximum(heights, floor)
    return [
        {"x": rounded(float(x)), "y": rounded(float(y)), "series": series} for x, y in zip(edges, heights, strict=True)
    ]


def rebinned(
    edges: Values, parts: Sequence[Values], *, first: int, last: int, most: int
) -> tuple[Values, list[Values]]:
    """(edges, contents) of the bins [first, last) with neighbours joined until there are at most so many."""
    width = -(-(last - first) // most)
    starts = np.arange(first, last, width)
    return np.append(edges[starts], edges[last]), [np.add.reduceat(part[:last], starts) for part in parts]


def colours(series: Mapping[str, str], *, title: str | None = None) -> alt.Color:
    """The colour of each series, in the order of the legend."""
    return alt.Color(
        "series:N",
        title=title,
        scale=alt.Scale(domain=list(series), range=list(series.values())),
        legend=alt.Legend(symbolType="stroke"),
    )


def ten_colours(names: Sequence[str]) -> dict[str, str]:
    """One of the page's colours for each name."""
    return {name: SERIES[number % len(SERIES)] for number, name in enumerate(names)}


def log_axis(low: float, high: float) -> alt.Scale:
    """A logarithmic scale from a floor to above the highest."""
    return alt.Scale(type="log", domain=[rounded(low), rounded(high)], clamp=True, nice=False)


def log_ticks(low: float, high: float) -> list[float]:
    """Where a logarithmic axis has its numbers: at powers of ten, and between them if these are few."""
    powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    steps_of = (1.0,) if np.log10(high / low) > _MANY_DECADES else (1.0, 2.0, 5.0)
    ticks = [rounded(step * 10.0**power) for power in powers for step in steps_of]
    return [tick for tick in ticks if low <= tick <= high]


def floor_of(values: Sequence[Values]) -> tuple[float, float]:
    """(what stands for zero, the top) of a logarithmic axis for these values."""
    positive = np.concatenate([part[part > 0] for part in values]) if len(values) else np.empty(0)
    if not len(positive):
        return 0.5, 2.0
    high = float(positive.max())
    return max(float(positive.min()) / 2, high / WIDEST_RATIO), 2 * high


def data(rows: Rows) -> alt.InlineData:
    """Rows as they stand in the page."""
    return alt.InlineData(values=rows)


def layered_steps(
    behind: Rows, lines: Rows, series: Mapping[str, str], *, x: alt.X, y: alt.Y, dashed: Sequence[str] = ()
) -> alt.LayerChart:
    """Histograms: those `behind` are filled, the others are lines, some of them dashed."""
    tooltip = [alt.Tooltip("series:N"), alt.Tooltip("x:Q", format=".4~g"), alt.Tooltip("y:Q", format=".4~g")]
    filled = (
        alt.Chart(data(behind))
        .mark_area(interpolate="step-after", line=False, opacity=1, clip=True)
        .encode(x=x, y=y, color=colours(series))
    )
    sorts = {broken: [row for row in lines if (row["series"] in dashed) == broken] for broken in (False, True)}
    drawn = [
        alt.Chart(data(own))
        .mark_line(interpolate="step-after", strokeWidth=2, clip=True, strokeDash=[5, 3] if broken else [1, 0])
        .encode(x=x, y=y, color=colours(series), tooltip=tooltip)
        for broken, own in sorts.items()
        if own
    ]
    return cast(alt.LayerChart, alt.layer(filled, *drawn).properties(height=HEIGHT))


BEHIND, LINE, REFERENCE = FAINT, SERIES[0], INK
"""The colours of all events, of those that were kept, and of what they are compared with."""
