"""Reading the small objects of an output: texts (TObjString) and labelled histograms (TH1D)."""

from collections.abc import Sequence
from typing import Any

from hepfilter.errors import SourceError
from hepfilter.io.buffer import ObjectReader
from hepfilter.io.compression import UNPACK_FAULTS
from hepfilter.io.directory import Entry
from hepfilter.io.reading import OpenFile
from hepfilter.io.text import one_line
from hepfilter.io.ttree_reading import PARSE_FAULTS


def read_string(file: OpenFile, name: str) -> str | None:
    """The text of the TObjString `name`, None if there is none. SourceError if it is damaged."""
    return _string(file, file.entries.get(name))


def read_older_strings(file: OpenFile, name: str) -> list[str]:
    """The texts of all cycles of the TObjString `name` but the newest, the oldest first. SourceError if damaged."""
    texts = (_string(file, entry) for entry in file.cycles.get(name, ())[:-1])
    return [text for text in texts if text is not None]


def _string(file: OpenFile, entry: Entry | None) -> str | None:
    reader = _reader(file, entry, "TObjString")
    if entry is None or reader is None:
        return None
    try:
        reader.version()
        reader.tobject()
        return reader.string()
    except PARSE_FAULTS as error:
        raise SourceError(f"{file.path}: {entry.key.name} cannot be read: {one_line(error)}") from error


def read_cutflow(file: OpenFile, name: str) -> list[tuple[str, float]] | None:
    """(label, content) of each bin of the TH1D `name`, without under- and overflow; None if there is none.

    A bin without a label has the empty one. SourceError if it is damaged.
    """
    reader = _reader(file, file.entries.get(name), "TH1D")
    if reader is None:
        return None
    try:
        contents, labels = _histogram(reader)
    except PARSE_FAULTS as error:
        raise SourceError(f"{file.path}: {name} cannot be read: {one_line(error)}") from error
    return [(labels.get(number, ""), content) for number, content in enumerate(contents[1:-1], start=1)]


def _reader(file: OpenFile, entry: Entry | None, kind: str) -> ObjectReader | None:
    if entry is None or entry.key.class_name != kind:
        return None
    record = file.record(entry.position)
    try:
        return ObjectReader(record.payload(), record.key.length)
    except UNPACK_FAULTS as error:
        raise SourceError(f"{file.path}: {entry.key.name} cannot be read: {one_line(error)}") from error


def _histogram(reader: ObjectReader) -> tuple[Sequence[float], dict[int, str]]:
    """(contents with under- and overflow, label of each bin that has one) of a TH1D."""
    reader.version()
    _, end = reader.version()
    reader.tnamed()
    for _attribute in range(3):
        reader.skip()
    reader.unpack("i")
    reader.version()
    reader.tnamed()
    reader.skip()
    reader.unpack("iddi")  # bins, edges, number of free edges: none, as all have unit width
    reader.unpack("iiH?")
    reader.string()
    labels: dict[int, str] = {}

    def label(kind: str, _: Any) -> None:
        _version, number, _bits = reader.version(), *reader.unpack("HII")[1:]
        labels[number] = reader.string()

    def items(kind: str, _: Any) -> None:
        reader.version()
        reader.tobject()
        reader.string()
        for _number in range(reader.unpack("i")[0]):
            reader.pointer(str, label)
            reader.string()

    reader.pointer(str, items)
    reader.at = end
    (count,) = reader.unpack("i")
    return reader.unpack(f"{count}d"), labels
