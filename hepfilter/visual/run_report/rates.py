"""What each path took: rates with intervals, overlaps, and their course."""

from collections.abc import Mapping
from typing import Any

import altair as alt
import numpy as np

from hepfilter.config.menu import PathDefinition
from hepfilter.skim.parts import Part
from hepfilter.skim.reporting.containers import SkimStory
from hepfilter.statistics.prediction import Prediction
from hepfilter.trigger.events import told_threshold
from hepfilter.trigger.rates import BlockRates, Rates, RateTable
from hepfilter.trigger.thresholds import Resolution
from hepfilter.visual.page import FAINT, SERIES, Block, Cell, Chart, Folded, Section, Table, Text, Value
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
from hepfilter.visual.run_report.numbers import interval, percent

_MOST_TABLES = 20
_LINE = 44
_BEFORE, _AFTER, _PURE = "before prescale", "after prescale", "pure"


def rates_section(story: SkimStory, predicted: Resolution | None) -> Section:
    """The rates of a menu's paths; what decided where there was no menu."""
    title = "Rates"
    part = story.parts[0]
    if part.menu is None:
        return Section("Selection", "rates", [Text(_what_decided(part))])
    if not story.rates:
        return Section(title, "rates", [Text("No rates are known: the run kept no summary.", warning=True)])
    if len(story.rates) > 1:
        content: list[Block] = [
            Text(f"{len(story.rates)} skims by the menu {part.menu.name}, each with rates of its own.")
        ]
        for number, table in enumerate(story.rates[:_MOST_TABLES]):
            content.append(Folded(f"skim {number + 1}", [_table(table, part, {}), *_notes(table)]))
        return Section(title, "rates", content)
    table = story.rates[0]
    known = predicted.predictions if predicted is not None else _locked(part)
    blocks: list[Block] = [_table(table, part, known), *_notes(table)]
    if table.paths:
        blocks += [_chart(table), _overlaps(table)]
    blocks += _courses(table)
    return Section(title, "rates", blocks)


def _what_decided(part: Part) -> str:
    """Without a menu."""
    recipe = part.recipe
    cuts = [step.name for step in part.inputs[0].cutflow[1:] if step.name != "score"]
    listed = f"Cuts, in order: {', '.join(cuts)}. " if cuts else ""
    if recipe.where is not None:
        listed += f"The selection is {recipe.where}. "
    if recipe.keep is not None:
        listed += f"Of the events that passed all else, {percent(float(recipe.keep))} of highest score are kept"
        own = part.facts.get("threshold")
        listed += ". " if own is None else f": those of at least {own:.4f}. "
    if recipe.threshold is not None:
        listed += f"Events with a score of at least {recipe.threshold:g} are kept. "
    listed += "No menu decided, so there are no paths, no rates and no turn-on curves."
    if not recipe.needs_scores:
        listed += " No score decided either, so there are no scores, thresholds and most interesting events to show."
    return listed


def _locked(part: Part) -> Mapping[str, Prediction]:
    """What the lock predicted."""
    trigger = part.recipe.trigger
    return {} if trigger is None or trigger.frozen is None else trigger.frozen.predictions


def _unit(table: RateTable) -> str:
    return "Hz" if table.of == "Hz" else "%"


def _table(table: RateTable, part: Part, predicted: Mapping[str, Prediction]) -> Table:
    """A row a path, then the union of all."""
    unit = _unit(table)
    menu, trigger = part.menu, part.recipe.trigger
    thresholds = {} if trigger is None or trigger.thresholds is None else trigger.thresholds
    columns = ["path", "threshold", "prescale", "raw", "after prescale", "pure"]
    rows: list[list[Value]] = []
    for number, name in enumerate(table.paths):
        path = None if menu is None else menu.paths.get(name)
        row: list[Value] = [name, _threshold(path, thresholds.get(name))]
        row.append(None if path is None else Cell(f"{path.prescale:g}", path.prescale))
        row += [_rate(rates, number, unit) for rates in (table.raw, table.prescaled, table.pure)]
        rows.append(row + ([_prediction(predicted.get(name))] if predicted else []))
    empty: list[Value] = [Cell("")]
    for name, rates in (("any path", table.union), ("control stream", table.control), ("written", table.written)):
        own: list[Value] = [name, *empty * 3, _rate(rates, None, unit), *empty]
        rows.append(own + (empty if predicted else []))
    caption = f"in {unit} of {table.events:,} events, with 68 % intervals"
    return Table([*columns, *(["predicted"] if predicted else [])], rows, caption=caption)


def _threshold(path: PathDefinition | None, threshold: float | None) -> str:
    """What the score of a path must be, as text that may wrap; a dash for a path without one."""
    if path is None or path.column is None or threshold is None:
        return "–"
    return told_threshold(path.column, threshold)


def _notes(table: RateTable) -> list[Block]:
    """What is not shown."""
    notes: list[Block] = []
    if table.blinded:
        notes.append(Text(f"Blinded, and in no number of this section: {', '.join(table.blinded)}."))
    if table.blind_regions:
        notes.append(Text("Events in blind regions are written, and neither counted nor shown here."))
    return notes


