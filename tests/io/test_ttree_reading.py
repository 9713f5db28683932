"""A TTree's metadata: what uproot and ROOT say of it, and what damaged bytes may not do."""

import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import uproot

from hepfilter.errors import HepfilterError, OutputError, SourceError
from hepfilter.io.baskets import LayoutPool
from hepfilter.io.compression import Compression
from hepfilter.io.plain import is_plain
from hepfilter.io.reading import OpenTree, open_file
from hepfilter.io.sources import Source
from hepfilter.io.ttree import Branch, Leaf, TreeHeader, stream_tree
from hepfilter.io.ttree_reading import PARSE_FAULTS, parse_tree
from hepfilter.io.writing import Column, create_root
from hepfilter.skim.pipeline import skim
from hepfilter.skim.recipe import Recipe
from tests.io.copies import copy
from tests.io.in_root import compare_in_root

REAL = [
    "PHYSLITE_example.root", "Run2012B_SingleMu_1000.root", "cms_run2015d_pf.root", "delphes.root",
    "missing_luminosityBlock.root", "nanoAOD_2015_CMS_Open_Data_ttbar.root", "nano_dimuon.root", "nano_dy.root",
    "nano_dy_SpecialTree.root", "nano_dy_empty.root", "nano_tree.root", "nano_tt_v12.root", "nano_tt_v15.root",
    "pfnano.root", "run2012_dimuon_100k.root", "scouting_nano.root", "treemaker.root", "uproot-HZZ.root",
    "uproot-Zmumu.root",
]  # fmt: skip
REFUSED = {
    "features": (OutputError, r"branch x has experimental TIOFeatures, .*--drop-branches x$"),
    "elsewhere": (SourceError, r"branch x keeps its baskets in another file, .*baskets\.root; hadd makes one of both$"),
    "branch_object": (OutputError, r"branch vector is a TBranchObject, .*--drop-branches vector$"),
}
LEAF_MEMBERS = {
    "name": "fName", "title": "fTitle", "length": "fLen", "type_size": "fLenType", "offset": "fOffset",
    "is_range": "fIsRange", "is_unsigned": "fIsUnsigned",
}  # fmt: skip
BRANCH_MEMBERS = {
    "name": "fName", "title": "fTitle", "basket_size": "fBasketSize", "entry_offset_length": "fEntryOffsetLen",
    "split_level": "fSplitLevel", "offset": "fOffset",
}  # fmt: skip
ELEMENT_MEMBERS = {
    "class_name": "fClassName", "parent_name": "fParentName", "clones_name": "fClonesName", "checksum": "fCheckSum",
    "class_version": "fClassVersion", "identifier": "fID", "kind": "fType", "streamer_type": "fStreamerType",
    "maximum": "fMaximum",
}  # fmt: skip


def members_agree(ours: object, theirs: uproot.Model, names: dict[str, str]) -> None:
    for own, root in names.items():
        assert getattr(ours, own) == theirs.member(root), (theirs.member("fName"), root)


def assert_agrees_with_uproot(tree: OpenTree, wanted: uproot.TTree) -> None:
    """The metadata of a tree, as uproot has it."""
    header = tree.metadata.header
    assert (header.name, header.title, tree.num_entries) == (wanted.name, wanted.title, wanted.num_entries)
    for member, value in header.settings.items():
        assert value == wanted.member(member), member
    assert dict(header.aliases) == (wanted.aliases or {})
    ours = [branch for top in tree.branches for branch in top.walk()]
    above = {id(below): [top] for top in tree.branches for below in top.walk()}
    theirs = list(wanted.itervalues(recursive=True))
    assert [branch.name for branch in tree.branches] == [branch.name for branch in wanted.branches]
    for branch, other in zip(ours, theirs, strict=True):
        members_agree(branch, other, BRANCH_MEMBERS)
        if branch.element is not None:
            members_agree(branch.element, other, ELEMENT_MEMBERS)
            for count, member in ((branch.element.count, "fBranchCount"), (branch.element.count2, "fBranchCount2")):
                known = other.member(member)  # uproot has None where that is the branch around this one
                assert (count and count.name) == known.name if known else count in (None, *above[id(branch)])
        assert (branch.element is None) == (other.classname == "TBranch")
        for leaf, known in zip(branch.leaves, other.member("fLeaves"), strict=True):
            members_agree(leaf, known, LEAF_MEMBERS)
            assert leaf.class_name == known.classname
            count = known.member("fLeafCount")
            assert (leaf.count and leaf.count.name) == (count and count.member("fName"))
        assert branch.stored is not None
        assert branch.stored.edges.tolist() == other.entry_offsets
        assert len(branch.stored.embedded) == len(other.embedded_baskets)
        assert branch.source_bytes == (other.member("fTotBytes"), other.member("fZipBytes"))


