"""What tells one input from another and from its own later self, without reading all of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import xxhash

from hepfilter.errors import DifferentInputsError, SourceError
from hepfilter.io.reading import OpenFile, open_file
from hepfilter.io.sources import Source

_BLOCK = 2**20


@dataclass(frozen=True)
class FileFacts:
    """A file's identity: its `uuid`, which a byte copy shares; its `size` in bytes; and a `checksum`.

    The checksum is the xxh3-128 of the file's header, of its list of keys, and of the records of TTrees and RNTuples:
    of where and how large every basket is, not of what the baskets hold.
    """

    uuid: str
    size: int
    checksum: str


def has_uuid(uuid: str) -> bool:
    """Whether a file's `uuid` is its own, and not what old files and some writers leave."""
    return bool(uuid) and not uuid.startswith("00000000-0000")


def refuse_copy(file: OpenFile, tree: str, seen: dict[tuple[str, str], str]) -> None:
    """DifferentInputsError if the file is a byte copy of one that was `seen` before: (UUID, tree) → path."""
    if not has_uuid(file.uuid):
        return
    first = seen.setdefault((file.uuid, tree), file.path)
    if first != file.path:
        raise DifferentInputsError(f"{file.path}: is a copy of {first}, its events would count twice; leave it out")


def checksum(path: str) -> str:
    """The xxh3-128 of all that a local file holds, such as a mask; SourceError if it cannot be read."""
    digest = xxhash.xxh3_128()
    try:
        with Path(path).open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
        return digest.hexdigest()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error


def file_facts(file: OpenFile) -> FileFacts:
    """The facts of an open file; SourceError if a tree's record cannot be read."""
    digest = xxhash.xxh3_128(file.source(0, 100))
    for name, entry in file.entries.items():
        text = f"{entry.key.class_name}\0{name}\0{entry.cycle}\0{entry.position}\n"
        digest.update(text.encode(errors="surrogateescape"))
    for name in file.table_names:
        digest.update(file.tree_record(name).stored)
    return FileFacts(file.uuid, file.directory.end, digest.hexdigest())


@contextmanager
def open_unchanged(source: Source, facts: FileFacts | None) -> Iterator[OpenFile]:
    """Open a file that was read before, when it had these facts; SourceError if it has others now."""
    with open_file(source) as file:
        if facts is not None and file_facts(file) != facts:
            raise SourceError(f"{file.path}: changed since its events were chosen; skim again")
        yield file
