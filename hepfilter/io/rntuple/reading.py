"""Opening an RNTuple: anchor, schema and clusters, every checksum verified. Pages are read when they are needed."""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import xxhash

from hepfilter import __version__
from hepfilter.errors import SourceError
from hepfilter.io.buffer import decode_string
from hepfilter.io.compression import UNPACK_FAULTS, unpack
from hepfilter.io.rntuple.format import (
    FOOTER,
    FORMAT_FAULTS,
    HEADER,
    PAGE_LIST,
    Alias,
    Column,
    Field,
    Reader,
    open_envelope,
)
from hepfilter.io.rntuple.schema import Schema
from hepfilter.wording import counted

ANCHOR = struct.Struct(">IH4H7Q")
"""Byte count and class version of the streamed object, format version, header and footer (position, bytes stored,
bytes unpacked), largest key."""
READ_FAULTS = (*FORMAT_FAULTS, *UNPACK_FAULTS)
_KEY = struct.Struct(">ihiIhh")
_EPOCH = 1
_WRITTEN = (1, 0, 0, 0)  # the format's version of what we make ourselves
_SHARDED = 1
_LARGEST_ENVELOPE = 2**31


@dataclass(frozen=True)
class ColumnPages:
    """A column's pages in one cluster: (items, has a checksum, position, bytes stored) each."""

    pages: tuple[tuple[int, bool, int, int], ...] = ()
    suppressed: bool = False
    missing: bool = False


_ABSENT = ColumnPages(missing=True)


@dataclass(frozen=True)
class Cluster:
    """Entries [first, first + entries) of an ntuple; `listed` is the part of the page list that tells their pages."""

    number: int
    first: int
    entries: int
    listed: Reader = field(repr=False, compare=False)

    def read_pages(self, num_columns: int) -> list[ColumnPages]:
        """For each column its pages; columns that came later are absent. One of FORMAT_FAULTS if damaged."""
        outer, count = Reader(self.listed.data, self.listed.at, self.listed.stop).frame()
        if count > num_columns:
            raise ValueError(f"the pages of {counted(count, 'column')}, of which {num_columns} are known")
        result = []
        for _ in range(count):
            inner, pages = outer.frame()
            listed = []
            for _ in range(pages):
                (items,) = inner.take("i")
                page = (abs(items), items < 0, *inner.locator())
                listed += [page] if items else []
            (offset,) = inner.take("q")
            result.append(ColumnPages(tuple(listed), suppressed=offset < 0))
        return result + [_ABSENT] * (num_columns - count)


@dataclass(frozen=True)
class NTuple:
    """An RNTuple of a file; `fetch` gives the file's bytes [start, stop). `version` is the format its writer claims."""

    path: str
    name: str
    title: str
    description: str
    writer: str
    version: tuple[int, int, int, int]
    fetch: Callable[[int, int], bytes]
    schema: Schema
    clusters: tuple[Cluster, ...]
    attribute_sets: tuple[str, ...]

    @property
    def num_entries(self) -> int:
        """Number of entries."""
        return sum(cluster.entries for cluster in self.clusters)

    @property
    def field_names(self) -> tuple[str, ...]:
        """The names of the top-level fields in the file's order, projected ones and their sources included."""
        return tuple(self.schema.fields[number].name for number in self.schema.tops)

    def cluster_edges(self) -> list[int]:
        """The entries at which clusters begin, 0 and the end included."""
        return [*(cluster.first for cluster in self.clusters), self.num_entries] if self.clusters else [0]


def read_ntuple(fetch: Callable[[int, int], bytes], path: str, name: str, anchor_position: int) -> NTuple:
    """The RNTuple whose anchor's key lies at `anchor_position`. SourceError if it is damaged or of a later format."""
    try:
        title, version, header, footer = _read_anchor(fetch, anchor_position)
        if version[0] != _EPOCH:
            raise ValueError(f"its format version {'.'.join(map(str, version))} is not 1; write it anew with ROOT")
        return _read_metadata(fetch, path, name, title, version, header, footer)
    except READ_FAULTS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise SourceError(
            f"{path}: ntuple {name} cannot be read: {reason}; if it is damaged, fetch it again"
        ) from error


def new_ntuple(name: str, description: str, schema: Schema) -> NTuple:
    """An RNTuple of no file and no entry, such as a writer takes for its name and schema."""
    no_file: Callable[[int, int], bytes] = lambda start, stop: b""  # noqa: E731
    return NTuple("", name, "", description, f"hepfilter {__version__}", _WRITTEN, no_file, schema, (), ())


