"""Files that appear whole or not at all: written under another name, seen to the disk, renamed; several together."""

import atexit
import errno
import os
import uuid
from contextlib import suppress
from pathlib import Path

from hepfilter.config.files import remove
from hepfilter.errors import OutputError

_partials: set[Path] = set()
_LONGEST_NAME = 220  # bytes; 255 are possible, and names of what is unfinished, and of lists beside it, are longer


def refuse_output(path: Path, *, force: bool) -> None:
    """What can be told of an output before any work: OutputError if it exists (unless `force`) or cannot be there."""
    try:
        if path.exists() and not path.is_file():
            raise OutputError(f"{path}: is no plain file; give another name with -o")
        if (path.exists() or path.is_symlink()) and not force:
            exists = FileExistsError(errno.EEXIST, "exists")
            raise OutputError(f"{path}: exists; give another name with -o, or --force to replace it") from exists
        if len(os.fsencode(path.name)) > _LONGEST_NAME:
            raise OutputError(f"{path}: its name is too long; give one of at most {_LONGEST_NAME} bytes")
        if not path.parent.is_dir():
            raise OutputError(f"{path}: there is no folder {path.parent}; make it first")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error


def unfinished(path: Path) -> Path:
    """A name for a file while it is written that nobody else uses."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")


def remove_unfinished(folder: Path, names: str) -> None:
    """Remove what killed processes left of files whose names match a pattern; nobody else may be writing them now."""
    for partial in folder.glob(f".{names}.????????.part"):
        remove(partial)


def remember_unfinished(partial: Path) -> None:
    """See to it that a file is gone when the process ends, should a signal come between making it and its `with`."""
    if not _partials:
        atexit.register(_remove_partials)
    _partials.add(partial)


def _remove_partials() -> None:
    while _partials:
        with suppress(OSError):
            _partials.pop().unlink(missing_ok=True)


class Publication:
    """Lets several files appear together: those given one are renamed into place when its `with` block ends.

    If that ends by an exception, all are removed.
    """

    def __init__(self) -> None:
        self._finished: list[tuple[Path, Path]] = []

    def __enter__(self) -> "Publication":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            while kind is None and self._finished:
                partial, path = self._finished[0]
                publish(partial, path)
                self._finished.pop(0)
        finally:
            for partial, _path in self._finished:
                remove(partial)

    def add(self, partial: Path, path: Path) -> None:
        """Take over a file that is whole."""
        self._finished.append((partial, path))

    def unpublished(self, path: Path) -> Path:
        """Where the file lies that will get the name `path`."""
        return next(partial for partial, name in self._finished if name == path)


def publish(partial: Path, path: Path) -> None:
    """Give a file that is whole its name, and see both to the disk; OutputError if that cannot be."""
    try:
        _rename(partial, path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}; nothing is left behind") from error
    _partials.discard(partial)


def write_whole(path: Path, *pieces: bytes, remedy: str = "nothing is left behind") -> None:
    """Write a file that appears complete or not at all, of pieces one after the other.

    OutputError, which ends with the `remedy`, if the folder cannot be written or the disk is full.
    """
    partial = unfinished(path)
    try:
        with partial.open("wb") as out:
            out.writelines(pieces)
        _rename(partial, path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}; {remedy}") from error
    finally:
        remove(partial)


def _rename(partial: Path, path: Path) -> None:
    """Give a file its name: it is on the disk before, its name after."""
    _sync(partial, os.O_RDWR)
    partial.replace(path)
    with suppress(OSError):  # not all file systems can do that to a folder
        _sync(path.parent, os.O_RDONLY)


def _sync(path: Path, mode: int) -> None:
    """Wait until a file or folder is on the disk."""
    number = os.open(path, mode)
    try:
        os.fsync(number)
    finally:
        os.close(number)
