"""Servers that hand out work, started by the tests on the loopback interface: Dask, and SLURM where installed."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]


def free_port() -> int:
    """A port of the loopback interface that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class DaskServers:
    """A scheduler at `address`, and the workers that were started, by name."""

    address: str
    folder: Path
    scheduler: subprocess.Popen
    workers: dict[str, subprocess.Popen] = field(default_factory=dict)

    def start_worker(self, name: str, *, threads: int = 1, nanny: bool = False) -> None:
        """Start another worker; it is there a second or so later."""
        command = [sys.executable, "-m", "distributed.cli.dask_worker", self.address, "--host", "127.0.0.1"]
        command += ["--nthreads", str(threads), "--name", name, "--no-dashboard", "--memory-limit", "2GiB"]
        command += ["--nanny" if nanny else "--no-nanny", "--local-directory", str(self.folder / name)]
        self.workers[name] = _start(command, self.folder / f"{name}.log")

    def kill(self, name: str) -> None:
        """Kill a worker as the kernel does where memory runs out."""
        self.workers[name].kill()
        self.workers[name].wait()


@contextmanager
def dask_servers(folder: Path, *, workers: int = 2) -> Iterator[DaskServers]:
    """A Dask scheduler with workers w0, w1, … of one thread each, all processes of their own."""
    port = free_port()
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port)]
    scheduler = _start([*command, "--no-dashboard"], folder / "scheduler.log")
    servers = DaskServers(f"tcp://127.0.0.1:{port}", folder, scheduler)
    try:
        for number in range(workers):
            servers.start_worker(f"w{number}")
        wait_for(port, scheduler)
        yield servers
    finally:
        for process in [*servers.workers.values(), scheduler]:
            end(process)


def _start(command: list[str], log: Path, **more: str) -> subprocess.Popen:
    log.parent.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "PYTHONPATH": str(_ROOT), **more}
    with log.open("wb") as out:
        return subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=env, start_new_session=True)


def end(process: subprocess.Popen) -> None:
    """End a server and all that it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_for(port: int, server: subprocess.Popen) -> None:
    """Until a server answers; AssertionError after 30 s."""
    for _ in range(600):
        assert server.poll() is None, "the server ended"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("the server does not answer")


_SLURM = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
SlurmctldPort={controller}
SlurmdPort={daemon}
StateSaveLocation={folder}/ctld
SlurmdSpoolDir={folder}/d
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/ctld.log
SlurmdLogFile={folder}/d.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
CommunicationParameters=NoAddrCache
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 Boards=1 SocketsPerBoard=1 CoresPerSocket=2 ThreadsPerCore=1 RealMemory=8000
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
"""


def slurm_is_missing() -> str:
    """Why SLURM cannot be started here, in a plain word; nothing where it can."""
    missing = [name for name in ("munged", "mungekey", "slurmctld", "slurmd", "sbatch") if _program(name) is None]
    if missing:
        return f"SLURM is not installed here ({', '.join(missing)} missing)"
    return "" if os.geteuid() == 0 else "SLURM is started by root alone"


@contextmanager
def slurm(folder: Path) -> Iterator[dict[str, str]]:
    """SLURM with one node of two cores, this machine; the environment in which its commands find it."""
    host = socket.gethostname().partition(".")[0]
    for name in ("munge", "ctld", "d"):
        (folder / name).mkdir(parents=True)
    conf = folder / "slurm.conf"
    controller, daemon = free_port(), free_port()
    conf.write_text(_SLURM.format(host=host, folder=folder, controller=controller, daemon=daemon))
    env = {"SLURM_CONF": str(conf)}
    key, munge = folder / "munge" / "key", folder / "munge"
    subprocess.run([_program("mungekey"), "--create", "--keyfile", str(key)], check=True)
    where = ["--key-file", str(key), "--socket", str(munge / "socket"), "--pid-file", str(munge / "pid")]
    where += ["--seed-file", str(munge / "seed"), "--log-file", str(munge / "log")]
    with ExitStack() as started:

        def server(command: list[str]) -> subprocess.Popen:
            process = _start(command, folder / f"{Path(command[0]).name}.out", **env)
            started.callback(end, process)
            return process

        server([_program("munged"), "--foreground", "--force", *where])
        _wait_until(lambda: (munge / "socket").exists(), "munged makes no socket")
        wait_for(controller, server([_program("slurmctld"), "-D", "-f", str(conf), "-c"]))
        wait_for(daemon, server([_program("slurmd"), "-D", "-f", str(conf)]))
        yield env
        # a daemon that ends before its last job has would leave a process behind
        listed = ["squeue", "--noheader"]
        _wait_until(lambda: not subprocess.check_output(listed, env={**os.environ, **env}), "jobs do not end")


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _wait_until(there, why: str) -> None:
    for _ in range(200):
        if there():
            return
        time.sleep(0.05)
    raise AssertionError(why)
