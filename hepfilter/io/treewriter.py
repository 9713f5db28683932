"""Writing one tree: clusters of one basket a branch, and the tree's metadata at the end."""

from collections.abc import Iterable, Sequence
from typing import ClassVar

from hepfilter.errors import OutputError
from hepfilter.io.baskets import Entries, basket_payload
from hepfilter.io.compression import Compression, pack
from hepfilter.io.container import Key, PackedBasket, RootFile
from hepfilter.io.ttree import Branch, TreeHeader, stream_tree
from hepfilter.wording import counted


def pack_basket(pieces: Sequence[Entries], branch: Branch, tree: str, compression: Compression | None) -> PackedBasket:
    """The basket of a branch that holds `pieces`, compressed; OutputError if they are more than one can hold."""
    key_length = Key("TBasket", branch.name, tree).length
    tail, payload = basket_payload(pieces, key_length, variable=branch.entry_offset_length > 0)
    return PackedBasket(tail, pack(payload, compression), len(payload))


class TreeWriter:
    """Writes a tree: whole clusters by `write_cluster`, or entries by `append`, gathered until a cluster is full.

    Used as a context manager: the tree's metadata is written at the end. Every branch must receive the same entries
    between two calls of `count_entries`.
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

    def write_cluster(self, count: int, baskets: Iterable[tuple[int, PackedBasket]]) -> None:
        """Write the baskets of a cluster of `count` entries: (index of the branch, basket) of each that holds data."""
        self._clusters.append(count)
        self.add_to_cluster(baskets)

    def add_to_cluster(self, baskets: Iterable[tuple[int, PackedBasket]]) -> None:
        """Write more baskets of the cluster that was begun last."""
        count = self._clusters[-1]
        for index, basket in baskets:
            branch = self._branches[index]
            seek, stored, size = self._out.add_basket(self.tree_name, branch.name, basket)
            branch.basket_seeks.append(seek)
            branch.basket_bytes.append(stored)
            branch.basket_entries.append(count)
            branch.zipped_bytes += stored
            branch.total_bytes += size

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
        """Write what was appended as a cluster."""
        if not self._pending:
            return
        gathered = [(index, pieces) for index, pieces in enumerate(self._pieces) if pieces]
        for index, pieces in gathered:
            count = sum(piece.count for piece in pieces)
            if count != self._pending:
                what = f"branch {self._branches[index].name} has {counted(count, 'entry')}"
                raise OutputError(f"{self._out.path}: {what}, tree {self.tree_name} {self._pending}")
        pending, self._pending, self._bytes = self._pending, 0, 0
        packed = (
            (index, pack_basket(pieces, self._branches[index], self.tree_name, self._out.compression))
            for index, pieces in gathered
        )
        self.write_cluster(pending, packed)
        for _, pieces in gathered:
            pieces.clear()

    def close(self) -> None:
        """Flush the rest and write the tree itself."""
        self.flush()
        key = Key("TTree", self._header.name, self._header.title)
        self._out.add(key, stream_tree(self._header, self._tops, clusters=self._clusters, key_length=key.length))