@pytest.mark.parametrize("name", REAL)
def test_all_trees_of_real_files_are_read_as_uproot_reads_them(shared_data, name):
    with open_file(Source(str(shared_data / name))) as file, uproot.open(shared_data / name) as wanted:
        assert file.tree_names
        for tree in file.tree_names:
            assert_agrees_with_uproot(file.tree(tree), wanted[tree])


def root(script: str, *arguments: Path) -> str:
    path = Path(__file__).parent / script
    run = subprocess.run([sys.executable, str(path), *arguments], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    return run.stdout


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files that ROOT wrote."""
    if find_spec("ROOT") is None:
        pytest.skip("ROOT is not installed")
    folder = tmp_path_factory.mktemp("written")
    root("write_trees_in_root.py", folder)
    return folder


def files_of(folder: Path) -> Iterator[Path]:
    paths = sorted(path for path in folder.glob("*.root") if path.stem not in {*REFUSED, "baskets"})
    assert len(paths) > 20
    yield from paths


def test_trees_that_root_wrote_are_read_as_uproot_reads_them(written):
    embedded = filed = 0
    for path in files_of(written):
        with open_file(Source(str(path))) as file, uproot.open({path: "Events"}) as wanted:
            tree = file.tree("Events")
            assert_agrees_with_uproot(tree, wanted)
            stored = [branch.stored for top in tree.branches for branch in top.walk()]
            embedded += sum(len(baskets.embedded) for baskets in stored)
            filed += sum(len(baskets.seeks) for baskets in stored)
            assert len(file.entries) == (16 if path.stem == "cycles" else 1)
    assert min(embedded, filed) > 50


def test_root_reads_every_second_entry_of_all_that_it_wrote(written, tmp_path):
    for path in files_of(written):
        with open_file(Source(str(path))) as file:
            kept = np.arange(file.tree("Events").num_entries) % 2 == 0
        assert copy([path], tmp_path / path.name, [kept], compression=Compression("ZSTD", 1)) == []
        with open_file(Source(str(path))) as old, open_file(Source(str(tmp_path / path.name))) as new:
            for before, after in zip(old.tree("Events").branches, new.tree("Events").branches, strict=True):
                for a, b in zip(before.walk(), after.walk(), strict=True):
                    assert entry_bytes(old.tree("Events"), a)[::2] == entry_bytes(new.tree("Events"), b), a.name
        with uproot.open({path: "Events"}) as old, uproot.open({tmp_path / path.name: "Events"}) as new:
            assert settings(old) == settings(new)
    pairs = []
    for path in files_of(written):
        with open_file(Source(str(path))) as file:
            entries = [*range(0, file.tree("Events").num_entries, 2)]
        pairs.append((str(path), str(tmp_path / path.name), "Events", entries, ()))
    for (source, *_), found in zip(pairs, compare_in_root(pairs), strict=True):
        assert found["different"] == [], source
        assert set(found["unreadable"]) <= {"TH1F"}, source  # which shows nothing; test_objects_in_root reads it
        assert found["values"] > 0 or "empty" in source


def settings(tree: uproot.TTree) -> list[object]:
    """What of a tree is neither branch nor entry."""
    members = ("fWeight", "fScanField", "fMarkerColor", "fLineWidth", "fEstimate")
    aliases = [(alias.member("fName"), alias.member("fTitle")) for alias in tree.member("fAliases") or ()]
    return [tree.title, *(tree.all_members[name] for name in members), aliases]


def entry_bytes(tree: OpenTree, branch: Branch) -> list[bytes]:
    reader = tree.reader(branch, LayoutPool())
    baskets = [reader.read(number) for number in range(len(reader.edges) - 1)]
    return [basket.slice(i, i + 1).data.tobytes() for basket in baskets for i in range(basket.count)]


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_copied_is_refused_in_one_line(written, tmp_path, name):
    kind, message = REFUSED[name]
    with pytest.raises(kind, match=rf"^.*{name}\.root: .*{message}") as refused:
        copy([written / f"{name}.root"], tmp_path / "out.root", [np.ones(60, bool)])
    assert "\n" not in str(refused.value)


def test_what_cannot_be_copied_can_be_dropped(written, tmp_path):
    recipe = Recipe(where="number > 0", drop_branches=("vector",))
    assert skim([str(written / "branch_object.root")], tmp_path / "out.root", recipe).written == 1
    with uproot.open({tmp_path / "out.root": "Events"}) as tree:
        assert tree.keys() == ["number", "HepFilter_passed", "HepFilter_entry"]


def test_the_newest_cycle_of_a_tree_is_read(written):
    with open_file(Source(str(written / "cycles.root"))) as file:
        assert file.tree("Events").num_entries == 9
        assert file.tree("Events").values(["x"])["x"].values.tolist() == list(range(9))


class Knot(Branch):
    """A branch that is written without a look at those below it, as they may have no end."""

    def walk(self) -> Iterator[Branch]:
        yield self


def tree_bytes(*branches: Branch, clusters: Sequence[int] = ()) -> bytes:
    return stream_tree(TreeHeader("Events", ""), branches, clusters=clusters, key_length=50)


@pytest.mark.parametrize("depth", [50, 61, 100, 170, 400])
def test_the_deepest_nesting_of_branches(depth):
    top = Knot("innermost", "", [])
    for _ in range(depth - 1):
        top = Knot("b", "", [], children=[top])
    limit = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(20_000)
        data = tree_bytes(top)
    finally:
        sys.setrecursionlimit(limit)
    if depth == 50:
        assert len(list(parse_tree(data, 50).branches[0].walk())) == depth
        return
    with pytest.raises(ValueError, match="nested more than 60 deep"):
        parse_tree(data, 50)


def test_a_branch_in_two_places_is_refused():
    """Thirty branches that each hold the next one twice would be a billion branches."""
    top = Knot("innermost", "", [])
    for _ in range(30):
        top = Knot("b", "", [], children=[top, top])
    with pytest.raises(ValueError, match="missing, or stands in two places"):
        parse_tree(tree_bytes(top), 50)


def test_a_branch_inside_itself_is_refused():
    inner = Knot("inner", "", [])
    outer = Knot("outer", "", [], children=[inner])
    inner.children = [outer]
    with pytest.raises(ValueError, match="missing, or stands in two places"):
        parse_tree(tree_bytes(outer), 50)


@pytest.mark.parametrize(("children", "leaves", "message"), [([None], [], "is missing"), ([], [None], "lacks a leaf")])
def test_a_null_in_a_list_is_refused(children, leaves, message):
    below = Knot("b", "", [], children=children)
    top = Knot("a", "", [], children=[below])
    below.leaves = leaves
    with pytest.raises(ValueError, match=message):
        parse_tree(tree_bytes(top), 50)


def test_a_reference_to_another_kind_of_object_is_refused():
    counter = Leaf("TLeafI", "n", "n")
    data = tree_bytes(
        Branch("n", "n/I", [counter]), Branch("x", "x[n]/F", [Leaf("TLeafF", "x", "x[n]", count=counter)])
    )
    parsed = parse_tree(data, 50)
    assert parsed.branches[1].leaves[0].count is parsed.branches[0].leaves[0]
    # an object is known by where its pointer begins, four bytes before its class is named, counted from the key
    leaf, branch = (data.index(b"\xff\xff\xff\xff" + kind + b"\0") - 4 + 50 + 2 for kind in (b"TLeafI", b"TBranch"))
    broken = data.replace(struct.pack(">I", leaf), struct.pack(">I", branch))
    assert broken != data
    with pytest.raises(ValueError, match="a reference to a Branch in place of a Leaf"):
        parse_tree(broken, 50)


@pytest.mark.parametrize(
    "pattern", [(">iI", 1000, 1), (">iI", 0, 10), (">ii", 1, 0)], ids=["ranges", "baskets", "branches"]
)
def test_lengths_of_billions_are_refused_before_anything_is_allocated(pattern):
    branch = Branch("b", "b/I", [Leaf("TLeafI", "b", "b")], basket_seeks=[100], basket_bytes=[50], basket_entries=[5])
    data = bytearray(tree_bytes(branch, clusters=[2, 3]))
    layout, before, length = pattern
    at = data.index(struct.pack(layout, before, length))
    struct.pack_into(">I", data, at if layout == ">ii" else at + 4, 0x7FFFFFFF)
    with pytest.raises(PARSE_FAULTS):
        parse_tree(bytes(data), 50)


@pytest.mark.parametrize(
    ("entries", "seeks", "sizes"),
    [([5, -2], [100, 200], [50, 50]), ([5, 5], [100, -200], [50, 50]), ([5, 5], [100, 200], [50, -1])],
)
def test_baskets_that_do_not_follow_one_another_are_refused(entries, seeks, sizes):
    branch = Branch(
        "b", "b/I", [Leaf("TLeafI", "b", "b")], basket_seeks=seeks, basket_bytes=sizes, basket_entries=entries
    )
    with pytest.raises(ValueError, match="do not follow one another"):
        parse_tree(tree_bytes(branch), 50)


def make_small(path: Path) -> Path:
    """A file without compression, where a changed byte of metadata goes unnoticed by any checksum."""
    columns = [Column("event", "uint64"), Column("Jet_pt", "float32", counter="nJet"), Column("ok", "bool")]
    with create_root(path, compression="none") as out, out.new_tree("Events", columns) as tree:
        for start in (0, 10, 20):
            counts = np.arange(10) % 4
            jets = np.arange(counts.sum())
            tree.extend({"event": np.arange(start, start + 10), "Jet_pt": (jets, counts), "ok": np.ones(10, bool)})
            tree.writer.flush()
    return path


def read_everything(path: Path, out: Path) -> int:
    with open_file(Source(str(path))) as file:
        tree = file.tree("Events")
        tree.cluster_edges()
        columns = tree.values([name for name, branch in tree.by_name.items() if is_plain(branch)])
        entries = tree.num_entries
        if "event" in columns:
            assert len(columns["event"].values) == entries
    copy([path], out, [np.arange(entries) % 2 == 0])
    return entries


def test_damaged_metadata_is_an_error_in_one_line_or_reads(tmp_path):
    data = make_small(tmp_path / "good.root").read_bytes()
    assert read_everything(tmp_path / "good.root", tmp_path / "out.root") == 30
    with open_file(Source(str(tmp_path / "good.root"))) as file:
        begin = file.record(file.entries["Events"].position).position
    rng = np.random.default_rng(4)
    messages: list[str] = []
    path = tmp_path / "bad.root"
    for number in range(300):
        broken = bytearray(data)
        low, high = [(0, 250), (begin, len(data)), (begin, begin + 120)][number % 3]
        for at in rng.integers(low, high, rng.integers(1, 4)):
            broken[at] = rng.choice([0, 1, 0x40, 0x7F, 0x80, 0xFF, broken[at] ^ 1 << rng.integers(8)])
        path.write_bytes(broken if number % 10 else broken[: rng.integers(0, len(data))])
        try:
            read_everything(path, tmp_path / "out.root")
        except HepfilterError as error:
            messages.append(str(error))
    assert 60 < len(messages) < 260
    assert not any("\n" in message for message in messages)
    assert not list(tmp_path.glob("*.part"))