Link = tuple[int, int, int]  # position, bytes stored, bytes unpacked


def _read_anchor(
    fetch: Callable[[int, int], bytes], position: int
) -> tuple[str, tuple[int, int, int, int], Link, Link]:
    nbytes, version, size, _, key_length, _ = _KEY.unpack(fetch(position, position + _KEY.size))
    if not 0 < key_length < nbytes < _LARGEST_ENVELOPE:
        raise ValueError(f"a key of {counted(key_length, 'byte')} in a record of {nbytes}")
    raw = fetch(position, position + nbytes)
    _, at = decode_string(raw, 34 if version > 1000 else 26)
    _, at = decode_string(raw, at)
    title, _ = decode_string(raw, at)
    body = bytes(unpack(memoryview(raw)[key_length:], size))
    _, _, *numbers = ANCHOR.unpack_from(body)
    (checksum,) = struct.unpack_from(">Q", body, len(body) - 8)
    if checksum != xxhash.xxh3_64_intdigest(body[6:-8]):
        raise ValueError("the checksum of its anchor is wrong")
    epoch, major, minor, patch, *links, _ = numbers
    return title, (epoch, major, minor, patch), (links[0], links[1], links[2]), (links[3], links[4], links[5])


def _read_envelope(fetch: Callable[[int, int], bytes], link: Link, kind: int) -> tuple[Reader, int]:
    position, stored, size = link
    if max(stored, size) >= _LARGEST_ENVELOPE:
        raise ValueError(f"an envelope of {counted(size, 'byte')}")
    return open_envelope(bytes(unpack(memoryview(fetch(position, position + stored)), size)), kind)


def _read_metadata(
    fetch: Callable[[int, int], bytes],
    path: str,
    name: str,
    title: str,
    version: tuple[int, int, int, int],
    header: Link,
    footer: Link,
) -> NTuple:
    reader, checksum = _read_envelope(fetch, header, HEADER)
    reader.flags()
    own_name, description, writer = (reader.string() for _ in range(3))
    schema = _read_schema(reader)
    reader, _ = _read_envelope(fetch, footer, FOOTER)
    reader.flags()
    if reader.take("Q")[0] != checksum:
        raise ValueError("header and footer do not belong together")
    extension, _ = reader.frame()
    if extension.rest:
        schema = schema.extended(_read_schema(extension))
    schema.check()
    clusters: list[Cluster] = []
    for group in map(Reader, reader.records()):
        group.take("QQI")
        (size,) = group.take("Q")
        clusters += _read_page_list(fetch, (*group.locator(), size), checksum, len(clusters))
    sets = [_attribute_set(record) for record in map(Reader, reader.records())] if reader.rest else []
    clusters.sort(key=lambda cluster: cluster.first)
    ends = [0, *(cluster.first + cluster.entries for cluster in clusters)]
    if any(cluster.first != end for cluster, end in zip(clusters, ends, strict=False)):
        raise ValueError("its clusters leave entries out or hold some twice")
    return NTuple(
        path, own_name or name, title, description, writer, version, fetch, schema, tuple(clusters), tuple(sets)
    )


def _read_schema(reader: Reader) -> Schema:
    return Schema(
        tuple(Field.parse(raw) for raw in reader.records()),
        tuple(Column.parse(raw) for raw in reader.records()),
        tuple(Alias.parse(raw) for raw in reader.records()),
        tuple(reader.records()),
    )


def _attribute_set(record: Reader) -> str:
    record.take("HHI")
    record.locator()
    return record.string()


def _read_page_list(fetch: Callable[[int, int], bytes], link: Link, header_checksum: int, number: int) -> list[Cluster]:
    """The clusters of one group, the first of which has this number."""
    reader, _ = _read_envelope(fetch, link, PAGE_LIST)
    if reader.take("Q")[0] != header_checksum:
        raise ValueError("header and page list do not belong together")
    summaries = []
    for record in map(Reader, reader.records()):
        first, entries = record.take("QQ")
        if entries >> 56 & _SHARDED:
            raise ValueError("it has sharded clusters, which this version does not know")
        summaries.append((first, entries & (1 << 56) - 1))
    inside, count = reader.frame()
    if count != len(summaries):
        raise ValueError(f"{counted(len(summaries), 'cluster')}, but the pages of {count}")
    starts = [inside.at]
    for _ in summaries:
        inside.frame()
        starts.append(inside.at)
    return [
        Cluster(number + index, first, entries, Reader(inside.data, start, stop))
        for index, ((first, entries), (start, stop)) in enumerate(zip(summaries, pairwise(starts), strict=True))
    ]
