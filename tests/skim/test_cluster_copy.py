"""Copying clusters by tasks: the same whatever runs them, staged, gone on with, and each fault where it is."""

import os
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hepfilter.errors import OutputError, UnreadableEventsError
from hepfilter.io.baskets import raw_entries
from hepfilter.io.checksum import file_facts
from hepfilter.io.compression import Compression
from hepfilter.io.container import RootFile
from hepfilter.io.copy_plan import CopyPlan, Piece, plan_clusters
from hepfilter.io.copying import Copier, cluster_baskets
from hepfilter.io.layout import LayoutMerger
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source
from hepfilter.io.staging import pack_baskets, unpack_baskets
from hepfilter.io.treewriter import TreeWriter, pack_basket
from hepfilter.io.ttree import TreeHeader
from hepfilter.io.writing import Column, column_branch, create_root, write_empty_streamers
from hepfilter.skim.cluster_copy import BASKETS, COPIES, VALUES, ClusterCopy, Kind, copying_job, useful_execution
from hepfilter.work.execution import Execution, open_executor
from hepfilter.work.parts import PartStore
from hepfilter.work.tasks import Done, Executor, Task

COLUMNS = [Column("x", "int32"), *(Column(f"J_{i}", "float32", counter="nJ") for i in range(5)), Column("ok", "bool")]
BRANCHES = len(COLUMNS) + 1  # and the counter
STEP = 40
ENTRY_BYTES = [30.0, 30.0]


def make_source(path: Path, first: int = 0) -> Source:
    """120 entries, in clusters of 40."""
    with create_root(path) as out, out.new_tree("Events", COLUMNS) as tree:
        for start in range(first, first + 120, STEP):
            counts = (np.arange(STEP) + start) % 4
            lists = (np.arange(counts.sum()) + start, counts)
            numbers = np.arange(start, start + STEP)
            tree.extend({column.name: lists if column.counter else numbers for column in COLUMNS})
            tree.writer.flush()
    return Source(str(path))


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CopyPlan:
    """Every third entry of two sources, in small clusters that are worth several workers."""
    monkeypatch.setattr(TreeWriter, "CLUSTER_BYTES", 900)
    monkeypatch.setattr("hepfilter.io.copy_plan._BYTES_PER_WORKER", 1)
    sources = make_source(tmp_path / "0.root"), make_source(tmp_path / "1.root", 1000)
    merger, facts = LayoutMerger("strict"), []
    for source in sources:
        with open_file(source) as file:
            merger.add(file.tree("Events"))
            facts.append(file_facts(file))
    clusters = plan_clusters([(number, Piece(number, np.arange(number, 120, 3)), 50.0) for number in range(2)])
    assert [cluster.output for cluster in clusters] == [0, 0, 0, 1, 1, 1]
    return CopyPlan(sources, "Events", merger.result(), clusters, Compression("ZLIB", 1), tuple(facts))


@pytest.fixture
def store(tmp_path: Path) -> PartStore:
    (tmp_path / "parts").mkdir()
    return PartStore(tmp_path / "parts")


