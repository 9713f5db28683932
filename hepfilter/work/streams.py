"""Streams: generators that run in processes of their own and share nothing, read side by side."""

import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from hepfilter.errors import HepfilterError, WorkerError
from hepfilter.work.children import end_children, start_child

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
    workers: list[tuple[BaseProcess, Connection]] = []
    try:
        for given in arguments:
            workers.append(start_child(_run, generate, given, duplex=False))
        yield [_receive(connection) for _, connection in workers]
    finally:
        for _, connection in workers:
            connection.close()
        end_children([process for process, _ in workers])


def _run(connection: Connection, generate: Callable[..., Iterator[Any]], given: tuple[Any, ...]) -> None:
    """In the worker: send what is generated; a reader that has gone ends it."""
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
