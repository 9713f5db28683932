"""Files of XRootD servers: ``root://host//path``, many ranges in one request."""

import atexit
import math
import re
import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any

from XRootD import client
from XRootD.client.responses import XRootDStatus

from hepfilter.io.remote.limits import RemoteLimits
from hepfilter.io.remote.transport import Piece, TransportError
from hepfilter.io.text import one_line

_ANSWERED = 400  # the server answered with an error, whose number is `errno`
_PREFIX = re.compile(r"^\[(?:ERROR|FATAL)\] (?:Server responded with an error: )?")
_FINAL_CODES = frozenset({3, 8, 203, 204, 304})  # wrong arguments, not supported, login and authentication, redirects
# of the server's errors those that may pass: input/output, memory, the server's own, no server for it, overload, time
_PASSING_ERRORS = frozenset({3007, 3008, 3012, 3014, 3024, 3035})


class XRootDTransport:
    """A file of an XRootD server. Settings of the user's (``XRD_…``) go before ours."""

    most = 512  # servers take 1024

    def __init__(self, address: str, limits: RemoteLimits) -> None:
        _settle(limits)
        _end_quietly()
        self._seconds = math.ceil(limits.read)
        self._file = client.File()
        opening = math.ceil(limits.open)
        self._check(self._file.open(address, timeout=opening)[0])
        status, info = self._file.stat(timeout=opening)
        self._check(status)
        self.size = int(info.size)

    def fetch(self, pieces: Sequence[Piece]) -> list[bytes]:
        """The bytes of each piece."""
        asked = [(start, stop - start) for start, stop in pieces]
        try:
            status, answer = self._file.vector_read(chunks=asked, timeout=self._seconds)
        except ValueError as error:  # another request has found the connection lost, and the library closed the file
            raise TransportError("the connection was lost", may_pass=True) from error
        self._check(status)
        if [(chunk.offset, chunk.length) for chunk in answer.chunks] != asked:
            raise TransportError("its server sends other parts than were asked for", may_pass=False)
        return [bytes(chunk.buffer) for chunk in answer.chunks]

    def close(self) -> None:
        """Close the file."""
        self._file.close(timeout=self._seconds)

    def _check(self, status: XRootDStatus) -> None:
        if status.ok:
            return
        may_pass = status.errno in _PASSING_ERRORS if status.code == _ANSWERED else status.code not in _FINAL_CODES
        raise TransportError(_PREFIX.sub("", one_line(Exception(status.message))), may_pass=may_pass)


def _settle(limits: RemoteLimits) -> None:
    """Tell the library our limits; by default it waits for half an hour before it connects again."""
    reading, opening = math.ceil(limits.read), math.ceil(limits.open)
    settings: dict[str, Any] = {
        "TimeoutResolution": 1,
        "RequestTimeout": reading,
        "StreamTimeout": reading,
        "ConnectionWindow": opening,
        "ConnectionRetry": 1,
        "StreamErrorWindow": 0,
    }
    for name, value in settings.items():
        client.EnvPutInt(name, value)


@cache
def _end_quietly() -> None:
    """At the end of the process the library looks at every object there is, and some of torch warn about that."""
    atexit.register(warnings.simplefilter, "ignore", FutureWarning)
