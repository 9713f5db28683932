"""One layout out of many sources."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import uproot

from hepfilter.errors import OutputError, UsageError
from hepfilter.io.layout import POLICIES, LayoutMerger, Policy, TreeLayout
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source
from hepfilter.io.writing import Column, create_root
from tests.io.copies import copy

X = Column("x", "int32", "a number")
OK = Column("HLT_ok", "bool")
PT, ETA = (Column(name, "float32", counter="nMuon") for name in ("Muon_pt", "Muon_eta"))


def make(path: Path, columns: Sequence[Column], counts: Sequence[int] = (2, 0, 1)) -> Path:
    """Three events; branches hold 1, 2, 3, …"""
    with create_root(path) as out, out.new_tree("Events", columns) as tree:
        flat, lists = np.arange(1, len(counts) + 1), np.arange(1, sum(counts) + 1)
        tree.extend(
            {c.name: (lists, list(counts)) if c.counter else flat > 0 if c.dtype == "bool" else flat for c in columns}
        )
    return path


def merge(paths: Sequence[Path], policy: Policy, fills: dict[str, float] | None = None) -> TreeLayout:
    merger = LayoutMerger(policy, fills)
    for path in paths:
        with open_file(Source(str(path))) as file:
            merger.add(file.tree("Events"))
    layout = merger.result()
    layout.refuse_obstacles()
    return layout


def names(layout: TreeLayout) -> list[str]:
    return [branch.name for branch in layout.branches]


def copied(
    tmp_path: Path, paths: Sequence[Path], policy: Policy, fills: dict[str, float] | None = None
) -> dict[str, list]:
    """What uproot reads of a copy of all entries."""
    copy(paths, tmp_path / "out.root", [np.ones(3, bool)] * len(paths), policy=policy, fills=fills)
    with uproot.open({tmp_path / "out.root": "Events"}) as tree:
        for branch in tree.branches:
            counter = branch.member("fLeaves")[0].member("fLeafCount")
            assert counter is None or any(counter is other.member("fLeaves")[0] for other in tree.branches), branch.name
        return {branch.name: branch.array().tolist() for branch in tree.branches}


@pytest.mark.parametrize("policy", POLICIES)
def test_sources_that_agree_give_their_own_layout(tmp_path, policy):
    paths = [make(tmp_path / f"{i}.root", [X, PT, OK]) for i in range(3)]
    layout = merge(paths, policy)
    assert names(layout) == ["x", "nMuon", "Muon_pt", "HLT_ok"]
    assert layout.fills == {}
    assert layout.branches[0].title == "a number"
    assert layout.branches[2].leaves[0].count is layout.branches[1].leaves[0]
    assert all(branch.stored is None for branch in layout.branches)


def test_strict_names_what_differs(tmp_path):
    paths = [make(tmp_path / "a.root", [X, OK]), make(tmp_path / "b.root", [X, PT])]
    with pytest.raises(
        OutputError, match=r"b\.root: tree Events differs from .*a\.root in HLT_ok, nMuon, Muon_pt; --layout"
    ):
        merge(paths, "strict")
    many = [Column(f"HLT_{i}", "bool") for i in range(8)]
    with pytest.raises(
        OutputError, match=r"in HLT_ok, HLT_0, HLT_1, HLT_2, HLT_3 and 4 more; --layout union or intersection"
    ):
        merge([paths[0], make(tmp_path / "c.root", [X, *many])], "strict")


def test_an_order_that_differs_is_the_firsts(tmp_path):
    paths = [make(tmp_path / "a.root", [X, OK, PT]), make(tmp_path / "b.root", [PT, OK, X])]
    found = copied(tmp_path, paths, "strict")
    assert list(found) == ["x", "HLT_ok", "nMuon", "Muon_pt"]
    assert found["x"] == [1, 2, 3] * 2
    assert found["Muon_pt"] == [[1, 2], [], [3]] * 2


def test_intersection_has_what_all_have(tmp_path):
    paths = [
        make(tmp_path / f"{i}.root", columns) for i, columns in enumerate(([X, OK, PT], [X, PT, ETA], [X, OK, ETA, PT]))
    ]
    layout = merge(paths, "intersection")
    assert names(layout) == ["x", "nMuon", "Muon_pt"]
    assert layout.fills == {}
    assert copied(tmp_path, paths, "intersection")["Muon_pt"] == [[1, 2], [], [3]] * 3


def test_union_has_what_any_has_new_ones_last(tmp_path):
    paths = [
        make(tmp_path / f"{i}.root", columns)
        for i, columns in enumerate(([X], [OK, X], [X, Column("HLT_b", "bool"), OK]))
    ]
    found = copied(tmp_path, paths, "union")
    assert list(found) == ["x", "HLT_ok", "HLT_b"]
    assert found["HLT_ok"] == [False] * 3 + [True] * 6
    assert found["HLT_b"] == [False] * 6 + [True] * 3


def test_bits_may_be_filled_with_true(tmp_path):
    paths = [make(tmp_path / "a.root", [X]), make(tmp_path / "b.root", [X, OK])]
    assert copied(tmp_path, paths, "union", {"HLT_ok": 1})["HLT_ok"] == [True] * 6


def test_numbers_need_a_fill(tmp_path):
    paths = [make(tmp_path / "a.root", [OK]), make(tmp_path / "b.root", [OK, X])]
    wanted = (
        r"a\.root: has no branch x, as .*b\.root has; say what stands there with --fill x=VALUE, or leave it out with"
    )
    for order in (paths, paths[::-1]):
        with pytest.raises(OutputError, match=wanted):
            merge(order, "union")
    assert copied(tmp_path, paths, "union", {"x": -7})["x"] == [-7] * 3 + [1, 2, 3]


@pytest.mark.parametrize("order", [1, -1])
def test_a_collection_that_a_source_lacks_is_empty_there(tmp_path, order):
    paths = [make(tmp_path / "a.root", [X]), make(tmp_path / "b.root", [X, PT, ETA])][::order]
    found = copied(tmp_path, paths, "union")
    parts = [[[], [], []], [[1, 2], [], [3]]][::order]
    assert found["Muon_pt"] == found["Muon_eta"] == parts[0] + parts[1]
    assert found["nMuon"] == [len(muons) for muons in found["Muon_pt"]]


@pytest.mark.parametrize("order", [1, -1])
def test_a_list_that_a_source_lacks_is_as_long_as_its_counter_says(tmp_path, order):
    """Whichever source is first, the branch is counted by the output's own counter, whose maximum is that of both."""
    paths = [make(tmp_path / "a.root", [X, ETA], (5, 0, 1)), make(tmp_path / "b.root", [X, PT, ETA])][::order]
    with pytest.raises(OutputError, match=r"a\.root: has no branch Muon_pt, as .*b\.root has; .*--fill Muon_pt=VALUE"):
        merge(paths, "union")
    found = copied(tmp_path, paths, "union", {"Muon_pt": 0.5})
    parts = [[[0.5] * 5, [], [0.5]], [[1, 2], [], [3]]][::order]
    assert found["Muon_pt"] == parts[0] + parts[1]
    layout = merge(paths, "union", {"Muon_pt": 0.5})
    counters = {branch.name: branch.leaves[0] for branch in layout.branches}
    assert counters["Muon_pt"].count is counters["Muon_eta"].count is counters["nMuon"]
    assert counters["nMuon"].maximum == 5


