"""Where tasks run."""

import math
import os
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from hepfilter.errors import HepfilterError, WorkerError
from hepfilter.work.executors import InProcess, open_executor, slots


def test_one_worker_is_the_calling_process() -> None:
    with open_executor(1) as executor:
        assert isinstance(executor, InProcess)
        assert executor.submit(os.getpid).result() == os.getpid()
        assert list(executor.map(pow, [2, 3, 4], [3, 2, 1])) == [8, 9, 4]


def test_in_process_an_error_is_raised_where_the_task_is_submitted() -> None:
    with open_executor(1) as executor, pytest.raises(ValueError, match="math domain error"):
        executor.submit(math.sqrt, -1.0)


def test_more_workers_are_other_processes_and_results_keep_their_order() -> None:
    with open_executor(2) as executor:
        assert executor.submit(os.getpid).result() != os.getpid()
        assert list(executor.map(math.sqrt, [16.0, 9.0, 4.0, 1.0])) == [4.0, 3.0, 2.0, 1.0]
        with pytest.raises(ValueError, match="math domain error"):
            executor.submit(math.sqrt, -1.0).result()


def test_after_an_error_nothing_is_begun_and_nothing_runs_on() -> None:
    # What still ran would write its result when whoever comes next believes to be alone.
    start = time.perf_counter()
    with pytest.raises(RuntimeError, match="enough"), open_executor(2) as executor:
        futures = [executor.submit(time.sleep, 1.0) for _ in range(30)]
        raise RuntimeError("enough")
    assert all(future.done() for future in futures)
    assert sum(future.cancelled() for future in futures) >= 25
    assert time.perf_counter() - start < 10.0  # all of them would take 15 s


def test_a_killed_worker_is_noticed() -> None:
    with pytest.raises(WorkerError, match="a worker ended by itself"), open_executor(2) as executor:
        executor.submit(os._exit, 1).result()


ORPHANS = """
import os, time
from hepfilter.errors import WorkerError
from hepfilter.work.executors import open_executor
if __name__ == "__main__":
    with open_executor(2) as executor:
        print(*{future.result() for future in [executor.submit(os.getpid) for _ in range(9)]}, flush=True)
        time.sleep(60)
"""


def test_workers_end_with_the_process_that_wanted_them(tmp_path: Path) -> None:
    script = tmp_path / "orphans.py"
    script.write_text(ORPHANS)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        workers = [int(word) for word in running.stdout.readline().split()]
        running.kill()
    assert workers
    patience = time.monotonic() + 3.0
    while (alive := [worker for worker in workers if _is_alive(worker)]) and time.monotonic() < patience:
        time.sleep(0.05)
    for worker in alive:
        os.kill(worker, signal.SIGKILL)
    assert not alive


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{process}/stat")
    return not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] != "Z"  # ended, but not yet collected


@pytest.mark.parametrize(("workers", "tasks"), [(1, 1), (2, 3), (8, 9)])
def test_no_worker_waits_for_its_next_task(workers: int, tasks: int) -> None:
    assert slots(workers) == tasks


def test_a_broken_pool_is_told_in_our_words_and_keeps_its_cause() -> None:
    with pytest.raises(WorkerError) as caught, open_executor(2) as executor:
        executor.submit(os._exit, 1).result()
    said = "a worker ended by itself: for lack of memory (try fewer workers), or by a crash (check the settings)"
    assert str(caught.value) == said
    assert isinstance(caught.value, HepfilterError) and caught.value.exit_code == 1
    assert isinstance(caught.value.__cause__, BrokenProcessPool)
