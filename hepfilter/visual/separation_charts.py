"""Charts for pages of how well scores find signals, from the plain data of metrics.

`visual.performance` draws the same for files of pictures, of many families at once.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

import altair as alt

from hepfilter.visual.page import FAINT, INK, SERIES
from hepfilter.visual.rounding import rounded
from hepfilter.wording import MEASURE_NAMES

BASELINE: Final = "ht"
Figure = Literal["signal", "sic"]
Families = Sequence[Mapping[str, Any]]
_ROW: Final = 19
_LOWEST: Final = 1e-6


def choice(name: str, options: Sequence[Any], *, label: str, labels: Sequence[str] | None = None) -> alt.Parameter:
    """What is shown, chosen from `options`, the first of them unless another is; no menu where there is one option."""
    if len(options) == 1:
        return alt.param(name=name, value=options[0])
    menu = alt.binding_select(options=list(options), labels=list(labels or map(str, options)), name=f"{label} ")
    return alt.param(name=name, value=options[0], bind=menu)


def roc_chart(families: Families, heads: Sequence[str]) -> alt.TopLevelMixin:
    """ROC curves of all families, one in colour; the baseline's of that family dashed."""
    rows = _curves(families, heads)
    lowest = min((b for row in rows for b in row["b"] if b > 0), default=0.1)
    decades = [10.0**power for power in range(math.floor(math.log10(1.1 * lowest)), 1)]
    base = (
        alt.Chart(alt.InlineData(rows))
        .transform_filter("datum.background == measure")
        .transform_flatten(["b", "s"])
        .encode(
            x=alt.X("b:Q", title="background efficiency")
            .scale(type="log", domain=[decades[0], 1])
            .axis(format="~g", values=decades),
            y=alt.Y("s:Q", title="signal efficiency").scale(domain=[0, 1]).axis(tickCount=6),
            detail="family:N",
        )
    )
    others = base.transform_filter("datum.score == head && datum.family != family").mark_line(
        color=FAINT, strokeWidth=1, clip=True
    )
    chosen = base.transform_filter(f"datum.family == family && (datum.score == head || datum.score == '{BASELINE}')")
    dashes = alt.Scale(domain=[*heads, BASELINE], range=[*([1, 0] for _ in heads), [4, 3]])
    lines = chosen.mark_line(point={"size": 18, "filled": True}, clip=True).encode(
        color=alt.Color("score:N", title=None).scale(domain=[*heads, BASELINE]).legend(symbolType="stroke"),
        strokeDash=alt.StrokeDash("score:N", title=None).scale(dashes),
        tooltip=[
            alt.Tooltip("family:N"),
            alt.Tooltip("score:N"),
            alt.Tooltip("b:Q", title="background efficiency", format=".3g"),
            alt.Tooltip("s:Q", title="signal efficiency", format=".3f"),
        ],
    )
    others = others.encode(tooltip="family:N")
    return alt.layer(others, lines).add_params(*_choices(families, heads), _family(families)).properties(height=320)