def test_one_source_without_the_collection_does_not_excuse_another_with_its_counter(tmp_path):
    files = {"all": [X, PT, ETA], "none": [X], "eta": [X, ETA]}
    paths = [make(tmp_path / f"{name}.root", columns) for name, columns in files.items()]
    for order in (paths, paths[::-1], [paths[1], paths[0], paths[2]]):
        with pytest.raises(OutputError, match=r"eta\.root: has no branch Muon_pt, as .*all\.root has"):
            merge(order, "union")


def test_a_counter_cannot_be_filled(tmp_path):
    """Its lists are empty there, and readers would look for more."""
    paths = [make(tmp_path / "a.root", [X]), make(tmp_path / "b.root", [X, PT])]
    with pytest.raises(
        UsageError, match=r"^--fill nMuon=2: it counts other branches, which are empty there; leave it out$"
    ):
        merge(paths, "union", {"nMuon": 2})
    assert copied(tmp_path, paths, "union", {"nMuon": 0})["nMuon"] == [0, 0, 0, 2, 0, 1]


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("int32", 0.5),
        ("uint8", -1),
        ("uint8", 256),
        ("bool", 2),
        ("int64", math.nan),
        ("int32", math.inf),
        ("int16", 40_000),
    ],
)
def test_a_fill_that_the_type_cannot_hold_is_refused(tmp_path, dtype, value):
    paths = [make(tmp_path / "a.root", [X]), make(tmp_path / "b.root", [X, Column("y", dtype)])]
    with pytest.raises(
        UsageError, match=rf"^--fill y=.*: the branch is of type {dtype}; give a value that it can hold$"
    ):
        merge(paths, "union", {"y": value})


