"""Where a job runs, as a user asks for it."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from hepfilter.config.cluster import load_cluster
from hepfilter.errors import ConfigError, UsageError
from hepfilter.work.execution import Execution, open_executor, parse_execution
from hepfilter.work.processes import InProcess, Processes, cores
from hepfilter.work.tasks import Job


def test_without_a_word_it_is_the_calling_process_and_on_the_command_line_all_cores():
    with open_executor(Execution(), Job(dict)) as executor:
        assert isinstance(executor, InProcess)
    with open_executor(Execution(3), Job(dict)) as executor:
        assert isinstance(executor, Processes) and executor.slots == 4
    assert parse_execution() == Execution(cores(), notice=parse_execution().notice)
    assert parse_execution(executor="processes", workers=3).workers == 3


@pytest.mark.parametrize(
    "address", ["tcp://node7.site.org:8786", "tls://10.0.0.1:8786", "localhost:8786", "tcp://[::1]:1"]
)
def test_a_scheduler_has_an_address(address):
    assert parse_execution(scheduler=address).scheduler == address
    assert parse_execution(scheduler=address, executor="dask").workers is None


def test_a_cluster_is_read_at_once_and_its_number_of_workers_may_be_another(tmp_path: Path) -> None:
    execution = parse_execution(cluster="slurm", workers=7)
    assert execution.cluster == load_cluster("slurm") and execution.workers == 7
    assert parse_execution(cluster="slurm").workers is None
    (tmp_path / "c.yaml").write_text("kind: slurm\nworker: 3\n")
    with pytest.raises(ConfigError, match="unknown key 'worker'; nearest: workers"):
        parse_execution(cluster=tmp_path / "c.yaml")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"workers": 0}, "workers must be at least 1, not 0"),
        ({"executor": "threads"}, "executor 'threads' is unknown; processes and dask are there"),
        ({"executor": "dask"}, "the executor dask needs a scheduler (--scheduler tcp://HOST:8786) or --cluster"),
        (
            {"executor": "dask", "workers": 2},
            "the executor dask needs a scheduler (--scheduler tcp://HOST:8786) or --cluster",
        ),
        ({"scheduler": "tcp://h:1", "cluster": "slurm"}, "a scheduler and a cluster exclude each other"),
        ({"executor": "processes", "scheduler": "tcp://h:1"}, "a scheduler or a cluster needs the executor dask"),
        ({"executor": "processes", "cluster": "slurm"}, "a scheduler or a cluster needs the executor dask"),
        ({"scheduler": "tcp://h:1", "workers": 2}, "a scheduler has its own workers: leave --workers out"),
        ({"scheduler": "tcp://host"}, "scheduler 'tcp://host' is no address; write tcp://HOST:8786"),
        ({"scheduler": "file:///etc:1"}, "scheduler 'file:///etc:1' is no address"),
        ({"scheduler": "scheduler.json"}, "scheduler 'scheduler.json' is no address"),
    ],
)
def test_what_contradicts_itself_is_refused(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_execution(**asked)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize("asked", [{"scheduler": "tcp://127.0.0.1:1"}, {"cluster": "slurm"}])
def test_without_dask_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch, asked: dict[str, str]) -> None:
    for name in [
        name for name in sys.modules if name.startswith(("distributed", "hepfilter.work.dask", "hepfilter.work.batch"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "distributed", None)
    said = "Dask needs distributed, which is not installed: pip install 'hepfilter[dask]'"
    with pytest.raises(UsageError) as caught, open_executor(parse_execution(**asked), Job(dict)):
        pass
    assert str(caught.value) == said


def test_without_dask_being_asked_for_it_is_not_imported():
    code = "import sys, hepfilter.work.execution; sys.exit(any(m in sys.modules for m in ('distributed', 'dask')))"
    assert os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", code]) == 0
