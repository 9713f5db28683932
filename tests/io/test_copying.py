"""Copying chosen entries, for files made here and for the real ones."""

import itertools
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from hepfilter.errors import OutputError, SourceError
from hepfilter.io.baskets import BasketReader
from hepfilter.io.compression import Compression
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source
from hepfilter.io.treewriter import TreeWriter
from hepfilter.io.writing import Column, create_root
from tests.io import copies

REAL = [
    "nano_dy.root", "nano_dy_SpecialTree.root", "nano_dimuon.root", "nano_tree.root", "nano_tt_v12.root",
    "nano_tt_v15.root",
    "nanoAOD_2015_CMS_Open_Data_ttbar.root", "pfnano.root", "Run2012B_SingleMu_1000.root", "run2012_dimuon_100k.root",
    "cms_run2015d_pf.root", "scouting_nano.root", "missing_luminosityBlock.root", "treemaker.root", "uproot-HZZ.root",
    "uproot-Zmumu.root", "nano_dy_empty.root",
]  # fmt: skip


def make_source(
    path: Path,
    events: int = 100,
    *,
    offset: int = 0,
    clusters: int = 4,
    extra: list[Column] | None = None,
    compression: str = "ZLIB:1",
    tag: str = "a tag",
) -> Path:
    rng = np.random.default_rng(events + offset)
    columns = [
        Column("event", "uint64"),
        Column("Jet_pt", "float32", "pt", counter="nJet"),
        Column("ok", "bool"),
        *(extra or []),
    ]
    with create_root(path, compression=compression) as out:
        with out.new_tree("Events", columns, title="a title") as tree:
            for numbers in np.array_split(np.arange(offset, offset + events), clusters):
                counts = rng.integers(0, 4, len(numbers))
                jets = rng.exponential(50, counts.sum()).astype(np.float32)
                jets[::7] = np.array([0x7FC00BAD], np.uint32).view(np.float32)  # a NaN with a payload
                tree.extend(
                    {
                        "event": numbers,
                        "Jet_pt": (jets, counts),
                        "ok": numbers % 3 == 0,
                        **{c.name: numbers for c in extra or []},
                    }
                )
                tree.writer.flush()
        with out.new_tree("Runs", [Column("run", "uint32"), Column("genEventSumw", "float64")]) as runs:
            runs.extend({"run": np.array([1, 2]), "genEventSumw": np.array([0.1, offset + 0.2])})
        out.write_string("tag", tag)
    return path


def copy(sources: list[Path], out: Path, kept: list[np.ndarray], tree: str = "Events") -> list[str]:
    score = Column("score", "float32")
    return copies.copy(sources, out, kept, tree, added=[score], compression=Compression("ZSTD", 3))


def raw(branch: uproot.TBranch) -> bytes:
    """All bytes of a branch's entries, exactly as they lie in its baskets."""
    return b"".join(branch.basket(i).data.tobytes() for i in range(branch.num_baskets))


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
@pytest.mark.parametrize("cluster_bytes", [1, 500, 64_000_000])
def test_chosen_entries_are_copied_exactly(tmp_path, monkeypatch, share, cluster_bytes):
    monkeypatch.setattr(TreeWriter, "CLUSTER_BYTES", cluster_bytes)
    source = make_source(tmp_path / "in.root")
    kept = np.random.default_rng(3).random(100) < share
    copy([source], tmp_path / "out.root", [kept])
    with uproot.open(source) as old, uproot.open(tmp_path / "out.root") as new:
        events, chosen = old["Events"], new["Events"]
        assert chosen.title == "a title"
        assert chosen.keys() == [*events.keys(), "score"]
        assert chosen["event"].array(library="np").tolist() == np.flatnonzero(kept).tolist()
        wanted = ak.to_numpy(ak.flatten(events["Jet_pt"].array()[kept]))
        assert ak.to_numpy(ak.flatten(chosen["Jet_pt"].array())).tobytes() == wanted.tobytes()
        assert chosen["score"].array(library="np").tolist() == np.flatnonzero(kept).tolist()
        assert raw(new["Runs/genEventSumw"]) == raw(old["Runs/genEventSumw"])
        assert str(new["tag"]) == "a tag"


