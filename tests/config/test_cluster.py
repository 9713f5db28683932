"""Batch systems in YAML."""

from pathlib import Path
from typing import Any

import pytest

from hepfilter.config.base import shipped, validate
from hepfilter.config.cluster import Cluster, load_cluster
from hepfilter.errors import ConfigError

SLURM = {"kind": "slurm", "workers": 2, "memory": "2 GB", "walltime": "01:00:00"}


def cluster(**more: Any) -> Cluster:
    return validate({**SLURM, **more}, Cluster, where="c.yaml")


def test_those_that_ship_are_valid():
    assert sorted(shipped("clusters")) == ["htcondor", "slurm", "slurm-gpu"]
    for name, path in shipped("clusters").items():
        assert load_cluster(name) == load_cluster(path)
        assert load_cluster(name).walltime == 8 * 3600
    assert load_cluster("slurm-gpu").gpus == 1


def test_what_stands_commented_in_them_is_valid_too(tmp_path):
    for name, path in shipped("clusters").items():
        head, *lines = path.read_text().splitlines()
        copy = tmp_path / f"{name}.yaml"
        copy.write_text("\n".join(line.removeprefix("# ") for line in lines))
        loaded = load_cluster(copy)
        assert head.startswith("# ") and (loaded.queue or loaded.directives)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("08:00:00", 28800), ("12:00:00", 43200), ("'12:00:00'", 43200), ("1-12:30:00", 131400), ("120:00:00", 432000)],
)
def test_walltime_is_read_as_it_is_meant(tmp_path: Path, written: str, seconds: int) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(f"kind: slurm\nworkers: 2\nmemory: 2 GB\nwalltime: {written}\n")
    assert load_cluster(path).walltime == seconds


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"walltime": "8 hours"}, "key 'walltime': '8 hours' is no time; write 08:00:00 or 1-12:00:00"),
        ({"walltime": 5}, "key 'walltime': Input should be greater than or equal to 60"),
        ({"memory": "much"}, "key 'memory': 'much' is no size; write 4 GB"),
        ({"memory": 4}, "key 'memory': Input should be a valid string"),
        ({"workers": 0}, "key 'workers': Input should be greater than or equal to 1"),
        ({"kind": "pbs"}, "key 'kind': Input should be 'slurm' or 'htcondor'"),
        ({"partition": "main"}, "unknown key 'partition'"),
        ({"disk": "1 GB"}, "disk is HTCondor's; SLURM has no such limit, leave it out"),
        ({"kind": "htcondor", "queue": "main"}, "queue is SLURM's; HTCondor has none, leave it out"),
        ({"kind": "htcondor", "directives": ["--x"]}, "directive '--x': HTCondor's are of the form name = value"),
        ({"directives": ["--a\n#SBATCH --b"]}, "key 'directives.0': String should match pattern"),
        ({"queue": "main --wrap=x"}, "key 'queue': String should match pattern"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(more: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        cluster(**more)
    assert str(caught.value).startswith(f"c.yaml: {said}") and "\n" not in str(caught.value)


def test_an_unknown_name_names_the_nearest():
    with pytest.raises(ConfigError, match="slurmgpu: no such file and no built-in of configs/clusters; nearest: slurm"):
        load_cluster("slurmgpu")