def points_chart(
    families: Families, heads: Sequence[str], targets: Sequence[float], figure: Figure
) -> alt.TopLevelMixin:
    """Signal efficiency or significance improvement of each family at one background efficiency, with its interval."""
    names = [str(family["family"]) for family in families]
    rows = list(_points(families, heads, targets, figure))
    title = "signal efficiency" if figure == "signal" else "significance improvement"
    base = (
        alt.Chart(alt.InlineData(rows))
        .transform_filter(
            "datum.background == measure && datum.target == target"
            f" && (datum.score == head || datum.score == '{BASELINE}')"
        )
        .transform_calculate(line=f"datum.score == '{BASELINE}' ? 2 : 1")
        .encode(
            y=alt.Y("family:N", title=None, sort=names).scale(domain=names).axis(grid=True, labelLimit=150),
            yOffset=alt.YOffset("line:N").scale(domain=[1, 2]),
            color=alt.Color("score:N", title=None).scale(domain=[*heads, BASELINE]),
            tooltip=[
                alt.Tooltip("family:N"),
                alt.Tooltip("score:N"),
                alt.Tooltip("trained:N", title="trained on"),
                alt.Tooltip("value:Q", title=title, format=".3f"),
                alt.Tooltip("interval:N", title="68 % interval"),
                alt.Tooltip("above:Q", title="background events above", format=","),
            ],
        )
    )
    scale = alt.Scale(domain=[0, 1]) if figure == "signal" else _improvement_scale(rows, targets)
    axis = alt.Axis(tickCount=6) if figure == "signal" else alt.Axis(values=[0, 1, 2, 5, 10, 20, 50, 100])
    bars = base.mark_rule(strokeWidth=1.5).encode(x=alt.X("lower:Q", title=title).scale(scale).axis(axis), x2="upper:Q")
    shape = alt.Shape("score:N", title=None).scale(domain=[*heads, BASELINE])
    points = base.encode(x="value:Q", shape=shape)
    filled = points.transform_filter("datum.trained == 'yes'").mark_point(filled=True, size=55, opacity=1)
    hollow = points.transform_filter("datum.trained == 'no'").mark_point(fill="var(--paper)", size=45, opacity=1)
    level = choice("target", targets, label="background efficiency", labels=[f"{target:g}" for target in targets])
    chart = alt.layer(bars, filled, hollow).add_params(*_choices(families, heads), level)
    return chart.properties(height=_ROW * len(names) + 10)


def distributions_chart(distributions: Sequence[Mapping[str, Any]]) -> alt.TopLevelMixin:
    """The share of events in bins of a score: background as an area, one family as a line."""
    families = list(distributions[0]["families"])
    rows = [
        {"score": found["score"], "name": name, "x": list(map(rounded, found["edges"])), "share": _heights(shares)}
        for found in distributions
        for name, shares in ({"": found["background"]} | found["families"]).items()
    ]
    base = (
        alt.Chart(alt.InlineData(rows))
        .transform_filter("datum.score == head")
        .transform_flatten(["x", "share"])
        .encode(
            x=alt.X("x:Q", title="score").scale(zero=False, nice=False),
            tooltip=[
                alt.Tooltip("name:N", title="events of"),
                alt.Tooltip("x:Q", title="score from", format=".3f"),
                alt.Tooltip("share:Q", title="share in the bin", format=".2e"),
            ],
        )
    )
    scale = alt.Scale(type="log", domain=[_LOWEST, 1], clamp=True)
    share = alt.Y("share:Q", title="share of events").scale(scale).axis(format="~e", tickCount=6)
    background = base.transform_filter("datum.name == ''").transform_calculate(name="'background'", floor=str(_LOWEST))
    area = background.mark_area(interpolate="step-after", color=FAINT, line={"color": INK, "strokeWidth": 1})
    line = base.transform_filter("datum.name == family").mark_line(interpolate="step-after", color=SERIES[0])
    heads = [str(found["score"]) for found in distributions]
    return (
        alt.layer(area.encode(y=share, y2="floor:Q"), line.encode(y=share))
        .add_params(choice("head", heads, label="score"), choice("family", families, label="family"))
        .properties(height=280)
    )