def test_sources_follow_in_their_order_and_books_once_each(tmp_path):
    sources = [make_source(tmp_path / f"{i}.root", 10 + i, offset=100 * i) for i in range(3)]
    kept = [np.arange(10 + i) % 2 == 1 for i in range(3)]
    copy(sources, tmp_path / "out.root", kept)
    with uproot.open(tmp_path / "out.root") as new:
        wanted = [100 * i + entry for i in range(3) for entry in np.flatnonzero(kept[i])]
        assert new["Events/event"].array(library="np").tolist() == wanted
        assert new["Runs/genEventSumw"].array(library="np").tolist() == [0.1, 0.2, 0.1, 100.2, 0.1, 200.2]


def test_an_empty_first_source_does_not_hide_the_entries_of_the_second(tmp_path):
    """ROOT reads a branch up to its fEntryNumber."""
    sources = [make_source(tmp_path / "empty.root", 0, clusters=1), make_source(tmp_path / "full.root", 20)]
    copy(sources, tmp_path / "out.root", [np.ones(0, bool), np.arange(20) > 4])
    with uproot.open({tmp_path / "out.root": "Events"}) as tree:
        for branch in tree.branches:
            assert (branch.member("fEntryNumber"), branch.member("fEntries")) == (15, 15)


def test_objects_of_all_sources_are_kept_and_the_same_one_once(tmp_path):
    sources = [make_source(tmp_path / f"{i}.root", 10, tag="another tag" if i == 2 else "a tag") for i in range(3)]
    copy(sources, tmp_path / "out.root", [np.ones(10, bool)] * 3)
    with uproot.open(tmp_path / "out.root") as file:
        assert sorted(str(file[f"tag;{cycle}"]) for cycle in (1, 2)) == ["a tag", "another tag"]
        assert sorted(file.keys(filter_name="tag*")) == ["tag;1", "tag;2"]


def test_a_file_that_changed_between_the_passes_is_refused(tmp_path):
    source = make_source(tmp_path / "in.root", 10)
    with pytest.raises(SourceError, match=r"has 10 entries, it had more; the file changed"):
        copy([source], tmp_path / "out.root", [np.ones(11, bool)])
    assert not (tmp_path / "out.root").exists()


def test_the_counters_maximum_is_that_of_all_sources(tmp_path):
    sources = [make_source(tmp_path / f"{i}.root", n) for i, n in enumerate((1, 200))]
    copy(sources, tmp_path / "out.root", [np.ones(1, bool), np.ones(200, bool)])
    with uproot.open(tmp_path / "out.root") as new:
        assert new["Events/nJet"].member("fLeaves")[0].member("fMaximum") == 3


def test_a_source_of_another_layout_is_refused_by_name(tmp_path):
    first = make_source(tmp_path / "a.root", 10)
    second = make_source(tmp_path / "b.root", 10, extra=[Column("HLT_new", "bool")])
    with pytest.raises(OutputError, match=r"b\.root: tree Events differs from .*a\.root in HLT_new"):
        copy([first, second], tmp_path / "out.root", [np.ones(10, bool)] * 2)
    assert not (tmp_path / "out.root").exists()


def test_an_older_score_is_replaced(tmp_path):
    source = make_source(tmp_path / "in.root", 10, extra=[Column("score", "float32")])
    copy([source], tmp_path / "out.root", [np.arange(10) > 4])
    with uproot.open({tmp_path / "out.root": "Events"}) as new:
        assert [branch.name for branch in new.branches].count("score") == 1
        assert new["score"].array(library="np").tolist() == [5, 6, 7, 8, 9]


