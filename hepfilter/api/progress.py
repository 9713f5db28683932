"""A bar for calls from Python: in a notebook as HTML, on a terminal as the command line has it, nowhere else."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from typing import Any, Final

Progress = Callable[[str, int, int], None]
"""Called as (stage, done, in all)."""

_SECONDS_SHOWN: Final = 0.2


@contextmanager
def shown(progress: Progress | None, unit: str = "events") -> Iterator[Progress]:
    """The `progress` that a caller gave, else a bar for this call."""
    if progress is not None:
        yield progress
    elif in_notebook():
        bar = _NotebookBar(unit)
        try:
            yield bar.report
        finally:
            bar.remove()
    else:
        from hepfilter.cli.terminal import event_progress

        with event_progress(unit) as report:
            yield report


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    found: Any = sys.modules.get("IPython")
    shell = None if found is None else found.get_ipython()
    return getattr(shell, "kernel", None) is not None


class _NotebookBar:
    """One line of HTML that changes in place, and leaves nothing behind: no widgets are needed."""

    def __init__(self, unit: str) -> None:
        self._unit, self._shown = unit, 0.0
        self._handle: Any = None

    def report(self, stage: str, done: int, total: int) -> None:
        """Show how far a stage is."""
        now = time.monotonic()
        if now - self._shown < _SECONDS_SHOWN and done != total:
            return
        self._shown = now
        value = f'<progress value="{done}" max="{max(total, 1)}"></progress>'
        self._display(f"{escape(stage)} {value} {done:,} of {total:,} {self._unit}")

    def remove(self) -> None:
        """Leave an empty line of no height."""
        if self._handle is not None:
            self._display("")

    def _display(self, html: str) -> None:
        from IPython.display import HTML, display

        shown = HTML(html)  # type: ignore[no-untyped-call]
        if self._handle is None:
            self._handle = display(shown, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(shown)
