"""Choosing entries along the field tree, and what is said of damage."""

from contextlib import suppress
from dataclasses import replace

import awkward as ak
import numpy as np
import pytest
import uproot

from hepfilter.errors import SourceError
from hepfilter.io.rntuple.reading import read_ntuple
from hepfilter.io.rntuple.selection import ClusterReader, column_values
from tests.io.rntuples import Bytes, choose, make_ntuple, open_ntuple, skim_ntuple


def test_values_are_those_of_the_entries(tmp_path):
    ntuple = open_ntuple(make_ntuple(tmp_path / "in.root", (10, 20, 5)))
    entries = [0, 3, 9, 10, 31]
    found = dict(column_values(ntuple, ("id", "flag", "xs", "text", "deep"), entries))
    with uproot.open({tmp_path / "in.root": "Events"}) as tree:
        arrays = {name: tree[name].array()[entries] for name in ("id", "flag", "xs", "text", "deep")}
    assert found["id (Int64)"] == np.array(entries).tobytes()
    assert found["flag (Bit)"] == bytes(int(n % 3 == 0) for n in entries)
    assert found["xs (Index64)"] == ak.to_numpy(ak.num(arrays["xs"])).astype(np.int64).tobytes()
    assert found["xs._0 (Real32)"] == ak.to_numpy(ak.flatten(arrays["xs"])).tobytes()
    assert found["text (Char)"] == "".join(arrays["text"].to_list()).encode()
    assert found["deep._0 (Index64)"] == np.full(int(ak.count(arrays["deep"]) / 2), 2).tobytes()
    assert found["deep._0._0 (Int64)"] == ak.to_numpy(ak.flatten(arrays["deep"], axis=None)).tobytes()


def test_no_entry_gives_every_column_without_bytes(tmp_path):
    ntuple = open_ntuple(make_ntuple(tmp_path / "in.root"))
    assert [own for _, own in column_values(ntuple, ntuple.field_names, [])] == [b""] * len(ntuple.schema.columns)


def test_a_projected_field_says_what_it_shows(shared_data):
    ntuple = open_ntuple(shared_data / "nano_dy_rntuple.root")
    (muons,) = {field.source for field in ntuple.schema.fields if field.name == "nMuon"}
    assert column_values(ntuple, ["nMuon"], range(40)) == [(f"nMuon shows {ntuple.schema.paths[muons]}", b"")]


def test_clusters_without_a_chosen_entry_are_not_read(tmp_path):
    source = open_ntuple(make_ntuple(tmp_path / "in.root", (500, 500, 500)))
    fetch = Bytes(tmp_path / "in.root")
    watched = replace(source, fetch=fetch)
    spans = [
        [page for pages in cluster.read_pages(len(source.schema.columns)) for page in pages.pages]
        for cluster in source.clusters
    ]
    column_values(watched, source.field_names, [700, 701])
    for number, pages in enumerate(spans):
        touched = [a <= position < b for _, _, position, _ in pages for a, b in fetch.asked]
        assert any(touched) == (number == 1)


def test_damage_names_field_and_cluster(tmp_path):
    source = open_ntuple(make_ntuple(tmp_path / "in.root", (400, 300)))
    out = skim_ntuple(source, np.ones(700, bool), tmp_path / "out.root")
    xs = next(n for n, column in enumerate(out.schema.columns) if out.schema.paths[column.field] == "xs._0")
    pages = out.clusters[0].read_pages(len(out.schema.columns))[xs]
    data = bytearray((tmp_path / "out.root").read_bytes())
    data[pages.pages[0][2] + 20] ^= 4
    (tmp_path / "damaged.root").write_bytes(data)
    damaged = open_ntuple(tmp_path / "damaged.root")
    words = (
        r"damaged\.root: ntuple Events, field xs\._0, cluster 0 \(entries 0 to 699\) cannot be read: the checksum of"
    )
    with pytest.raises(SourceError, match=words):
        column_values(damaged, ["xs"], [5])
    with pytest.raises(SourceError, match=words):
        skim_ntuple(damaged, choose(700, 0.3), tmp_path / "again.root")
    assert not (tmp_path / "again.root").exists()
    assert column_values(damaged, ["text"], [5]) == column_values(out, ["text"], [5])
    skim_ntuple(damaged, choose(700, 0.3), tmp_path / "again.root", drop=["xs"])


def test_a_list_of_pages_that_is_damaged_is_told(tmp_path):
    source = open_ntuple(make_ntuple(tmp_path / "in.root"))
    (cluster,) = source.clusters
    fields = frozenset(range(len(source.schema.fields)))
    data = bytearray(cluster.listed.data)
    data[cluster.listed.at] ^= 0xFF
    broken = replace(cluster, listed=type(cluster.listed)(bytes(data), cluster.listed.at, cluster.listed.stop))
    with pytest.raises(SourceError, match=r"its list of pages, cluster 0 \(entries 0 to 99\) cannot be read"):
        ClusterReader(source, broken, fields)
    with pytest.raises(SourceError, match=r"field .*, cluster 0 .* cannot be read: 100 items instead of 101"):
        reader = ClusterReader(source, replace(cluster, entries=101), fields)
        list(reader.select(np.arange(3)))


def test_columns_that_came_late_are_zero_before(shared_data):
    """The real file has 154 of them, filled from its second entry on, or later."""
    ntuple = open_ntuple(shared_data / "physlite_rntuple.root", "EventData")
    late = [column for column in ntuple.schema.columns if column.first > 0]
    assert len(late) == 154
    with uproot.open({shared_data / "physlite_rntuple.root": "EventData"}) as tree:
        for column in late[:40]:
            name = ntuple.schema.paths[column.field]
            counts = column_values(ntuple, [name], range(100))[0][1]
            assert np.frombuffer(counts, np.int64).tolist() == ak.num(tree[name].array()).to_list()
            assert not any(np.frombuffer(counts, np.int64)[: column.first])


def test_any_bytes_of_a_page_are_an_error_or_items(tmp_path):
    """Pages without checksums, as uproot writes them, whatever they hold."""
    path = make_ntuple(tmp_path / "in.root", (60,))
    whole = path.read_bytes()
    good = open_ntuple(path)
    with uproot.open(path) as file:
        position = file.key("Events").fSeekKey
    rng, read = np.random.default_rng(3), 0
    pages = [page for own in good.clusters[0].read_pages(len(good.schema.columns)) for page in own.pages]
    for _ in range(300):
        data = bytearray(whole)
        _, _, start, stored = pages[rng.integers(len(pages))]
        for at in rng.integers(start, start + stored, 3):
            data[at] = rng.integers(256)
        ntuple = read_ntuple(lambda a, b, data=data: bytes(data[a:b]), "x.root", "Events", position)
        with suppress(SourceError):
            column_values(ntuple, ntuple.field_names, range(0, 60, 2))
            read += 1
    assert 0 < read < 300
