"""Choosing entries of an RNTuple: which items of each column belong to them, found along the tree of fields.

Values are never looked at, but for offsets and the tags of variants.
"""

from collections.abc import Collection, Iterable, Iterator, Set
from dataclasses import dataclass

import numpy as np

from hepfilter.errors import SourceError
from hepfilter.io.compression import most_unpacked
from hepfilter.io.rntuple.columns import ColumnReader, Numbers, Spans, spread
from hepfilter.io.rntuple.pages import ENCODINGS, Items
from hepfilter.io.rntuple.reading import READ_FAULTS, Cluster, NTuple
from hepfilter.wording import counted

_MOST_UNSEEN = 2**24  # items of content without any column, or that came later


@dataclass(frozen=True)
class Chunk:
    """The chosen items of a column: of an index column the counts (int64), of a switch column the tags (uint32)."""

    column: int
    items: Items


class ClusterReader:
    """One cluster of an ntuple, of which some fields are read: their numbers, those of all their parents included."""

    def __init__(self, ntuple: NTuple, cluster: Cluster, fields: Set[int]) -> None:
        self._ntuple = ntuple
        self._schema = ntuple.schema
        self._cluster = cluster
        self._fields = fields
        try:
            pages = cluster.read_pages(len(self._schema.columns))
        except READ_FAULTS as error:
            raise self._fault("its list of pages", error) from error
        self._pages = pages
        self._read = [number for number, column in enumerate(self._schema.columns) if column.field in fields]
        self._limit = max([_MOST_UNSEEN, *map(self._count, self._read)])
        self._spans = Spans(ntuple.fetch, (pages[number] for number in self._read))
        self._refuse_claims()

    def _refuse_claims(self) -> None:
        """SourceError if the cluster says that it has other entries than a top-level field that is read."""
        for top in self._schema.tops:
            active = self._active(top) if top in self._fields else []
            try:
                if active:
                    self._reader(active[0], self._cluster.entries * self._schema.fields[top].repetition)
            except READ_FAULTS as error:
                raise self._fault(f"field {self._schema.paths[top]}", error) from error

    def _count(self, number: int) -> int:
        """The items of a column; SourceError if one of its pages is too short for those that it claims."""
        column, total = self._schema.columns[number], 0
        for items, _, _, stored in self._pages[number].pages:
            if (items * column.bits + 7) // 8 > most_unpacked(stored):
                what = f"a page of {counted(stored, 'byte')} that claims {counted(items, 'item')}"
                raise self._fault(f"field {self._schema.paths[column.field]}", ValueError(what))
            total += items
        return total

    @property
    def suppressed(self) -> frozenset[int]:
        """The columns that another representation of their field stands for in this cluster."""
        result: set[int] = set()
        for number, representations in enumerate(self._schema.field_columns):
            if len(representations) > 1:
                active = self._active(number)
                result.update(column for own in representations if own is not active for column in own)
        return frozenset(result)

    @property
    def bytes_per_entry(self) -> float:
        """Mean size of an entry's items in the fields that are read, unpacked."""
        bits = (sum(page[0] for page in self._pages[n].pages) * self._schema.columns[n].bits for n in self._read)
        return sum(bits) / 8 / max(self._cluster.entries, 1)

    def select(self, entries: Numbers) -> Iterator[Chunk]:
        """The items of these entries (ascending, counted from the cluster's first), column by column.

        SourceError if a page is damaged.
        """
        for top in self._schema.tops:
            if top in self._fields:
                yield from self._select(top, entries, self._cluster.entries)

    def _select(self, number: int, items: Numbers, total: int | None) -> Iterator[Chunk]:
        """The chosen items of a field and all below it; `total` is their number in the cluster, None if not known."""
        field = self._schema.fields[number]
        if field.source is not None:
            return
        active = self._active(number)
        try:
            if field.repetition != 1:
                if len(items) * field.repetition > self._limit:
                    raise ValueError(f"arrays of {counted(field.repetition, 'item')}")
                items = spread(items * field.repetition, np.full(len(items), field.repetition, np.int64))
                total = None if total is None else total * field.repetition
            chunks, contents = self._read_columns(number, active, items, total)
        except READ_FAULTS as error:
            raise self._fault(f"field {self._schema.paths[number]}", error) from error
        yield from chunks
        for index, child in enumerate(self._schema.children[number]):
            if child in self._fields:
                inside, inside_total = contents[index] if len(contents) > 1 else contents[0]
                yield from self._select(child, inside, inside_total)

    def _read_columns(
        self, number: int, active: list[int], items: Numbers, total: int | None
    ) -> tuple[list[Chunk], list[tuple[Numbers, int | None]]]:
        """(a field's own chunks, the chosen items of its subfields and their total: of all alike, or of each)."""
        if not active:
            return [], [(items, total)]
        kind = ENCODINGS[self._schema.columns[active[0]].kind]
        if kind.is_index:
            counts, inside = self._reader(active[0], total).ranges(items)
            rest = [Chunk(column, self._reader(column, None).gather(inside)) for column in active[1:]]
            return [Chunk(active[0], counts), *rest], [(inside, None)]
        chunks = [Chunk(column, self._reader(column, total).gather(items)) for column in active]
        if kind.name != "Switch":
            return chunks, [(items, total)]
        tags, inside = chunks[0].items["tag"], chunks[0].items["index"].astype(np.int64)
        alternatives = [inside[tags == tag] for tag in range(1, len(self._schema.children[number]) + 1)]
        if np.any(tags > len(alternatives)) or any(np.any(np.diff(own, prepend=-1) <= 0) for own in alternatives):
            raise ValueError("tags or numbers of a variant that do not fit")
        return [Chunk(active[0], tags)], [(own, None) for own in alternatives]

    def _reader(self, number: int, total: int | None) -> ColumnReader:
        """The reader of a column, whose items in this cluster should be `total`; fewer if it came later."""
        column, pages = self._schema.columns[number], self._pages[number]
        have = sum(page[0] for page in pages.pages)
        zeros = 0 if total is None else total - have
        late = column.first > 0 or pages.missing
        if zeros < 0 or (zeros and not late):
            raise ValueError(f"{counted(have, 'item')} instead of {total}")
        if total is None and column.first > 0:
            raise ValueError("it was added late inside a collection, which this version does not know")
        return ColumnReader(column, pages, self._spans, zeros, self._limit)

    def _active(self, field: int) -> list[int]:
        """The columns of the field's representation that holds its items in this cluster."""
        representations = self._schema.field_columns[field]
        for own in representations:
            if not any(self._pages[column].suppressed or self._pages[column].missing for column in own):
                return own
        return representations[0] if representations else []

    def _fault(self, what: str, error: BaseException) -> SourceError:
        first, entries = self._cluster.first, self._cluster.entries
        where = f"{self._ntuple.path}: ntuple {self._ntuple.name}, {what}, cluster {self._cluster.number}"
        reason = " ".join(str(error).split()) or type(error).__name__
        return SourceError(
            f"{where} (entries {first} to {first + entries - 1}) cannot be read: {reason}; "
            "if it is damaged, fetch it again"
        )


