"""Tasks in worker processes: they may die, hang, fail in any way, and nothing is lost."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hepfilter.errors import HepfilterError, SourceError, WorkerError
from hepfilter.work import children
from hepfilter.work.processes import WORKER, InProcess, Processes, _work, cores, open_processes
from hepfilter.work.tasks import Executor, Job, Task, run_tasks
from tests.work.test_children import children_of_a_killed_script

Outcome = tuple[dict[Any, Any], dict[Any, str]]


@pytest.fixture(params=["fork", "spawn"])
def method(request, monkeypatch):
    monkeypatch.setattr(children, "may_fork", lambda: request.param == "fork")
    return request.param


@pytest.fixture(autouse=True)
def nobody_is_left():
    yield
    assert multiprocessing.active_children() == []


def collect(executor: Executor, tasks: Iterable[Task]) -> Outcome:
    """Run tasks: the values and the errors, by the first argument."""
    values: dict[Any, Any] = {}
    errors: dict[Any, str] = {}

    def finished(task: Task, value: Any) -> list[Task]:
        assert task.arguments[0] not in values
        values[task.arguments[0]] = value
        return []

    def failed(task: Task, error: HepfilterError) -> list[Task]:
        errors[task.arguments[0]] = f"{type(error).__name__}: {error}"
        return []

    run_tasks(executor, tasks, finished=finished, failed=failed)
    return values, errors


def in_processes(tasks: Iterable[Task], *, workers: int = 2, job: Job | None = None) -> Outcome:
    with open_processes(job or Job(open_job, (7,)), workers) as executor:
        return collect(executor, tasks)


def open_job(value: int) -> dict[str, int]:
    return {"value": value, "tasks": 0, "process": os.getpid()}


def multiply(job: dict[str, int], number: int) -> int:
    return job["value"] * number


def whoami(job: dict[str, int], _: int) -> tuple[int, int, str]:
    job["tasks"] += 1
    time.sleep(0.01)
    return job["process"], job["tasks"], os.environ[WORKER]


def test_results_are_those_of_the_calling_process(method):
    tasks = [Task(multiply, (n,)) for n in range(40)]
    alone = collect(InProcess(Job(open_job, (7,))), tasks)
    assert alone == ({n: 7 * n for n in range(40)}, {})
    assert in_processes(tasks) == alone
    assert in_processes(tasks, workers=3) == alone


def test_one_worker_is_the_calling_process():
    with open_processes(Job(open_job, (7,)), 1) as executor:
        executor.submit(Task(multiply, (2,)))
        assert isinstance(executor, InProcess) and executor.wait()[0].value == 14


def test_each_worker_opens_the_job_once_and_knows_its_number(method):
    values, _ = in_processes(Task(whoami, (n,)) for n in range(30))
    processes = {process: number for process, _, number in values.values()}
    assert os.getpid() not in processes and sorted(processes.values()) == ["0", "1"]
    assert sum(max(count for p, count, _ in values.values() if p == process) for process in processes) == 30
    assert WORKER not in os.environ


def test_no_more_workers_are_started_than_tasks():
    with open_processes(Job(open_job, (7,)), 50) as executor:
        assert collect(executor, [Task(multiply, (n,)) for n in range(2)])[0] == {0: 0, 1: 7}
        assert len(multiprocessing.active_children()) == 2 and executor.slots == 51


def die(job: dict[str, int], name: str, folder: Path) -> str:
    """Kills its process the first `name` times that it is called."""
    tries = len(list(folder.glob(f"{name}.*")))
    (folder / f"{name}.{os.getpid()}").touch()
    if tries < int(name):
        os.kill(os.getpid(), signal.SIGKILL)
    return f"{name}: {job['value']}"


def test_a_task_whose_worker_is_killed_is_done_again_and_one_that_kills_three_fails_alone(method, tmp_path):
    tasks = [Task(multiply, (n,)) for n in range(20)]
    tasks[3:3] = [Task(die, (name, tmp_path)) for name in ("1", "2", "9")]
    values, errors = in_processes(tasks)
    assert values == {n: 7 * n for n in range(20)} | {"1": "1: 7", "2": "2: 7"}
    said = "WorkerError: 3 workers ended in the middle of it: for lack of memory (try fewer workers), or by a crash"
    assert errors == {"9": said}
    assert len(list(tmp_path.glob("9.*"))) == 3


def exit_in_a_thread(_: Any, name: str) -> bytes:
    """Sends much, and dies on the way."""
    threading.Timer(0.3, os._exit, (1,)).start()
    return bytes(400_000_000)


def test_a_worker_that_dies_while_it_sends_is_as_one_that_dies_before():
    # the parent reads late, so that the worker dies with a part of the answer in the pipe
    with open_processes(Job(open_job, (7,)), 2) as executor:
        executor.submit(Task(exit_in_a_thread, ("x",)))
        time.sleep(1.5)
        (done,) = executor.wait()
    assert done.lost


def test_a_worker_killed_while_it_has_nothing_to_do_is_replaced(method):
    with open_processes(Job(open_job, (7,)), 2) as executor:
        for _ in range(2):
            first = collect(executor, [Task(whoami, (n,)) for n in range(6)])[0]
            for process in {process for process, _, _ in first.values()}:
                os.kill(process, signal.SIGKILL)
            time.sleep(0.05)
        values, errors = collect(executor, [Task(whoami, (n,)) for n in range(6)])
    assert len(values) == 6 and errors == {}
    assert not {p for p, _, _ in values.values()} & {p for p, _, _ in first.values()}
    assert {number for _, _, number in values.values()} == {"0", "1"}


class AwkwardError(Exception):
    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")


def raise_it(_: Any, error: Exception | str) -> Any:
    if error == "awkward":
        raise AwkwardError("one", "two")
    if error == "lambda":
        return lambda: 1
    assert isinstance(error, Exception)
    raise error


def test_an_error_of_ours_is_that_of_its_task(method):
    bad = SourceError("in.root: cannot be read")
    values, errors = in_processes([Task(multiply, (1,)), Task(raise_it, (bad,)), Task(multiply, (2,))])
    assert values == {1: 7, 2: 14}
    assert list(errors.values()) == ["SourceError: in.root: cannot be read"]


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (ValueError("no number"), ValueError, "no number"),
        ("awkward", RuntimeError, "AwkwardError: one and two"),  # its pickle cannot be read
        ("lambda", Exception, "lambda"),  # a result that cannot be sent
    ],
)
def test_any_other_error_ends_the_run_and_tells_what_the_worker_saw(error, kind, said):
    with pytest.raises(kind, match=said) as caught:
        in_processes([Task(raise_it, (error,)), *[Task(multiply, (n,)) for n in range(5)]])
    assert "in a worker:\nTraceback" in caught.value.__notes__[0] and "messages.py" in caught.value.__notes__[0]


def refuse(value: int) -> None:
    raise SourceError(f"model {value} is not here")


def vanish(value: int) -> None:
    raise SystemExit


def test_a_job_that_cannot_be_opened_ends_the_run(method):
    with pytest.raises(SourceError, match="model 7 is not here"):
        in_processes([Task(multiply, (n,)) for n in range(5)], job=Job(refuse, (7,)))


def test_a_job_whose_opening_kills_is_the_fault_of_the_first_task():
    values, errors = in_processes([Task(multiply, (n,)) for n in range(2)], job=Job(vanish, (7,)))
    assert values == {} and all("3 workers ended in the middle" in error for error in errors.values())


def nap(_: Any, name: int, seconds: float = 60.0) -> int:
    time.sleep(seconds)
    return name


def stop_itself(_: Any, name: int) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


@pytest.mark.parametrize("hang", [nap, stop_itself])
def test_an_exception_ends_busy_workers_at_once(method, hang):
    start = 0.0
    with pytest.raises(RuntimeError, match="enough"), open_processes(Job(open_job, (7,)), 3) as executor:
        for n in range(4):
            executor.submit(Task(hang, (n,)))
        time.sleep(0.2)
        start = time.monotonic()
        raise RuntimeError("enough")
    assert time.monotonic() - start < 10.0


def meet_all(job: dict[str, int], number: int, folder: Path, workers: int) -> int:
    """Waits until so many workers are at it."""
    (folder / str(job["process"])).touch()
    end = time.monotonic() + 30
    while len(list(folder.iterdir())) < workers:
        assert time.monotonic() < end
        time.sleep(0.01)
    return number


def test_all_workers_are_at_work_side_by_side(method, tmp_path):
    values, _ = in_processes([Task(meet_all, (n, tmp_path, 4)) for n in range(8)], workers=4)
    assert len(values) == 8


def much(_: Any, megabytes: int, back: bytes) -> tuple[np.ndarray, int]:
    return np.full(megabytes * 131072, float(megabytes)), len(back)


def test_big_arguments_and_results_pass_whole(method):
    values, _ = in_processes([Task(much, (size, bytes(8_000_000))) for size in (1, 7, 40, 2)])
    for size, (array, length) in values.items():
        assert length == 8_000_000
        assert len(array) == size * 131072 and (array == size).all()


PATIENT = """
import multiprocessing, sys
from hepfilter.work.processes import open_processes
from hepfilter.work.tasks import Job, Task
from tests.work.test_processes import nap, open_job
if __name__ == "__main__":
    with open_processes(Job(open_job, (7,)), 2) as executor:
        for name in (1, 2):
            executor.submit(Task(nap, (name,)))
        print(*(child.pid for child in multiprocessing.active_children()), flush=True)
        executor.wait()
