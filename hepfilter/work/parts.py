"""Parts: results that wait on disk, each whole or not there, until the output is made of them."""

import re
from pathlib import Path
from typing import Final

import xxhash

from hepfilter.config.files import is_file, remove
from hepfilter.errors import OutputError
from hepfilter.io.publishing import remove_unfinished, write_whole

_SUFFIX: Final = ".part"
_DIGEST: Final = 16
_PART_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


class PartStore:
    """A folder of parts. One process writes; others may read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __contains__(self, name: str) -> bool:
        return self._path(name).is_file()

    def write(self, name: str, *pieces: bytes) -> None:
        """Write a part, the pieces one after the other, whole or not at all; OutputError if the disk is full."""
        path = self._path(name)
        digest = xxhash.xxh3_128(name.encode())  # what stands under another's name is damaged
        for piece in pieces:
            digest.update(piece)
        remedy = "when that is mended the same command goes on"
        write_whole(path, *pieces, digest.digest(), remedy=remedy)

    def read(self, name: str) -> bytes | None:
        """What a part holds; None if it is not there, or damaged: then it must be made again."""
        path = self._path(name)
        if not is_file(path):
            return None
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise OutputError(f"{path}: cannot be read: {error.strerror}") from error
        body, digest = data[:-_DIGEST], xxhash.xxh3_128(name.encode())
        digest.update(body)
        return body if digest.digest() == data[-_DIGEST:] else None

    def clean(self) -> None:
        """Remove what an earlier process began to write and did not finish."""
        remove_unfinished(self.folder, f"*{_SUFFIX}")

    def remove(self, names: str = "*") -> None:
        """Remove the parts whose names match a pattern; what else somebody put there stays."""
        remove_unfinished(self.folder, f"{names}{_SUFFIX}")
        for path in self.folder.glob(f"{names}{_SUFFIX}"):
            remove(path)

    def _path(self, name: str) -> Path:
        if not _PART_NAME.fullmatch(name):
            raise OutputError(f"{self.folder}: {name!r} is no name of a part; --force begins anew")
        return self.folder / f"{name}{_SUFFIX}"
