"""Open files and trees as arrays."""

import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from hepfilter.errors import SourceError
from hepfilter.io.compression import Compression
from hepfilter.io.plain import is_plain
from hepfilter.io.reading import OpenTree, open_file
from hepfilter.io.sources import Source
from hepfilter.io.writing import Column, create_root

COLUMNS = [Column("event", "uint64"), Column("Jet_pt", "float32", counter="nJet"), Column("ok", "bool")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """30 events in clusters of 10, 15 and 5."""
    counts = np.arange(30) % 4
    jets = np.arange(counts.sum()) / 3
    edges = np.append(0, np.cumsum(counts))
    with create_root(tmp_path / "in.root", compression="ZLIB:1") as out:
        with out.new_tree("Events", COLUMNS) as tree:
            for low, high in itertools.pairwise([0, 10, 25, 30]):
                lists = jets[edges[low] : edges[high]], counts[low:high]
                tree.extend({"event": np.arange(low, high), "Jet_pt": lists, "ok": np.arange(low, high) % 3 == 0})
                tree.writer.flush()
        with out.new_tree("Runs", [Column("run", "uint32")]) as runs:
            runs.extend({"run": np.array([1])})
        out.write_string("tag", "text")
    return tmp_path / "in.root"


RANGES = [
    (0, None),
    (0, 30),
    (0, 1),
    (9, 11),
    (10, 25),
    (24, 26),
    (29, 30),
    (3, 28),
    (12, 12),
    (30, 30),
    (25, 1000),
    (0, 0),
]


@pytest.mark.parametrize(("start", "stop"), RANGES)
def test_any_range_of_entries(path, start, stop):
    names = ["Jet_pt", "event", "nJet", "ok"]
    with open_file(Source(str(path))) as file, uproot.open({path: "Events"}) as wanted:
        tree = file.tree("Events")
        arrays, values = tree.arrays(names, start, stop), tree.values(names, start, stop)
        assert list(arrays) == names
        for name in names:
            expected = wanted[name].array(entry_start=start, entry_stop=stop)
            assert ak.array_equal(arrays[name], expected, dtype_exact=True), name
            column = values[name]
            flat = expected if column.offsets is None else ak.flatten(expected)
            assert column.values.tobytes() == ak.to_numpy(flat).tobytes()
            if column.offsets is not None:
                assert np.diff(column.offsets).tolist() == ak.num(expected).tolist()


@pytest.mark.parametrize(
    "name", ["nano_dimuon.root", "delphes.root", "treemaker.root", "uproot-HZZ.root", "PHYSLITE_example.root"]
)
def test_real_branches_are_what_uproot_reads(shared_data, name):
    """Plain ones through our own reader, every one; and some of the others, through uproot."""
    with open_file(Source(str(shared_data / name))) as file, uproot.open(shared_data / name) as wanted:
        tree = file.tree(*file.tree_names[:1]) if "Events" not in file.tree_names else file.tree("Events")
        plain = [name for name, branch in tree.by_name.items() if is_plain(branch)]
        others = [name for name in tree.by_name if name not in plain][:40]
        readable = [name for name in others if readable_by_uproot(wanted[tree.name][name])]
        stop = tree.num_entries - 1
        found = tree.arrays([*plain, *readable], 1, stop)
        assert len(found) > 10
        for key, array in found.items():
            expected = wanted[tree.name][key].array(entry_start=1, entry_stop=stop)
            assert ak.array_equal(array, expected, equal_nan=True, dtype_exact=True), key


def readable_by_uproot(branch: uproot.TBranch) -> bool:
    try:
        branch.array(entry_stop=1)
    except (
        uproot.DeserializationError,
        uproot.interpretation.identify.UnknownInterpretation,
        NotImplementedError,
        ValueError,
    ):
        return False
    return True


def test_plain_branches_need_no_uproot(path):
    """Nor awkward: a skim of plain branches starts without either."""
    script = f"""
import sys
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source
with open_file(Source({str(path)!r})) as file:
    print(file.tree("Events").values(["event", "Jet_pt"])["event"].values.sum())
print([name for name in ("uproot", "awkward", "pandas", "scipy") if name in sys.modules])
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=os.environ)
    assert run.stdout.split() == ["435", "[]"]


def test_values_of_other_branches_through_uproot(shared_data):
    with open_file(Source(str(shared_data / "treemaker.root"))) as file:
        tree = file.tree("PreSelection")
        vectors = [
            n for n, b in tree.by_name.items() if b.element is not None and b.element.class_name == "vector<double>"
        ]
        found = tree.values(vectors[:2])
        with uproot.open({shared_data / "treemaker.root": "PreSelection"}) as wanted:
            for name, column in found.items():
                expected = wanted[name].array()
                assert column.offsets.tolist() == np.append(0, np.cumsum(ak.num(expected))).tolist()
                assert column.values.tolist() == ak.flatten(expected).tolist()


def test_values_of_lists_of_lists_are_refused(shared_data):
    with open_file(Source(str(shared_data / "PHYSLITE_example.root"))) as file:
        tree = file.tree("CollectionTree")
        nested = next(
            n for n, b in tree.by_name.items() if b.element and b.element.class_name == "vector<vector<int> >"
        )
        message = r"PHYSLITE_example\.root: tree CollectionTree: branch .* holds var \* var \* int32; an expression"
        with pytest.raises(SourceError, match=message):
            tree.values([nested])


@pytest.mark.parametrize("name", ["odd:name.root", "a.root:b.root", "odd[1].root", "*.root", "a b.root"])
def test_files_of_odd_names_are_found_by_uproot_too(shared_data, tmp_path, name):
    shutil.copy(shared_data / "uproot-HZZ.root", tmp_path / name)
    shutil.copy(shared_data / "treemaker.root", tmp_path / "t.root")
    (tmp_path / "t.root").rename(tmp_path / f"t{name}")
    with open_file(Source(str(tmp_path / f"t{name}"))) as file:
        tree = file.tree("PreSelection")
        other = next(
            n for n, b in tree.by_name.items() if b.element is not None and b.element.class_name == "vector<double>"
        )
        assert len(tree.arrays([other])[other]) == 10


def test_branches_below_others_are_found_by_name(shared_data):
    with open_file(Source(str(shared_data / "delphes.root"))) as file:
        tree = file.tree("Delphes")
        assert len(tree.branches) < len(tree.by_name) == len(tree.branch_names)
        assert tree.by_name["Jet.PT"] in tree.by_name["Jet"].children
        hidden = tree.without(["Jet"])
        assert "Jet.PT" not in hidden.by_name
        assert "Jet" not in [branch.name for branch in hidden.branches]
        assert "Jet" in [branch.name for branch in tree.branches]


def test_cluster_edges(path):
    with open_file(Source(str(path))) as file:
        tree = file.tree("Events")
        assert tree.cluster_edges() == tree.cluster_edges(["Jet_pt"]) == [0, 10, 25, 30]
        assert tree.cluster_edges([]) == [0, 30]
        assert file.tree("Runs").cluster_edges() == [0, 1]


@pytest.mark.parametrize("name", ["pfnano.root", "Run2012B_SingleMu_1000.root", "cms_run2015d_pf.root"])
def test_cluster_edges_of_real_files(shared_data, name):
    with open_file(Source(str(shared_data / name))) as file, uproot.open({shared_data / name: "Events"}) as wanted:
        common = set.intersection(*(set(branch.entry_offsets) for branch in wanted.branches))
        assert file.tree("Events").cluster_edges() == sorted(common | {0, wanted.num_entries})


def test_what_a_file_says_of_itself(path):
    with open_file(Source(str(path))) as file, uproot.open(path) as wanted:
        assert file.tree_names == ("Events", "Runs")
        assert dict(file.class_names) == {"Events": "TTree", "Runs": "TTree", "tag": "TObjString"}
        assert file.compression == Compression("ZLIB", 1)
        assert file.uuid == str(wanted.file.uuid)
        assert file.tree("Nothing", "Runs", "Events").name == "Runs"


def opened(path: Path) -> OpenTree:
    with open_file(Source(str(path))) as file:
        return file.tree("Events")


def test_files_that_are_none(tmp_path, path):
    (tmp_path / "text.root").write_text("no ROOT file, but long enough to be read")
    (tmp_path / "empty.root").touch()
    (tmp_path / "cut.root").write_bytes(path.read_bytes()[:-1])
    wanted = {
        "missing.root": "cannot be read: No such file or directory",
        "text.root": r"is no ROOT file \(it does not begin with 'root'\); give a \.root file",
        "empty.root": r"is no ROOT file",
        "cut.root": rf"is cut short: its header says {path.stat().st_size:,} bytes, the file has",
        ".": "is a folder, not a ROOT file",
    }
    for name, message in wanted.items():
        with pytest.raises(SourceError, match=message) as error:
            opened(tmp_path / name)
        assert str(error.value).startswith(str(tmp_path))
        assert "\n" not in str(error.value)


def test_trees_that_are_not_there(path, shared_data):
    with open_file(Source(str(path))) as file:
        message = r"in\.root: no tree A or tag; objects in the file: Events \(TTree\), Runs \(TTree\), tag"
        with pytest.raises(SourceError, match=message):
            file.tree("A", "tag")
    none = pytest.raises(SourceError, match=r"no tree Delphes; objects in the file: .*; it holds no tree$")
    with open_file(Source(str(shared_data / "bad_delphes.root"))) as file, none:
        file.tree("Delphes")


def test_branches_that_are_not_there(path):
    with open_file(Source(str(path))) as file:
        for read in (file.tree("Events").arrays, file.tree("Events").values):
            with pytest.raises(SourceError, match=r"in\.root: tree Events has no branch 'Jet_p'; nearest: Jet_pt"):
                read(["event", "Jet_p"])


def test_a_damaged_basket_names_branch_and_entries(path):
    stored = opened(path).by_name["Jet_pt"].stored
    data = bytearray(path.read_bytes())
    data[int(stored.seeks[1] + stored.sizes[1]) - 3] ^= 0xFF
    path.write_bytes(data)
    with open_file(Source(str(path))) as file:
        tree = file.tree("Events")
        with pytest.raises(
            SourceError, match=r"in\.root: tree Events, branch Jet_pt, entries 10 to 24 cannot be read: .*damaged"
        ):
            tree.values(["Jet_pt"], 24, 26)
        assert len(tree.values(["Jet_pt"], 0, 10)["Jet_pt"].offsets) == 11
