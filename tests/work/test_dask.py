"""Tasks on the workers of a real Dask scheduler: the same results, whoever dies."""

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

distributed = pytest.importorskip("distributed", reason="Dask is not installed: pip install 'hepfilter[dask]'")

from hepfilter.errors import SourceError, WorkerError  # noqa: E402
from hepfilter.work import dask_executor  # noqa: E402
from hepfilter.work.dask_executor import open_dask, quiet_dask  # noqa: E402
from hepfilter.work.execution import Execution, open_executor  # noqa: E402
from hepfilter.work.processes import WORKER, InProcess  # noqa: E402
from hepfilter.work.tasks import Job, Task  # noqa: E402
from tests.batch_servers import DaskServers, dask_servers  # noqa: E402
from tests.work.test_processes import collect, meet_all, much, multiply, nap, open_job, raise_it, refuse, whoami  # noqa: E402

JOB = Job(open_job, (7,))


def silent(_: str) -> None:
    pass


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskServers]:
    with dask_servers(tmp_path_factory.mktemp("dask")) as started:
        yield started


def test_results_are_those_of_the_calling_process(servers):
    tasks = [Task(multiply, (n,)) for n in range(60)]
    with open_executor(Execution(scheduler=servers.address), JOB) as executor:
        assert collect(executor, tasks) == collect(InProcess(JOB), tasks)


def meet(job: dict[str, int], number: int, folder: Path) -> tuple[int, int, str]:
    """As `whoami`, but not before two workers are at it."""
    meet_all(job, number, folder, 2)
    return whoami(job, number)


def test_each_worker_opens_the_job_once_and_knows_its_number(servers, tmp_path):
    with open_dask(servers.address, JOB, silent) as executor:
        values, _ = collect(executor, [Task(meet, (n, tmp_path)) for n in range(20)])
        assert executor.slots == 5
    processes = {process: number for process, _, number in values.values()}
    assert os.getpid() not in processes and sorted(processes.values()) == ["0", "1"]
    assert sum(max(count for p, count, _ in values.values() if p == process) for process in processes) == 20


def jobs_here() -> int:
    return len(dask_executor._HERE)


def test_workers_forget_the_job_when_the_run_is_over_or_fails(servers):
    with distributed.Client(servers.address, set_as_default=False) as client:
        with open_dask(servers.address, JOB, silent):
            assert set(client.run(jobs_here).values()) == {1}
        with pytest.raises(KeyError), open_dask(servers.address, JOB, silent) as executor:
            executor.submit(Task(nap, (1, 0.5)))
            raise KeyError
        assert set(client.run(jobs_here).values()) == {0}


def test_big_arguments_and_results_pass_whole(servers):
    with open_dask(servers.address, JOB, silent) as executor:
        values, _ = collect(executor, [Task(much, (size, bytes(3_000_000))) for size in (1, 30, 2)])
    for size, (array, length) in values.items():
        assert (len(array), length) == (size * 131072, 3_000_000) and (array == size).all()


def test_an_error_of_ours_is_that_of_its_task_and_any_other_ends_the_run(servers):
    with open_dask(servers.address, JOB, silent) as executor:
        bad = SourceError("in.root: cannot be read")
        values, errors = collect(executor, [Task(multiply, (1,)), Task(raise_it, (bad,)), Task(multiply, (2,))])
        assert values == {1: 7, 2: 14} and [*errors.values()] == ["SourceError: in.root: cannot be read"]
        with pytest.raises(RuntimeError, match="AwkwardError: one and two") as caught:
            collect(executor, [Task(raise_it, ("awkward",))])
        assert "in a worker:\nTraceback" in caught.value.__notes__[0]
    with (
        pytest.raises(SourceError, match="model 7 is not here"),
        open_dask(servers.address, Job(refuse, (7,)), silent) as executor,
    ):
        collect(executor, [Task(multiply, (1,))])


def test_a_worker_of_another_version_is_refused(servers, monkeypatch):
    monkeypatch.setattr(dask_executor, "__version__", "99.0")
    said = r"worker w[01] on .* has hepfilter \d.*, this is 99\.0; install the same there"
    with pytest.raises(WorkerError, match=said), open_dask(servers.address, JOB, silent) as executor:
        collect(executor, [Task(multiply, (1,))])


def wait_for_file(job: dict[str, int], number: int, folder: Path) -> int:
    """Say who is at work, and wait until that is allowed to end."""
    (folder / f"{number}.{job['process']}").touch()
    while not (folder / "go").exists():
        time.sleep(0.01)
    return number


def test_what_a_killed_worker_had_under_way_is_done_again_and_new_workers_take_part(servers, tmp_path):
    servers.start_worker("w7")
    doomed = servers.workers["w7"].pid

    def kill_it() -> None:
        while not list(tmp_path.glob(f"*.{doomed}")):
            time.sleep(0.01)
        servers.start_worker("w8")
        servers.kill("w7")
        while not list(tmp_path.glob(f"*.{servers.workers['w8'].pid}")):
            time.sleep(0.01)
        (tmp_path / "go").touch()

    killer = threading.Thread(target=kill_it)
    killer.start()
    with open_dask(servers.address, JOB, silent) as executor:
        values, errors = collect(executor, [Task(wait_for_file, (n, tmp_path)) for n in range(12)])
    killer.join()
    assert values == {n: n for n in range(12)} and errors == {}
    begun = [path.name.partition(".")[0] for path in tmp_path.iterdir() if path.name != "go"]
    assert len(begun) > len(set(begun)) == 12
    servers.kill("w8")


