"""Streams: generators that run in processes of their own and share nothing, read side by side."""

import multiprocessing
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from hepfilter.errors import HepfilterError, WorkerError

T = TypeVar("T")
_END, _ITEM, _ERROR = 0, 1, 2


@contextmanager
def open_streams(
    generate: Callable[..., Iterator[T]], arguments: Sequence[tuple[Any, ...]]
) -> Iterator[list[Iterator[T]]]:
    """One iterator for each tuple of `arguments`, over what `generate` yields for it.

    A single one runs in the calling process; several each in a process that works ahead by what a pipe holds. An error
    of hepfilter's in one is raised where its iterator is read; WorkerError if a process is killed. At the end of the
    `with` block all processes are ended. They are forked where nothing can be amiss with that (no other thread, no
    torch), else spawned, so that a script then needs the usual ``if __name__ == "__main__"``.
    """
    if len(arguments) == 1:
        yield [generate(*arguments[0])]
        return
    forks = _may_fork()
    context = multiprocessing.get_context("fork") if forks else multiprocessing.get_context("spawn")
    workers: list[tuple[BaseProcess, Connection]] = []
    try:
        for given in arguments:
            ours, theirs = context.Pipe(duplex=False)
            # a forked worker inherits the reading ends, and would keep the pipes of the others open
            inherited = [ours, *(connection for _, connection in workers)] if forks else []
            process: BaseProcess = context.Process(target=_run, args=(theirs, inherited, generate, given), daemon=True)
            process.start()
            theirs.close()
            workers.append((process, ours))
        yield [_receive(connection) for _, connection in workers]
    finally:
        for process, connection in workers:
            connection.close()
            process.terminate()
        for process, _ in workers:
            process.join()


def _may_fork() -> bool:
    """Whether this process has nothing that a copy of it would miss: other threads, and the pools of torch."""
    known = "fork" in multiprocessing.get_all_start_methods() and sys.platform != "darwin"
    return known and threading.active_count() == 1 and "torch" not in sys.modules


def _run(
    connection: Connection,
    inherited: Sequence[Connection],
    generate: Callable[..., Iterator[Any]],
    given: tuple[Any, ...],
) -> None:
    """In the worker: send what is generated; a reader that has gone ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is told too, and ends us
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for other in inherited:
        other.close()
    with suppress(BrokenPipeError):
        try:
            for item in generate(*given):
                connection.send_bytes(pickle.dumps((_ITEM, item), protocol=5))
            connection.send_bytes(pickle.dumps((_END, None)))
        except HepfilterError as error:
            connection.send_bytes(pickle.dumps((_ERROR, error)))


def _receive(connection: Connection) -> Iterator[Any]:
    """In the parent: what a worker sends."""
    while True:
        try:
            kind, value = pickle.loads(connection.recv_bytes())  # noqa: S301  (from a process of our own)
        except (EOFError, OSError) as error:
            raise WorkerError(
                "a worker ended by itself: for lack of memory (try --workers 1), or by a crash"
            ) from error
        if kind == _ERROR:
            raise value
        if kind == _END:
            return
        yield value
