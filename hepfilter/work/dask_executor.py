"""Tasks on the workers of a Dask scheduler.

What passes through Dask of ours are bytes: the job, sent once to each worker that is there or comes later, the
requests and the answers (`work.messages`). Dask itself pickles between client, scheduler and workers, and runs what it
is sent: whoever can reach the scheduler's port can do what its user can. Use it in a network that you trust, or with
TLS (a ``tls://`` address, and the certificates in Dask's own configuration).
"""

import ctypes
import logging
import os
import re
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import Any, Final, Protocol, TypeVar
from uuid import uuid4

from distributed import Client, Future, KilledWorker, Worker, WorkerPlugin
from distributed.client import FutureCancelledError

from hepfilter import __version__
from hepfilter.errors import WorkerError
from hepfilter.io.remote.waiting import run_within
from hepfilter.work.messages import Answerer, pack_job, pack_task, read_answer, refusal
from hepfilter.work.processes import WORKER
from hepfilter.work.tasks import Done, Executor, Job, Task, killed

_PATIENCE: Final = 10.0  # seconds for a scheduler to answer
_GOODBYE: Final = 2.0  # seconds for scheduler and workers to note that a run is over
_CARE: Final = 60.0  # seconds between looks at a batch system from which workers are missing
_HERE: Final[dict[str, Callable[[bytes], bytes]]] = {}  # in a worker: what answers requests of each run

T = TypeVar("T")
Notice = Callable[[str], None]
"""Called with a line for the user."""


_KEPT: Final = ((-1, 2**28), (-3, 2**25))
"""M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of glibc's mallopt, in bytes: about what it arrives at without Dask."""


class Supply(Protocol):
    """Who starts workers, and others in their place; each method raises an error of hepfilter's where that fails."""

    wanted: int
    asked: str

    def begin(self, wake: Callable[[], None]) -> None:
        """Start them; `wake` is called when something goes wrong."""

    def check(self, threads: int) -> None:
        """Tell whether something has gone wrong; there are so many threads now."""

    def care(self) -> None:
        """Start others for those that are missing."""


class Delivery(WorkerPlugin):  # type: ignore[misc]
    """Brings the job of a run to a worker, and its number: the one at the end of its name."""

    def __init__(self, name: str, job: bytes, version: str) -> None:
        self.name, self.job, self.version = name, job, version

    def setup(self, worker: Worker) -> None:
        """In the worker, before any task."""
        where = f"{worker.name} on {os.uname().nodename}"
        number = re.search(r"(?:^|\D)(\d+)$", str(worker.name))
        # an address is no name, and dask-cuda has its own way to give each worker a GPU
        numbered = number is not None and "://" not in str(worker.name) and "dask_cuda" not in sys.modules
        os.environ[WORKER] = number[1] if number is not None and numbered else "0"
        _keep_freed_memory()
        _HERE[self.name] = _answering(self.job) if self.version == __version__ else _refusing(where, self.version)

    def teardown(self, worker: Worker) -> None:
        """In the worker, when the run is over."""
        _HERE.pop(self.name, None)


def _keep_freed_memory() -> None:
    """Let the C library keep what is freed, as it does by itself.

    Dask starts its workers so that they give every freed megabyte back to the system at once (MALLOC_TRIM_THRESHOLD_);
    a network asks for it again with each batch, and spends a third of its time on that. Other libraries are left alone.
    """
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL("libc.so.6")
        for what, limit in _KEPT:
            library.mallopt(what, limit)


def _answering(job: bytes) -> Callable[[bytes], bytes]:
    """Each thread of a worker opens the job for itself."""
    local = threading.local()

    def answer(request: bytes) -> bytes:
        if not hasattr(local, "answerer"):
            local.answerer = Answerer(job)
        found: Answerer = local.answerer
        return found.answer(request)

    return answer


def _refusing(where: str, version: str) -> Callable[[bytes], bytes]:
    what = f"worker {where} has hepfilter {__version__}, this is {version}; install the same there"
    return lambda _: refusal(WorkerError(what))


def _serve(name: str, request: bytes) -> bytes:
    """In a worker: the answer to a request of a run."""
    return _HERE[name](request)


