"""One output of a skim: faults of inputs are told with the entries, and what was written is read back."""

from pathlib import Path

import numpy as np
import pytest

from hepfilter.errors import OutputError, UnreadableEventsError
from hepfilter.io.checksum import FileFacts
from hepfilter.io.converting import Chosen
from hepfilter.io.ntuple import NTupleLayout, NTupleMerger, OpenNTuple
from hepfilter.io.output import SkimOutput, refuse_unlike
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source
from hepfilter.io.writing import Column, create_root
from tests.io.rntuples import make_ntuple


def plain_layout(path: Path) -> NTupleLayout:
    merger = NTupleMerger()
    with open_file(Source(str(path))) as file:
        table = file.table("Events")
        assert isinstance(table, OpenNTuple)
        merger.add(table)
    return merger.result().keep(["id", "x"])


def spoil(path: Path, cluster: int) -> None:
    """Flip bits in all pages of one cluster."""
    with open_file(Source(str(path))) as file:
        ntuple = file.table("Events").ntuple
        columns = ntuple.clusters[cluster].read_pages(len(ntuple.schema.columns))
    data = bytearray(path.read_bytes())
    for _, _, position, _ in (page for column in columns for page in column.pages):
        data[position] ^= 0xFF
    path.write_bytes(data)


@pytest.mark.parametrize("way", ["copy_ntuple", "export_ntuple"])
@pytest.mark.parametrize("changed", [False, True])
def test_what_cannot_be_read_of_an_ntuple_is_told_with_its_entries(tmp_path, way, changed):
    path = make_ntuple(tmp_path / "in.root", (30, 30, 30))
    layout = plain_layout(path)
    facts = FileFacts("another", 1, "")
    chosen = Chosen(Source(str(path)), np.array([5, 40, 70]), {}, 3, facts if changed else None)
    spoil(path, 1)
    text = "changed since its events were chosen" if changed else "in.root: ntuple Events"
    told, out = pytest.raises(UnreadableEventsError, match=text), SkimOutput(tmp_path / "out.root", compression=None)
    with told as caught, out:
        getattr(out, way)("Events", layout, [chosen])
    fault = caught.value
    where = (3, 5, 70, True) if changed else (3, 30, 59, False)
    assert (fault.source, fault.first, fault.last, fault.whole) == where
    assert list(tmp_path.iterdir()) == [path]


def test_what_was_written_is_read_back(tmp_path):
    partial, path = tmp_path / "a.part", tmp_path / "a.root"
    with create_root(partial) as out, out.new_tree("Events", [Column("x", "int32")]) as tree:
        tree.extend({"x": np.arange(12)})
    refuse_unlike(partial, path, "Events", 12)
    with pytest.raises(OutputError, match=r"a\.root: 11 events and .* bytes were written, 12 and .* read back"):
        refuse_unlike(partial, path, "Events", 11)
    partial.write_bytes(partial.read_bytes() + b"more")
    with pytest.raises(OutputError, match=r"a\.root: 12 events and"):
        refuse_unlike(partial, path, "Events", 12)
    partial.write_bytes(partial.read_bytes()[:-10])
    with pytest.raises(OutputError, match=r"a\.root: what was written cannot be read back: .* is cut short"):
        refuse_unlike(partial, path, "Events", 12)
