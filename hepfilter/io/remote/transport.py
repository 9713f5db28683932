"""What all protocols have in common: an open file that gives pieces of its bytes."""

import errno
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

from hepfilter.io.remote.limits import RemoteLimits

Piece = tuple[int, int]
"""The bytes [start, stop)."""

AT_ONCE = 8
"""Requests to one server at the same time."""
LONGEST = 2_000_000
"""Bytes of the largest piece; XRootD's servers take 2,097,136."""

_PASSING = frozenset({errno.EIO, errno.EAGAIN, errno.ETIMEDOUT, errno.ESTALE, errno.EINTR, errno.EREMOTEIO})
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


class TransportError(Exception):
    """Why an address gives nothing; `may_pass` says whether it may give it later."""

    def __init__(self, reason: str, *, may_pass: bool) -> None:
        super().__init__(reason)
        self.may_pass = may_pass


class Transport(Protocol):
    """An open file of `size` bytes; a request takes up to `most` pieces of up to LONGEST bytes each.

    All calls may come from several threads, and raise TransportError.
    """

    size: int
    most: int

    def fetch(self, pieces: Sequence[Piece]) -> list[bytes]:
        """The bytes of each piece."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


class LocalTransport:
    """A file of this machine that has replicas elsewhere."""

    most = 16

    def __init__(self, path: str, _: RemoteLimits) -> None:
        try:
            if not Path(path).is_file() and Path(path).exists():
                raise TransportError("is no plain file", may_pass=False)
            self._stream = Path(path).open("rb")  # noqa: SIM115  (`close` closes it)
            self.size = os.fstat(self._stream.fileno()).st_size
        except (OSError, ValueError) as error:
            raise _local_fault(error) from error

    def fetch(self, pieces: Sequence[Piece]) -> list[bytes]:
        """The bytes of each piece."""
        try:
            return [os.pread(self._stream.fileno(), stop - start, start) for start, stop in pieces]
        except (OSError, ValueError) as error:
            raise _local_fault(error) from error

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


def _local_fault(error: OSError | ValueError) -> TransportError:
    number = getattr(error, "errno", None)
    return TransportError(os.strerror(number) if number else str(error), may_pass=number in _PASSING)


def connect(address: str, limits: RemoteLimits) -> Transport:
    """Open the file at an address; TransportError if that fails."""
    found = _SCHEME.match(address)
    scheme = found[1].lower() if found else "file"
    path = unquote(re.sub(r"^file://(localhost)?", "", address, flags=re.IGNORECASE)) if found else address
    if scheme == "file":
        return LocalTransport(path, limits)
    try:
        return _opener(scheme)(address, limits)
    except ImportError as error:
        raise TransportError("remote files need more: pip install 'hepfilter[remote]'", may_pass=False) from error


def _opener(scheme: str) -> Callable[[str, RemoteLimits], Transport]:
    """What opens addresses of a scheme; its library is imported here, so that nobody else needs it."""
    if scheme in ("http", "https"):
        from hepfilter.io.remote.http import HttpTransport

        return HttpTransport
    if scheme == "s3":
        from hepfilter.io.remote.s3 import S3Transport

        return S3Transport
    if scheme in ("root", "roots", "xroot", "xroots"):
        from hepfilter.io.remote.xrootd import XRootDTransport

        return XRootDTransport
    raise TransportError(
        f"{scheme}:// is not known; root://, http://, https:// and s3:// are, and copies of the file", may_pass=False
    )
