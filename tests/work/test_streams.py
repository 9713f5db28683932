"""Streams: the same items from one process or many, errors where they are read, no process left behind."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from hepfilter.errors import SourceError, WorkerError
from hepfilter.work import children
from hepfilter.work.streams import open_streams
from tests.work.test_children import children_of_a_killed_script


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
    monkeypatch.setattr(children, "may_fork", lambda: request.param == "fork")
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


STREAMING = """
import sys, multiprocessing
from tests.work.test_streams import large, open_streams
with open_streams(large, [(200,), (200,)]) as opened:
    next(opened[0])
    print(*(child.pid for child in multiprocessing.active_children()), flush=True)
    sys.stdin.read()
"""


def test_workers_end_when_their_parent_is_killed(tmp_path):
    assert len(children_of_a_killed_script(STREAMING, tmp_path)) == 2
