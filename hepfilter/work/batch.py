"""Workers as jobs of a batch system, SLURM or HTCondor, through dask-jobqueue.

The Dask scheduler runs in this process and ends with it; workers whose scheduler has gone end by themselves. They speak
TLS, with certificates that are made for each run: nobody else on the network can give our workers orders.
"""

import getpass
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from dask_jobqueue import HTCondorCluster, SLURMCluster
from dask_jobqueue.core import Job as BatchJob
from dask_jobqueue.htcondor import HTCondorJob
from dask_jobqueue.slurm import SLURMJob
from distributed import Client, Security
from distributed.deploy.spec import ProcessInterface

from hepfilter.config.cluster import Cluster
from hepfilter.errors import OutputError, WorkerError
from hepfilter.wording import counted
from hepfilter.work.dask_executor import Notice, dask_executor, quiet_dask
from hepfilter.work.tasks import ATTEMPTS, Executor, Job

_KINDS: Final = {"slurm": (SLURMCluster, SLURMJob), "htcondor": (HTCondorCluster, HTCondorJob)}
_LISTS: Final = {
    "slurm": ("squeue", "--noheader", "--format=%A", "--user"),
    "htcondor": ("condor_q", "-format", "%d.", "ClusterId", "-format", "%d\n", "ProcId"),
}
"""The commands that list the jobs that wait or run, of the user whose name follows."""
_ROLES: Final = ("client", "scheduler", "worker")
_LAST_SECONDS: Final = 120  # before its walltime a worker hands back what it has not finished
_NO_DISK: Final = "2 GB"  # HTCondor wants a limit
_TIMEOUT: Final = 60  # seconds for the batch system to answer


class BatchWorkers:
    """The jobs: as many as are `wanted`, others in the place of those that ended."""

    def __init__(self, definition: Cluster, wanted: int, security: Security) -> None:
        self.wanted, self._definition = wanted, definition
        self.asked = f"{counted(wanted, 'job')} asked for, no worker is there yet; waiting"
        self._errors: list[str] = []
        self._in_vain = 0
        self._useful: set[str] = set()
        self._wake: Callable[[], None] = lambda: None
        kind, job = _KINDS[definition.kind]
        try:
            told = _telling(job, self._tell)
            self.cluster = kind(job_cls=told, security=security, **cluster_options(definition))
        except (OSError, RuntimeError, ValueError) as error:
            raise WorkerError(f"{definition.kind}: no scheduler starts here: {_one_line(error)}") from error

    def begin(self, wake: Callable[[], None]) -> None:
        """Ask for all jobs; `wake` is called when the batch system refuses one."""
        self._wake = wake
        self.cluster.scale(self.wanted)

    def check(self, threads: int) -> None:
        """Take note of how many threads there are now; WorkerError if the batch system has refused a job."""
        if threads:
            self._in_vain = 0
            self._useful = {job.job_id for job in list(self.cluster.workers.values())}
        if self._errors:
            raise WorkerError(f"{self._definition.kind}: no job can be submitted: {self._errors[0]}")

    def care(self) -> None:
        """Ask for jobs in the place of those that ended; WorkerError if all end before their workers come."""
        command = [*_LISTS[self._definition.kind], getpass.getuser()]
        try:
            listed = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=True)
        except (OSError, subprocess.SubprocessError):
            return  # a batch system that is busy: the next look will tell
        self.cluster.sync(self._replace, set(listed.stdout.split()))
        if self._in_vain >= max(ATTEMPTS, self.wanted):
            what = f"{counted(self._in_vain, 'job')} ended before a worker came"
            logs = self._definition.logs or "the current folder, or where `logs` says"
            raise WorkerError(f"{self._definition.kind}: {what}; what they printed is in {logs}")

    def close(self) -> None:
        """End the scheduler and all jobs."""
        self.cluster.close()

    async def _replace(self, alive: set[str]) -> None:
        """In the thread of the cluster: forget the jobs that ended, and fill up."""
        there = {worker["name"] for worker in self.cluster.scheduler_info["workers"].values()}
        for name, job in list(self.cluster.workers.items()):
            if name not in there and job.job_id not in alive:
                del self.cluster.workers[name]
                self._in_vain += not there and job.job_id not in self._useful
        self.cluster.scale(self.wanted)

    def _tell(self, error: str) -> None:
        self._errors.append(error)
        self._wake()


