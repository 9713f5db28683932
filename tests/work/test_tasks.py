"""The loop over tasks, on an executor of the tests that decides what ends when."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from hepfilter.errors import HepfilterError, SourceError, WorkerError
from hepfilter.work.processes import InProcess
from hepfilter.work.tasks import ATTEMPTS, Done, Job, Task, run_tasks


def nothing(*_: Any) -> None:
    pass


@dataclass
class Manual:
    """Ends the task that was submitted last, as `end` says; `slots` is as the test sets it."""

    slots: int
    end: Callable[[Task], Done] = lambda task: Done(task, task.arguments[0])
    under_way: list[Task] = field(default_factory=list)
    most: int = 0
    submitted: list[Any] = field(default_factory=list)

    def submit(self, task: Task) -> None:
        self.under_way.append(task)
        self.submitted.append(task.arguments[0])
        self.most = max(self.most, len(self.under_way))

    def wait(self) -> list[Done]:
        return [self.end(self.under_way.pop())]


def task(value: Any) -> Task:
    return Task(nothing, (value,))


def run(executor: Any, tasks: Any) -> tuple[list[Any], list[tuple[Any, str]]]:
    finished: list[Any] = []
    failed: list[tuple[Any, str]] = []

    def note(_: Task, value: Any) -> list[Task]:
        finished.append(value)
        return []

    def note_error(task: Task, error: HepfilterError) -> list[Task]:
        failed.append((task.arguments[0], f"{type(error).__name__}: {error}"))
        return []

    run_tasks(executor, tasks, finished=note, failed=note_error)
    return finished, failed


def test_no_more_are_under_way_than_there_are_slots_and_no_more_are_asked_for():
    executor, asked = Manual(3), 0

    def endless() -> Iterator[Task]:
        nonlocal asked
        for asked in range(1, 100_001):
            assert asked <= len(executor.submitted) + 1
            yield task(asked)

    finished, _ = run(executor, endless())
    assert executor.most == 3 and sorted(finished) == [*range(1, 100_001)]


def test_slots_that_come_and_go_are_used_from_the_next_wait_on():
    executor = Manual(1)
    seen = []

    def end(ended: Task) -> Done:
        executor.slots = 4 if len(executor.submitted) < 8 else 1
        seen.append(len(executor.under_way) + 1)
        return Done(ended, ended.arguments[0])

    executor.end = end
    assert len(run(executor, map(task, range(12)))[0]) == 12
    assert seen[:4] == [1, 4, 4, 4] and seen[-4:] == [1, 1, 1, 1]


def test_a_wait_may_tell_of_slots_alone():
    executor, ends = Manual(1), iter([[], [], None, []])
    real = executor.wait

    def wait() -> list[Done]:
        executor.slots = 2
        return real() if (told := next(ends, None)) is None else told

    executor.wait = wait
    assert run(executor, map(task, "ab")) == (["b", "a"], [])


def test_what_follows_from_a_task_comes_before_the_others():
    executor = Manual(1)

    def follow(_: Task, value: str) -> list[Task]:
        return [task(f"{value}{n}") for n in (1, 2)] if len(value) == 1 else []

    run_tasks(executor, map(task, "abc"), finished=follow, failed=lambda *_: [])
    assert executor.submitted == ["a", "a1", "a2", "b", "b1", "b2", "c", "c1", "c2"]


def test_what_follows_from_a_failure_is_run_too():
    executor = Manual(1, end=lambda ended: Done(ended, error=SourceError("bad")))
    run_tasks(executor, [task(0)], finished=lambda *_: [], failed=lambda t, _: [task(1)] if t.arguments[0] == 0 else [])
    assert executor.submitted == [0, 1]


def test_a_task_whose_worker_dies_is_tried_again_and_then_fails_alone():
    def end(ended: Task) -> Done:
        name = ended.arguments[0]
        deadly = {"once": 1, "twice": 2, "always": 99}.get(name, 0)
        return Done(ended, lost=True) if ended.lost < deadly else Done(ended, name)

    executor = Manual(2, end=end)
    finished, failed = run(executor, map(task, ["a", "once", "twice", "always", "z"]))
    assert sorted(finished) == ["a", "once", "twice", "z"]
    said = "WorkerError: 3 workers ended in the middle of it: for lack of memory (try fewer workers), or by a crash"
    assert failed == [("always", said)]
    assert [executor.submitted.count(name) for name in ("once", "twice", "always")] == [2, 3, ATTEMPTS]


@pytest.mark.parametrize("where", ["finished", "failed"])
def test_what_the_caller_raises_ends_the_loop(where):
    def stop(*_: Any) -> list[Task]:
        raise KeyboardInterrupt

    end = (lambda t: Done(t, 1)) if where == "finished" else (lambda t: Done(t, error=WorkerError("x")))
    executor = Manual(2, end=end)
    with pytest.raises(KeyboardInterrupt):
        run_tasks(executor, map(task, range(9)), finished=stop, failed=stop)
    assert executor.submitted == [0, 1]


def opened(value: int) -> list[int]:
    return [value]


def add(job: list[int], value: int) -> int:
    job.append(value)
    return sum(job)


def test_in_process_the_job_is_opened_once_and_shared():
    finished, failed = run(InProcess(Job(opened, (5,))), [Task(add, (n,)) for n in (1, 2, 3)])
    assert (finished, failed) == ([6, 8, 11], [])


def fail(_: Any, error: Exception) -> None:
    raise error


def test_in_process_our_errors_are_those_of_the_task_and_others_end_the_run():
    ours, foreign = Task(fail, (SourceError("in.root: bad"),)), Task(fail, (ValueError("what"),))
    assert run(InProcess(Job(nothing)), [ours])[1] == [(ours.arguments[0], "SourceError: in.root: bad")]
    with pytest.raises(ValueError, match="what"):
        run(InProcess(Job(nothing)), [ours, foreign])


def refuse() -> None:
    raise SourceError("no model here")


def test_a_job_that_cannot_be_opened_ends_the_run():
    with pytest.raises(SourceError, match="no model here"):
        run(InProcess(Job(refuse)), [task(1)])
