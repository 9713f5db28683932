"""stdout as commands see it: its reader may leave before the end, as ``| head`` does, and its disk may be full."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, TextIO, cast

from hepfilter.errors import OutputError, visible


@contextmanager
def guarded_stdout() -> Iterator[Callable[[], None]]:
    """Guard stdout for the time of a command; yields what writes out the rest of it.

    Where the reader has left, printing ends the command quietly, with the exit code of tools that SIGPIPE ends;
    OutputError where stdout cannot be written for another reason.
    """
    if sys.stdout is None:  # closed, as by >&-
        yield lambda: None
        return
    stdout = _Stdout(sys.stdout)
    with redirect_stdout(cast(TextIO, stdout)):
        yield stdout.flush


class _Stdout:
    """A text stream, as it is but for two things.

    Errors of writing: rich and click make of any broken pipe, also of a worker's or a server's, a silent exit code 1.
    And signs that steer a terminal: they are made visible, since names in files may hold any. `styled` takes what is
    written as it is, for a console that styles by escapes of its own.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @property
    def styled(self) -> "_Styled":
        """The same stream for texts whose escapes are our own."""
        return _Styled(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text."""
        with self._told():
            return self._stream.write(self._shown(text))

    def _shown(self, text: str) -> str:
        return visible(text, keep="\n\t")

    def flush(self) -> None:
        """Write out what is buffered."""
        with self._told():
            self._stream.flush()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            self._drop()
            raise SystemExit(128 + signal.SIGPIPE) from None
        except OSError as error:
            self._drop()
            raise OutputError(f"stdout: cannot be written: {error.strerror}") from error

    def _drop(self) -> None:
        """Let go what is buffered, which Python would try to write once more at its end, and complain."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)


class _Styled(_Stdout):
    """The same, with the escapes of what is written."""

    def _shown(self, text: str) -> str:
        return text
