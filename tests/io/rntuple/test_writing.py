"""Skims of RNTuples: every column of every kept entry is the source's, bit for bit, and uproot reads it so."""

import struct
from dataclasses import replace

import awkward as ak
import numpy as np
import pytest
import uproot

from hepfilter.errors import OutputError
from hepfilter.io.compression import parse_compression
from hepfilter.io.container import RootFile
from hepfilter.io.rntuple.reading import ANCHOR
from hepfilter.io.rntuple.selection import column_values
from hepfilter.io.rntuple.writing import NTupleWriter
from hepfilter.io.writing import Column
from tests.io.rntuples import assert_copied, choose, make_ntuple, open_ntuple, skim_ntuple

REAL = [
    ("nano_dy_rntuple.root", "Events"),
    ("nano_dimuon_rntuple.root", "Events"),
    ("nano_dy_empty_rntuple.root", "Events"),
    ("pfnano_rntuple.root", "Events"),
    ("physlite_rntuple.root", "EventData"),
    ("physlite_rntuple.root", "EventTag"),
    ("physlite_rntuple.root", "DataHeaderForm"),
]


def same(a, b):
    return a.type == b.type and ak.to_json(a, nan_string="nan") == ak.to_json(b, nan_string="nan")


@pytest.mark.parametrize(("file", "name"), REAL)
@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_real_files_bit_for_bit(shared_data, tmp_path, file, name, share):
    source = open_ntuple(shared_data / file, name)
    kept = choose(source.num_entries, share)
    copy = skim_ntuple(source, kept, tmp_path / "out.root")
    assert_copied(source, kept, copy)
    assert copy.schema == replace(source.schema, columns=copy.schema.columns)
    assert [c.raw for c in copy.schema.columns] == [c.raw for c in source.schema.columns]
    assert (copy.title, copy.description, copy.writer) == (source.title, source.description, source.writer)


@pytest.mark.parametrize(("file", "name"), [REAL[0], *REAL[4:6]])
def test_uproot_reads_real_files_as_the_source(shared_data, tmp_path, file, name):
    source = open_ntuple(shared_data / file, name)
    kept = choose(source.num_entries, 0.4)
    skim_ntuple(source, kept, tmp_path / "out.root")
    with uproot.open({shared_data / file: name}) as old, uproot.open({tmp_path / "out.root": name}) as new:
        assert old.keys() == new.keys() and new.num_entries == kept.sum()
        names = [key for key in old.keys(recursive=False) if not key.startswith(("HLT_", "L1_"))][::40]
        assert [key for key in names if not same(old[key].array()[kept], new[key].array())] == []
        fields = [(f.typename, f.description) for f in old.all_fields]
        assert fields == [(f.typename, f.description) for f in new.all_fields]


@pytest.mark.parametrize("compression", ["ZSTD:5", "ZLIB:1", "LZMA:1", "LZ4:4", "none"])
def test_every_compression(tmp_path, compression):
    source = open_ntuple(make_ntuple(tmp_path / "in.root", (50, 50)))
    kept = choose(100, 0.5)
    copy = skim_ntuple(source, kept, tmp_path / "out.root", compression=compression)
    assert_copied(source, kept, copy)
    with uproot.open({tmp_path / "in.root": "Events"}) as old, uproot.open({tmp_path / "out.root": "Events"}) as new:
        assert same(old.arrays()[kept], new.arrays())


@pytest.mark.parametrize("cluster_bytes", [1, 1000, 64_000_000])
@pytest.mark.parametrize("group", [1, 3, 64])
def test_clusters_may_be_cut_anywhere(tmp_path, monkeypatch, cluster_bytes, group):
    monkeypatch.setattr(NTupleWriter, "CLUSTER_BYTES", cluster_bytes)
    monkeypatch.setattr(NTupleWriter, "GROUP_CLUSTERS", group)
    source = open_ntuple(make_ntuple(tmp_path / "in.root", (40, 1, 60, 7)))
    kept = choose(108, 0.6)
    copy = skim_ntuple(source, kept, tmp_path / "out.root")
    assert_copied(source, kept, copy)
    sizes = np.diff(copy.cluster_edges())
    assert max(sizes) <= {1: 1, 1000: 40}.get(cluster_bytes, 108) and (len(sizes) == 1) == (cluster_bytes > 1000)
    with uproot.open({tmp_path / "in.root": "Events"}) as old, uproot.open({tmp_path / "out.root": "Events"}) as new:
        assert same(old.arrays()[kept], new.arrays())
        groups = [record.num_clusters for record in new.footer.cluster_group_records]
        assert sum(groups) == len(sizes) and max(groups) <= group and min(groups[:-1], default=group) == group