class Counting:
    """An executor that counts the tasks."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self.tasks: list[Task] = []

    @property
    def slots(self) -> int:
        return self._executor.slots

    def submit(self, task: Task) -> None:
        self.tasks.append(task)
        self._executor.submit(task)

    def wait(self) -> list[Done]:
        return self._executor.wait()


@contextmanager
def opened(plan: CopyPlan, workers: int = 1, kind: Kind = BASKETS) -> Iterator[Counting]:
    with open_executor(Execution(workers), copying_job(plan, kind)) as executor:
        yield Counting(executor)


def copy(
    plan: CopyPlan, executor: Executor, store: PartStore | None = None, kind: Kind = BASKETS, outputs: int = 2
) -> list[list[Any]]:
    """For each cluster in turn what its groups hold."""
    copies, found = ClusterCopy(plan, kind, ENTRY_BYTES, executor, store), []
    for output in range(outputs):
        copies.run(output, lambda cluster, groups: found.append((cluster, groups)))
    assert [id(cluster) for cluster, _ in found] == [
        id(cluster) for cluster in plan.clusters if cluster.output < outputs
    ]
    return [groups for _, groups in found]


def baskets(groups: Sequence[Any]) -> list[Any]:
    return list(chain.from_iterable(group.baskets for group in groups))


def expected(plan: CopyPlan) -> list[Any]:
    return [copied.baskets for copied in cluster_baskets(plan, (0, BRANCHES))]


def spoil(path: str, branch: str, basket: int, *, tree: str = "Events", header: bool = False) -> None:
    """Flip bits in the payload of a basket, or in its header."""
    with open_file(Source(path)) as file:
        stored = file.tree(tree).by_name[branch].stored
        assert stored is not None
        place = int(stored.seeks[basket]) + (2 if header else int(stored.sizes[basket]) - 6)
    data = bytearray(Path(path).read_bytes())
    data[place] ^= 0xFF
    Path(path).write_bytes(data)


@pytest.mark.parametrize(("room", "staged"), [(900, False), (100_000, True)])
def test_workers_make_the_same_however_many(plan, store, monkeypatch, room, staged):
    monkeypatch.setattr(TreeWriter, "CLUSTER_BYTES", room)
    pieces = [(piece.source, piece, 50.0) for cluster in plan.clusters for piece in cluster.pieces]
    plan = replace(plan, clusters=plan_clusters(pieces))
    for workers in (1, 2, 3):
        with opened(plan, workers) as executor:
            found = copy(plan, executor, store if staged else None)
        assert [baskets(groups) for groups in found] == expected(plan)
        assert max(len(groups) for groups in found) == (1 if workers == 1 or room == 900 else (workers + 2) // 2)
    with opened(plan, 2, VALUES) as executor:
        found = copy(plan, executor, store if staged else None, VALUES)
    for cluster, groups in zip(plan.clusters, found, strict=True):
        held = {name: value for group in groups for name, value in group.values.items()}
        entries = np.concatenate([1000 * piece.source + piece.entries for piece in cluster.pieces])
        assert held["x"].numbers.tolist() == entries.tolist()
        assert held["J_3"].counts[0].tolist() == (entries % 4).tolist()
        assert len(held) == BRANCHES


@pytest.mark.parametrize("kind", [BASKETS, VALUES], ids=lambda kind: kind.name)
def test_what_is_staged_is_not_made_again(plan, store, kind):
    def held(found: list[list[Any]]) -> str:
        return str([[replace(group, bytes_read=0) for group in groups] for groups in found])

    with opened(plan, kind=kind) as executor:
        first = held(copy(plan, executor, store, kind))
        assert len(executor.tasks) == 6
    parts = sorted(store.folder.iterdir())
    assert len(parts) == 6 and all(part.name.startswith(COPIES) for part in parts)
    parts[1].unlink()
    data = parts[3].read_bytes()
    parts[3].write_bytes(data[:40] + bytes([data[40] ^ 1]) + data[41:])
    with opened(plan, kind=kind) as executor:
        assert held(copy(plan, executor, store, kind)) == first
        assert len(executor.tasks) == 2  # what is missing and what is damaged
    assert sorted(store.folder.iterdir()) == parts
    with opened(plan, kind=kind) as executor:
        assert held(copy(plan, executor, store, kind)) == first
        assert executor.tasks == []


def test_what_decides_a_part_is_in_its_name(plan, store):
    tasks = {}
    fewer = replace(plan.clusters[0], pieces=(Piece(0, plan.clusters[0].pieces[0].entries[1:]),))
    other = replace(plan.facts[0], uuid="another")
    for what, changed in {
        "all": plan,
        "compression": replace(plan, compression=Compression("ZLIB", 2)),
        "entries": replace(plan, clusters=(fewer, *plan.clusters[1:])),
        "facts": replace(plan, facts=(other, plan.facts[1])),
        "path": replace(plan, sources=(replace(plan.sources[0], path="./other.root"), plan.sources[1])),
        "branches": replace(plan, layout=plan.layout.keep(["x", "ok"])),
    }.items():
        with opened(plan) as executor:
            copies, begun = ClusterCopy(changed, BASKETS, ENTRY_BYTES, executor, store), []
            names = [copies._name(number, (0, 2)) for number in range(len(changed.clusters))]
            begun += [name for name in names if name not in tasks]
            tasks |= dict.fromkeys(names, what)
        assert len(begun) == {"all": 6, "compression": 6, "branches": 6, "entries": 1}.get(what, 3), what


def test_copies_go_on_after_a_full_disk(plan, store, monkeypatch):
    whole, room = PartStore.write, 4

    def write(self: PartStore, name: str, *pieces: bytes) -> None:
        nonlocal room
        if not room:
            raise OutputError("full")
        room -= 1
        whole(self, name, *pieces)

    monkeypatch.setattr(PartStore, "write", write)
    with pytest.raises(OutputError, match="full"), opened(plan) as executor:
        copy(plan, executor, store)
    room = 100
    with opened(plan) as executor:
        assert [baskets(groups) for groups in copy(plan, executor, store)] == expected(plan)
        assert len(executor.tasks) == 2


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("kind", [BASKETS, VALUES], ids=lambda kind: kind.name)
def test_a_damaged_basket_is_told_with_its_entries(plan, workers, kind):
    spoil(plan.sources[1].path, "J_2", 1)
    told = pytest.raises(UnreadableEventsError, match=r"1\.root: tree Events, branch J_2, entries 40 to 79 ")
    with told as caught, opened(plan, workers, kind) as executor:
        copy(plan, executor, kind=kind)
    fault = caught.value
    assert (fault.source, fault.first, fault.last, fault.whole) == (1, 40, 79, False)


def make_uneven(path: Path) -> CopyPlan:
    """Of 4,000 entries, branch a in baskets of 1,000, b of 2,000."""
    branches = [column_branch(Column(name, "int32"), {}) for name in "ab"]
    with RootFile(path, compression=Compression("ZLIB", 1)) as out:
        write_empty_streamers(out)
        writer = TreeWriter(out, TreeHeader("Events", "Events"), branches)
        for index, size in ((0, 1000), (1, 2000)):
            for start in range(0, 4000, size):
                entries = raw_entries(np.arange(start, start + size, dtype=np.int32))
                writer._clusters = [size]
                writer.add_to_cluster([(index, pack_basket([entries], branches[index], "Events", out.compression))])
        writer._clusters = [2000, 2000]
        writer.close()
    merger = LayoutMerger("strict")
    with open_file(Source(str(path))) as file:
        merger.add(file.tree("Events"))
    return CopyPlan((Source(str(path)),), "Events", merger.result(), (), None)


@pytest.mark.parametrize("group", [(0, 1), (0, 2)])
def test_the_entries_do_not_depend_on_the_groups(tmp_path, group):
    plan = make_uneven(tmp_path / "in.root")
    spoil(plan.sources[0].path, "a", 2)
    with Copier(plan) as copier, pytest.raises(UnreadableEventsError, match="entries 2000 to 2999 cannot") as caught:
        copier.gather(Piece(0, np.array([3, 1200, 2500, 3500])), group, [[], []])
    assert (caught.value.first, caught.value.last) == (2000, 3999)  # between borders that all branches share


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("broken", [False, True])
def test_a_file_that_changed_is_told_with_all_its_entries(plan, workers, broken):
    make_source(Path(plan.sources[1].path), 5000)
    if broken:
        Path(plan.sources[1].path).write_bytes(b"root")
    text = "is no ROOT file" if broken else "changed since its events were chosen"
    with pytest.raises(UnreadableEventsError, match=rf"1\.root: {text}") as caught, opened(plan, workers) as executor:
        copy(plan, executor)
    fault = caught.value
    assert (fault.source, fault.first, fault.last, fault.whole) == (1, 1, 118, True)


def die_once(copier: Copier, cluster: Any, group: Any) -> bytes:
    try:
        os.close(os.open(os.environ["HEPFILTER_TEST_MARK"], os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return pack_baskets(copier.copy(cluster, group))
    os.kill(os.getpid(), signal.SIGKILL)
    return b""


def test_a_worker_that_is_killed_costs_nothing(plan, tmp_path, monkeypatch, store):
    monkeypatch.setenv("HEPFILTER_TEST_MARK", str(tmp_path / "mark"))
    kind = Kind("baskets", Copier, die_once, unpack_baskets)
    with opened(plan, 2, kind) as executor:
        found = copy(plan, executor, store, kind)
        assert len(executor.tasks) == 7
    assert (tmp_path / "mark").exists()
    assert [baskets(groups) for groups in found] == expected(plan)


class Latest:
    """An executor that ends the task that came last first, as if the first hung."""

    slots = 2

    def __init__(self, plan: CopyPlan) -> None:
        self._copier = Copier(plan)
        self._tasks: deque[Task] = deque()
        self.order: list[int] = []

    def submit(self, task: Task) -> None:
        self._tasks.append(task)

    def wait(self) -> list[Done]:
        task = self._tasks.pop()
        self.order.append(task.key[0])
        return [Done(task, task.function(self._copier, *task.arguments))]


def test_few_results_wait_for_one_that_is_late(plan, store, monkeypatch):
    pieces = [(0, Piece(0, np.arange(120)), 150.0)]
    plan = replace(plan, clusters=plan_clusters(pieces))
    assert len(plan.clusters) == 20
    late = Latest(plan)
    assert [baskets(groups) for groups in copy(plan, late, outputs=1)] == expected(plan)
    assert late.order[:3] == [1, 2, 0]  # no further ahead than three clusters
    staged = Latest(plan)
    copies = ClusterCopy(plan, BASKETS, ENTRY_BYTES, staged, store)
    copies.run(0, lambda *_: None)
    assert staged.order[:20] == [*range(1, 20), 0]


def test_few_bytes_are_not_worth_workers(monkeypatch):
    monkeypatch.setattr("hepfilter.io.copy_plan._BYTES_PER_WORKER", 1000)
    dask = Execution(scheduler="tcp://localhost:8786")
    assert [useful_execution(Execution(4), size).workers for size in (0, 999, 1000, 2500, 1e6)] == [1, 1, 2, 3, 4]
    assert useful_execution(dask, 1000) is dask
    assert useful_execution(dask, 999) == Execution(1)
