"""Files made from arrays."""

import awkward as ak
import numpy as np
import pytest
import uproot

from hepfilter.errors import OutputError
from hepfilter.io.treewriter import TreeWriter
from hepfilter.io.writing import Column, create_root

TYPES = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"]


def test_every_type_flat_and_jagged_comes_back_exactly(tmp_path):
    rng = np.random.default_rng(1)
    columns, arrays = [], {}
    counts = rng.integers(0, 5, 100)
    for name in TYPES:
        flat, inner = (rng.integers(0, 256, n * 8, dtype=np.uint8) for n in (100, counts.sum()))
        view = (
            (lambda raw, name=name: raw[: len(raw) // 8] % 2 == 1)
            if name == "bool"
            else lambda raw, name=name: raw.view(name)
        )
        columns += [Column(name, name), Column(f"J_{name}", name, counter="nJ")]
        size = np.dtype(name).itemsize
        arrays[name] = view(flat)[:: 8 // size] if name != "bool" else view(flat)
        arrays[f"J_{name}"] = (view(inner)[:: 8 // size] if name != "bool" else view(inner), counts)
    with create_root(tmp_path / "a.root") as out, out.new_tree("t", columns) as tree:
        tree.extend(arrays)
    with uproot.open({tmp_path / "a.root": "t"}) as tree:
        assert np.array_equal(tree["nJ"].array(library="np"), counts)
        for name in TYPES:
            assert tree[name].array(library="np").tobytes() == arrays[name].tobytes()  # NaN payloads too
            jagged = tree[f"J_{name}"].array()
            assert np.array_equal(ak.num(jagged), counts)
            assert ak.to_numpy(ak.flatten(jagged)).tobytes() == arrays[f"J_{name}"][0].tobytes()


def test_titles_counters_and_leaves_are_nanoaods(tmp_path):
    columns = [Column("run", "uint32"), Column("Muon_pt", "float32", "transverse momentum", counter="nMuon")]
    with create_root(tmp_path / "a.root") as out, out.new_tree("Events", columns) as tree:
        tree.extend({"run": np.ones(2, np.uint32), "Muon_pt": ak.Array([[1.0, 2.0, 3.0], []])})
    with uproot.open({tmp_path / "a.root": "Events"}) as tree:
        assert [branch.name for branch in tree.branches] == ["run", "nMuon", "Muon_pt"]
        assert [branch.title for branch in tree.branches] == ["run/i", "number of Muon", "transverse momentum"]
        leaf = tree["Muon_pt"].member("fLeaves")[0]
        assert leaf.member("fTitle") == "Muon_pt[nMuon]"
        assert leaf.member("fLeafCount").member("fName") == "nMuon"
        assert leaf.member("fLeafCount").member("fMaximum") == 3
        assert tree["Muon_pt"].count_branch.name == "nMuon"


@pytest.mark.parametrize("events", [0, 1, 7, 8, 9, 16])
def test_clusters_end_where_they_should(tmp_path, monkeypatch, events):
    monkeypatch.setattr(TreeWriter, "CLUSTER_BYTES", 8 * 4)
    with create_root(tmp_path / "a.root") as out, out.new_tree("t", [Column("x", "int32")]) as tree:
        for i in range(events):
            tree.extend({"x": np.array([i])})
    with uproot.open({tmp_path / "a.root": "t"}) as tree:
        assert tree.num_entries == events
        assert tree["x"].array(library="np").tolist() == list(range(events))
        assert tree["x"].num_baskets == -(-events // 8)


@pytest.mark.long
def test_a_file_beyond_2_gb_is_read_to_its_end(tmp_path):
    block = np.arange(25_000_000, dtype=np.float32)
    with (
        create_root(tmp_path / "a.root", compression="none") as out,
        out.new_tree("t", [Column("x", "float32")]) as tree,
    ):
        for i in range(24):
            tree.extend({"x": block + i})
    assert (tmp_path / "a.root").stat().st_size > 2.3e9
    with uproot.open({tmp_path / "a.root": "t"}) as tree:
        assert tree.num_entries == 24 * len(block)
        assert np.array_equal(tree["x"].array(entry_start=23 * len(block), library="np"), block + 23)


def test_columns_that_do_not_fit_are_errors(tmp_path):
    columns = [Column("x", "int32"), Column("J_a", "float32", counter="nJ"), Column("J_b", "float32", counter="nJ")]
    good = {"x": np.zeros(2), "J_a": (np.zeros(3), [1, 2]), "J_b": (np.zeros(3), [1, 2])}
    bad = [
        ({**good, "J_b": (np.zeros(3), [2, 1])}, "counter nJ"),
        ({**good, "J_b": (np.zeros(4), [1, 2])}, "counter nJ"),
        ({**good, "x": np.zeros(3)}, "different lengths"),
        ({**good, "y": np.zeros(2)}, "unknown: y"),
        ({"x": np.zeros(2)}, "J_a, J_b"),
    ]
    for arrays, message in bad:
        raises = pytest.raises(OutputError, match=message)
        with raises, create_root(tmp_path / "a.root") as out, out.new_tree("t", columns) as tree:
            tree.extend(arrays)
    assert not (tmp_path / "a.root").exists()
