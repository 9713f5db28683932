"""Tasks, what runs them, and the loop that keeps workers busy with a bounded number of them under way."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from hepfilter.errors import HepfilterError, WorkerError
from hepfilter.wording import counted

ATTEMPTS: Final = 3
"""How often a task is tried that takes its worker with it."""


@dataclass(frozen=True)
class Job:
    """What tasks have in common.

    Each worker calls `open(*arguments)` once, before its first task, and gives what that returns to every task. `open`
    is a function of a module, and `arguments` can be sent to other processes. What `open` raises ends the run.
    """

    open: Callable[..., Any]
    arguments: tuple[Any, ...] = ()


class OpenedJob:
    """A job in a worker, opened when that is first asked for."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._opened: list[Any] = []

    def get(self) -> Any:
        """What `open` returned."""
        if not self._opened:
            self._opened.append(self._job.open(*self._job.arguments))
        return self._opened[0]


@dataclass(frozen=True)
class Task:
    """`function`, of a module, to be called with the opened job and `arguments`.

    `key` is for who made the task, and reaches no worker; `lost` workers died of it so far.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()
    key: Any = None
    lost: int = 0


@dataclass(frozen=True)
class Done:
    """A task that is over: its `value`, or the `error` of hepfilter's that it raised, or its worker died (`lost`)."""

    task: Task
    value: Any = None
    error: HepfilterError | None = None
    lost: bool = False


class Executor(Protocol):
    """Where the tasks of one job run; what opens it is a context manager that ends all workers."""

    @property
    def slots(self) -> int:
        """How many tasks to have under way so that no worker waits; one at least."""

    def submit(self, task: Task) -> None:
        """Begin a task, at once or when a worker is free."""

    def wait(self) -> list[Done]:
        """Those that are over, none where only the slots have changed; only to be called while tasks are under way.

        An exception that is none of hepfilter's is raised here, and whatever opening the job raised.
        """


def run_tasks(
    executor: Executor,
    tasks: Iterable[Task],
    *,
    finished: Callable[[Task, Any], Iterable[Task]],
    failed: Callable[[Task, HepfilterError], Iterable[Task]],
) -> None:
    """Run all tasks, as many at a time as the executor has slots; `tasks` is only asked for the next when one is free.

    `finished` is called with each task and its value, `failed` with one that raised an error of hepfilter's, or that
    `ATTEMPTS` workers died of (WorkerError); both in the order in which tasks end. What they return is run before any
    other; what they raise ends the loop.
    """
    waiting: Iterator[Task] = iter(tasks)
    urgent: deque[Task] = deque()
    under_way = 0
    while True:
        while under_way < executor.slots and (task := urgent.popleft() if urgent else next(waiting, None)):
            executor.submit(task)
            under_way += 1
        if not under_way:
            return
        for done in executor.wait():
            under_way -= 1
            if done.lost and done.task.lost + 1 < ATTEMPTS:
                urgent.append(replace(done.task, lost=done.task.lost + 1))
            elif done.lost:
                urgent.extend(failed(done.task, killed(ATTEMPTS)))
            elif done.error is not None:
                urgent.extend(failed(done.task, done.error))
            else:
                urgent.extend(finished(done.task, done.value))


def killed(times: int) -> WorkerError:
    """The error of a task that so many workers died of."""
    what = f"{counted(times, 'worker')} ended in the middle of it"
    return WorkerError(f"{what}: for lack of memory (try fewer workers), or by a crash")
