"""What commands share in talking to a terminal: tables on stdout, progress on stderr."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.segment import Segment
from rich.text import Text

from hepfilter.cli.notices import is_quiet, print_detail
from hepfilter.errors import visible
from hepfilter.wording import counted

_SECONDS_SHOWN = 0.1
_STAGES_SHOWN = 6


class _Rate(ProgressColumn):
    """How many a second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        rate = task.finished_speed or task.speed
        return Text(f"{rate:,.0f} {self._unit}s/s" if rate else "")


class _Stages:
    """Tells of each stage that is over how long it took: from the end of the one before."""

    def __init__(self, unit: str) -> None:
        self._unit, self._stage, self._done = unit, "", 0
        self._began = self._last = time.monotonic()

    def report(self, stage: str, done: int) -> None:
        """So many are done of a stage, which may be another than before."""
        if stage != self._stage:
            self.end()
            self._stage = stage
        self._done, self._last = done, time.monotonic()

    def end(self) -> None:
        """The stage is over."""
        if self._stage:
            seconds = self._last - self._began
            rate = f", {self._done / seconds:,.0f} {self._unit}s/s" if self._done > seconds > 0 else ""
            print_detail(f"{self._stage}: {counted(self._done, self._unit)} in {seconds:.2f} s{rate}")
        self._stage, self._began = "", self._last


class _Shown:
    """A renderable whose text has no escapes: rich passes on those of the names that it is given."""

    def __init__(self, renderable: ConsoleRenderable) -> None:
        self._renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for segment in console.render(self._renderable, options):
            yield segment if segment.control else Segment(visible(segment.text, keep="\n"), segment.style)


class _ShowAll(RenderHook):
    """Wraps all that a console prints."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Shown(renderable) for renderable in renderables]


def stdout() -> Console:
    """The console for results; as wide as its text where stdout is no terminal, so that pipes get whole lines.

    Names of what is in files do not steer the terminal: their escapes are shown as text.
    """
    width = None if sys.stdout is not None and sys.stdout.isatty() else 200
    console = Console(width=width, soft_wrap=True, file=getattr(sys.stdout, "styled", None), **_colours())
    console.push_render_hook(_ShowAll())
    return console


def _colours() -> dict[str, Any]:
    """What rich does not do by itself: with NO_COLOR it still writes bold and italics."""
    return {"color_system": None} if os.environ.get("NO_COLOR") else {}


@contextmanager
def event_progress(unit: str = "event") -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar on stderr, only where that is a terminal; yields `report(stage, units done, in all)`.

    With ``--verbose`` the time of each stage is told too.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(unit), TimeRemainingColumn())
    shown = 0.0
    # no thread that refreshes it: beside one no worker can be forked
    console = Console(stderr=True, **_colours())
    hidden = is_quiet() or console.is_dumb_terminal or not sys.stderr.isatty()
    stages = _Stages(unit)
    with Progress(*columns, console=console, disable=hidden, auto_refresh=False) as bar:
        tasks = {}

        def report(stage: str, done: int, total: int) -> None:
            nonlocal shown
            stages.report(stage, done)
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total)
                for past in bar.tasks[:-_STAGES_SHOWN]:
                    past.visible = False  # what is lower than the terminal is not shown at all
            bar.update(tasks[stage], completed=done, total=total)
            if time.monotonic() - shown > _SECONDS_SHOWN or done == total:
                shown = time.monotonic()
                bar.refresh()

        try:
            yield report
        finally:
            stages.end()


def plain_data(value: Any) -> Any:
    """A result container as JSON data: tuples and arrays as lists, what is not finite as null, a path as its name."""
    from dataclasses import fields, is_dataclass
    from math import isfinite
    from pathlib import Path

    if is_dataclass(value):
        return {field.name: plain_data(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain_data(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_data(item) for item in value]
    if isinstance(value, Path):
        return value.name
    if hasattr(value, "tolist"):
        return plain_data(value.tolist())
    return None if isinstance(value, float) and not isfinite(value) else value
