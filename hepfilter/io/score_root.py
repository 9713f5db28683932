"""A file of scores as ROOT: the tree `Scores`, and a TObjString."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy.typing as npt

from hepfilter.errors import SourceError
from hepfilter.io.objects import read_string
from hepfilter.io.reading import OpenFile, open_file
from hepfilter.io.score_facts import FACTS
from hepfilter.io.score_file import TREE, Columns
from hepfilter.io.sources import Source
from hepfilter.io.writing import ArrayTree, Column, create_root

_TITLE: Final = "hepfilter: scores of all events"


class RootSink:
    """Rows as entries of a tree; who the files are stands in the text alone."""

    def __init__(self, tree: ArrayTree) -> None:
        self._tree = tree
        self.text = ""

    def begin_file(self, path: str, uuid: str, dataset: str | None) -> None:
        """Nothing is to be done."""

    def extend(self, columns: Columns) -> None:
        """Append rows."""
        self._tree.extend(columns)


@contextmanager
def root_sink(path: Path, columns: Sequence[Column]) -> Iterator[RootSink]:
    """A ROOT file, which appears when the block ends without an error."""
    with create_root(path) as out:
        with out.new_tree(TREE, columns, title=_TITLE) as tree:
            yield (sink := RootSink(tree))
        out.write_string(FACTS, sink.text)


class RootTable:
    """The rows of an open file."""

    def __init__(self, file: OpenFile) -> None:
        self._file = file
        self.text = read_string(file, FACTS)
        self._tree = None if self.text is None else file.table(TREE)
        self.rows = 0 if self._tree is None else self._tree.num_entries

    def column(self, column: Column) -> npt.NDArray[Any]:
        """All values of a column; SourceError if it is missing, or of another type."""
        assert self._tree is not None
        found = self._tree.values([column.name])[column.name]
        if found.offsets is not None or found.values.dtype != column.dtype:
            raise SourceError(f"{self._file.path}: column {column.name} holds no {column.dtype}; score the files anew")
        return found.values


@contextmanager
def open_root(path: str) -> Iterator[RootTable]:
    """The rows of a ROOT file; SourceError if it is damaged."""
    with open_file(Source(path)) as file:
        yield RootTable(file)