def test_several_sources_in_turn(tmp_path):
    parts = [make_ntuple(tmp_path / f"{n}.root", (30, n + 1), first=100 * n) for n in range(3)]
    sources = [open_ntuple(path) for path in parts]
    masks = [choose(source.num_entries, 0.5, seed) for seed, source in enumerate(sources)]
    masks[1][:] = False
    copy = skim_ntuple(list(zip(sources, masks, strict=True)), None, tmp_path / "out.root")
    assert_copied(sources[0], masks[0], copy)
    assert_copied(sources[2], masks[2], copy, first=int(masks[0].sum()))


def test_an_empty_source_may_come_first(shared_data, tmp_path):
    names = ("nano_dy_empty_rntuple.root", "nano_dy_rntuple.root")
    sources = [open_ntuple(shared_data / name) for name in names]
    masks = [choose(source.num_entries, 0.5) for source in sources]
    copy = skim_ntuple(list(zip(sources, masks, strict=True)), None, tmp_path / "out.root")
    assert_copied(sources[1], masks[1], copy)


def test_sources_may_have_their_fields_in_another_order(tmp_path):
    arrays = {"a": np.arange(5), "b": np.arange(5, dtype=np.float32), "c": ak.Array([[1.0], [], [2.0, 3.0], [], [4.0]])}
    for name, order in (("one", "abc"), ("two", "cab")):
        with uproot.recreate(tmp_path / f"{name}.root") as file:
            file.mkrntuple("Events", ak.zip({key: arrays[key] for key in order}, depth_limit=1))
    sources = [open_ntuple(tmp_path / f"{name}.root") for name in ("one", "two")]
    assert sources[0].field_names != sources[1].field_names
    skim_ntuple([(source, np.ones(5, bool)) for source in sources], None, tmp_path / "out.root")
    with uproot.open({tmp_path / "out.root": "Events"}) as new:
        assert {key: new[key].array().to_list() for key in "abc"} == {key: arrays[key].tolist() * 2 for key in "abc"}


def test_another_schema_is_refused(shared_data, tmp_path):
    names = ("nano_dy_rntuple.root", "nano_dimuon_rntuple.root")
    sources = [(open_ntuple(shared_data / name), np.ones(40, bool)) for name in names]
    words = (
        r"nano_dimuon_rntuple\.root: ntuple Events has another schema than .*nano_dy_rntuple\.root: fields that differ"
    )
    with pytest.raises(OutputError, match=words):
        skim_ntuple(sources, None, tmp_path / "out.root")
    drop = [name for name in sources[0][0].field_names if name not in ("run", "event", "Muon_pt", "nMuon")]
    drop += [name for name in sources[1][0].field_names if name not in ("run", "event", "Muon_pt", "nMuon")]
    with pytest.raises(OutputError, match="_collection"):  # the collections of muons have other numbers
        skim_ntuple(sources, None, tmp_path / "out.root", drop=drop)
    skim_ntuple(sources, None, tmp_path / "out.root", drop=[*drop, "nMuon", "Muon_pt"])
    with pytest.raises(OutputError, match="39 decisions for 40 entries"):
        skim_ntuple(sources[0][0], np.ones(39, bool), tmp_path / "out.root")


@pytest.mark.parametrize("cluster_bytes", [300, 64_000_000])
def test_columns_are_added_with_their_titles(tmp_path, monkeypatch, cluster_bytes):
    monkeypatch.setattr(NTupleWriter, "CLUSTER_BYTES", cluster_bytes)
    types = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"]
    added = [Column(f"new_{dtype}", dtype, f"a title of {dtype}") for dtype in types]
    sources = [open_ntuple(make_ntuple(tmp_path / f"{n}.root", (30, 20))) for n in range(2)]
    kept = choose(50, 0.5)
    values = np.arange(2 * kept.sum()) * 3.5 - 20
    extra = [
        {f"new_{dtype}": part.astype(dtype) for dtype in types} for part in (values[: kept.sum()], values[kept.sum() :])
    ]
    copy = skim_ntuple([(s, kept) for s in sources], None, tmp_path / "out.root", added=added, extra=extra)
    assert_copied(sources[0], kept, copy)
    assert_copied(sources[1], kept, copy, first=int(kept.sum()))
    with uproot.open({tmp_path / "out.root": "Events"}) as new:
        for dtype in types:
            found = new[f"new_{dtype}"].array(library="np")
            assert found.dtype == dtype and found.tolist() == values.astype(dtype).tolist()
            assert new[f"new_{dtype}"].description == f"a title of {dtype}"


