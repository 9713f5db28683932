"""Which executor runs a job: as a user asks for it."""

import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from hepfilter.config.cluster import Cluster, load_cluster
from hepfilter.errors import UsageError
from hepfilter.work.processes import cores, open_processes
from hepfilter.work.tasks import Executor, Job

_ADDRESS: Final = re.compile(r"((tcp|tls|ucx|ws|wss)://)?(\[[0-9a-fA-F:]+\]|[\w.-]+):\d{1,5}")


@dataclass(frozen=True)
class Execution:
    """Where tasks run: in `workers` processes of this machine, the calling one alone for 1 (or None); or by Dask.

    By Dask on the workers of the `scheduler` at an address (``tcp://host:8786``), or on those that are asked of a batch
    system, `workers` of them or as many as `cluster` says. `executor` may be left out: it follows. `notice` is called
    with a line for the user, such as that workers are waited for.
    """

    workers: int | None = None
    executor: Literal["processes", "dask"] | None = None
    scheduler: str | None = None
    cluster: Cluster | None = None
    notice: Callable[[str], None] = lambda _: None

    def __post_init__(self) -> None:
        """UsageError for what cannot be."""
        if self.workers is not None and self.workers < 1:
            raise UsageError(f"workers must be at least 1, not {self.workers}")
        if self.executor not in (None, "processes", "dask"):
            raise UsageError(f"executor {self.executor!r} is unknown; processes and dask are there")
        if self.scheduler is not None and self.cluster is not None:
            raise UsageError("a scheduler and a cluster exclude each other: a cluster has a scheduler of its own")
        if self.executor == "processes" and (self.scheduler is not None or self.cluster is not None):
            raise UsageError("a scheduler or a cluster needs the executor dask, not processes")
        if self.executor == "dask" and self.scheduler is None and self.cluster is None:
            raise UsageError("the executor dask needs a scheduler (--scheduler tcp://HOST:8786) or --cluster")
        if self.scheduler is not None and self.workers is not None:
            raise UsageError("a scheduler has its own workers: leave --workers out")
        if self.scheduler is not None and not _ADDRESS.fullmatch(self.scheduler):
            raise UsageError(f"scheduler {self.scheduler!r} is no address; write tcp://HOST:8786")

    @property
    def in_process(self) -> bool:
        """Whether the calling process works, alone."""
        return self.workers in (None, 1) and not self.by_dask

    @property
    def by_dask(self) -> bool:
        """Whether Dask brings the work to workers, which may be on other machines."""
        return self.scheduler is not None or self.cluster is not None


def parse_execution(
    *,
    executor: str | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    cluster: str | Path | None = None,
    notice: Callable[[str], None] = lambda _: None,
) -> Execution:
    """From what the command line was given: all cores of this machine where that is nothing.

    UsageError for what contradicts itself, ConfigError if the file of `cluster` does not fit.
    """
    loaded = None if cluster is None else load_cluster(cluster)
    if scheduler is None and loaded is None and executor != "dask":
        workers = cores() if workers is None else workers
    return Execution(workers, executor, scheduler, loaded, notice)  # type: ignore[arg-type]  # it refuses others


@contextmanager
def open_executor(execution: Execution, job: Job) -> Iterator[Executor]:
    """The executor for a job; at the end of the block all its workers are ended, or free of it.

    UsageError if Dask is not installed; WorkerError if its scheduler, or the batch system, does not answer.
    """
    if not execution.by_dask:
        with open_processes(job, execution.workers or 1) as executor:
            yield executor
        return
    try:
        if execution.cluster is not None:
            with _ctrl_c_kept():
                from hepfilter.work.batch import open_batch

            opened = open_batch(execution.cluster, execution.workers, job, execution.notice)
        else:
            from hepfilter.work.dask_executor import open_dask

            assert execution.scheduler is not None
            opened = open_dask(execution.scheduler, job, execution.notice)
    except ModuleNotFoundError as error:
        missing = str(error.name).partition(".")[0]
        raise UsageError(f"Dask needs {missing}, which is not installed: pip install 'hepfilter[dask]'") from error
    with opened as executor:
        yield executor


@contextmanager
def _ctrl_c_kept() -> Iterator[None]:
    """What a Ctrl-C does stays as it was: on its import dask-jobqueue has it end the process with exit code 0."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is not before:
            signal.signal(signal.SIGINT, before)
