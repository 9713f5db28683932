"""Writing a skim of RNTuples: the schema of the first, chosen entries of all, pages built anew, values untouched."""

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import xxhash

from hepfilter.errors import OutputError, UnreadableEventsError
from hepfilter.io.compression import pack
from hepfilter.io.container import Key, RootFile
from hepfilter.io.rntuple.clusters import LARGEST_KEY, ClusterBuilder
from hepfilter.io.rntuple.format import FOOTER, HEADER, PAGE_LIST, pack_list, pack_locator, pack_record, seal_envelope
from hepfilter.io.rntuple.pages import Items
from hepfilter.io.rntuple.reading import ANCHOR, NTuple
from hepfilter.io.rntuple.selection import ClusterReader
from hepfilter.io.values import Index
from hepfilter.wording import counted

if TYPE_CHECKING:
    from hepfilter.io.writing import Column

_ANCHOR_CLASS_VERSION = 2
_WITH_ATTRIBUTE_SETS = (1, 0, 1, 0)  # the first version whose footer lists them


class NTupleWriter:
    """An RNTuple being written, with the schema, name and description of `source`. A context manager.

    `drop` names top-level fields that are left out, as far as no other field shows their columns; `added` are plain
    columns of one value an event behind all others. OutputError if such a name is taken, or the ntuple has attribute
    sets, which say something of ranges of entries.
    """

    CLUSTER_BYTES: ClassVar[int] = 64_000_000
    """A cluster is written when its items take so much memory; at most about twice of it is held."""
    GROUP_CLUSTERS: ClassVar[int] = 64
    """Clusters whose pages one list describes."""

    def __init__(
        self, out: RootFile, source: NTuple, added: Sequence["Column"] = (), *, drop: frozenset[str] = frozenset()
    ) -> None:
        if source.attribute_sets:
            names = ", ".join(source.attribute_sets)
            where = f"{source.path}: ntuple {source.name}"
            raise OutputError(f"{where} has attribute sets ({names}), which cannot be copied")
        self._out = out
        self._source = source
        self._drop = drop
        self._copied = source.schema.without(drop)
        self._schema = self._copied.with_columns(added)
        self._added = list(added)
        self._cluster = ClusterBuilder(self._schema.columns, out)
        self._links: list[bytes] = []
        self._listed: list[tuple[bytes, bytes]] = []
        self._flushed = self._grouped = 0
        payload = self._schema.header(source.name, source.description, source.writer)
        self._header, self._checksum = self._envelope(HEADER, payload)

    def __enter__(self) -> "NTupleWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()

    @property
    def name(self) -> str:
        """The ntuple's name."""
        return self._source.name

    @property
    def num_entries(self) -> int:
        """Entries copied so far."""
        return self._flushed + self._cluster.entries

    def copy(
        self,
        source: NTuple,
        kept: npt.NDArray[np.bool_],
        extra: Mapping[str, npt.NDArray[Any]] | None = None,
        *,
        number: int = 0,
    ) -> None:
        """Append the entries of `source` where `kept` is true; `extra` holds their added columns, one value each.

        OutputError if its fields are not those of the first source; UnreadableEventsError of input `number` if a page
        is damaged.
        """
        if len(kept) != source.num_entries:
            what = f"{counted(len(kept), 'decision')} for {counted(source.num_entries, 'entry')}"
            raise OutputError(f"{source.path}: {what}")
        numbers = self._match(source)
        fields = source.schema.with_parents(source.schema.columns[column].field for column in numbers)
        chosen = np.flatnonzero(kept)
        added = self._own_values(extra or {}, len(chosen))
        for cluster in source.clusters:
            first, last = (int(n) for n in np.searchsorted(chosen, (cluster.first, cluster.first + cluster.entries)))
            if first == last:
                continue
            with UnreadableEventsError.locate(number, cluster.first, cluster.first + cluster.entries - 1):
                reader = ClusterReader(source, cluster, fields)
                self._copy_cluster(
                    reader, numbers, chosen[first:last] - cluster.first, [values[first:last] for values in added]
                )

    def _copy_cluster(
        self, reader: ClusterReader, numbers: Mapping[int, int], chosen: Index, added: Sequence[npt.NDArray[Any]]
    ) -> None:
        """Append chosen entries of one cluster; `numbers` are those of our columns, `added` the values of our own."""
        suppressed = frozenset(numbers[column] for column in reader.suppressed if column in numbers)
        step = max(1, int(self.CLUSTER_BYTES / max(reader.bytes_per_entry, 1.0)))
        for start in range(0, len(chosen), step):
            part = slice(start, start + step)
            if suppressed != self._cluster.suppressed or self._cluster.bytes >= self.CLUSTER_BYTES:
                self._flush(suppressed)
            for chunk in reader.select(chosen[part]):
                self._cluster.add(numbers[chunk.column], chunk.items)
            for column, values in enumerate(added, start=len(self._copied.columns)):
                self._cluster.add_values(column, values[part])
            self._cluster.entries += len(chosen[part])

    def append(self, count: int, items: Iterable[Items], extra: Mapping[str, npt.NDArray[Any]] | None = None) -> None:
        """Append `count` entries from what is added to each column of the source's schema, in their order."""
        if self._cluster.bytes >= self.CLUSTER_BYTES:
            self._flush(frozenset())
        for number, own in enumerate(items):
            self._cluster.add(number, own)
        for number, values in enumerate(self._own_values(extra or {}, count), start=len(self._copied.columns)):
            self._cluster.add_values(number, values)
        self._cluster.entries += count

    def close(self) -> None:
        """Write what is left, the footer, and the anchor that the file's directory lists."""
        self._flush(frozenset())
        self._write_group()
        version = self._source.version
        no_schema = pack_record(pack_list(()) * 4)
        payload = struct.pack("<QQ", 0, self._checksum) + no_schema + pack_list(map(pack_record, self._links))
        footer, _ = self._envelope(FOOTER, payload + (pack_list(()) if version >= _WITH_ATTRIBUTE_SETS else b""))
        size = ANCHOR.size - 4 | 0x40000000
        anchor = ANCHOR.pack(size, _ANCHOR_CLASS_VERSION, *version, *self._header, *footer, LARGEST_KEY)
        anchor += struct.pack(">Q", xxhash.xxh3_64_intdigest(anchor[6:]))
        self._out.add(Key("ROOT::RNTuple", self.name, self._source.title), anchor, compress=False)

    def _own_values(self, extra: Mapping[str, npt.NDArray[Any]], count: int) -> list[npt.NDArray[Any]]:
        """The values of the added columns, in their order and types; OutputError if there are not `count` of each."""
        values = [np.asarray(extra[column.name], column.dtype) for column in self._added]
        for column, own in zip(self._added, values, strict=True):
            if own.shape != (count,):
                raise OutputError(f"column {column.name}: values of shape {own.shape} for {counted(count, 'entry')}")
        return values

    def _match(self, source: NTuple) -> dict[int, int]:
        """The number of our column for each column of `source` that is copied; OutputError if the schemas differ."""
        if source is not self._source:
            theirs = source.schema.without(self._drop)
            different = self._copied.differences(theirs)
            if different or self._copied.extra != theirs.extra or source.attribute_sets:
                what = f"fields that differ: {different}" if different else "it has other streamers or attribute sets"
                where = f"{source.path}: ntuple {source.name} has another schema than {self._source.path}"
                raise OutputError(f"{where}: {what}")
        ours = {key: number for number, key in enumerate(self._copied.column_keys)}
        return {number: ours[key] for number, key in enumerate(source.schema.column_keys) if key in ours}

    def _flush(self, suppressed: frozenset[int]) -> None:
        """Write the cluster, and begin one in which these columns are suppressed."""
        entries = self._cluster.entries
        if entries:
            self._listed.append((struct.pack("<QQ", self._flushed, entries), self._cluster.write()))
            self._flushed += entries
        self._cluster.suppressed = suppressed
        if len(self._listed) >= self.GROUP_CLUSTERS:
            self._write_group()

    def _write_group(self) -> None:
        """Write the list of pages of the clusters so far."""
        if not self._listed:
            return
        summaries = pack_list(pack_record(summary) for summary, _ in self._listed)
        pages = pack_list(listed for _, listed in self._listed)
        (position, stored, size), _ = self._envelope(PAGE_LIST, struct.pack("<Q", self._checksum) + summaries + pages)
        span = (self._grouped, self._flushed - self._grouped, len(self._listed))
        self._links.append(struct.pack("<QQIQ", *span, size) + pack_locator(position, stored))
        self._grouped, self._listed = self._flushed, []

    def _envelope(self, kind: int, payload: bytes) -> tuple[tuple[int, int, int], int]:
        """Write an envelope; return (position, bytes stored, bytes unpacked) and its checksum."""
        data, checksum = seal_envelope(kind, payload)
        stored = pack(data, self._out.compression)
        return (self._out.add_blob(stored), len(stored), len(data)), checksum
