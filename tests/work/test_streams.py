"""Streams: the same items from one process or many, errors where they are read, no process left behind."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hepfilter.errors import SourceError, WorkerError
from hepfilter.work import streams
from hepfilter.work.streams import open_streams


def count(start: int, stop: int) -> Iterator[int]:
    yield from range(start, stop)


def large(items: int) -> Iterator[bytes]:
    for number in range(items):
        yield bytes([number]) * 3_000_000


def fail_after(items: int) -> Iterator[int]:
    yield from range(items)
    raise SourceError("in.root: cannot be read")


def die(_: int) -> Iterator[int]:
    yield 1
    os.kill(os.getpid(), signal.SIGKILL)


def own_process(_: int) -> Iterator[int]:
    yield os.getpid()


@pytest.fixture(params=["fork", "spawn"])
def method(request, monkeypatch):
    monkeypatch.setattr(streams, "_may_fork", lambda: request.param == "fork")
    return request.param


def test_each_stream_yields_its_own_in_order(method):
    with open_streams(count, [(0, 50), (50, 60), (60, 60)]) as opened:
        assert [list(stream) for stream in opened] == [[*range(50)], [*range(50, 60)], []]


def test_items_larger_than_a_pipe_arrive_whole(method):
    with open_streams(large, [(3,), (2,)]) as opened:
        for number, items in enumerate(zip(*opened, strict=False)):
            assert all(item == bytes([number]) * 3_000_000 for item in items)


def test_a_single_stream_runs_in_this_process_and_several_do_not(method):
    with open_streams(own_process, [(0,)]) as opened:
        assert next(opened[0]) == os.getpid()
    with open_streams(own_process, [(0,), (1,)]) as opened:
        processes = {next(stream) for stream in opened}
    assert len(processes) == 2 and os.getpid() not in processes


@pytest.mark.parametrize("streams_at_once", [1, 2])
def test_our_errors_are_raised_where_they_are_read(method, streams_at_once):
    with open_streams(fail_after, [(2,)] * streams_at_once) as opened:
        for stream in opened:
            assert [next(stream), next(stream)] == [0, 1]
            with pytest.raises(SourceError, match=r"in\.root: cannot be read"):
                next(stream)


def die_while_sending(_: int) -> Iterator[bytes]:
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGKILL)).start()
    yield bytes(50_000_000)


@pytest.mark.parametrize("task", [die, die_while_sending])
def test_a_killed_worker_is_told(method, task):
    with open_streams(task, [(0,), (1,)]) as opened:
        time.sleep(2 if task is die_while_sending else 0)
        with pytest.raises(WorkerError, match="a worker ended by itself"):
            list(opened[0])


def test_no_process_is_left_behind(method):
    with pytest.raises(RuntimeError, match="enough"), open_streams(large, [(200,), (200,)]) as opened:
        next(opened[0])
        raise RuntimeError("enough")
    assert multiprocessing.active_children() == []


def test_workers_end_when_their_parent_is_killed(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, os\n"
        f"sys.path.insert(0, {str(Path.cwd())!r})\n"
        "from tests.work.test_streams import large, open_streams\n"
        "with open_streams(large, [(200,), (200,)]) as opened:\n"
        "    import multiprocessing\n"
        "    next(opened[0])\n"
        "    print(*(child.pid for child in multiprocessing.active_children()), flush=True)\n"
        "    sys.stdin.read()\n"
    )
    command = [sys.executable, str(script)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        children = [int(text) for text in parent.stdout.readline().split()]
        assert len(children) == 2
        parent.kill()
    deadline = time.monotonic() + 20
    while any(map(is_running, children)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_running, children))


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_there_is_no_fork_beside_threads_or_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", sys)
    assert not streams._may_fork()
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(streams.threading, "active_count", lambda: 2)
    assert not streams._may_fork()
    monkeypatch.setattr(streams.threading, "active_count", lambda: 1)
    assert streams._may_fork() == (sys.platform == "linux")
