"""Rates of a menu's paths as tables on a terminal."""

from math import isnan
from typing import TYPE_CHECKING

from hepfilter.wording import counted

if TYPE_CHECKING:
    from rich.console import Console

    from hepfilter.skim.rates import RatesDifference
    from hepfilter.statistics.prediction import Prediction
    from hepfilter.trigger.rates import BlockRates, Rates, RateTable
    from hepfilter.trigger.thresholds import Resolution

_LONGEST = 20


def print_report(table: "RateTable", console: "Console") -> None:
    """The rates alone."""
    print_rates(table, None, console)


def print_rates(table: "RateTable", resolution: "Resolution | None", console: "Console") -> None:
    """A row a path, and the union of all; with what the next sample will give, where thresholds were tuned."""
    from rich.table import Table
    from rich.text import Text

    unit = "Hz" if table.of == "Hz" else "%"
    left_out = ", blind regions left out" if table.blind_regions else ""
    rows = Table(title=Text(f"rates in {unit} of {counted(table.events, 'event')}{left_out}"))
    rows.add_column("path")
    predicted = {} if resolution is None else resolution.predictions
    for column in ("raw", "after prescale", "pure", "shared", *(["predicted"] if predicted else [])):
        rows.add_column(column, justify="right")
    for number, name in enumerate(table.paths):
        cells = [_rate(part, number, table.of) for part in (table.raw, table.prescaled, table.pure, table.shared)]
        rows.add_row(name, *cells, *([_prediction(predicted.get(name))] if predicted else []))
    rows.add_section()
    union = [] if resolution is None else [_prediction(resolution.union)]
    rows.add_row("any path", "", _rate(table.union, None, table.of), "", "", *(union if predicted else []))
    rows.add_row("control stream", "", _rate(table.control, None, table.of), "", "", *([""] if predicted else []))
    rows.add_row("written", "", _rate(table.written, None, table.of), "", "", *([""] if predicted else []))
    console.print(rows)
    if isnan(table.union.value):
        console.print("no rates: the weights of the events that are shown do not add up to more than 0")
    if resolution is not None and resolution.budget is not None:
        console.print(f"the shared budget will take {_prediction(resolution.budget)}", markup=False)
    if table.blinded:
        console.print(f"blinded: {', '.join(table.blinded)}", markup=False)
    if table.blind_regions:
        console.print("events in blind regions are written, and not counted here")


def print_overlaps(table: "RateTable", console: "Console") -> None:
    """How much of each path, by row, others took too."""
    from rich.table import Table

    rows = Table(title="of a row's events, in % also taken by")
    rows.add_column("path")
    for name in table.paths:
        rows.add_column(name, justify="right")
    for number, name in enumerate(table.paths):
        own = float(table.prescaled.value[number])
        shares = [f"{100 * float(both) / own:.3g}" if own > 0 else "–" for both in table.overlap.value[number]]
        rows.add_row(name, *shares)
    console.print(rows)


def print_course(blocks: "BlockRates", table: "RateTable", console: "Console", *, what: str) -> None:
    """A row a run or luminosity section: the first ones, with how many there are."""
    from rich.table import Table
    from rich.text import Text

    unit = "Hz" if table.of == "Hz" else "%"
    rows = Table(title=Text(f"rates in {unit} by {what}"))
    for column in ("run", *([] if what == "run" else ["section"]), "events", *table.paths, "any path"):
        rows.add_column(column, justify="left" if column in ("run", "section") else "right")
    scale = 1.0 if table.of == "Hz" else 100.0
    for place in range(min(len(blocks.run), _LONGEST)):
        where = [str(blocks.run[place])] + ([] if what == "run" else [str(blocks.luminosity_block[place])])
        values = [*blocks.prescaled.value[place], blocks.union.value[place]]
        rows.add_row(*where, f"{blocks.events[place]:,}", *(_number(scale * float(value)) for value in values))
    console.print(rows)
    if len(blocks.run) > _LONGEST:
        console.print(f"the first {_LONGEST} of {len(blocks.run):,}; --json has all")


def print_difference(found: "RatesDifference", console: "Console") -> None:
    """A row a path of either menu, and any path: events before and after, lost and gained."""
    from rich.table import Table

    table = Table(title=f"two menus on {counted(found.events, 'event')}, before prescales")
    table.add_column("path")
    for column in ("before", "after", "lost", "gained", "unique before", "unique after"):
        table.add_column(column, justify="right")
    for each in found.changes:
        numbers = each.before, each.after, each.lost, each.gained, each.unique_before, each.unique_after
        table.add_row(each.path, *("–" if number is None else f"{number:,}" for number in numbers))
    console.print(table)
    if found.blinded:
        console.print(f"blinded: {', '.join(found.blinded)}", markup=False)


def _rate(rates: "Rates", number: int | None, of: str) -> str:
    """A rate with its 68 % interval."""
    value, lower, upper = (
        float(part if number is None else part[number]) for part in (rates.value, rates.lower, rates.upper)
    )
    return _interval(value, lower, upper, of)


def _prediction(prediction: "Prediction | None") -> str:
    if prediction is None:
        return "–"
    unit = " Hz" if prediction.of == "Hz" else " %"
    return _interval(prediction.value, prediction.lower, prediction.upper, prediction.of) + unit


def _interval(value: float, lower: float, upper: float, of: str) -> str:
    scale = 1.0 if of == "Hz" else 100.0
    return "–" if isnan(value) else f"{scale * value:.3g} [{scale * lower:.3g}, {scale * upper:.3g}]"


def _number(value: float) -> str:
    """Nothing is known of events whose weights do not add up to more than 0."""
    return "–" if isnan(value) else f"{value:.3g}"
