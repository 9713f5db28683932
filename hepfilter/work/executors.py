"""Executors: where tasks run. All have the interface of ``concurrent.futures``."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from hepfilter.errors import WorkerError

P = ParamSpec("P")
T = TypeVar("T")


class InProcess(Executor):
    """Runs each task at once, in the calling process; an error is raised where the task is submitted."""

    def submit(self, task: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run the task; the future is done."""
        future: Future[T] = Future()
        future.set_result(task(*args, **kwargs))
        return future


@contextmanager
def open_executor(workers: int) -> Iterator[Executor]:
    """An executor with `workers` processes, or the calling process for one worker.

    WorkerError if one of them is killed.

    At the end of the `with` block tasks that have not begun are dropped, and those under way are waited for. Processes
    are spawned, so that a script that uses more than one worker needs the usual ``if __name__ == "__main__"``.
    """
    if workers == 1:
        yield InProcess()
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn, initializer=_end_with_parent) as pool:
        try:
            yield pool
        except BrokenProcessPool as error:
            raise WorkerError(
                "a worker ended by itself: for lack of memory (try fewer workers), or by a crash (check the settings)"
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _end_with_parent() -> None:
    """Let a worker end when its parent does, even by SIGKILL: it would wait for tasks for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def slots(workers: int) -> int:
    """How many tasks to have under way so that no worker waits: for one worker in the calling process, one."""
    return 1 if workers == 1 else workers + 1


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
