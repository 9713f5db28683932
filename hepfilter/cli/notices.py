"""Lines for the user on stderr: errors, notices, and what only ``--verbose`` tells.

All go through the logger ``hepfilter``, as do those of the library, so that one level holds for both.
"""

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from hepfilter.errors import UsageError, visible

LOGGER: Final = logging.getLogger("hepfilter")
QUIET, USUAL, VERBOSE = logging.ERROR, logging.WARNING, logging.INFO


def print_error(text: str) -> None:
    """Tell why a command ends."""
    LOGGER.error("%s", text)


def print_notice(text: str) -> None:
    """Tell something while a command runs."""
    LOGGER.warning("%s", text)


def print_detail(text: str) -> None:
    """Tell what is done, to those who want to know."""
    LOGGER.info("%s", text)


@contextmanager
def lines_on_stderr() -> Iterator[None]:
    """Bring the logger's lines to stderr for the time of a command, from notices on unless `speak` says otherwise."""
    handler, before = _Stderr(), LOGGER.level
    LOGGER.addHandler(handler)
    LOGGER.setLevel(USUAL)
    try:
        yield
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(before)


def speak(level: int) -> None:
    """Say as much as QUIET or VERBOSE; UsageError if the other was asked for before."""
    if LOGGER.level not in (USUAL, level):
        raise UsageError("--quiet and --verbose: give one of them")
    LOGGER.setLevel(level)


def is_quiet() -> bool:
    """Whether only errors are told."""
    return not LOGGER.isEnabledFor(USUAL)


def is_verbose() -> bool:
    """Whether details are told, too."""
    return LOGGER.isEnabledFor(VERBOSE)


class _Stderr(logging.Handler):
    """A line each, with the seconds since the start where it is a detail; of this process alone, not of its workers."""

    def __init__(self) -> None:
        super().__init__()
        self._started, self._process = time.monotonic(), os.getpid()

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record on what is stderr now: a progress bar may have taken its place."""
        if sys.stderr is None or os.getpid() != self._process:
            return
        elapsed = f"[{time.monotonic() - self._started:6.2f} s] " if record.levelno < USUAL else ""
        print(f"hepfilter: {elapsed}{visible(record.getMessage())}", file=sys.stderr)
