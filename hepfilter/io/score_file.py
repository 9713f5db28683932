"""The file of scores of all events, Parquet or ROOT by its suffix: written while events are read, and read back.

One row an event, file by file, in the order of the entries:

run, luminosityBlock, event    who it is                        file, entry    number of its file, entry there
weight                         generator weight, 1 without      hasObjects     the model saw any object in it
HepFilter_<score>              interest, heads, p-values

In Parquet `path`, `uuid` and `dataset` spell the file out for people. `score_facts` says what a file says of itself.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import xxhash

from hepfilter.config.files import exists, is_file
from hepfilter.errors import OutputError, SourceError, UsageError
from hepfilter.events.identity import Identity
from hepfilter.io.checksum import has_uuid
from hepfilter.io.own_branches import score_column
from hepfilter.io.score_facts import FACTS, MADE_BY, ScoredFile, ScoreFacts, facts_text, parse_facts
from hepfilter.io.writing import Column

TREE: Final = "Scores"
_IDENTITY: Final = (Column("run", "uint32"), Column("luminosityBlock", "uint32"), Column("event", "uint64"))
_PLACE: Final = (
    Column("file", "int32", f"number of the event's file in {FACTS}"),
    Column("entry", "int64", "the event's entry in its file"),
)
_WEIGHT: Final = Column("weight", "float64", "generator weight, 1 where the file has none")
_HAS_OBJECTS: Final = Column("hasObjects", "bool", "the model saw any object in the event")
SUFFIXES: Final = (".parquet", ".root")

Columns = Mapping[str, npt.NDArray[Any]]
Scores = Mapping[str, npt.NDArray[np.float32]]


class Sink(Protocol):
    """Where rows go. `text` is what the file will say of itself."""

    text: str

    def begin_file(self, path: str, uuid: str, dataset: str | None) -> None:
        """Rows of the next file follow."""

    def extend(self, columns: Columns) -> None:
        """Append rows."""


class Table(Protocol):
    """Where rows are read; `text` is what the file says of itself, None if it says nothing."""

    text: str | None
    rows: int

    def column(self, column: Column) -> npt.NDArray[Any]:
        """All values of a column; SourceError if it is missing, of another type, or damaged."""


class ScoreWriter:
    """Writes scores; every file is begun, then its events come in the order of their entries."""

    def __init__(self, path: Path, sink: Sink, names: Sequence[str]) -> None:
        self._path, self._sink, self._names = path, sink, tuple(names)
        self._digests = {column.name: xxhash.xxh3_128() for column in score_columns(names)}
        self._entries: list[int] = []

    def begin_file(self, path: str, uuid: str, dataset: str | None) -> None:
        """Events of the next file follow."""
        self._entries.append(0)
        self._sink.begin_file(path, uuid, dataset)

    def append(
        self, identity: Identity, weights: npt.NDArray[np.float64], has_objects: npt.NDArray[np.bool_], scores: Scores
    ) -> None:
        """The next events of the file that was begun last; one entry an event in all arrays."""
        start, count = self._entries[-1], len(identity)
        self._entries[-1] += count
        values = (
            identity.run,
            identity.luminosity_block,
            identity.event,
            np.full(count, len(self._entries) - 1),
            np.arange(start, start + count),
            weights,
            has_objects,
            *(scores[name] for name in self._names),
        )
        columns = score_columns(self._names)
        rows = {c.name: np.ascontiguousarray(v, c.dtype) for c, v in zip(columns, values, strict=True)}
        for name, row in rows.items():
            self._digests[name].update(row.data)
        self._sink.extend(rows)

    def finish(self, facts: ScoreFacts) -> None:
        """Say what the rows are; OutputError if they are not those of `facts`."""
        if [file.entries for file in facts.files] != self._entries or facts.names != self._names:
            raise OutputError(f"{self._path}: events written: {sum(self._entries):,}, read: {facts.entries:,}")
        self._sink.text = facts_text(facts, {name: digest.hexdigest() for name, digest in self._digests.items()})


@dataclass(frozen=True)
class FileScores:
    """The scores of one file: `scores` by name and `has_objects`, one entry an entry of the file."""

    file: ScoredFile
    scores: Scores
    has_objects: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class StoredScores:
    """The scores of all events of all files, in the order of the rows.

    `scores` by name (float32), `has_objects`, `weights` (float64) and `identity` have one entry an event; the last two
    are None if they were not asked for.
    """

    path: str
    facts: ScoreFacts
    scores: Scores
    has_objects: npt.NDArray[np.bool_]
    weights: npt.NDArray[np.float64] | None
    identity: Identity | None

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """The row of each file's first event, and at the end the number of rows."""
        return tuple(np.cumsum([0, *(file.entries for file in self.facts.files)]).tolist())

    def for_file(self, uuid: str, tree: str, n_entries: int, *, path: str, checksum: str | None = None) -> FileScores:
        """The scores of the file at `path` with this `uuid` and `n_entries` in `tree`, wherever it was when scored.

        SourceError if it has none here, or they are of another version of it: with other entries or, where it is
        given, another `checksum` (see `FileFacts`).
        """
        files = self.facts.files
        same = [n for n, file in enumerate(files) if (file.uuid, file.tree) == (uuid, tree)]
        exact = [n for n in same if files[n].entries == n_entries and checksum in (None, files[n].checksum)]
        if not exact:
            known = [file for n, file in enumerate(files) if (n in same and has_uuid(uuid)) or file.path == path]
            if any(file.tree == tree for file in known):
                raise SourceError(f"{path}: changed since {self.path} was made of it; score it anew")
            raise SourceError(f"{path}: tree {tree} has no scores in {self.path}; score it too")
        rows = slice(self.starts[exact[0]], self.starts[exact[0] + 1])
        scores = {name: values[rows] for name, values in self.scores.items()}
        return FileScores(files[exact[0]], scores, self.has_objects[rows])


