"""Tasks in the calling process, and in worker processes that may die without harm to the others."""

import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Final

from hepfilter.errors import HepfilterError, WorkerError
from hepfilter.work.children import end_children, start_child
from hepfilter.work.messages import Answerer, pack_job, pack_task, read_answer
from hepfilter.work.tasks import ATTEMPTS, Done, Executor, Job, OpenedJob, Task

WORKER: Final = "HEPFILTER_WORKER"
"""The environment variable that tells a worker its number, from 0."""


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class InProcess:
    """Runs each task in the calling process, when its result is asked for."""

    slots = 1

    def __init__(self, job: Job) -> None:
        self._job = OpenedJob(job)
        self._tasks: deque[Task] = deque()

    def submit(self, task: Task) -> None:
        """Remember the task."""
        self._tasks.append(task)

    def wait(self) -> list[Done]:
        """Run the first task that was submitted."""
        task = self._tasks.popleft()
        opened = self._job.get()
        try:
            return [Done(task, task.function(opened, *task.arguments))]
        except HepfilterError as error:
            return [Done(task, error=error)]


@dataclass
class _Worker:
    number: int
    process: BaseProcess
    connection: Connection
    task: Task | None = None
    begun: bool = False


class Processes:
    """Runs tasks in up to `workers` processes, each at its end of a pipe; one that dies is replaced.

    They are started as tasks come. WorkerError if they die before they begin, several in a row.
    """

    def __init__(self, job: Job, workers: int) -> None:
        self._job = pack_job(job)
        self._most = workers
        self._workers: list[_Worker] = []
        self._tasks: deque[Task] = deque()
        self._stillborn = 0

    @property
    def slots(self) -> int:
        """One task more than there are workers, which the next free one gets at once."""
        return self._most + 1

    def submit(self, task: Task) -> None:
        """Give the task to a free worker, if there is one."""
        self._tasks.append(task)
        self._feed()

    def wait(self) -> list[Done]:
        """What workers have sent; those that died are replaced."""
        done: list[Done] = []
        while not done:
            expected = {worker.connection: worker for worker in self._workers if worker.task or not worker.begun}
            for connection in wait(list(expected)):
                done.extend(self._receive(expected[connection]))  # type: ignore[index]
            self._feed()
        return done

    def close(self) -> None:
        """End all workers, whatever they do."""
        for worker in self._workers:
            worker.connection.close()
        end_children([worker.process for worker in self._workers])

    def _start(self, number: int) -> _Worker:
        process, connection = start_child(_work, number, duplex=True)
        with suppress(OSError):  # it is dead already: that is seen when it is given a task
            connection.send_bytes(self._job)
        return _Worker(number, process, connection)

    def _feed(self) -> None:
        """Give waiting tasks to free workers."""
        while self._tasks and (worker := self._free()):
            try:
                worker.connection.send_bytes(pack_task(self._tasks[0]))
                worker.task = self._tasks.popleft()
            except OSError:  # it died while it had nothing to do
                self._replace(worker)

    def _free(self) -> _Worker | None:
        """A worker without a task, a new one where there may be more."""
        free = next((worker for worker in self._workers if worker.task is None), None)
        if free is None and len(self._workers) < self._most:
            free = self._start(len(self._workers))
            self._workers.append(free)
        return free

    def _receive(self, worker: _Worker) -> list[Done]:
        """What a worker has sent of its task; its first word only says that it is there."""
        task = worker.task
        try:
            answer = worker.connection.recv_bytes()
        except (EOFError, OSError):
            self._replace(worker)
            if task is not None and not worker.begun:
                self._tasks.appendleft(task)
            return [Done(task, lost=True)] if task is not None and worker.begun else []
        if not worker.begun:
            worker.begun, self._stillborn = True, 0
            return []
        assert task is not None
        worker.task = None
        return [read_answer(task, answer)]

    def _replace(self, worker: _Worker) -> None:
        """Another worker in the place of one that died."""
        worker.connection.close()
        end_children([worker.process])
        self._stillborn += not worker.begun
        if self._stillborn == ATTEMPTS:
            why = 'for lack of memory, or because a script lacks the usual `if __name__ == "__main__"`'
            raise WorkerError(f"worker processes end before they begin: {why}")
        self._workers[worker.number] = self._start(worker.number)


@contextmanager
def open_processes(job: Job, workers: int) -> Iterator[Executor]:
    """An executor with `workers` processes, or the calling process for one; at the end of the block all are ended."""
    if workers == 1:
        yield InProcess(job)
        return
    pool = Processes(job, workers)
    try:
        yield pool
    finally:
        pool.close()


def _work(connection: Connection, number: int) -> None:
    """In the worker: tasks until the parent closes the pipe, or is gone."""
    os.environ[WORKER] = str(number)
    with suppress(EOFError, OSError):
        worker = Answerer(connection.recv_bytes())
        connection.send_bytes(b"begun")
        while True:
            connection.send_bytes(worker.answer(connection.recv_bytes()))
