"""The file of a skim: chosen entries of one tree of each source, all its other trees and objects, added columns."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hepfilter.errors import OutputError, SourceError
from hepfilter.io.container import RootFile
from hepfilter.io.copying import copy_entries, copy_streamers, describe_tree, has_attachments, read_object
from hepfilter.io.reading import OpenFile, OpenTree
from hepfilter.io.treewriter import TreeWriter
from hepfilter.io.ttree import Branch, Leaf
from hepfilter.io.writing import Column, column_branch, write_string

# Classes whose objects point to other places in their file, so that their own bytes are not all of them.
_POINTING = ("TDirectory", "RNTuple", "TNtuple", "TChain", "TBranch")

Columns = Mapping[str, npt.NDArray[Any]]


class SkimOutput:
    """Collects what each source gives; the file appears under its name when the `with` block ends without an error.

    Sources are taken in the order given. `skipped` names what could not be copied, as "name (class)".
    """

    def __init__(self, path: Path, tree: str, added: Sequence[Column], *, compression: Any) -> None:
        self.skipped: list[str] = []
        self._tree = tree
        self._added = added
        self._out = RootFile(path, compression=compression)
        self._writers: dict[str, TreeWriter] = {}
        self._layouts: dict[str, tuple[str, list[Branch]]] = {}
        self._objects: set[tuple[str, bytes]] = set()
        self._streamers: set[tuple[str, int]] | None = None

    def __enter__(self) -> "SkimOutput":
        self._out.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: Any) -> None:
        with self._out:
            if value is not None:
                raise value
            for writer in self._writers.values():
                writer.close()

    def add_source(self, source: OpenFile, kept: npt.NDArray[np.bool_], columns: Columns) -> None:
        """Copy the entries where `kept` (bool, one an entry) is true, with the added `columns` for them.

        SourceError if the source has no such tree or not as many entries, OutputError if its branches are others.
        """
        if self._tree not in source.tree_names:
            raise SourceError(
                f"{source.path}: no tree {self._tree}, which the first input has; skim files of one layout at a time"
            )
        self._copy_streamers(source)
        self._copy_objects(source)
        for name in source.tree_names:
            tree = source.tree(name)
            if has_attachments(source, name):
                self.skipped.append(f"{source.path}: friends, index or user info of tree {name}")
            if name == self._tree:
                if tree.num_entries != len(kept):
                    what = f"tree {name} has {tree.num_entries} entries, it had {len(kept)}"
                    raise SourceError(f"{source.path}: {what}; the file changed while it was read")
                tree = tree.without(column.name for column in self._added)
                copy_entries(tree, self._writer(tree), kept, columns)
            else:
                copy_entries(tree, self._writer(tree), np.ones(tree.num_entries, bool), {})

    def write_string(self, name: str, text: str) -> None:
        """Write `text` as a TObjString."""
        write_string(self._out, name, text)

    @property
    def num_entries(self) -> int:
        """Entries of the main tree so far."""
        writer = self._writers.get(self._tree)
        return writer.num_entries if writer else 0

    def _copy_streamers(self, source: OpenFile) -> None:
        """The class descriptions of the first source serve; a later one may not need others."""
        known = {(name, version) for name, versions in source.directory.file.streamers.items() for version in versions}
        if self._streamers is None:
            self._streamers = known
            copy_streamers(source, self._out)
        elif not known <= self._streamers:
            more = ", ".join(sorted(f"{name} {version}" for name, version in known - self._streamers)[:5])
            raise OutputError(f"{source.path}: describes classes that the first input does not: {more}; skim it apart")

    def _copy_objects(self, source: OpenFile) -> None:
        """Copy what is neither tree nor folder, once if it is the same everywhere; `skipped` tells what cannot be."""
        for name, kind in source.class_names.items():
            if any(word in kind for word in _POINTING):
                self.skipped.append(f"{source.path}: {name} ({kind})")
            elif kind != "TTree":
                record = read_object(source, name)
                if (name, record[1]) not in self._objects:
                    self._objects.add((name, record[1]))
                    self._out.add_stored(*record)

    def _writer(self, tree: OpenTree) -> TreeWriter:
        """The writer of a tree: made for the first source that has it, and for later ones checked to fit."""
        header, branches = describe_tree(tree)
        if tree.name in self._writers:
            first_path, first = self._layouts[tree.name]
            _check_same_layout(tree, branches, first_path, first)
            return self._writers[tree.name]
        self._layouts[tree.name] = (tree.path, branches)
        leaves: dict[str, Leaf] = {}
        added = [column_branch(column, leaves) for column in self._added] if tree.name == self._tree else []
        writer = self._writers[tree.name] = TreeWriter(self._out, header, [*branches, *added])
        return writer


def _check_same_layout(tree: OpenTree, branches: Sequence[Branch], first_path: str, first: Sequence[Branch]) -> None:
    """OutputError that names the branches in which a later source differs; otherwise take over its counters' maxima."""
    own, wanted = (
        {branch.name: branch.signature for top in tops for branch in top.walk()} for tops in (branches, first)
    )
    different = [name for name in {**wanted, **own} if own.get(name) != wanted.get(name)]
    if different or list(own) != list(wanted):
        names = (
            ", ".join(different[:5]) + (f" and {len(different) - 5} more" if len(different) > 5 else "")
            if different
            else "their order"
        )
        raise OutputError(
            f"{tree.path}: tree {tree.name} differs from {first_path} in {names}; skim files of one layout at a time"
        )
    for mine, theirs in zip(first, branches, strict=True):
        mine.widen(theirs)
