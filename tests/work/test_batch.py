"""Workers as jobs of a batch system: a real SLURM, and HTCondor's commands played by a script."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("dask_jobqueue", reason="dask-jobqueue is not installed: pip install 'hepfilter[dask]'")

import dask
from dask_jobqueue import SLURMCluster
from distributed import Security

from hepfilter.config.cluster import Cluster
from hepfilter.errors import WorkerError
from hepfilter.work import dask_executor
from hepfilter.work.batch import BatchWorkers, certificates, cluster_options
from hepfilter.work.execution import Execution, open_executor
from hepfilter.work.processes import InProcess
from hepfilter.work.tasks import Job, Task
from tests.batch_servers import slurm, slurm_is_missing
from tests.work.test_children import is_running
from tests.work.test_dask import wait_for_file
from tests.work.test_processes import collect, multiply, open_job

JOB = Job(open_job, (7,))
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def slurm_here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    if why := slurm_is_missing():
        pytest.skip(why)
    with slurm(tmp_path_factory.mktemp("slurm")) as env:
        yield env


@pytest.fixture
def in_slurm(slurm_here: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**slurm_here, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}.items():
        monkeypatch.setenv(name, value)


def cluster(folder: Path, **more: Any) -> Cluster:
    plain = {"kind": "slurm", "workers": 2, "memory": "1 GB", "walltime": "00:30:00", "interface": "lo"}
    return Cluster.model_validate({**plain, "logs": folder / "logs", **more})


def run_one(definition: Cluster) -> None:
    with open_executor(Execution(cluster=definition), JOB) as executor:
        collect(executor, [Task(multiply, (1,))])


def jobs() -> list[str]:
    """The ids of the jobs that wait or run."""
    states = "--states=PENDING,RUNNING"
    return subprocess.run(["squeue", "-h", "-o", "%A", states], capture_output=True, text=True).stdout.split()


def wait_until(there: Any) -> None:
    end = time.monotonic() + 30
    while not there():
        assert time.monotonic() < end
        time.sleep(0.05)


def workers_at(folder: Path) -> set[str]:
    """The processes that have begun to wait for a file."""
    return {path.suffix for path in folder.glob("*.*")}


def test_jobs_do_the_tasks_and_a_cancelled_one_is_replaced(in_slurm, tmp_path, monkeypatch):
    monkeypatch.setattr(dask_executor, "_CARE", 1.0)
    told: list[str] = []
    at_work = tmp_path / "at work"
    at_work.mkdir()

    def cancel_one() -> None:
        wait_until(lambda: len(workers_at(at_work)) == 2)
        subprocess.run(["scancel", jobs()[0]], check=True)
        wait_until(lambda: len(workers_at(at_work)) == 3)
        (at_work / "go").touch()

    canceller = threading.Thread(target=cancel_one)
    execution = Execution(cluster=cluster(tmp_path), notice=told.append)
    with dask.config.set({"distributed.deploy.lost-worker-timeout": "1s"}), open_executor(execution, JOB) as executor:
        tasks = [Task(multiply, (n,)) for n in range(20)]
        assert collect(executor, tasks) == collect(InProcess(JOB), tasks)
        canceller.start()
        assert collect(executor, [Task(wait_for_file, (n, at_work)) for n in range(6)])[0] == {n: n for n in range(6)}
    canceller.join()
    assert told == ["slurm: 2 jobs asked for, no worker is there yet; waiting", "slurm: the first worker is there"]
    wait_until(lambda: jobs() == [])
    assert {path.suffix for path in (tmp_path / "logs").iterdir()} == {".err", ".out"}  # no certificate is left


def test_certificates_are_for_us_alone_and_go_with_the_run(tmp_path):
    with certificates(tmp_path) as security:
        (folder,) = tmp_path.iterdir()
        assert folder.stat().st_mode & 0o777 == 0o700
        files = security.get_tls_config_for_role("worker")
        assert {Path(files[name]).parent for name in ("ca_file", "cert", "key")} == {folder}
    assert list(tmp_path.iterdir()) == []


def test_a_job_that_is_refused_ends_the_run_in_one_line(in_slurm, tmp_path, capfd):
    begun = time.monotonic()
    with pytest.raises(WorkerError) as caught:
        run_one(cluster(tmp_path, queue="nowhere"))
    assert time.monotonic() - begun < 10
    said = "slurm: no job can be submitted: sbatch: error: invalid partition specified: nowhere"
    assert str(caught.value).startswith(said) and "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_jobs_that_end_before_their_worker_comes_end_the_run(in_slurm, tmp_path, monkeypatch):
    monkeypatch.setattr(dask_executor, "_CARE", 0.5)
    broken = cluster(tmp_path, prologue=["echo no such environment >&2", "exit 3"])
    with (
        pytest.raises(WorkerError, match=r"slurm: \d+ jobs ended before a worker came; what they printed is in .*logs"),
        open_executor(Execution(cluster=broken), JOB) as executor,
    ):
        collect(executor, [Task(multiply, (1,))])
    assert "no such environment" in next((tmp_path / "logs").glob("*.err")).read_text()
    wait_until(lambda: jobs() == [])


LEFT_ALONE = """
import sys, time
from pathlib import Path
from hepfilter.work.execution import Execution, open_executor
from hepfilter.work.tasks import Task
from tests.work.test_batch import JOB, cluster
from tests.work.test_processes import multiply
with open_executor(Execution(cluster=cluster(Path(sys.argv[1]), workers=1)), JOB) as executor:
    executor.submit(Task(multiply, (1,)))
    while not executor.wait():
        pass
    print("done", flush=True)
    time.sleep(600)