@pytest.mark.parametrize(
    ("dtype", "value"), [("float32", math.nan), ("float64", 0.1), ("uint8", 255), ("int64", -(2**40)), ("bool", 0)]
)
def test_fills_that_the_type_can_hold(tmp_path, dtype, value):
    paths = [make(tmp_path / "a.root", [X]), make(tmp_path / "b.root", [X, Column("y", dtype)])]
    found = np.array(copied(tmp_path, paths, "union", {"y": value})["y"][:3], dtype)
    assert found.tobytes() == np.full(3, value, dtype).tobytes()


@pytest.mark.parametrize("policy", POLICIES)
def test_a_fill_that_nothing_needs_is_refused(tmp_path, policy):
    paths = [make(tmp_path / f"{i}.root", [X]) for i in range(2)]
    for name in ("x", "unknown"):
        with pytest.raises(UsageError, match=rf"^--fill {name}: no input lacks such a branch; leave it out$"):
            merge(paths, policy, {name: 1})


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    "other",
    [
        [Column("x", "float64"), PT],
        [Column("x", "uint32"), PT],
        [Column("x", "int32", counter="nMuon"), PT],
        [Column("x", "int32", counter="nElectron"), PT],
    ],
)
def test_types_that_differ_are_refused_whatever_the_policy(tmp_path, policy, other):
    paths = [make(tmp_path / "a.root", [X, PT]), make(tmp_path / "b.root", [X, PT]), make(tmp_path / "c.root", other)]
    with pytest.raises(
        OutputError, match=r"c\.root: tree Events differs from .*a\.root in the type of x; skim them apart"
    ):
        merge(paths, policy)


@pytest.mark.parametrize("policy", POLICIES)
def test_an_unsigned_counter_differs_from_a_signed_one(tmp_path, policy):
    paths = [make(tmp_path / f"{i}.root", [X, PT]) for i in range(2)]
    merger = LayoutMerger(policy)
    for number, path in enumerate(paths):
        with open_file(Source(str(path))) as file:
            tree = file.tree("Events")
            tree.by_name["nMuon"].leaves[0].is_unsigned = number == 1
            merger.add(tree)
    with pytest.raises(OutputError, match=r"differs from .*0\.root in the type of nMuon; skim them apart"):
        merger.result().refuse_obstacles()
    merger.result().keep(["x"]).refuse_obstacles()


def test_the_origin_of_a_branch_that_came_later_is_named(tmp_path):
    files = ([X], [X, OK], [X, Column("HLT_ok", "int32")])
    paths = [make(tmp_path / f"{i}.root", columns) for i, columns in enumerate(files)]
    with pytest.raises(OutputError, match=r"2\.root: tree Events differs from .*1\.root in the type of HLT_ok"):
        merge(paths, "union")
    assert names(merge(paths, "intersection")) == ["x"]  # as it is left out


def test_only_plain_branches_can_be_filled(shared_data):
    paths = [shared_data / "treemaker.root"] * 2
    merger = LayoutMerger("union")
    for number, path in enumerate(paths):
        with open_file(Source(str(path))) as file:
            tree = file.tree("PreSelection")
            merger.add(tree.without(["Electrons"]) if number else tree)
    with pytest.raises(
        OutputError, match="no branch Electrons, which holds more than plain numbers; --layout intersection"
    ):
        merger.result().refuse_obstacles()


def test_a_layout_with_fewer_branches_and_branches_anew(tmp_path):
    layout = merge([make(tmp_path / "a.root", [X, OK])], "strict")
    assert names(layout.keep(["x", "unknown"])) == ["x"]
    fresh = layout.fresh_branches()
    fresh[0].basket_seeks.append(1)
    assert layout.branches[0].basket_seeks == []
    assert fresh[0] is not layout.branches[0]