def pvalues_chart(checks: Sequence[Mapping[str, Any]]) -> alt.TopLevelMixin:
    """The share of background with at most a p-value, over the p-value; 1 where the calibration holds."""
    rows = [
        {
            "head": check["head"],
            "p": point["nominal"],
            "ratio": point["observed"]["value"] / point["nominal"],
            "lower": point["observed"]["lower"] / point["nominal"],
            "upper": point["observed"]["upper"] / point["nominal"],
            "n": point["n_events"],
        }
        for check in checks
        for point in check["points"]
        if point["n_events"]
    ]
    base = (
        alt.Chart(alt.InlineData(rows))
        .transform_filter("datum.head == head")
        .encode(
            x=alt.X("p:Q", title="background p-value").scale(type="log").axis(format="~e"),
            tooltip=[
                alt.Tooltip("p:Q", title="p-value"),
                alt.Tooltip("ratio:Q", title="observed share / p-value", format=".3f"),
                alt.Tooltip("n:Q", title="events", format=","),
            ],
        )
    )
    ratio = alt.Scale(domain=[0, 2.5], clamp=True)
    bars = base.mark_rule(color=SERIES[0]).encode(
        y=alt.Y("lower:Q", title="observed share / p-value").scale(ratio), y2="upper:Q"
    )
    dots = base.mark_point(filled=True, opacity=1, size=60, color=SERIES[0]).encode(y="ratio:Q")
    one = alt.Chart(alt.InlineData([{"y": 1}])).mark_rule(strokeDash=[4, 3], color=INK).encode(y="y:Q")
    heads = [str(check["head"]) for check in checks]
    return alt.layer(one, bars, dots).add_params(choice("head", heads, label="score")).properties(height=260)


def _improvement_scale(rows: Sequence[Mapping[str, Any]], targets: Sequence[float]) -> alt.Scale:
    """From 0 to the longest interval of the chosen target: given, for a layer without points would have no domain."""
    ends = {target: max((row["upper"] for row in rows if row["target"] == target), default=1.0) for target in targets}
    most = "".join(f"target == {target} ? {end} : " for target, end in ends.items())
    return alt.Scale(type="symlog", domain=[0, 1], domainRaw=alt.expr(f"[0, {most}1]"))


def _choices(families: Families, heads: Sequence[str]) -> tuple[alt.Parameter, alt.Parameter]:
    """Of the measure, that in which more families have a working point first, and of the score."""

    def n_points(measure: str) -> int:
        found = (family[measure]["by_score"][heads[0]]["working_points"].values() for family in families)
        return sum(any(point is not None for point in points) for points in found)

    measures = [MEASURE_NAMES[measure] for measure in sorted(MEASURE_NAMES, key=n_points, reverse=True)]
    return choice("measure", measures, label="background"), choice("head", heads, label="score")


def _family(families: Families) -> alt.Parameter:
    names = [str(family["family"]) for family in families]
    labels = [
        name if family["seen"] else f"{name} (not trained on)" for name, family in zip(names, families, strict=True)
    ]
    return choice("family", names, label="family", labels=labels)


def _curves(families: Families, heads: Sequence[str]) -> list[dict[str, Any]]:
    """A row for each ROC curve, its points as lists."""
    return [
        {
            "family": family["family"],
            "background": MEASURE_NAMES[measure],
            "score": score,
            "b": list(map(rounded, curve["background"])),
            "s": list(map(rounded, curve["signal"])),
        }
        for family in families
        for measure in MEASURE_NAMES
        for score in (*heads, BASELINE)
        if (curve := family[measure]["by_score"][score]["roc"])["background"]
    ]


def _points(
    families: Families, heads: Sequence[str], targets: Sequence[float], figure: Figure
) -> Iterator[dict[str, Any]]:
    """A row for each family, measure, score and target that has a working point."""
    for family in families:
        for measure in MEASURE_NAMES:
            for score in (*heads, BASELINE):
                points = family[measure]["by_score"][score]["working_points"]
                for target in targets:
                    point = points.get(f"{target}")
                    if point is None or point[figure]["value"] is None:
                        continue
                    ends = [point[figure][end] for end in ("lower", "upper")]
                    yield {
                        "family": family["family"],
                        "trained": "yes" if family["seen"] else "no",
                        "background": MEASURE_NAMES[measure],
                        "score": score,
                        "target": target,
                        "value": rounded(point[figure]["value"]),
                        "lower": rounded(ends[0]),
                        "upper": rounded(ends[1]),
                        "interval": f"{ends[0]:.3f} – {ends[1]:.3f}",
                        "above": point["n_background_above"],
                    }


def _heights(shares: Sequence[float]) -> list[float]:
    """Drawable on a logarithmic axis, the last one twice: to its upper edge."""
    return [rounded(max(share, _LOWEST)) for share in (*shares, shares[-1])]
