"""Child processes, each at one end of a pipe; they end with the process that holds the other end, however that ends."""

import multiprocessing
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Final
from weakref import WeakSet

_PATIENCE: Final = 2.0  # seconds that killed processes are waited for
_OURS: Final[WeakSet[Connection]] = WeakSet()  # all ends that this process holds


def may_fork() -> bool:
    """Whether this process has nothing that a copy of it would miss: other threads, and the pools of torch."""
    known = "fork" in multiprocessing.get_all_start_methods() and sys.platform != "darwin"
    return known and threading.active_count() == 1 and "torch" not in sys.modules


def start_child(work: Callable[..., None], *arguments: Any, duplex: bool) -> tuple[BaseProcess, Connection]:
    """A process that runs `work(connection, *arguments)`, and our end of its pipe; without `duplex` we only read.

    It is forked where nothing can be amiss with that, else spawned, so that a script then needs the usual
    ``if __name__ == "__main__"``. SIGINT is for us alone; SIGTERM ends it at once.
    """
    context = multiprocessing.get_context("fork" if may_fork() else "spawn")
    ours, theirs = context.Pipe(duplex=duplex)
    _OURS.add(ours)
    process: BaseProcess = context.Process(  # type: ignore[attr-defined]
        target=_begin, args=(theirs, work, arguments), daemon=True
    )
    if context.get_start_method() == "spawn":
        resource_tracker.ensure_running()  # which would unblock SIGINT
    # a Ctrl-C while it starts would have it print a traceback of its own
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        theirs.close()
    return process, ours


def end_children(children: Sequence[BaseProcess]) -> None:
    """Kill them, whatever they do, and wait a moment until they are gone: not for one that hangs in the kernel."""
    for child in children:
        child.kill()
    end = time.monotonic() + _PATIENCE
    for child in children:
        child.join(max(0.0, end - time.monotonic()))


def _begin(connection: Connection, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    """In the child: see to its end, then work."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for inherited in list(_OURS):  # by a fork; they would keep the pipes of others open
        inherited.close()
    hangup = select.poll()
    hangup.register(connection.fileno(), 0)

    def watch() -> None:
        hangup.poll()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    work(connection, *arguments)
