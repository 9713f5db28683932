"""How a copy is cut into clusters and groups of branches."""

from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hepfilter.io.compression import Compression
from hepfilter.io.copy_plan import CopyPlan, Piece, cut_groups, plan_clusters
from hepfilter.io.copying import cluster_baskets
from hepfilter.io.layout import LayoutMerger
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source
from hepfilter.io.treewriter import TreeWriter
from hepfilter.io.writing import Column, create_root

# for each source: (output, entries that are chosen, bytes of one entry)
CHOSEN = st.lists(
    st.tuples(st.integers(0, 3), st.sets(st.integers(0, 30)), st.sampled_from([0.0, 0.1, 1.0, 7.5, 1000.0])), max_size=6
)


@given(CHOSEN, st.integers(1, 200))
def test_clusters_hold_every_chosen_entry_once_and_in_order(chosen, room):
    chosen = sorted(chosen, key=lambda part: part[0])
    pieces = [(output, Piece(i, np.array(sorted(own), np.int64)), size) for i, (output, own, size) in enumerate(chosen)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TreeWriter, "CLUSTER_BYTES", room)
        clusters = plan_clusters(pieces)
    found = [
        (cluster.output, piece.source, int(n))
        for cluster in clusters
        for piece in cluster.pieces
        for n in piece.entries
    ]
    assert found == [(output, piece.source, int(n)) for output, piece, _ in pieces for n in piece.entries]
    assert all(cluster.count > 0 and all(len(piece.entries) for piece in cluster.pieces) for cluster in clusters)
    sizes = [size for *_, size in chosen]
    for cluster in clusters:
        own = [sizes[piece.source] for piece in cluster.pieces for _ in piece.entries]
        assert sum(own[:-1]) <= room  # the last entry may pass it


def test_a_cluster_is_as_large_as_it_may_be(monkeypatch):
    monkeypatch.setattr(TreeWriter, "CLUSTER_BYTES", 100)
    clusters = plan_clusters(
        [(0, Piece(0, np.arange(25)), 10.0), (0, Piece(1, np.arange(7)), 10.0), (1, Piece(1, np.arange(3)), 10.0)]
    )
    assert [(cluster.output, cluster.count) for cluster in clusters] == [(0, 10), (0, 10), (0, 10), (0, 2), (1, 3)]
    assert [len(cluster.pieces) for cluster in clusters] == [1, 1, 2, 1, 1]


def make_plan(folder: Path) -> CopyPlan:
    sources = []
    columns = [
        Column("x", "int32"),
        *(Column(f"J_{i}", "float32", counter="nJ") for i in range(5)),
        Column("ok", "bool"),
    ]
    merger = LayoutMerger("strict")
    for number in range(2):
        path = folder / f"{number}.root"
        with create_root(path) as out, out.new_tree("Events", columns) as tree:
            for start in (0, 40, 80):
                counts = (np.arange(40) + number) % 4
                lists = (np.arange(counts.sum()) + start, counts)
                numbers = np.arange(start, start + 40)
                tree.extend({c.name: lists if c.counter else numbers for c in columns})
                tree.writer.flush()
        sources.append(Source(str(path)))
        with open_file(sources[-1]) as file:
            merger.add(file.tree("Events"))
    pieces = [(0, Piece(number, np.arange(number, 120, 3)), 50.0) for number in range(2)]
    return CopyPlan(tuple(sources), "Events", merger.result(), plan_clusters(pieces), Compression("ZLIB", 1))


def test_any_number_of_groups_gives_the_same_baskets(tmp_path, monkeypatch):
    monkeypatch.setattr(TreeWriter, "CLUSTER_BYTES", 900)
    plan = make_plan(tmp_path)
    assert len(plan.clusters) > 4
    whole = [copied.baskets for copied in cluster_baskets(plan, (0, len(plan.branches)))]
    assert [[index for index, _ in baskets] for baskets in whole] == [list(range(8))] * len(plan.clusters)
    for count in (1, 2, 3, 8, 50):
        groups = cut_groups(plan, count)
        assert len(groups) <= min(count, 8)
        assert [index for low, high in groups for index in range(low, high)] == list(range(8))
        parts = [[copied.baskets for copied in cluster_baskets(plan, group)] for group in groups]
        assert [[*chain.from_iterable(together)] for together in zip(*parts, strict=True)] == whole
    assert len(cut_groups(plan, 2)) == 2


def test_groups_weigh_about_the_same(tmp_path):
    plan = make_plan(tmp_path)
    for branch, size in zip(plan.branches, [10, 10, 10, 10, 10, 10, 10, 1_000_000], strict=True):
        branch.source_bytes = size, size
    assert cut_groups(plan, 2) == [(0, 7), (7, 8)]
    assert cut_groups(CopyPlan((), "Events", plan.layout.keep([]), (), None), 3) == []


def test_every_byte_that_is_read_is_counted(tmp_path):
    plan = make_plan(tmp_path)
    read = sum(copied.bytes_read for copied in cluster_baskets(plan, (0, 8)))
    sizes = [Path(source.path).stat().st_size for source in plan.sources]
    assert sum(sizes) / 3 < read < 3 * sum(sizes)
