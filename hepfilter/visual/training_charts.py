"""Charts for pages of how a training went and what the network does, from the plain data of metrics."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import altair as alt

from hepfilter.visual.page import INK, SERIES
from hepfilter.visual.separation_charts import choice

Epochs = Sequence[Mapping[str, Any]]
_ROW: Final = 17
_MOST_BARS: Final = 10
_KINDS: Final = {
    "feature": "node feature, shuffled",
    "pairs": "pair features, shuffled",
    "collection": "collection, left out",
}
RIGHT, SAME_SIDE, OTHER_SIDE = "right", "wrong, on the same side", "signal and background mixed up"
UNSEEN: Final = " *"
"""Marks classes that were not trained on."""


def loss_chart(epochs: Epochs, best: int) -> alt.TopLevelMixin:
    """Training and validation loss by epoch; the epoch that was kept is marked."""
    rows = [
        {"epoch": number, "of": kind, "loss": epoch[f"{kind}_loss"], "kept": number == best + 1}
        for number, epoch in enumerate(epochs, 1)
        for kind in ("training", "validation")
    ]
    base = alt.Chart(alt.InlineData(rows)).encode(
        x=_epoch_axis(len(epochs)),
        y=alt.Y("loss:Q", title="loss per event").scale(zero=False).axis(tickCount=6),
        color=alt.Color("of:N", title=None).legend(symbolType="stroke"),
        tooltip=["epoch:Q", alt.Tooltip("of:N", title="loss of"), alt.Tooltip("loss:Q", format=".4f")],
    )
    lines = base.mark_line(point={"size": 35, "filled": True}).encode(strokeDash=alt.StrokeDash("of:N", title=None))
    kept = base.transform_filter("datum.kept && datum.of == 'validation'").encode(color=alt.value(INK))
    ring = kept.mark_point(size=160, strokeWidth=1.5)
    text = kept.mark_text(dy=-14, align="right", fontSize=12, fill=INK).encode(text=alt.value("kept"))
    return alt.layer(lines, ring, text).properties(height=260)


def rate_chart(epochs: Epochs) -> alt.TopLevelMixin:
    """The learning rate at the end of each epoch."""
    rows = [{"epoch": number, "rate": epoch["learning_rate"]} for number, epoch in enumerate(epochs, 1)]
    chart: alt.Chart = (
        alt.Chart(alt.InlineData(rows))
        .mark_line(point={"size": 35, "filled": True, "color": SERIES[0]}, color=SERIES[0])
        .encode(
            x=_epoch_axis(len(epochs)),
            y=alt.Y("rate:Q", title="learning rate").axis(format="~e", tickCount=5),
            tooltip=["epoch:Q", alt.Tooltip("rate:Q", title="learning rate", format=".3e")],
        )
        .properties(height=130)
    )
    return chart


def confusion_chart(confusion: Mapping[str, Any], is_signal: Mapping[str, bool]) -> alt.TopLevelMixin:
    """True classes as rows, predicted ones as columns; the darker, the larger the share of the row."""
    true = [_true_name(name, confusion["predicted"]) for name in confusion["true"]]
    chart: alt.Chart = (
        alt.Chart(alt.InlineData(_cells(confusion, is_signal)))
        .mark_rect()
        .encode(
            x=alt.X("predicted:N", title="taken for")
            .scale(domain=list(confusion["predicted"]))
            .axis(_small_axis(orient="top", labelAngle=-90, labelOverlap="parity")),
            y=alt.Y("true:N", title=None).scale(domain=true).axis(_small_axis()),
            color=_verdict_colour(),
            opacity=alt.Opacity("share:Q", legend=None).scale(type="sqrt", domain=[0, 1], range=[0.02, 1]),
            tooltip=_cell_tooltip(),
        )
        .properties(height=_ROW * len(true))
    )
    return chart


def taken_for_chart(confusion: Mapping[str, Any], is_signal: Mapping[str, bool]) -> alt.TopLevelMixin:
    """What one true class is taken for: the largest shares of its row of the confusion as bars."""
    true = [_true_name(name, confusion["predicted"]) for name in confusion["true"]]
    cells = sorted(_cells(confusion, is_signal), key=lambda cell: -cell["share"])
    largest = [cell for name in true for cell in [one for one in cells if one["true"] == name][:_MOST_BARS]]
    chart: alt.Chart = (
        alt.Chart(alt.InlineData(largest))
        .transform_filter("datum.true == shown")
        .mark_bar()
        .encode(
            x=alt.X("share:Q", title="share of the true class").scale(domain=[0, 1]).axis(format="%", tickCount=5),
            y=alt.Y("predicted:N", title="taken for", sort="-x"),
            color=_verdict_colour(),
            tooltip=_cell_tooltip(),
        )
        .add_params(choice("shown", true, label="truly"))
        .properties(height=_ROW * _MOST_BARS)
    )
    return chart


def reliability_chart(classes: Sequence[Mapping[str, Any]]) -> alt.TopLevelMixin:
    """The observed share of a class against its probability, with intervals; the diagonal is what is promised."""
    rows = [
        {
            "class": one["name"],
            "predicted": found["predicted"],
            "observed": found["observed"]["value"],
            "lower": found["observed"]["lower"],
            "upper": found["observed"]["upper"],
            "n": found["n_events"],
            "share": found["share"],
        }
        for one in classes
        for found in one["bins"]
    ]
    base = (
        alt.Chart(alt.InlineData(rows))
        .transform_filter("datum.class == shown")
        .encode(
            x=alt.X("predicted:Q", title="probability given").scale(domain=[0, 1]).axis(tickCount=6),
            tooltip=[
                alt.Tooltip("predicted:Q", title="mean probability", format=".3f"),
                alt.Tooltip("observed:Q", title="share that is", format=".3f"),
                alt.Tooltip("lower:Q", title="68 % from", format=".3f"),
                alt.Tooltip("upper:Q", title="68 % to", format=".3f"),
                alt.Tooltip("n:Q", title="events", format=","),
                alt.Tooltip("share:Q", title="of all weight", format=".1%"),
            ],
        )
    )
    bars = base.mark_rule(color=SERIES[0], strokeWidth=1.5).encode(
        y=alt.Y("lower:Q", title="share that is of the class").scale(domain=[0, 1]).axis(tickCount=6), y2="upper:Q"
    )
    dots = base.mark_point(filled=True, opacity=1, size=60, color=SERIES[0]).encode(y="observed:Q")
    ends = alt.InlineData([{"x": 0, "y": 0}, {"x": 1, "y": 1}])
    promised = alt.Chart(ends).mark_line(strokeDash=[4, 3], strokeWidth=1, color=INK).encode(x="x:Q", y="y:Q")
    names = [str(one["name"]) for one in classes]
    return alt.layer(promised, bars, dots).add_params(choice("shown", names, label="class")).properties(height=320)


def importance_chart(inputs: Sequence[Mapping[str, Any]]) -> alt.TopLevelMixin:
    """How much worse the network gets without each input, with the standard error; the most important first."""
    figures = {"loss": "rise of the loss", "auc": "fall of the AUC"}
    rows = [
        {
            "input": _input_name(one),
            "kind": _KINDS[one["kind"]],
            "figure": figure,
            "value": one[figure]["value"],
            "error": one[figure]["error"],
            "lower": one[figure]["value"] - (one[figure]["error"] or 0.0),
            "upper": one[figure]["value"] + (one[figure]["error"] or 0.0),
        }
        for one in inputs
        for figure in figures
        if one[figure]["value"] is not None
    ]
    order = [_input_name(one) for one in sorted(inputs, key=lambda one: -(one["loss"]["value"] or 0.0))]
    kinds = list(_KINDS.values())
    base = (
        alt.Chart(alt.InlineData(rows))
        .transform_filter("datum.figure == figure")
        .encode(
            y=alt.Y("input:N", title=None, sort=order),
            color=alt.Color("kind:N", title=None).scale(domain=kinds).legend(columns=1),
            tooltip=[
                "input:N",
                "kind:N",
                alt.Tooltip("value:Q", title="without it", format="+.4f"),
                alt.Tooltip("error:Q", title="standard error", format=".4f"),
            ],
        )
    )
    bars = base.mark_bar(size=9).encode(x=alt.X("value:Q", title="worse without it by").axis(tickCount=6))
    errors = base.mark_rule(strokeWidth=1.5).encode(x="lower:Q", x2="upper:Q", color=alt.value(INK))
    shown = choice("figure", list(figures), label="figure", labels=list(figures.values()))
    return alt.layer(bars, errors).add_params(shown).properties(height=22 * len(order))


def _input_name(one: Mapping[str, Any]) -> str:
    return "pair features" if one["kind"] == "pairs" else str(one["name"])


def _epoch_axis(n_epochs: int) -> alt.X:
    ticks = list(range(1, n_epochs + 1, -(-n_epochs // 10)))
    return alt.X("epoch:Q").scale(domain=[1, max(2, n_epochs)], nice=False).axis(values=ticks, format="d", grid=False)


def _small_axis(**further: Any) -> alt.Axis:
    return alt.Axis(labelFontSize=10, labelLimit=140, ticks=False, grid=True, gridOpacity=0.4, **further)


def _true_name(name: str, predicted: Sequence[str]) -> str:
    return name if name in predicted else f"{name}{UNSEEN}"


def _cells(confusion: Mapping[str, Any], is_signal: Mapping[str, bool]) -> list[dict[str, Any]]:
    """A row for each pair of classes that occurs."""
    return [
        {
            "true": _true_name(true, confusion["predicted"]),
            "predicted": predicted,
            "share": round(share, 5),
            "n": n_events,
            "verdict": _verdict(true, predicted, is_signal),
        }
        for true, shares, n_events in zip(confusion["true"], confusion["shares"], confusion["n_events"], strict=True)
        for predicted, share in zip(confusion["predicted"], shares, strict=True)
        if share
    ]


def _verdict_colour() -> alt.Color:
    scale = alt.Scale(domain=[RIGHT, SAME_SIDE, OTHER_SIDE], range=[SERIES[0], SERIES[2], SERIES[1]])
    return alt.Color("verdict:N", title=None).scale(scale).legend(columns=1, labelLimit=260)


def _cell_tooltip() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("true:N", title="truly"),
        alt.Tooltip("predicted:N", title="taken for"),
        alt.Tooltip("share:Q", title="share", format=".1%"),
        alt.Tooltip("n:Q", title="events of the true class", format=","),
    ]


def _verdict(true: str, predicted: str, is_signal: Mapping[str, bool]) -> str:
    if true == predicted:
        return RIGHT
    return SAME_SIDE if is_signal[true] == is_signal[predicted] else OTHER_SIDE