def column_values(ntuple: NTuple, tops: Collection[str], entries: Iterable[int]) -> list[tuple[str, bytes]]:
    """(path and encoding, bytes) of each column of these top-level fields, for comparing two ntuples bit for bit.

    The bytes are the items of the given entries (ascending): counts of collections (int64), tags of variants (uint32),
    else what the column stores. A projected field has no columns: its list says what it projects, without bytes.
    """
    schema = ntuple.schema
    fields = {number for number, root in enumerate(schema.roots) if schema.fields[root].name in tops}
    chosen = np.fromiter(entries, np.int64)
    parts: dict[int, list[bytes]] = {n: [] for n, column in enumerate(schema.columns) if column.field in fields}
    for cluster in ntuple.clusters:
        first, last = np.searchsorted(chosen, (cluster.first, cluster.first + cluster.entries))
        if first < last:
            for chunk in ClusterReader(ntuple, cluster, fields).select(chosen[first:last] - cluster.first):
                parts[chunk.column].append(chunk.items.tobytes())
    projected = [(n, schema.fields[n].source) for n in sorted(fields)]
    return [
        *((f"{schema.paths[n]} shows {schema.paths[source]}", b"") for n, source in projected if source is not None),
        *((schema.describe_column(number), b"".join(own)) for number, own in parts.items()),
    ]
