"""TTrees as RNTuples: the fields are those of ROOT's own importer, and ROOT reads the same from both."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from hepfilter.io.reading import open_file
from hepfilter.io.rntuple.comparison import compare_schemas
from hepfilter.io.rntuple.format import Column
from hepfilter.io.rntuple.imported import counting_branches, encode_items, import_branches, import_obstacle
from hepfilter.io.rntuple.pages import ENCODINGS
from hepfilter.io.rntuple.plain import _numbers
from hepfilter.io.rntuple.schema import Schema
from hepfilter.io.sources import Source
from hepfilter.io.ttree import Branch, Element, Leaf
from hepfilter.skim.pipeline import skim
from hepfilter.skim.recipe import Recipe
from tests.io.in_root import compare_in_root
from tests.io.rntuples import open_ntuple

SCRIPT = Path(__file__).parents[1] / "import_in_root.py"
needs_root = pytest.mark.skipif(find_spec("ROOT") is None, reason="ROOT is not installed")


def run_root(*arguments: object) -> str:
    run = subprocess.run([sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    return run.stdout


@pytest.fixture(scope="module")
def trees(tmp_path_factory) -> dict[str, Path]:
    """Trees by ROOT: of all branches that can be converted, of those that come back as they were."""
    folder = tmp_path_factory.mktemp("trees")
    paths = {name: folder / f"{name}.root" for name in ("all", "plain")}
    run_root("write", *paths.values())
    return paths


@pytest.fixture(scope="module")
def by_root(trees) -> Path:
    """What ROOT's importer makes of the first."""
    path = trees["all"].with_name("by_root.root")
    run_root("import", trees["all"], path)
    return path


def imported_schema(path: Path, tree: str = "Events") -> Schema:
    with open_file(Source(str(path))) as file:
        return import_branches(file.tree(tree).branches).schema


def assert_same_fields(expected: Schema, found: Schema) -> None:
    """All but the descriptions, which the importer leaves out."""
    different = [str(one) for one in compare_schemas(expected, found) if one.aspect != "description"]
    assert different == []
    for part in ("columns", "aliases"):
        assert [one.raw for one in getattr(expected, part)] == [one.raw for one in getattr(found, part)]


@needs_root
def test_fields_are_those_of_roots_importer(trees, by_root):
    found = imported_schema(trees["all"])
    assert_same_fields(open_ntuple(by_root).schema, found)
    titles = {found.fields[number].name: found.fields[number].description for number in found.tops}
    assert titles["flag"] == "the flag" and titles["reals"] == "the reals" and titles["n"] == "the n"
    assert titles["nested"] == "what nested | means" and titles["_collection0"] == ""


@pytest.mark.parametrize("name", ["nano_dy", "nano_dimuon", "pfnano"])
def test_fields_are_those_of_the_real_files_that_were_imported(shared_data, name):
    expected = open_ntuple(shared_data / f"{name}_rntuple.root").schema
    assert_same_fields(expected, imported_schema(shared_data / f"{name}.root"))


@needs_root
def test_root_reads_from_a_skim_what_its_importer_wrote(trees, by_root, tmp_path):
    skim(trees["all"], tmp_path / "out.root", Recipe(format="rntuple"))
    expected, found = (json.loads(run_root("print", path, 60)) for path in (by_root, tmp_path / "out.root"))
    assert [field for field in found if not field[0].startswith("HepFilter_")] == expected
    assert len(expected) == 37 and all(len(values) > 60 for _, _, values in expected)
    skim(trees["all"], tmp_path / "some.root", Recipe(format="rntuple", where="i8 > 20"))
    values = {name: text for name, _, text in json.loads(run_root("print", tmp_path / "some.root", 9))}
    assert values["u8"] == "".join(f'"u8": {255 - e}' for e in range(51, 60))