def score_columns(names: Sequence[str]) -> tuple[Column, ...]:
    """All columns of a file with the scores `names`."""
    return (*_IDENTITY, *_PLACE, _WEIGHT, _HAS_OBJECTS, *map(score_column, names))


def refuse_suffix(path: Path) -> None:
    """UsageError if a file's suffix names no format of scores."""
    if path.suffix not in SUFFIXES:
        raise UsageError(f"{path}: scores are written as {' or '.join(SUFFIXES)}; give a name that ends so")


@contextmanager
def create_scores(path: Path, names: Sequence[str]) -> Iterator[ScoreWriter]:
    """A file for the scores `names`; it appears when the block ends without an error and `finish` was called in it."""
    from hepfilter.io.score_parquet import parquet_sink
    from hepfilter.io.score_root import root_sink

    refuse_suffix(path)
    make = root_sink if path.suffix == ".root" else parquet_sink
    with make(path, score_columns(names)) as sink:
        yield ScoreWriter(path, sink, names)
        if not sink.text:
            raise OutputError(f"{path}: was not finished")


def read_scores(path: Path | str, *, identified: bool = True) -> StoredScores:
    """All that a file of scores holds, weights and identities only if `identified`; every value is checked.

    SourceError if it is missing, damaged, or no file of scores.
    """
    with _open(str(path)) as table:
        if table.text is None:
            raise SourceError(f"{path}: holds no scores; {MADE_BY}")
        facts, digests = parse_facts(table.text, where=str(path))
        if table.rows != facts.entries:
            raise SourceError(f"{path}: has {table.rows:,} rows for {facts.entries:,} events; score the files anew")

        def read(column: Column) -> npt.NDArray[Any]:
            values = np.ascontiguousarray(table.column(column))
            if xxhash.xxh3_128_hexdigest(values.data) != digests.get(column.name):
                raise SourceError(f"{path}: column {column.name} is damaged; score the files anew")
            return values

        return StoredScores(
            path=str(path),
            facts=facts,
            scores={name: read(score_column(name)) for name in facts.names},
            has_objects=read(_HAS_OBJECTS),
            weights=read(_WEIGHT) if identified else None,
            identity=Identity(*map(read, _IDENTITY)) if identified else None,
        )


def _open(path: str) -> AbstractContextManager[Table]:
    """The rows of a file, by what it begins with."""
    from hepfilter.io.score_parquet import open_parquet
    from hepfilter.io.score_root import open_root

    openers: dict[bytes, Callable[[str], AbstractContextManager[Table]]] = {b"PAR1": open_parquet, b"root": open_root}
    magic = _first_bytes(Path(path))
    if magic not in openers:
        raise SourceError(f"{path}: holds no scores, which are Parquet or ROOT; {MADE_BY}")
    return openers[magic](path)


def _first_bytes(path: Path) -> bytes:
    """What tells the formats apart; SourceError if the file cannot be read."""
    if exists(path) and not is_file(path):
        raise SourceError(f"{path}: is no plain file")
    try:
        with path.open("rb") as stream:
            return stream.read(4)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