def _rate(rates: Rates, number: int | None, unit: str) -> Cell:
    found = (rates.value, rates.lower, rates.upper)
    return interval(*(float(part if number is None else part[number]) for part in found), unit=unit)


def _prediction(prediction: Prediction | None) -> Cell:
    if prediction is None:
        return Cell("–")
    unit = "Hz" if prediction.of == "Hz" else "%"  # which need not be that of the table
    cell = interval(prediction.value, prediction.lower, prediction.upper, unit=unit)
    return Cell(f"{cell.text} {unit}", cell.order)


def _chart(table: RateTable) -> Chart:
    """A line a path, with three points and their intervals."""
    scale = 1.0 if table.of == "Hz" else 100.0
    kinds = {_BEFORE: table.raw, _AFTER: table.prescaled, _PURE: table.pure}
    low, high = floor_of([scale * rates.value for rates in kinds.values()])
    rows: Rows = [
        {
            "path": path,
            "series": kind,
            # nothing is drawn of a rate of 0 or less but its interval
            "x": rounded(scale * float(rates.value[n])) if rates.value[n] > 0 else None,
            "low": max(rounded(scale * float(rates.lower[n])), low),
            "high": max(rounded(scale * float(rates.upper[n])), low),
        }
        for n, path in enumerate(table.paths)
        for kind, rates in kinds.items()
        if np.isfinite(rates.value[n])
    ]
    marks = colours({_BEFORE: FAINT, _AFTER: SERIES[0], _PURE: SERIES[1]})
    title, scale_x = f"rate [{_unit(table)}]", log_axis(low, high)
    axis = alt.Axis(values=log_ticks(low, high), format="~g")
    base = alt.Chart(data(rows)).encode(
        y=alt.Y("path:N", sort=list(table.paths), title=None, axis=alt.Axis(labelLimit=140)),
        color=marks,
        yOffset=alt.YOffset("series:N", sort=list(kinds)),
    )
    lines = base.mark_rule(strokeWidth=3).encode(x=alt.X("low:Q", title=title, scale=scale_x, axis=axis), x2="high:Q")
    points = base.mark_point(filled=True, size=70, opacity=1).encode(
        x=alt.X("x:Q", title=title, scale=scale_x, axis=axis),
        tooltip=["path:N", "series:N", *(alt.Tooltip(f"{name}:Q", format=".3~g") for name in ("x", "low", "high"))],
    )
    best = table.paths[int(np.nanargmax(np.nan_to_num(table.prescaled.value)))]
    return Chart(
        alt.layer(lines, points).properties(height=_LINE * len(table.paths) + 10),
        title="Rate of each path",
        description=f"A line a path with its rate before and after the prescale, and of the events that it alone took, "
        f"on a logarithmic axis; 68 % intervals. Most events come through {best}.",
    )


def _overlaps(table: RateTable) -> Table:
    """How much of each path, by row, the others took too."""
    rows: list[list[Value]] = []
    for number, name in enumerate(table.paths):
        own = float(table.prescaled.value[number])
        both = [float(value) for value in table.overlap.value[number]]
        cells = [
            Cell(f"{100 * part / own:.3g}", part / own, float(np.clip(part / own, 0.0, 1.0))) if own > 0 else Cell("–")
            for part in both
        ]
        rows.append([name, *cells])
    caption = "overlaps: of a row's events after the prescale, in % those that the column took too"
    return Table(["path", *table.paths], rows, caption=caption)


def _courses(table: RateTable) -> list[Block]:
    """By run, and by luminosity section, where there are several."""
    found: list[Block] = []
    for blocks, what in ((table.runs, "run"), (table.sections, "luminosity section")):
        if len(blocks.run) > 1 and table.paths:
            found.append(_course(table, blocks, what))
    return found


def _course(table: RateTable, blocks: BlockRates, what: str) -> Chart:
    """A line a path."""
    scale = 1.0 if table.of == "Hz" else 100.0
    rows: Rows = []
    for number, path in enumerate(table.paths):
        values: list[Any] = (scale * blocks.prescaled.value[:, number]).tolist()
        for place, value in enumerate(values):
            where = f"{blocks.run[place]}" + ("" if what == "run" else f":{blocks.luminosity_block[place]}")
            if np.isfinite(value):
                rows.append({"x": place + 1, "y": rounded(value), "series": path, "where": where})
    chart = (
        alt.Chart(data(rows))
        .mark_line(point=len(blocks.run) <= 100, strokeWidth=1.5)
        .encode(
            x=alt.X("x:Q", title=f"{what}s in order", axis=alt.Axis(tickMinStep=1), scale=alt.Scale(nice=False)),
            y=alt.Y("y:Q", title=f"rate after prescale [{_unit(table)}]", scale=alt.Scale(zero=True)),
            color=colours(ten_colours(table.paths)),
            tooltip=["series:N", alt.Tooltip("where:N", title=what), alt.Tooltip("y:Q", format=".3~g")],
        )
        .properties(height=HEIGHT)
    )
    title = f"Rates by {what}"
    return Chart(chart, title, f"The rate of each path after its prescale in each of {len(blocks.run):,} {what}s.")
