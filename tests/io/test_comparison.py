"""Comparing entries byte by byte, with the pieces that a proof is made of."""

import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from hepfilter.errors import SourceError
from hepfilter.io.baskets import Entries, basket_payload
from hepfilter.io.comparison import Compared, ComparisonPlan, EntryDifference, Match, compare_entries
from hepfilter.io.copy_plan import CopyPlan, cut_groups
from hepfilter.io.layout import LayoutMerger
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source
from hepfilter.io.treewriter import TreeWriter
from hepfilter.io.writing import Column, create_root
from tests.io.copies import copy
from tests.io.test_copying import make_source
from tests.io.test_objects_in_root import WRITE
from tests.skim.proof.faults import flip_stored_byte, rewrite


def matched(kept: np.ndarray, source: int = 0, first: int = 0) -> Match:
    """The match of a copy of the entries where `kept` is true."""
    entries = np.flatnonzero(kept)
    return Match(first + np.arange(len(entries)), np.full(len(entries), source), entries)


def joined(*matches: Match) -> Match:
    return Match(*(np.concatenate([getattr(m, name) for m in matches]) for name in ("positions", "sources", "entries")))


def plan(
    sources: list[Path], output: Path, match: Match, tree: str = "Events", policy: str = "strict"
) -> ComparisonPlan:
    merger = LayoutMerger(policy)
    for path in sources:
        with open_file(Source(str(path))) as file:
            merger.add(file.tree(tree))
    inputs = tuple(Source(str(path)) for path in sources)
    return ComparisonPlan(Source(str(output)), CopyPlan(inputs, tree, merger.result(), (), None), match, 30.0)


def run(what: ComparisonPlan, workers: int = 1) -> list[Compared]:
    return [one for group in cut_groups(what.branches, workers) for one in compare_entries(what, group)]


def differences(what: ComparisonPlan, workers: int = 1) -> list[EntryDifference]:
    return [difference for one in run(what, workers) for difference in one.differences]


@pytest.mark.parametrize("share", [0.02, 0.5, 1.0])
@pytest.mark.parametrize("cluster_bytes", [1, 500, 64_000_000])
@pytest.mark.parametrize("workers", [1, 3])
def test_a_copy_does_not_differ_and_a_flipped_bit_does(tmp_path, monkeypatch, share, cluster_bytes, workers):
    monkeypatch.setattr(TreeWriter, "CLUSTER_BYTES", cluster_bytes)
    source = make_source(tmp_path / "in.root")
    kept = np.random.default_rng(3).random(100) < share
    copy([source], tmp_path / "out.root", [kept])
    match = matched(kept)
    assert sum(one.entries for one in run(plan([source], tmp_path / "out.root", match))) == len(match)
    assert differences(plan([source], tmp_path / "out.root", match), workers) == []
    rewrite(tmp_path / "out.root", tmp_path / "bit.root", flip=("event", len(match) - 1))
    found = differences(plan([source], tmp_path / "bit.root", match), workers)
    assert found == [EntryDifference("event", 1, len(match) - 1, 0, int(np.flatnonzero(kept)[-1]))]


def test_a_list_of_another_length_differs_with_all_of_its_branches(tmp_path):
    source = make_source(tmp_path / "in.root")
    copy([source], tmp_path / "out.root", [np.ones(100, bool)])
    match = matched(np.ones(100, bool))
    shifted = Match(match.positions, match.sources, (match.entries + 1) % 100)
    found = {one.branch: one.count for one in differences(plan([source], tmp_path / "out.root", shifted))}
    assert found["event"] == 100
    assert 50 < found["nJet"] <= found["Jet_pt"] < 100  # lists are as long now and then, and empty ones equal


def test_lists_that_end_elsewhere_differ_though_their_numbers_do_not(tmp_path):
    for name, counts in (("a.root", [1, 2]), ("b.root", [2, 1])):
        columns = [Column("x", "float32", counter="n"), Column("y", "int8", counter="n")]
        with create_root(tmp_path / name) as out, out.new_tree("Events", columns) as tree:
            tree.extend({"x": (np.ones(3, np.float32), counts), "y": (np.ones(3, np.int8), counts)})
    what = plan([tmp_path / "a.root"], tmp_path / "b.root", matched(np.ones(2, bool)))
    assert {one.branch: one.count for one in differences(what)} == {"n": 2, "x": 2, "y": 2}


def test_out_of_order_lists_that_end_elsewhere_differ_too(tmp_path):
    """What is put in order for the comparison alone must not pass for what another branch had there before."""
    right, wrong = [f"x{i}" for i in range(20)], [f"y{i}" for i in range(20)]
    in_turn = [name for pair in zip(right, wrong, strict=True) for name in pair]
    columns = [Column(name, "int8", counter="n" if name in right else "m") for name in in_turn]
    counts, ones = np.array([1, 2, 3, 4]), np.ones(10, np.int8)
    for name, own in (("a.root", counts), ("b.root", counts[::-1])):
        with create_root(tmp_path / name) as out, out.new_tree("Events", columns) as tree:
            tree.extend(dict.fromkeys(right, (ones, own)) | dict.fromkeys(wrong, (ones, counts)))
    match = Match(np.arange(4), np.zeros(4, np.int64), np.arange(4)[::-1])
    found = differences(plan([tmp_path / "a.root"], tmp_path / "b.root", match))
    assert {one.branch: one.count for one in found} == dict.fromkeys(["m", *wrong], 4)


