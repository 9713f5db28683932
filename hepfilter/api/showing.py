"""The tables of results outside the command line: what a command prints, as HTML for notebooks and as plain text.

Each kind of result has one function that prints it to a console, and it is that of its command; here the console is one
that gathers. All text is escaped: names come from files.
"""

import io
from collections.abc import Callable
from html import escape
from importlib import import_module
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hepfilter.api.opening import EventFile
from hepfilter.errors import visible

_WIDE: Final = 10_000
_TEXT_WIDTH: Final = 160
_PRINTERS: Final = {
    "CalibrationReport": "calibrate",
    "Evaluation": "evaluate",
    "Inspection": "inspect",
    "MergeReport": "merge",
    "RatesReport": "rates",
    "RateTable": "rate_tables",
    "SampleReport": "simulate",
    "ScoreReport": "score",
    "SkimReport": "skim",
    "TrainingReport": "train",
    "VerificationReport": "verify",
    "WeakResult": "hunt",
}
"""The module of `hepfilter.cli` whose `print_report` prints a result, by the name of its class."""
_END: Final = ' class="end"'
_STYLE: Final = (
    "<style>.hepfilter table{border-collapse:collapse;margin:.4em 0 .8em;font-variant-numeric:tabular-nums}"
    ".hepfilter caption{caption-side:top;text-align:left;font-weight:600;padding:.2em .1em;color:inherit;"
    "white-space:nowrap}"
    ".hepfilter th,.hepfilter td{padding:.2em .7em;border:0;border-bottom:1px solid rgba(128,128,128,.35);"
    "background:transparent;color:inherit;white-space:pre-line}"
    ".hepfilter th{border-bottom:2px solid rgba(128,128,128,.7);font-weight:600}"
    ".hepfilter .end td{border-bottom-color:rgba(128,128,128,.9)}"
    ".hepfilter p{margin:.15em 0}.hepfilter{overflow-x:auto}</style>"
)


def as_html(result: object) -> str:
    """The tables and lines of a result as an HTML fragment, for light and dark pages. KeyError if it is no result."""
    console = _Gathering()
    _print(result, console)
    return f'<div class="hepfilter">{_STYLE}{"".join(console.parts)}</div>'


def as_text(result: object) -> str:
    """The same as lines of text. KeyError if it is no result."""
    text = io.StringIO()
    _print(result, Console(file=text, width=_TEXT_WIDTH, soft_wrap=True, color_system=None, force_jupyter=False))
    return "\n".join(visible(line).rstrip() for line in text.getvalue().strip("\n").split("\n"))


def _print(result: object, console: Console) -> None:
    """As the command of the result does; an open file is shown as what `inspect` finds."""
    shown = result.inspection if isinstance(result, EventFile) else result
    printer: Callable[[Any, Console], None]
    printer = import_module(f"hepfilter.cli.{_PRINTERS[type(shown).__name__]}").print_report
    printer(shown, console)


class _Gathering(Console):
    """A console that keeps what is printed as pieces of HTML."""

    def __init__(self) -> None:
        super().__init__(file=io.StringIO(), width=_WIDE, force_jupyter=False)
        self.parts: list[str] = []

    def print(self, *objects: Any, **_: Any) -> None:
        """Tables as tables, all else as lines."""
        for thing in objects:
            if isinstance(thing, Table):
                self.parts.append(_table(thing))
            elif text := _plain(thing).strip():
                self.parts.append(f"<p>{escape(text)}</p>")


def _table(table: Table) -> str:
    columns = [(_plain(column.header), column.justify, list(column.cells)) for column in table.columns]
    heads = "".join(f'<th style="text-align:{justify}">{escape(name)}</th>' for name, justify, _ in columns)
    rows = []
    for number, row in enumerate(table.rows):
        cells = "".join(
            f'<td style="text-align:{justify}">{escape(_plain(cells[number]))}</td>' for _, justify, cells in columns
        )
        rows.append(f"<tr{_END if row.end_section else ''}>{cells}</tr>")
    caption = "" if table.title is None else f"<caption>{escape(_plain(table.title))}</caption>"
    return f"<table>{caption}<thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _plain(thing: Any) -> str:
    """The text of a cell or line, with control characters made visible."""
    return visible(thing.plain if isinstance(thing, Text) else str(thing), keep="\n")