"""


def test_jobs_end_when_the_process_that_asked_for_them_is_killed(in_slurm, tmp_path):
    command = [sys.executable, "-c", LEFT_ALONE, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as running:
        assert running.stdout is not None and running.stdout.readline() == "done\n"
        assert len(jobs()) == 1
        running.kill()
    wait_until(lambda: jobs() == [])


def test_without_a_batch_system_one_line_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WorkerError, match=r"^slurm: no job can be submitted: sbatch is not installed here$"):
        run_one(cluster(tmp_path))


def test_a_network_that_is_not_there_is_told(tmp_path):
    with pytest.raises(WorkerError, match=r"^slurm: no scheduler starts here: .*'nonet0' is not a valid") as caught:
        run_one(cluster(tmp_path, interface="nonet0"))
    assert "\n" not in str(caught.value)


class _Cluster:
    """As much of a cluster as is looked at: its jobs by the names of their workers, and who is there."""

    def __init__(self, wanted: int) -> None:
        self.workers: dict[str, SimpleNamespace] = {}
        self.scheduler_info: dict[str, dict[str, dict[str, str]]] = {"workers": {}}
        self.submitted = 0
        self.scale(wanted)

    def scale(self, wanted: int) -> None:
        for name in (f"hepfilter-{n}" for n in range(wanted)):
            if name not in self.workers:
                self.submitted += 1
                self.workers[name] = SimpleNamespace(job_id=str(self.submitted))

    def sync(self, run: Any, *arguments: Any) -> None:
        asyncio.run(run(*arguments))


@pytest.mark.parametrize("wanted", [1, 5])
def test_only_jobs_whose_workers_never_came_end_in_vain(tmp_path, monkeypatch, wanted):
    alive = tmp_path / "alive"
    (tmp_path / "squeue").write_text(f"#!/bin/sh\ncat {alive}\n")
    (tmp_path / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(SLURMCluster, "__init__", lambda self, **_: None)
    supply = BatchWorkers(cluster(tmp_path), wanted, Security())
    supply.cluster = _Cluster(wanted)
    supply.check(wanted)  # all are there
    alive.write_text("")  # and all end, at the end of their time
    supply.check(0)
    supply.care()
    assert supply.cluster.submitted == 2 * wanted
    alive.write_text("\n".join(job.job_id for job in supply.cluster.workers.values()))
    for _ in range(9):  # the next wait in the queue
        supply.care()
    assert supply.cluster.submitted == 2 * wanted
    alive.write_text("")
    with pytest.raises(WorkerError, match=f"{max(3, wanted)} jobs ended before a worker came"):
        for _ in range(3):
            supply.care()


def test_a_refusal_wakes_whoever_waits(tmp_path, monkeypatch):
    monkeypatch.setattr(SLURMCluster, "__init__", lambda self, **_: None)
    supply, woken = BatchWorkers(cluster(tmp_path), 1, Security()), list[int]()
    supply.cluster = _Cluster(0)
    supply.begin(lambda: woken.append(1))
    supply.check(0)
    supply._tell("no such account")
    assert woken == [1]
    with pytest.raises(WorkerError, match=r"^slurm: no job can be submitted: no such account$"):
        supply.check(0)


def test_a_batch_system_that_does_not_answer_is_asked_again_later(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(SLURMCluster, "__init__", lambda self, **_: None)
    supply = BatchWorkers(cluster(tmp_path), 1, Security())
    supply.cluster = _Cluster(1)
    supply.care()
    assert supply.cluster.submitted == 1


CONDOR = """#!{python}
import os, pathlib, signal, subprocess, sys
name, folder = pathlib.Path(sys.argv[0]).name, pathlib.Path(sys.argv[0]).parent / "jobs"
if name == "condor_submit":
    number = len(list(folder.iterdir())) + 1
    lines = dict(line.split(" = ", 1) for line in open(sys.argv[-1]) if " = " in line)
    (folder / f"{{number}}.submit").write_text(open(sys.argv[-1]).read())
    arguments = lines["Arguments"].strip().strip('"').removeprefix("-c '").removesuffix("'").replace("''", "'")
    job = subprocess.Popen(["/bin/sh", "-c", arguments], start_new_session=True, stdout=subprocess.DEVNULL,
                           stderr=open(folder.parent / "log", "ab"))
    (folder / f"{{number}}.submit").rename(folder / f"{{number}}.{{job.pid}}")
    print(f"1 job(s) submitted to cluster {{number}}.")