def test_events_of_several_sources_in_any_order(tmp_path):
    sources = [make_source(tmp_path / f"{i}.root", 40, offset=100 * i) for i in range(3)]
    kept = [np.arange(40) % (i + 2) == 0 for i in range(3)]
    copy(sources, tmp_path / "out.root", kept)
    sizes = [int(mask.sum()) for mask in kept]
    match = joined(*(matched(mask, i, sum(sizes[:i])) for i, mask in enumerate(kept)))
    assert differences(plan(sources, tmp_path / "out.root", match)) == []
    order = np.random.default_rng(4).permutation(len(match))
    rewrite(tmp_path / "out.root", tmp_path / "mixed.root", order={"Events": order})
    mixed = Match(match.positions, match.sources[order], match.entries[order])
    assert differences(plan(sources, tmp_path / "mixed.root", mixed)) == []
    assert len(differences(plan(sources, tmp_path / "mixed.root", match))) == 4
    rewrite(tmp_path / "mixed.root", tmp_path / "bit.root", flip=("event", 7))
    (found,) = differences(plan(sources, tmp_path / "bit.root", mixed))
    assert (found.position, found.source, found.entry) == (7, mixed.sources[7], mixed.entries[7])


def test_of_a_doubled_event_the_first_is_compared(tmp_path):
    source = make_source(tmp_path / "in.root", 20)
    copy([source], tmp_path / "out.root", [np.ones(20, bool)])
    for doubled in ([*range(6), *range(5, 20)], [*range(6), 5, *range(7, 20)]):
        rewrite(tmp_path / "out.root", tmp_path / "twice.root", order={"Events": doubled})
        match = Match(np.arange(len(doubled)), np.zeros(len(doubled), int), np.array(doubled))
        assert differences(plan([source], tmp_path / "twice.root", match)) == []


def test_a_part_of_the_events_is_compared_alone(tmp_path):
    source = make_source(tmp_path / "in.root")
    copy([source], tmp_path / "out.root", [np.ones(100, bool)])
    rewrite(tmp_path / "out.root", tmp_path / "bit.root", flip=("event", 50))
    match = matched(np.ones(100, bool))
    assert differences(plan([source], tmp_path / "bit.root", match[np.array([3, 49, 51, 99])])) == []
    assert len(differences(plan([source], tmp_path / "bit.root", match[np.array([3, 50])]))) == 1


@pytest.mark.parametrize("faulty", ["in.root", "out.root"])
def test_what_cannot_be_read_is_told_and_all_else_compared(tmp_path, faulty):
    source = make_source(tmp_path / "in.root")
    copy([source], tmp_path / "out.root", [np.ones(100, bool)])
    rewrite(tmp_path / "out.root", tmp_path / "bit.root", flip=("ok", 99))
    (tmp_path / "bit.root").rename(tmp_path / "out.root")
    flip_stored_byte(tmp_path / faulty, "Jet_pt", back=10)
    what = plan([source], tmp_path / "out.root", matched(np.ones(100, bool)))
    found = run(what)
    faults = [fault for one in found for fault in one.unreadable]
    assert [one.branch for one in differences(what)] == ["ok"]
    if faulty == "in.root":  # ZLIB, which has checksums; ZSTD may give other bytes instead
        assert len(faults) == 1
        assert f"{tmp_path / faulty}: tree Events, branch Jet_pt, entries 0 to 24 cannot be read" in faults[0]
    with pytest.raises(SourceError, match=r"no such file|cannot be read"):
        run(plan([tmp_path / "gone.root"], tmp_path / "out.root", what.match))


def test_references_inside_entries_must_be_counted_from_where_they_were(tmp_path, monkeypatch):
    """A pointer tells the class of its object by position: the same bytes, counted from elsewhere, mean another."""
    if find_spec("ROOT") is None:
        pytest.skip("ROOT is not installed")
    source, kept = tmp_path / "in.root", np.arange(40) % 3 == 1
    subprocess.run([sys.executable, "-c", WRITE, str(source)], check=True, capture_output=True)
    copy([source], tmp_path / "out.root", [kept])
    assert differences(plan([source], tmp_path / "out.root", matched(kept))) == []
    rewrite(tmp_path / "out.root", tmp_path / "same.root")
    assert differences(plan([source], tmp_path / "same.root", matched(kept))) == []

    def forget(pieces: list[Entries], *arguments: object, **options: object) -> tuple[bytes, bytes]:
        return basket_payload([replace(piece, origins=None) for piece in pieces], *arguments, **options)

    monkeypatch.setattr("hepfilter.io.treewriter.basket_payload", forget)
    copy([source], tmp_path / "lost.root", [kept])
    (found,) = differences(plan([source], tmp_path / "lost.root", matched(kept)))
    assert found.branch == "whole" and found.count > 10