@pytest.mark.parametrize("compression", ["ZLIB:1", "LZMA:1", "LZ4:4"])
def test_a_flipped_byte_in_a_basket_is_told_with_branch_and_entries(tmp_path, compression):
    """ZSTD, as ROOT writes it, has no checksum: what is damaged there may stay unnoticed by any reader."""
    source = make_source(tmp_path / "in.root", compression=compression)
    with uproot.open({source: "Events"}) as tree:
        seek, size = tree["event"].member("fBasketSeek")[1], tree["event"].member("fBasketBytes")[1]
    data = bytearray(source.read_bytes())
    data[seek + size - 20] ^= 0xFF
    source.write_bytes(data)
    with pytest.raises(SourceError, match=r"in\.root: tree Events, branch event, entries 25 to 49 cannot be read"):
        copy([source], tmp_path / "out.root", [np.ones(100, bool)])
    assert not (tmp_path / "out.root").exists()


def test_baskets_without_chosen_entries_are_never_read(tmp_path, monkeypatch):
    source = make_source(tmp_path / "in.root", 100, clusters=10)
    seen = []
    real = BasketReader.parse
    monkeypatch.setattr(
        BasketReader, "parse", lambda self, *given: seen.append((self._branch.name, given[0])) or real(self, *given)
    )
    copy([source], tmp_path / "out.root", [np.isin(np.arange(100), [33, 38, 71])])
    assert {number for name, number in seen if name == "Jet_pt"} == {3, 7}


@pytest.mark.parametrize(("name", "step"), [*((name, 3) for name in REAL), ("pfnano.root", 1), ("treemaker.root", 1)])
def test_real_files_are_copied_bit_for_bit(shared_data, tmp_path, name, step):
    source = shared_data / name
    with open_file(Source(str(source))) as file:
        main = file.tree_names[0] if "Events" not in file.tree_names else "Events"
        kept = np.arange(file.tree(main).num_entries) % step == 0
        others = [tree for tree in file.tree_names if tree != main]
    copy([source], tmp_path / "out.root", [kept], tree=main)
    with uproot.open(source) as old, uproot.open(tmp_path / "out.root") as new:
        assert_same_tree(old[main], new[main], kept, added=["score"])
        for tree in others:
            assert_same_tree(old[tree], new[tree], np.ones(old[tree].num_entries, bool), added=[])


@pytest.mark.parametrize("name", ["pfnano.root", "Run2012B_SingleMu_1000.root"])
def test_small_clusters_where_baskets_do_not_align(shared_data, tmp_path, monkeypatch, name):
    monkeypatch.setattr(TreeWriter, "CLUSTER_BYTES", 50_000)
    with uproot.open(shared_data / name) as old:
        kept = np.arange(old["Events"].num_entries) % 2 == 0
        copy([shared_data / name], tmp_path / "out.root", [kept])
        with uproot.open(tmp_path / "out.root") as new:
            assert new["Events"].member("fNClusterRange") > 0
            assert_same_tree(old["Events"], new["Events"], kept, added=["score"])


def assert_same_tree(old: uproot.TTree, new: uproot.TTree, kept: np.ndarray, *, added: list[str]) -> None:
    """Names, titles, leaves and the bytes of every kept entry of every branch are the source's."""
    assert [branch.name for branch in new.branches] == [branch.name for branch in old.branches] + added
    assert new.title == old.title
    for key, before in old.iteritems(recursive=True):
        after = new[key]
        assert (after.title, after.typename, after.classname) == (before.title, before.typename, before.classname)
        for leaf, copied in zip(before.member("fLeaves"), after.member("fLeaves"), strict=True):
            for member in ("fName", "fTitle", "fLen", "fLenType", "fOffset", "fIsRange", "fIsUnsigned"):
                assert leaf.member(member) == copied.member(member), (key, member)
            assert type(leaf).__name__ == type(copied).__name__
        assert entry_bytes(after) == [
            entry for entry, passed in zip(entry_bytes(before), kept, strict=False) if passed
        ], key


def entry_bytes(branch: uproot.TBranch) -> list[bytes]:
    """The bytes of each entry, cut by the baskets' own entry positions."""
    entries = []
    for number in range(branch.num_baskets):
        basket = branch.basket(number)
        data, count = basket.data.tobytes(), basket.num_entries
        edges = basket.byte_offsets
        if edges is None or branch.member("fEntryOffsetLen") == 0:
            edges = np.arange(count + 1) * (len(data) // max(count, 1))
        entries += [data[low:high] for low, high in itertools.pairwise(edges)]
    return entries