"""


def test_busy_workers_end_with_their_parent_even_by_sigkill(tmp_path):
    assert len(children_of_a_killed_script(PATIENT, tmp_path)) == 2


CARELESS = """
from hepfilter.work import children
from hepfilter.work.processes import open_processes
from hepfilter.work.tasks import Job, Task
children.may_fork = lambda: False
with open_processes(Job(dict), 2) as executor:
    executor.submit(Task(len, ()))
    executor.wait()
"""


def test_a_script_that_cannot_be_started_again_is_told_so_and_not_started_for_ever(tmp_path):
    script = tmp_path / "careless.py"
    script.write_text(CARELESS)
    result = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    said = "WorkerError: worker processes end before they begin: for lack of memory, or because a script lacks"
    assert result.returncode == 1 and said in result.stderr.splitlines()[-1]


def no_start(connection: Any, number: int) -> None:
    os._exit(1)


def test_workers_that_never_begin_are_not_the_fault_of_a_task(monkeypatch):
    monkeypatch.setattr("hepfilter.work.processes._work", no_start)
    with pytest.raises(WorkerError, match="end before they begin"):
        in_processes([Task(multiply, (n,)) for n in range(50)])


def start_at_the_third_try(connection: Any, number: int) -> None:
    folder = Path(os.environ["TRIES"])
    (folder / str(os.getpid())).touch()
    if len(list(folder.iterdir())) < 3:
        os._exit(1)
    _work(connection, number)


def test_a_task_whose_worker_never_began_is_not_lost(monkeypatch, tmp_path):
    monkeypatch.setenv("TRIES", str(tmp_path))
    monkeypatch.setattr("hepfilter.work.processes._work", start_at_the_third_try)
    with closing(Processes(Job(open_job, (7,)), 1)) as executor:
        assert collect(executor, [Task(multiply, (n,)) for n in range(5)]) == ({n: 7 * n for n in range(5)}, {})


def test_there_is_a_core():
    assert 1 <= cores() <= (os.cpu_count() or 1)
    assert Processes(Job(open_job), 5).slots == 6
