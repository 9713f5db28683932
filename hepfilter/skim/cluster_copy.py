"""Copying clusters by tasks, a group of branches of a cluster each.

What the tasks make is staged, and handed over cluster by cluster, in order.
"""

import json
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from typing import Any, Final

import xxhash

from hepfilter import __version__
from hepfilter.errors import HepfilterError, UnreadableEventsError, WorkerError
from hepfilter.io.branch_values import branch_form
from hepfilter.io.copy_plan import Cluster, CopyPlan, Group, count_groups, cut_groups, useful_workers
from hepfilter.io.copying import Copier
from hepfilter.io.layout import some
from hepfilter.io.staging import pack_baskets, pack_values, unpack_baskets, unpack_values
from hepfilter.io.tree_values import TreeValues
from hepfilter.work.execution import Execution
from hepfilter.work.parts import PartStore
from hepfilter.work.tasks import Executor, Job, Task, run_tasks

COPIES: Final = "copy-"
"""How the names of all parts begin that are copies of events."""
_AHEAD: Final = 16  # clusters begun for each task under way, where results wait on disk

Write = Callable[[Cluster, list[Any]], None]


@dataclass(frozen=True)
class Kind:
    """What is made of a cluster: `open` gives what copies for a plan, `copy` bytes, `unpack` what they stand for."""

    name: str
    open: Callable[[CopyPlan], Any]
    copy: Callable[[Any, Cluster, Group], bytes]
    unpack: Callable[[bytes], Any]


def _copy_baskets(copier: Copier, cluster: Cluster, group: Group) -> bytes:
    return pack_baskets(copier.copy(cluster, group))


def _copy_values(reader: TreeValues, cluster: Cluster, group: Group) -> bytes:
    return pack_values(reader.copy(cluster, group))


BASKETS: Final = Kind("baskets", Copier, _copy_baskets, unpack_baskets)
VALUES: Final = Kind("values", TreeValues, _copy_values, unpack_values)


def copying_job(plan: CopyPlan, kind: Kind) -> Job:
    """What the tasks of a plan have in common; each brings its own cluster."""
    return Job(kind.open, (replace(plan, clusters=()),))


def useful_execution(execution: Execution, payload: float) -> Execution:
    """Where to copy `payload` bytes of compressed baskets: with fewer workers if they are not worth their start."""
    if useful_workers(2, payload) == 1:
        return Execution(1)
    if execution.by_dask:
        return execution
    return Execution(useful_workers(execution.workers or 1, payload))


@dataclass
class _Trial:
    """The key of tasks that only try whether workers die of a piece, as they did with `error` of the whole cluster."""

    error: WorkerError
    left: int


