"""The StreamerInfo record: the descriptions of classes that a file carries, so that any reader can read its objects."""

from typing import Any

from hepfilter.errors import SourceError
from hepfilter.io.buffer import ObjectReader
from hepfilter.io.compression import UNPACK_FAULTS
from hepfilter.io.directory import Record
from hepfilter.io.reading import OpenFile
from hepfilter.io.text import one_line
from hepfilter.io.ttree_reading import PARSE_FAULTS

# What describes the tree itself: we write these in our own versions, which every reader knows.
_OURS = frozenset({
    "TTree", "TBranch", "TBranchElement", "TLeaf", "TObjArray", "TSeqCollection", "TCollection", "TList", "THashList",
    "TNamed", "TObject", "TString", "TObjString", "TAttLine", "TAttFill", "TAttMarker", "ROOT::TIOFeatures", "TBasket",
    "TRefTable", "TBranchRef", "TLeafElement", "TLeafO", "TLeafB", "TLeafS", "TLeafI", "TLeafL", "TLeafG", "TLeafF",
    "TLeafD", "TLeafC", "TLeafD32", "TLeafF16", "listOfRules",
})  # fmt: skip


def streamers(file: OpenFile) -> Record | None:
    """The record itself, None where the file has none."""
    return file.record(file.directory.info) if file.directory.info else None


def described_classes(file: OpenFile) -> frozenset[tuple[str, int]]:
    """(class, version) of all that the file describes, those aside that make up a tree. SourceError if damaged."""
    record = streamers(file)
    if record is None:
        return frozenset()
    try:
        found = _read(ObjectReader(record.payload(), record.key.length))
    except (*PARSE_FAULTS, *UNPACK_FAULTS) as error:
        raise SourceError(f"{file.path}: its class descriptions cannot be read: {one_line(error)}") from error
    return frozenset((name, version) for name, version in found if name not in _OURS)


def _read(reader: ObjectReader) -> list[tuple[str, int]]:
    """Name and version of each TStreamerInfo in the list."""
    found: list[tuple[str, int]] = []

    def fill(kind: str, _: Any) -> None:
        if kind != "TStreamerInfo":
            return
        reader.version()
        name, _title, _bits = reader.tnamed()
        _checksum, version = reader.unpack("Ii")
        found.append((name, version))

    reader.version()
    reader.tobject()
    reader.string()
    for _number in range(reader.unpack("i")[0]):
        reader.pointer(str, fill)
        reader.string()
    return found
