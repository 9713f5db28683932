"""The bytes of a file wherever it lies: here, on another machine, or at several places."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hepfilter.config.files import exists, is_file, is_folder
from hepfilter.errors import SourceError
from hepfilter.io.bytesource import ByteSource, open_local
from hepfilter.io.remote.replicas import open_replicas


@contextmanager
def open_bytes(addresses: Sequence[str]) -> Iterator[tuple[str, ByteSource]]:
    """(the address that was opened, the bytes) of a file at one or more addresses; SourceError if none can be opened.

    Where one fails later, the next takes its place.
    """
    (first, *others) = addresses
    if others or "://" in first:
        with open_replicas(addresses) as opened:
            yield opened
        return
    _check_local(Path(first))
    with open_local(Path(first)) as local:
        yield first, local


def _check_local(path: Path) -> None:
    """SourceError for what is there, but no file to be read."""
    if is_folder(path):
        raise SourceError(f"{path}: is a folder, not a ROOT file")
    if exists(path) and not is_file(path):
        raise SourceError(f"{path}: is no plain file")