class DaskExecutor:
    """Runs tasks on the workers of `client`, however many there are; `where` begins its messages.

    Dask repeats what a worker that died had under way or waiting, and blames all of it after several deaths: each such
    task is tried once more with nothing else under way, so that one that kills fails alone. While there is no worker it
    waits, and says so by `notice`. WorkerError where the scheduler is gone.
    """

    def __init__(self, client: Client, job: Job, *, where: str, notice: Notice, supply: Supply | None = None) -> None:
        self._client, self._where, self._notice, self._supply = client, where, notice, supply
        self._name = f"hepfilter-{uuid4().hex}"
        self._tasks: dict[str, tuple[Task, Future]] = {}
        self._suspects: deque[Task] = deque()
        self._events: SimpleQueue[Future | None] = SimpleQueue()  # None: workers have come or gone
        self._threads = -1
        with self._told():
            client.register_plugin(Delivery(self._name, pack_job(job), __version__), name=self._name)
            client.subscribe_topic("all", self._heard)
        if supply is not None:
            supply.begin(lambda: self._events.put(None))
        self._count()

    @property
    def slots(self) -> int:
        """Two tasks for each thread of a worker, so that none waits while a result travels, and one more."""
        return 1 if self._suspects else 2 * self._threads + 1

    def submit(self, task: Task) -> None:
        """Send the task to the scheduler; one that workers died of when it is alone."""
        if task.lost:
            self._suspects.append(task)
        else:
            self._send(task)

    def wait(self) -> list[Done]:
        """What is over, when the first is, or nothing when workers have come or gone."""
        if self._suspects and not self._tasks:
            self._send(self._suspects.popleft())
        events = [self._next()]
        with suppress(Empty):
            while True:
                events.append(self._events.get_nowait())
        if None in events:
            self._count()
        return [self._done(future) for future in events if future is not None]

    def close(self) -> None:
        """Let the scheduler drop what is under way, and the workers the job."""
        self._tasks.clear()
        if self._client.status == "running":
            with suppress(OSError, TimeoutError, FutureCancelledError):
                self._client.unsubscribe_topic("all")
                _in_time(lambda: self._client.unregister_worker_plugin(self._name), _GOODBYE)

    def _send(self, task: Task) -> None:
        with self._told():
            key = f"{task.function.__name__.strip('_')}-{uuid4().hex}"
            future = self._client.submit(_serve, self._name, pack_task(task), key=key, pure=False)
            self._tasks[key] = task, future
            future.add_done_callback(self._events.put)

    def _next(self) -> Future | None:
        """The next event; while workers of a batch system are missing they are seen to."""
        while True:
            missing = self._supply is not None and self._threads < self._supply.wanted
            try:
                return self._events.get(timeout=_CARE if missing else None)
            except Empty:
                assert self._supply is not None
                self._supply.care()

    def _heard(self, event: tuple[float, Any]) -> None:
        """Of what the scheduler tells all, what changes the number of workers."""
        _, said = event
        if isinstance(said, dict) and said.get("action") in ("add-worker", "remove-worker"):
            self._events.put(None)

    def _count(self) -> None:
        """How many threads there are now; the user is told of the first and the last."""
        with self._told():
            threads = sum(self._client.nthreads().values())
        if threads == 0 and self._threads != 0:
            waiting = "no worker is there; waiting for one" if self._supply is None else self._supply.asked
            self._notice(f"{self._where}: {waiting}")
        elif self._threads == 0 and threads > 0:
            self._notice(f"{self._where}: the first worker is there")
        self._threads = threads
        if self._supply is not None:
            self._supply.check(threads)

    def _done(self, future: Future) -> Done:
        task, _ = self._tasks.pop(future.key)
        with self._told():
            try:
                answer: bytes = future.result()
            except KilledWorker as error:
                alone = killed(error.allowed_failures + 1) if task.lost else None
                return Done(task, error=alone, lost=alone is None)
        return read_answer(task, answer)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Tell what goes wrong between us, the scheduler and the workers as an error of hepfilter's."""
        try:
            yield
        except (OSError, TimeoutError, FutureCancelledError) as error:
            what = "the Dask scheduler is gone, or has dropped our tasks"
            raise WorkerError(f"{self._where}: {what}; with one there the same command goes on") from error
        except WorkerError:
            raise
        except Exception as error:  # an import that fails, a pickle of another version: known only to Dask
            what = f"the tasks cannot be sent ({type(error).__name__}: {' '.join(str(error).split())})"
            needed = f"scheduler and workers need hepfilter {__version__} and the same Dask"
            raise WorkerError(f"{self._where}: {what}; {needed}") from error


@contextmanager
def open_dask(scheduler: str, job: Job, notice: Notice) -> Iterator[Executor]:
    """An executor at the scheduler of an address; WorkerError if none answers there."""
    with quiet_dask(), dask_executor(_connect(scheduler), job, where=scheduler, notice=notice) as executor:
        yield executor


def _connect(scheduler: str) -> Client:
    try:
        return _in_time(
            lambda: Client(scheduler, timeout=_PATIENCE, set_as_default=False, name="hepfilter"), _PATIENCE + 1.0
        )
    except (OSError, ValueError, TimeoutError) as error:
        what = f"no Dask scheduler answers within {_PATIENCE:.0f} s; start one by `dask scheduler`"
        raise WorkerError(f"{scheduler}: {what}, or correct the address") from error


def _in_time(call: Callable[[], T], seconds: float) -> T:
    """What `call` gives; TimeoutError where Dask would wait for ever, for one that is stopped say: a thread goes on."""
    (outcome,) = run_within(seconds, [call])
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


@contextmanager
def dask_executor(
    client: Client, job: Job, *, where: str, notice: Notice, supply: Supply | None = None
) -> Iterator[Executor]:
    """An executor with a client, which is closed at the end of the block."""
    try:
        executor = DaskExecutor(client, job, where=where, notice=notice, supply=supply)
        try:
            yield executor
        finally:
            executor.close()
    finally:
        with suppress(OSError, TimeoutError):
            client.close(timeout=_GOODBYE)


@contextmanager
def quiet_dask() -> Iterator[None]:
    """Without the messages that Dask prints by itself: what matters is raised."""
    names = ("distributed", "distributed.client", "distributed.gc", "tornado", "tornado.application")
    handlers = {handler for name in names for handler in logging.getLogger(name).handlers}

    def nothing(_: logging.LogRecord) -> bool:
        return False

    for handler in handlers:
        handler.addFilter(nothing)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(nothing)
