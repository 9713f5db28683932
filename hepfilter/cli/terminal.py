"""What commands share in talking to a terminal: tables on stdout, progress on stderr."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.segment import Segment
from rich.text import Text

from hepfilter.errors import visible

_SECONDS_SHOWN = 0.1
_STAGES_SHOWN = 6


class _EventRate(ProgressColumn):
    """Events per second."""

    def render(self, task: Task) -> Text:
        rate = task.finished_speed or task.speed
        return Text(f"{rate:,.0f} events/s" if rate else "")


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
    console = Console(width=width, soft_wrap=True, file=getattr(sys.stdout, "styled", None))
    console.push_render_hook(_ShowAll())
    return console


@contextmanager
def event_progress() -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar on stderr, only where that is a terminal; yields `report(stage, events done, events in all)`."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _EventRate(), TimeRemainingColumn())
    shown = 0.0
    # no thread that refreshes it: beside one no worker can be forked
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not sys.stderr.isatty(), auto_refresh=False) as bar:
        tasks = {}

        def report(stage: str, done: int, total: int) -> None:
            nonlocal shown
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total)
                for past in bar.tasks[:-_STAGES_SHOWN]:
                    past.visible = False  # what is lower than the terminal is not shown at all
            bar.update(tasks[stage], completed=done, total=total)
            if time.monotonic() - shown > _SECONDS_SHOWN or done == total:
                shown = time.monotonic()
                bar.refresh()

        yield report


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