for path in folder.iterdir():
    number, process = path.name.split(".")
    if name == "condor_rm" and sys.argv[-1] == f"{{number}}.0":
        os.killpg(int(process), signal.SIGKILL)
    if name == "condor_q" and pathlib.Path(f"/proc/{{process}}").exists():
        print(f"{{number}}.0")
"""


@pytest.fixture
def condor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which HTCondor's commands keep a file for each job, with the process in its name."""
    commands = tmp_path / "condor"
    (commands / "jobs").mkdir(parents=True)
    for name in ("condor_submit", "condor_rm", "condor_q"):
        (commands / name).write_text(CONDOR.format(python=sys.executable))
        (commands / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return commands / "jobs"


def test_htcondor_jobs_do_the_tasks(condor, tmp_path):
    lines = ['+AccountingGroup = "group_x"', 'requirements = (Arch == "X86_64")']
    mine = cluster(tmp_path, kind="htcondor", cores=2, gpus=1, directives=lines, prologue=["echo 'it begins' >&2"])
    with open_executor(Execution(cluster=mine, workers=1), JOB) as executor:
        tasks = [Task(multiply, (n,)) for n in range(20)]
        assert collect(executor, tasks) == collect(InProcess(JOB), tasks)
        (job,) = condor.iterdir()
    submitted = job.read_text().splitlines()
    for line in ("RequestCpus = 2", "RequestGpus = 1", "+MaxRuntime = 1800", *lines):
        assert line in submitted
    assert "it begins" in (condor.parent / "log").read_text()
    wait_until(lambda: not is_running(int(job.suffix[1:])))


def test_what_slurm_is_told(tmp_path):
    mine = cluster(tmp_path, workers=3, cores=4, gpus=2, queue="gpu", walltime="1-02:00:30", directives=["--account=x"])
    with certificates(tmp_path) as security:
        supply = BatchWorkers(mine, 3, security)
        script = supply.cluster.job_script().splitlines()
        supply.close()
    for line in ("-p gpu", "--cpus-per-task=4", "--mem=954M", "-t 1560:30", "--gres=gpu:2", "--account=x", "-n 1"):
        assert f"#SBATCH {line}" in script
    assert "--nthreads 1 " in script[-1] and "--lifetime 93510s" in script[-1] and "tls://" in script[-1]
    assert cluster_options(cluster(tmp_path, walltime=60))["worker_extra_args"][:2] == ["--lifetime", "30s"]
