"""What lies at a path that nobody has looked at: nothing does where it is too long for a name, or has NUL in it."""

import os
import stat
from contextlib import suppress
from pathlib import Path


def exists(path: str | Path) -> bool:
    """Whether anything lies there, symbolic links followed."""
    return _status(path) is not None


def is_file(path: str | Path) -> bool:
    """Whether a plain file lies there."""
    status = _status(path)
    return status is not None and stat.S_ISREG(status.st_mode)


def is_folder(path: str | Path) -> bool:
    """Whether a folder lies there."""
    status = _status(path)
    return status is not None and stat.S_ISDIR(status.st_mode)


def remove(path: Path) -> None:
    """Remove a file that is not wanted any more; what cannot be removed, or be there at all, stays as it is."""
    with suppress(OSError):
        path.unlink()


def _status(path: str | Path) -> os.stat_result | None:
    try:
        return Path(path).stat()
    except (OSError, ValueError):
        return None