class ClusterCopy:
    """Copies the clusters of a plan; `entry_bytes` are the mean bytes of an entry of each source, in the file.

    With a `store`, results wait there, under names that tell all that decides them: what lies there already is not made
    again. Without one they wait in memory, of few clusters at a time.
    """

    def __init__(
        self,
        plan: CopyPlan,
        kind: Kind,
        entry_bytes: Sequence[float],
        executor: Executor,
        store: PartStore | None = None,
    ) -> None:
        self.plan = plan
        self._kind, self._executor, self._store = kind, executor, store
        self._counts = count_groups(plan, entry_bytes, executor.slots)
        self._groups = cache(lambda count: cut_groups(plan, count))
        self._describe = cache(partial(_describe, plan, kind))
        self._results: dict[tuple[int, Group], bytes | str] = {}  # a name where it is in the store
        self._waiting: deque[int] = deque()
        self._begun: deque[int] = deque()
        self._tasks: deque[Task] = deque()
        self._under_way = 0

    def run(self, output: int, write: Write) -> None:
        """Copy the clusters of one output; `write` is called with each, in order, and what its groups hold.

        UnreadableEventsError if a source cannot be read. What was made until an error stays in the store.
        """
        self._waiting.extend(number for number, cluster in enumerate(self.plan.clusters) if cluster.output == output)
        run_tasks(self._executor, self._go_on(write), finished=partial(self._finished, write), failed=self._failed)

    def _finished(self, write: Write, task: Task, made: bytes) -> list[Task]:
        if isinstance(task.key, _Trial):
            return _acquit(task.key)
        self._under_way -= 1
        number, group = task.key
        if self._store is None:
            self._results[number, group] = made
        else:
            self._results[number, group] = name = self._name(number, group)
            self._store.write(name, made)
        return self._go_on(write)

    def _failed(self, task: Task, error: HepfilterError) -> list[Task]:
        """Raise the error; that of a whole source is one of all entries that were chosen of it.

        Where workers died the tasks are returned that tell of which source.
        """
        if isinstance(error, WorkerError):
            return self._suspect(task, error)
        if isinstance(error, UnreadableEventsError) and error.whole:
            pieces = [p for cluster in self.plan.clusters for p in cluster.pieces if p.source == error.source]
            error.first, error.last = int(pieces[0].entries[0]), int(pieces[-1].entries[-1])
        raise error

    def _suspect(self, task: Task, error: WorkerError) -> list[Task]:
        """Tasks that copy the pieces of a deadly cluster one by one. UnreadableEventsError where it has one alone."""
        cluster, group = task.arguments
        if len(cluster.pieces) > 1:
            paths = dict.fromkeys(self.plan.sources[piece.source].path for piece in cluster.pieces)
            trial = _Trial(WorkerError(f"events of {some(list(paths))}: {error}"), len(cluster.pieces))
            alone = [replace(cluster, pieces=(piece,)) for piece in cluster.pieces]
            return [Task(self._kind.copy, (one, group), key=trial) for one in alone]
        piece = cluster.pieces[0]
        what = f"{self.plan.sources[piece.source].path}: {error}"
        raise UnreadableEventsError(what, piece.source, int(piece.entries[0]), int(piece.entries[-1])) from error

    def _go_on(self, write: Write) -> list[Task]:
        """Begin clusters and write those that are whole, as far as can be; the tasks to be submitted for it."""
        while self._begin() or self._write_next(write):
            pass
        ready = [self._tasks.popleft() for _ in range(min(len(self._tasks), self._executor.slots - self._under_way))]
        self._under_way += len(ready)
        return ready

    def _begin(self) -> bool:
        """Plan the tasks of the next cluster, but for what the store has; whether there was one, and room for it."""
        if not self._waiting or len(self._begun) > self._executor.slots * (1 if self._store is None else _AHEAD):
            return False
        number = self._waiting.popleft()
        self._begun.append(number)
        for group in self._groups(self._counts[number]):
            if self._store is not None and (name := self._name(number, group)) in self._store:
                self._results[number, group] = name
            else:
                self._tasks.append(self._task(number, group))
        return True

    def _write_next(self, write: Write) -> bool:
        """Write the cluster that is next; whether it was whole. What of it is damaged in the store is made again."""
        if not self._begun:
            return False
        number = self._begun[0]
        keys = [(number, group) for group in self._groups(self._counts[number])]
        if any(key not in self._results for key in keys):
            return False
        found = [self._fetch(self._results.pop(key)) for key in keys]
        damaged = [group for (_, group), data in zip(keys, found, strict=True) if data is None]
        if damaged:
            self._results |= {key: data for key, data in zip(keys, found, strict=True) if data is not None}
            self._tasks.extendleft(self._task(number, group) for group in damaged)
            return False
        write(self.plan.clusters[number], [self._kind.unpack(data) for data in found if data is not None])
        self._begun.popleft()
        return True

    def _fetch(self, result: bytes | str) -> bytes | None:
        if isinstance(result, bytes):
            return result
        assert self._store is not None
        return self._store.read(result)

    def _task(self, number: int, group: Group) -> Task:
        return Task(self._kind.copy, (self.plan.clusters[number], group), key=(number, group))

    def _name(self, number: int, group: Group) -> str:
        """A digest of all that decides what a task makes."""
        plan, digest = self.plan, xxhash.xxh3_128(self._describe(group))
        for piece in self.plan.clusters[number].pieces:
            source = plan.sources[piece.source].path, asdict(plan.facts[piece.source])
            digest.update(json.dumps([source, len(piece.entries)]).encode())
            digest.update(piece.entries.astype("<i8").tobytes())
        return COPIES + digest.hexdigest()


def _acquit(trial: _Trial) -> list[Task]:
    """A piece was copied and thrown away; the error of the whole cluster if it was the last one."""
    trial.left -= 1
    if not trial.left:
        raise trial.error
    return []


def _describe(plan: CopyPlan, kind: Kind, group: Group) -> bytes:
    """What decides how a group of branches is copied."""
    low, high = group
    branches = [
        (path, branch.entry_offset_length, repr(branch_form(branch)), repr(plan.layout.fills.get(path[-1])))
        for path, branch in zip(plan.paths[low:high], plan.branches[low:high], strict=True)
    ]
    compression = None if plan.compression is None else asdict(plan.compression)
    return json.dumps([__version__, kind.name, plan.tree, compression, low, branches]).encode()
