"""What commands share in talking to a terminal: tables on stdout, progress on stderr."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text


class _EventRate(ProgressColumn):
    """Events per second."""

    def render(self, task: Task) -> Text:
        rate = task.finished_speed or task.speed
        return Text(f"{rate:,.0f} events/s" if rate else "")


def stdout() -> Console:
    """The console for results; as wide as its text where stdout is no terminal, so that pipes get whole lines."""
    return Console(width=None if sys.stdout.isatty() else 200, soft_wrap=True)


@contextmanager
def event_progress() -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar on stderr, only where that is a terminal; yields `report(stage, events done, events in all)`."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _EventRate(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        tasks = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total)
            bar.update(tasks[stage], completed=done, total=total)

        yield report
