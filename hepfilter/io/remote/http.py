"""Files of web servers, read in parts (``Range``)."""

import re
from collections.abc import Sequence

import requests
import urllib3
from requests.adapters import HTTPAdapter

from hepfilter.io.remote.limits import RemoteLimits
from hepfilter.io.remote.transport import AT_ONCE, Piece, TransportError
from hepfilter.io.text import one_line

_PASSING = frozenset({408, 425, 429})
_FAULTS = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError)
_WORDS = {401: "it needs a login", 403: "it is forbidden", 404: "no such file; check the address", 410: "it is gone"}


class HttpTransport:
    """A file of a web server; a proxy, its login and a certificate bundle are found as `requests` finds them."""

    most = 1

    def __init__(self, address: str, limits: RemoteLimits) -> None:
        self._address = address
        self._timeout = limits.open, limits.read
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=AT_ONCE))
        self._known: tuple[int, str] | None = None
        self._get(0, 1)
        assert self._known is not None
        self.size = self._known[0]

    def fetch(self, pieces: Sequence[Piece]) -> list[bytes]:
        """The bytes of each piece."""
        return [self._get(start, stop) for start, stop in pieces]

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def _get(self, start: int, stop: int) -> bytes:
        headers = {"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"}
        try:
            with self._session.get(self._address, headers=headers, timeout=self._timeout, stream=True) as response:
                self._check(response, start, stop)
                data: bytes = response.raw.read(stop - start, decode_content=False)
        except _FAULTS as error:
            raise TransportError(_reason(error), may_pass=not isinstance(error, ValueError)) from error
        if len(data) != stop - start:
            raise TransportError("the connection was lost", may_pass=True)
        return data

    def _check(self, response: requests.Response, start: int, stop: int) -> None:
        """TransportError if the answer is not the part that was asked for, of the file that was opened."""
        status = response.status_code
        if status == 200:
            raise TransportError(
                "its server sends the whole file where a part is asked for; copy the file first", may_pass=False
            )
        if status != 206:
            reason = f"HTTP {status}, {_WORDS.get(status, response.reason)}"
            raise TransportError(reason, may_pass=status >= 500 or status in _PASSING)
        found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", response.headers.get("Content-Range", "").strip())
        if found is None or (int(found[1]), int(found[2]) + 1) != (start, stop):
            raise TransportError("its server sends another part than was asked for", may_pass=False)
        version = int(found[3]), response.headers.get("Last-Modified", "")
        self._known = self._known or version
        if version != self._known:
            raise TransportError("the file changed while it was read", may_pass=False)


def _reason(error: Exception) -> str:
    """What happened, in few words: the text of a failed request names its objects, not the fault."""
    text = str(error)
    if isinstance(error, requests.Timeout) or "timed out" in text:
        return "no answer in time"
    if "refused" in text:
        return "the connection is refused"
    if "resolve" in text:
        return "there is no such host"
    if isinstance(error, requests.exceptions.SSLError):
        return f"its certificate is not accepted: {one_line(error)}"
    if isinstance(error, requests.ConnectionError | urllib3.exceptions.HTTPError):
        return "the connection was lost"
    return one_line(error)