def test_values_of_added_columns_take_its_type_and_must_be_one_an_entry(tmp_path):
    source, added = open_ntuple(make_ntuple(tmp_path / "in.root")), [Column("score", "float32")]
    kept = choose(100, 0.5)
    skim_ntuple(source, kept, tmp_path / "out.root", added=added, extra=[{"score": np.arange(kept.sum())}])
    with uproot.open({tmp_path / "out.root": "Events"}) as new:
        assert new["score"].array(library="np").tolist() == list(range(kept.sum()))
    with pytest.raises(OutputError, match=r"column score: values of shape \(100,\) for 47 entries"):
        skim_ntuple(source, kept, tmp_path / "no.root", added=added, extra=[{"score": np.arange(100)}])


def test_a_skim_can_be_skimmed_again_without_its_columns(tmp_path):
    source, added = open_ntuple(make_ntuple(tmp_path / "in.root")), [Column("score", "float32")]
    kept = choose(100, 0.5)
    extra = [{"score": np.arange(kept.sum(), dtype=np.float32)}]
    once = skim_ntuple(source, kept, tmp_path / "once.root", added=added, extra=extra)
    again = choose(once.num_entries, 0.5, seed=2)
    with pytest.raises(OutputError, match="column score cannot be added"):
        skim_ntuple(once, again, tmp_path / "no.root", added=added)
    extra = [{"score": np.full(again.sum(), 7, np.float32)}]
    twice = skim_ntuple(once, again, tmp_path / "twice.root", added=added, drop=["score"], extra=extra)
    both = kept.copy()
    both[kept] = again
    assert_copied(source, both, twice)
    assert dict(column_values(twice, ["score"], range(3)))["score (SplitReal32)"] == np.full(3, 7, np.float32).tobytes()


def test_dropped_fields_are_gone_and_the_rest_is_the_same(shared_data, tmp_path):
    source = open_ntuple(shared_data / "nano_dy_rntuple.root")
    kept = choose(40, 0.4)
    drop = [name for name in source.field_names if name.startswith(("HLT_", "Electron_", "Jet_pt", "run"))]
    copy = skim_ntuple(source, kept, tmp_path / "out.root", drop=drop)
    assert set(copy.field_names) == set(source.field_names) - set(drop)
    wanted = dict(column_values(source, source.field_names, np.flatnonzero(kept)))
    found = dict(column_values(copy, copy.field_names, range(copy.num_entries)))
    assert all(wanted[name] == own for name, own in found.items())
    paths = shared_data / "nano_dy_rntuple.root", tmp_path / "out.root"
    with uproot.open({paths[0]: "Events"}) as old, uproot.open({paths[1]: "Events"}) as new:
        for name in ("nElectron", "Jet_eta", "nJet", "Muon_pt", "event"):
            assert same(old[name].array()[kept], new[name].array())


def test_the_anchor_is_one_that_root_knows(tmp_path):
    skim_ntuple(open_ntuple(make_ntuple(tmp_path / "in.root")), choose(100, 0.5), tmp_path / "out.root")
    with uproot.open(tmp_path / "out.root") as file:
        key = file.key("Events")
        assert file.classnames() == {"Events;1": "ROOT::RNTuple"}
        at = key.fSeekKey + key.fKeylen
    size, version, *numbers = ANCHOR.unpack_from((tmp_path / "out.root").read_bytes(), at)
    assert (size, version) == (0x40000000 | 66, 2) and numbers[-1] == 2**30
    assert key.fObjlen == ANCHOR.size + 8 == key.fNbytes - key.fKeylen


def test_a_failed_skim_leaves_nothing(tmp_path):
    source = open_ntuple(make_ntuple(tmp_path / "in.root"))
    with (
        pytest.raises(RuntimeError),
        RootFile(tmp_path / "out.root", compression=parse_compression("none")) as out,
        NTupleWriter(out, source) as writer,
    ):
        writer.copy(source, np.ones(100, bool))
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["in.root"]


def test_a_footer_of_a_version_with_attribute_sets_lists_none(shared_data, tmp_path):
    """The version is the source's: readers take what the footer holds from it."""
    source = open_ntuple(shared_data / "nano_dy_empty_rntuple.root")
    assert source.version == (1, 0, 1, 1)
    assert skim_ntuple(source, choose(0, 1), tmp_path / "out.root").version == source.version
    with uproot.open({tmp_path / "out.root": "Events"}) as new:
        assert new.footer.linked_attribute_sets == []
        (checksum,) = struct.unpack("<Q", new._footer_chunk.raw_data[16:24].tobytes())
        assert checksum == new.header.checksum
