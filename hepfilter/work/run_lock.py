"""A folder beside an output that one run at a time uses: its lock ends with the process, however that ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hepfilter.errors import OutputError

LOCK: Final = "lock"
_HELD: Final[set[Path]] = set()
"""The folders that this process uses: a lock does not keep a process from what it holds itself."""


@contextmanager
def locked_folder(folder: Path, *, output: Path) -> Iterator[None]:
    """Make the folder of the run that makes `output`, and keep others out of it.

    OutputError if another run uses it, or it cannot be made. Whoever removes the folder removes the file `LOCK` last.
    """
    place = folder.resolve()
    if place in _HELD:  # before the file is opened: closing it would give up the lock
        raise _used(output)
    if not output.parent.is_dir():
        raise OutputError(f"{output}: there is no folder {output.parent}; make it first")
    if folder.is_symlink():
        raise OutputError(f"{folder}: is a link, which is not followed; remove it")
    try:
        folder.mkdir(exist_ok=True)
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made: {error.strerror}") from error
    try:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # not flock: forked workers would hold on to that
        except (BlockingIOError, PermissionError) as error:
            raise _used(output) from error
        except OSError as error:
            raise OutputError(f"{folder}: cannot be locked: {error.strerror}") from error
        if not _is_there(lock, folder / LOCK):  # its run ended just now, and took the folder away
            raise OutputError(f"{output}: another run has just made it; look at it, or run again")
        _HELD.add(place)
        yield
    finally:
        _HELD.discard(place)
        os.close(lock)


def _used(output: Path) -> OutputError:
    return OutputError(f"{output}: another run is making it; wait for it, or give another name")


def _is_there(number: int, path: Path) -> bool:
    """Whether this open file is still what lies at a path, and no other run has made it anew."""
    try:
        return os.path.samestat(os.fstat(number), path.stat(follow_symlinks=False))
    except OSError:
        return False
