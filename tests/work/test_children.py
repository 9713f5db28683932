"""Child processes: forked or spawned, and gone when whoever wanted them is."""

import os
import signal
import subprocess
import sys
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from hepfilter.work import children
from hepfilter.work.children import end_children, may_fork, start_child


@pytest.fixture(params=["fork", "spawn"])
def method(request, monkeypatch):
    monkeypatch.setattr(children, "may_fork", lambda: request.param == "fork")
    return request.param


def echo(connection: Connection, answer: str) -> None:
    while True:
        connection.send((os.getpid(), connection.recv(), answer))


def sleep(connection: Connection) -> None:
    connection.send("asleep")
    time.sleep(60)


def test_a_child_is_another_process_at_a_pipe(method):
    process, connection = start_child(echo, "heard", duplex=True)
    connection.send("hello")
    assert connection.recv() == (process.pid, "hello", "heard") and process.pid != os.getpid()
    end_children([process])
    assert process.exitcode == -signal.SIGKILL


def test_a_child_ends_when_its_pipe_is_closed_whatever_it_does(method):
    first, connection = start_child(sleep, duplex=False)
    later, other = start_child(sleep, duplex=False)  # a fork inherits the first one's pipe
    assert [connection.recv(), other.recv()] == ["asleep", "asleep"]
    connection.close()
    first.join(5)
    assert first.exitcode == 1 and later.is_alive()
    end_children([later])


def test_children_that_are_stopped_end_too_within_seconds():
    started = [start_child(sleep, duplex=False) for _ in range(3)]
    for process, connection in started:
        assert connection.recv() == "asleep"
        os.kill(process.pid, signal.SIGSTOP)
    begin = time.monotonic()
    end_children([process for process, _ in started])
    assert time.monotonic() - begin < 2
    assert not any(process.is_alive() for process, _ in started)


SLEEPING = """
import multiprocessing, time
from hepfilter.work import children
from hepfilter.work.children import start_child
from tests.work.test_children import sleep
children.may_fork = lambda: {forks}
if __name__ == "__main__":
    started = [start_child(sleep, duplex=False) for _ in range(3)]
    assert [connection.recv() for _, connection in started] == ["asleep"] * 3
    print(*(process.pid for process, _ in started), flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("forks", [True, False])
def test_children_end_when_their_parent_is_killed_though_one_is_stopped(tmp_path, forks):
    assert len(children_of_a_killed_script(SLEEPING.format(forks=forks), tmp_path, stop_last=True)) == 3


def children_of_a_killed_script(text: str, folder: Path, *, stop_last: bool = False) -> list[int]:
    """Run a script that prints the ids of its children, and kill it; they must end, but for one that is stopped."""
    script = folder / "script.py"
    script.write_text(text)
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    command = [sys.executable, str(script)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) as parent:
        assert parent.stdout is not None
        found = [int(word) for word in parent.stdout.readline().split()]
        if stop_last:
            os.kill(found[-1], signal.SIGSTOP)
        parent.kill()
    try:
        wait_until_gone(found[:-1] if stop_last else found)
    finally:
        if stop_last:
            os.kill(found[-1], signal.SIGKILL)
    return found


def wait_until_gone(processes: list[int], *, seconds: float = 20.0) -> None:
    """Until none of them runs; AssertionError, and they are killed, if one does after so many seconds."""
    end = time.monotonic() + seconds
    while (left := [*filter(is_running, processes)]) and time.monotonic() < end:
        time.sleep(0.02)
    for process in left:
        os.kill(process, signal.SIGKILL)
    assert left == []


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


CTRL_C = """
import os, signal
from hepfilter.work import children
from hepfilter.work.children import end_children, start_child
from tests.work.test_children import sleep
children.may_fork = lambda: False
if __name__ == "__main__":
    process, connection = start_child(sleep, duplex=False)
    try:
        os.killpg(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        print(connection.recv(), process.is_alive(), flush=True)
    end_children([process])
"""


def test_ctrl_c_is_for_the_parent_alone_even_while_a_child_starts(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(CTRL_C)
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    command = [sys.executable, str(script)]
    result = subprocess.run(command, env=env, start_new_session=True, capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stdout, result.stderr) == (0, "asleep True\n", "")


def test_there_is_no_fork_beside_threads_or_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", sys)
    assert not may_fork()
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(threading, "active_count", lambda: 2)
    assert not may_fork()
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    assert may_fork() == (sys.platform == "linux")