def cluster_options(definition: Cluster) -> dict[str, Any]:
    """What dask-jobqueue is to be told: a worker with one thread for each job."""
    options: dict[str, Any] = {"cores": 1, "processes": 1, "memory": definition.memory}
    options |= {"name": "hepfilter", "job_name": "hepfilter", "python": definition.python or sys.executable}
    options |= {"interface": definition.interface, "job_script_prologue": list(definition.prologue)}
    options["log_directory"] = None if definition.logs is None else str(definition.logs)
    options["scheduler_options"] = {"dashboard_address": "127.0.0.1:0"}
    lifetime = max(definition.walltime - _LAST_SECONDS, definition.walltime // 2)
    options["worker_extra_args"] = ["--lifetime", f"{lifetime}s", "--no-dashboard"]
    if definition.kind == "slurm":
        gpus = [f"--gres=gpu:{definition.gpus}"] if definition.gpus else []
        minutes, seconds = divmod(definition.walltime, 60)
        options |= {"queue": definition.queue, "walltime": f"{minutes}:{seconds:02}", "job_cpu": definition.cores}
        return options | {"job_extra_directives": [*gpus, *definition.directives]}
    lines: dict[str, Any] = {"RequestCpus": definition.cores, "+MaxRuntime": definition.walltime}
    if definition.gpus:
        lines["RequestGpus"] = definition.gpus
    for directive in definition.directives:
        key, _, value = directive.partition("=")
        lines[key.strip()] = value.strip()
    return options | {"disk": definition.disk or _NO_DISK, "job_extra_directives": lines}


def _telling(kind: type[BatchJob], tell: Callable[[str], None]) -> type[BatchJob]:
    """Such jobs, which tell why they cannot be submitted."""

    class Telling(kind):  # type: ignore[misc]
        async def start(self) -> None:
            try:
                await super().start()
            except Exception as error:  # noqa: BLE001  (whatever dask-jobqueue makes of the batch system's answer)
                tell(_one_line(error))
                await ProcessInterface.start(self)

    return Telling


def _one_line(error: Exception) -> str:
    """The reason alone, of what the batch system's command printed."""
    if isinstance(error, FileNotFoundError) and error.filename:
        return f"{error.filename} is not installed here"
    _, _, printed = str(error).partition("stderr:\n")
    return " ".join((printed or str(error)).split())


@contextmanager
def certificates(folder: Path) -> Iterator[Security]:
    """What scheduler and workers of one run know each other by: files in a folder of their own, for us alone."""
    made = Security.temporary()
    with TemporaryDirectory(prefix=".hepfilter-", dir=folder) as private:
        certificate, key = Path(private, "certificate.pem"), Path(private, "key.pem")
        certificate.write_text(made.tls_client_cert)
        key.write_text(made.tls_client_key)
        pairs = {
            f"tls_{role}_{name}": str(path) for role in _ROLES for name, path in (("cert", certificate), ("key", key))
        }
        yield Security(require_encryption=True, tls_ca_file=str(certificate), **pairs)


@contextmanager
def open_batch(definition: Cluster, workers: int | None, job: Job, notice: Notice) -> Iterator[Executor]:
    """An executor with jobs of a batch system, as many as `definition` says unless `workers` does.

    WorkerError if the batch system refuses them, or all end before a worker comes.
    """
    folder = (definition.logs or Path()).resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made: {error.strerror}") from error
    with quiet_dask(), certificates(folder) as security:
        supply = BatchWorkers(definition, workers or definition.workers, security)
        try:
            # the scheduler, which would pass results on, is in this process
            client = Client(supply.cluster, direct_to_workers=True, set_as_default=False, name="hepfilter")
            with dask_executor(client, job, where=definition.kind, notice=notice, supply=supply) as executor:
                yield executor
        finally:
            supply.close()
