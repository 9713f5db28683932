"""Bytes of a file by position, counted; `remote` opens those of other machines."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from hepfilter.errors import SourceError

Fetch = Callable[[int, int], bytes]
"""The bytes [start, stop) of a file."""

_GAP = 16_384  # ranges nearer than this are read as one
_LONGEST = 4_000_000  # but no read is longer


class ByteSource:
    """The bytes of one open file, `size` in all; `read` counts those that were asked of it."""

    def __init__(
        self, fetch: Fetch, fetch_many: Callable[[Sequence[tuple[int, int]]], Sequence[bytes]], size: int
    ) -> None:
        self._fetch = fetch
        self._fetch_many = fetch_many
        self.size = size
        self.read = 0

    def __call__(self, start: int, stop: int) -> bytes:
        """The bytes [start, stop)."""
        self.read += stop - start
        return self._fetch(start, stop)

    def many(self, ranges: Sequence[tuple[int, int]]) -> list[memoryview]:
        """The bytes of each range [start, stop); neighbours are read together, an empty range never."""
        wanted = [index for index, (start, stop) in enumerate(ranges) if start < stop]
        spans, member = _coalesce([ranges[index] for index in wanted])
        self.read += sum(stop - start for start, stop in spans)
        blocks = [memoryview(block) for block in self._fetch_many(spans)] if spans else []
        result = [memoryview(b"")] * len(ranges)
        for index, number in zip(wanted, member, strict=True):
            first = spans[number][0]
            result[index] = blocks[number][ranges[index][0] - first : ranges[index][1] - first]
        return result


def _coalesce(ranges: Sequence[tuple[int, int]]) -> tuple[list[tuple[int, int]], list[int]]:
    """(spans that cover the ranges, for each range the number of its span)."""
    spans: list[tuple[int, int]] = []
    member = [0] * len(ranges)
    for index in sorted(range(len(ranges)), key=ranges.__getitem__):
        start, stop = ranges[index]
        if spans and spans[-1][0] <= start <= spans[-1][1] + _GAP and stop - spans[-1][0] <= _LONGEST:
            spans[-1] = spans[-1][0], max(stop, spans[-1][1])
        else:
            spans.append((start, stop))
        member[index] = len(spans) - 1
    return spans, member


@contextmanager
def open_local(path: Path) -> Iterator[ByteSource]:
    """A local file; never mapped into memory, as arrays that outlive a mapping would read freed memory.

    SourceError if it cannot be opened, later not be read, or changes while it is open.
    """
    with _open(path) as stream:
        number = stream.fileno()
        first = os.fstat(number)

        def fetch(start: int, stop: int) -> bytes:
            """The bytes from `start` to `stop`, fewer where the file ends."""
            # a damaged file may ask for gigabytes, which would be allocated before they are found not to be there
            if start < 0:
                raise ValueError(f"a position of {start}")
            length = max(min(stop, first.st_size) - start, 0)
            try:
                data = os.pread(number, length, start)
            except OSError as error:
                what = f"{path}: the bytes {start} to {start + length - 1} cannot be read: {error.strerror}"
                raise SourceError(f"{what}; try again, or copy the file first") from error
            _refuse_changed(path, first, os.fstat(number))
            return data

        yield ByteSource(fetch, lambda spans: [fetch(start, stop) for start, stop in spans], first.st_size)
        with suppress(OSError):  # one that was removed was read all the same
            _refuse_changed(path, first, path.stat())


def _refuse_changed(path: Path, first: os.stat_result, now: os.stat_result) -> None:
    """SourceError if a file is not the one that was opened, or was written to."""
    same = os.path.samestat(first, now) and (first.st_size, first.st_mtime_ns) == (now.st_size, now.st_mtime_ns)
    if not same:
        raise SourceError(f"{path}: changed while it was read; start again when nothing writes to it")


def _open(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