@needs_root
def test_a_tree_comes_back_as_it_was(trees, tmp_path):
    """Through an RNTuple into a TTree again: to ROOT every leaf is the same, with title, type, counter and values."""
    skim(trees["plain"], tmp_path / "ntuple.root", Recipe(format="rntuple"))
    skim(tmp_path / "ntuple.root", tmp_path / "plain.root", Recipe(format="ttree"))
    (found,) = compare_in_root([(str(trees["plain"]), str(tmp_path / "plain.root"), "Events", [*range(60)], ())])
    assert found["different"] == [] and found["unreadable"] == []
    assert found["leaves"] == 25 and found["values"] > 0


@pytest.mark.parametrize(
    ("encoding", "dtype"),
    [("SplitInt16", "i2"), ("SplitInt32", "i4"), ("SplitInt64", "i8"), ("SplitReal32", "f4"), ("SplitUInt64", "u8"),
     ("Char", "i1"), ("Bit", "?")],
)  # fmt: skip
def test_items_are_what_the_reader_takes_for_the_numbers(encoding, dtype):
    dtype = np.dtype(dtype)
    limits = np.iinfo(dtype) if dtype.kind in "iu" else None
    ends = [0, 1] if limits is None else [limits.min, limits.max, 0, 1, -1 if limits.min else 2]
    numbers = np.array(ends, dtype)
    kind = next(number for number, own in enumerate(ENCODINGS) if own.name == encoding)
    schema = Schema((), (Column.new(kind, ENCODINGS[kind].bits, 0),), (), ())
    page = ENCODINGS[kind].encode(encode_items(numbers, encoding), ENCODINGS[kind].bits)
    items = ENCODINGS[kind].decode(page, len(numbers), ENCODINGS[kind].bits)
    assert _numbers(schema, 0, items).astype(dtype).tolist() == numbers.tolist()


def element(name: str, *, identifier: int = -1) -> Element:
    return Element(name, "", "", 0, 6, identifier, 0, -1, 0, None, None)


COUNT = Leaf("TLeafI", "n", "n")
REFUSED = {
    "LeafF16": Branch("x", "", [Leaf("TLeafF16", "x", "x")]),
    "LeafD32": Branch("x", "", [Leaf("TLeafD32", "x", "x", type_size=8)]),
    "LeafI and LeafF": Branch("x", "", [Leaf("TLeafI", "a", "a"), Leaf("TLeafF", "b", "b")]),
    "LeafF": Branch("x", "", [Leaf("TLeafF", "x", "x[n][3]", length=3, count=COUNT)], entry_offset_length=9),
    "TLorentzVector": Branch("x", "", [Leaf("TLeafElement", "x", "x")], element=element("TLorentzVector")),
    "vector<Jet>": Branch("x", "", [Leaf("TLeafElement", "x", "x")], element=element("vector<Jet>")),
    "vector<vector<vector<int> > >": Branch(
        "x", "", [Leaf("TLeafElement", "x", "x")], element=element("vector<vector<vector<int> > >")
    ),
    "vector<int>": Branch("x", "", [Leaf("TLeafElement", "x", "x")], element=element("vector<int>", identifier=3)),
    "counted by n, which is no branch of one whole number": Branch(
        "x", "", [Leaf("TLeafF", "x", "x[n]", count=COUNT)], entry_offset_length=9
    ),
    "no name that a field may have": Branch("x.y", "", [Leaf("TLeafF", "x", "x")]),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_no_field_can_hold_is_told(why):
    assert import_obstacle(REFUSED[why], frozenset({"x"})) == why
    allowed = Branch("x", "", [Leaf("TLeafF", "x", "x[n]", count=COUNT)], entry_offset_length=9)
    assert import_obstacle(allowed, frozenset({"n"})) is None


def test_branches_of_one_whole_number_count():
    leaves = {"n": "TLeafI", "small": "TLeafB", "real": "TLeafF", "flag": "TLeafO"}
    branches = [Branch(name, "", [Leaf(kind, name, name)]) for name, kind in leaves.items()]
    branches.append(Branch("fixed", "", [Leaf("TLeafI", "fixed", "fixed[2]", length=2)]))
    assert counting_branches(branches) == {"n", "small"}
