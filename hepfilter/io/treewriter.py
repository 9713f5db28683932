"""Writing one tree: entries are gathered per branch and flushed as clusters of one basket a branch."""

from collections.abc import Sequence
from typing import ClassVar

from hepfilter.errors import OutputError
from hepfilter.io.baskets import Entries, basket_payload
from hepfilter.io.container import Key, RootFile
from hepfilter.io.ttree import Branch, TreeHeader, stream_tree


class TreeWriter:
    """Collects the entries of a tree's branches. Used as a context manager: the tree's metadata is written at the end.

    Every branch must receive the same entries between two calls of `count_entries`.
    """

    CLUSTER_BYTES: ClassVar[int] = (
        64_000_000  # about 40 kB a branch in a file of 1,500: large baskets, and memory stays flat
    )

    def __init__(self, out: RootFile, header: TreeHeader, branches: Sequence[Branch]) -> None:
        self._out = out
        self._header = header
        self._tops = list(branches)
        self._branches = [branch for top in branches for branch in top.walk()]
        self._pieces: list[list[Entries]] = [[] for _ in self._branches]
        self._clusters: list[int] = []
        self._pending = 0
        self._bytes = 0

    def __enter__(self) -> "TreeWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()

    @property
    def tree_name(self) -> str:
        """The tree's name."""
        return self._header.name

    @property
    def names(self) -> list[str]:
        """The names of all branches, sub-branches included, in the order of their indices."""
        return [branch.name for branch in self._branches]

    @property
    def num_entries(self) -> int:
        """Entries counted so far."""
        return sum(self._clusters) + self._pending

    def append(self, index: int, entries: Entries) -> None:
        """Add entries to branch `index`."""
        self._pieces[index].append(entries)
        self._bytes += len(entries.data)

    def count_entries(self, count: int) -> None:
        """Say that `count` entries have been appended to every branch; flush when a cluster is full."""
        self._pending += count
        if self._bytes >= self.CLUSTER_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write one basket of each branch that holds data."""
        if not self._pending:
            return
        for branch, pieces in zip(self._branches, self._pieces, strict=True):
            if pieces:
                self._write_basket(branch, pieces)
                pieces.clear()
        self._clusters.append(self._pending)
        self._pending = self._bytes = 0

    def _write_basket(self, branch: Branch, pieces: list[Entries]) -> None:
        count = sum(piece.count for piece in pieces)
        if count != self._pending:
            raise OutputError(
                f"{self._out.path}: branch {branch.name} has {count} entries, tree {self.tree_name} {self._pending}"
            )
        key_length = Key("TBasket", branch.name, self._header.name).length
        tail, payload = basket_payload(pieces, key_length, variable=branch.entry_offset_length > 0)
        seek, stored, size = self._out.add_basket(self._header.name, branch.name, tail, payload)
        branch.basket_seeks.append(seek)
        branch.basket_bytes.append(stored)
        branch.basket_entries.append(count)
        branch.zipped_bytes += stored
        branch.total_bytes += size

    def close(self) -> None:
        """Flush the rest and write the tree itself."""
        self.flush()
        key = Key("TTree", self._header.name, self._header.title)
        self._out.add(key, stream_tree(self._header, self._tops, clusters=self._clusters, key_length=key.length))