def opened_by_thread() -> tuple[int, int]:
    return os.getpid(), threading.get_ident()


def which(job: tuple[int, int], _: int) -> tuple[tuple[int, int], tuple[int, int]]:
    time.sleep(0.05)
    return job, opened_by_thread()


def test_each_thread_of_a_worker_opens_the_job_for_itself(tmp_path):
    with dask_servers(tmp_path, workers=0) as servers:
        servers.start_worker("w0", threads=3)
        with open_dask(servers.address, Job(opened_by_thread), silent) as executor:
            values, _ = collect(executor, [Task(which, (n,)) for n in range(12)])
    assert all(opened == here for opened, here in values.values())
    assert len({here for _, here in values.values()}) == 3


class _Worker:
    def __init__(self, name: Any) -> None:
        self.name = name


@pytest.mark.parametrize(
    ("name", "number"),
    [("w3", "3"), ("hepfilter-12", "12"), (5, "5"), ("17", "17"), ("gpu", "0"), ("tcp://127.0.0.1:4321", "0")],
)
def test_a_worker_has_the_number_at_the_end_of_its_name(monkeypatch, name, number):
    monkeypatch.setenv(WORKER, "before")
    delivery = dask_executor.Delivery("run", b"", dask_executor.__version__)
    delivery.setup(_Worker(name))
    delivery.teardown(_Worker(name))
    assert os.environ[WORKER] == number


def test_without_a_worker_it_waits_and_says_so(tmp_path):
    told: list[str] = []
    with dask_servers(tmp_path, workers=0) as servers:
        with open_executor(Execution(scheduler=servers.address, notice=told.append), JOB) as executor:
            assert executor.slots == 1
            assert told == [f"{servers.address}: no worker is there; waiting for one"]
            threading.Timer(0.5, servers.start_worker, ("w0",)).start()
            assert collect(executor, [Task(multiply, (n,)) for n in range(6)])[0] == {n: 7 * n for n in range(6)}
        assert told[1:] == [f"{servers.address}: the first worker is there"]


def die(job: dict[str, int], _: int) -> None:
    os._exit(9)


def test_a_task_that_kills_workers_fails_alone_and_a_dead_scheduler_is_told_at_once(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", "0")
    with dask_servers(tmp_path, workers=0) as servers:
        servers.start_worker("w0", nanny=True)  # which starts it again
        with open_dask(servers.address, JOB, silent) as executor:
            collect(executor, [Task(multiply, (1,))])
            assert executor.slots == 3  # two wait behind the deadly one each time, and Dask blames them too
            values, errors = collect(executor, [Task(die, (-1,)), *[Task(multiply, (n,)) for n in range(9)]])
        said = "WorkerError: 1 worker ended in the middle of it: for lack of memory (try fewer workers), or by a crash"
        assert values == {n: 7 * n for n in range(9)} and errors == {-1: said}
        begun = 0.0
        gone = f"{servers.address}: the Dask scheduler is gone, or has dropped our tasks; with one there the same"
        with pytest.raises(WorkerError) as caught, open_dask(servers.address, JOB, silent) as executor:
            for n in range(3):
                executor.submit(Task(nap, (n,)))
            time.sleep(0.3)
            servers.scheduler.kill()
            begun = time.monotonic()
            executor.wait()
        assert time.monotonic() - begun < 5
        assert str(caught.value).startswith(gone) and "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_task_that_is_suspected_runs_when_nothing_else_does(servers):
    with open_dask(servers.address, JOB, silent) as executor:
        for task in (Task(nap, (0, 0.3)), Task(multiply, (1,), lost=1), Task(nap, (2, 0.1))):
            executor.submit(task)
        assert executor.slots == 1
        over: list[int] = []
        while len(over) < 3:
            over += [done.task.arguments[0] for done in executor.wait()]
        assert {*over[:2]} == {0, 2} and over[2] == 1
        assert executor.slots == 5


def test_an_exception_ends_the_run_at_once_though_a_worker_is_stopped(servers):
    servers.start_worker("w9")
    begun = 0.0
    try:
        with pytest.raises(KeyboardInterrupt), open_dask(servers.address, JOB, silent) as executor:
            while executor.slots < 7:
                executor.submit(Task(multiply, (1,)))
                executor.wait()
            os.kill(servers.workers["w9"].pid, signal.SIGSTOP)
            begun = time.monotonic()
            raise KeyboardInterrupt
        assert time.monotonic() - begun < 6
    finally:
        servers.kill("w9")


@pytest.mark.parametrize("mute", [False, True])
def test_where_no_scheduler_answers_one_line_says_so(monkeypatch, mute):
    monkeypatch.setattr(dask_executor, "_PATIENCE", 1.0)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        if mute:
            other.listen()
        address = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        begun = time.monotonic()
        with pytest.raises(WorkerError) as caught, open_dask(address, JOB, silent):
            pass
    assert time.monotonic() - begun < 8
    said = f"{address}: no Dask scheduler answers within 1 s; start one by `dask scheduler`, or correct the address"
    assert str(caught.value) == said


def test_messages_of_dask_are_silent_for_a_while_only(capfd):
    logger = logging.getLogger("distributed.client")
    handler = logging.StreamHandler()
    logging.getLogger("distributed").addHandler(handler)
    try:
        with quiet_dask():
            logger.error("hush")
        logger.error("loud")
    finally:
        logging.getLogger("distributed").removeHandler(handler)
    assert "hush" not in (said := capfd.readouterr().err) and "loud" in said
