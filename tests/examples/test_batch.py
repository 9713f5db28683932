"""The recipes for batch systems, and the image: what they call is there, and does what their comments say."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

from hepfilter.config.cluster import load_cluster
from tests.batch_servers import slurm, slurm_is_missing
from tests.nano import make_nano
from tests.test_readme import missing_options

ROOT = Path(__file__).parents[2]
BATCH = ROOT / "examples" / "batch"
SLEEPER = """\
#!/bin/bash
trap 'sleep 0.3; echo cleaned up; exit 143' TERM
echo begun > begun
for _ in $(seq 200); do sleep 0.05; done
"""
"""A skim that a signal ends, after it has cleaned up."""


def program(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


def start(folder: Path, skim: str, arguments: Sequence[str] = (), **more: str) -> subprocess.Popen:
    """The SLURM recipe, with `skim` in the place of hepfilter, and a scontrol that notes what it is asked."""
    program(folder / "bin", "hepfilter", skim)
    program(folder / "bin", "scontrol", '#!/bin/bash\necho "$@" > scontrol\n')
    env = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "SLURM_CPUS_PER_TASK": "4"}
    env |= {"SLURM_JOB_ID": "17", **more}
    command = ["bash", str(BATCH / "slurm.sh"), *arguments]
    return subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("code", [0, 1, 3])
def test_slurms_recipe_hands_on_arguments_and_exit_code(tmp_path, code):
    job = start(tmp_path, f'#!/bin/bash\nprintf "%s\\n" "$@"\nexit {code}\n', ["a b.root", "-o", "{dataset}.root"])
    assert job.communicate(timeout=20)[0].splitlines() == ["skim", "a b.root", "-o", "{dataset}.root", "--workers", "4"]
    assert job.returncode == code
    assert not (tmp_path / "scontrol").exists()


def test_slurms_recipe_makes_a_skim_of_each_dataset(tmp_path):
    (tmp_path / "datasets.txt").write_text("qcd\nttbar\n")
    given = ["s.yaml:{dataset}", "-o", "{dataset}.root"]
    job = start(tmp_path, '#!/bin/bash\necho "$@"\n', given, SLURM_ARRAY_TASK_ID="2")
    assert job.communicate(timeout=20)[0].split() == ["skim", "s.yaml:ttbar", "-o", "ttbar.root", "--workers", "4"]


@pytest.mark.parametrize(("number", "asked"), [(signal.SIGUSR1, "requeue 17\n"), (signal.SIGTERM, None)])
def test_slurms_recipe_goes_on_in_another_job_only_where_its_time_ends(tmp_path, number, asked):
    job = start(tmp_path, SLEEPER)
    while not (tmp_path / "begun").exists():
        assert job.poll() is None
        time.sleep(0.01)
    job.send_signal(number)
    assert job.communicate(timeout=20)[0] == "cleaned up\n"
    assert job.returncode == 143
    assert ((tmp_path / "scontrol").read_text() if asked else None) == asked
    assert (tmp_path / "scontrol").exists() == bool(asked)


def test_slurms_recipe_asks_for_what_it_uses():
    text = (BATCH / "slurm.sh").read_text()
    asked = dict(re.findall(r"^#SBATCH --([\w-]+)(?:=(.*))?$", text, flags=re.MULTILINE))
    assert asked["signal"].startswith("B:USR1@")
    assert {"cpus-per-task", "mem", "time", "requeue"} <= asked.keys()
    assert text.index("#SBATCH") < text.index("\nif ")  # SLURM reads them up to the first command


def test_htcondors_recipe_calls_a_skim(capsys):
    lines = [line for line in (BATCH / "htcondor.sub").read_text().splitlines() if line and not line.startswith("#")]
    *pairs, last = lines
    given = dict(re.fullmatch(r"(\w+) += (\S.*)", line).groups() for line in pairs)
    assert last == "queue dataset from datasets.txt"
    command = shlex.split(given["arguments"])
    assert command[0] == "hepfilter"
    assert not missing_options([command[1:]], capsys)
    assert command[command.index("--workers") + 1] == given["request_cpus"]
    codes = re.findall(r"ExitCode == (\d+)", given["retry_until"])
    assert codes == ["0", "2", "3"]  # 1, and the end by a signal: the same command may go on


def test_the_cluster_of_the_examples_is_valid():
    (path,) = BATCH.glob("*.yaml")
    assert load_cluster(path).python == "apptainer exec hepfilter.sif python"


def test_the_image_is_made_of_what_the_repository_has():
    text = (ROOT / "Containerfile").read_text().replace("\\\n", " ")
    steps = [line.split(maxsplit=1) for line in text.splitlines() if line and not line.startswith("#")]
    done = [name for name, _ in steps]
    said = dict(steps)
    assert done[0] == "FROM"
    assert done.count("FROM") == 1
    assert re.fullmatch(r"python:3\.11-slim", said["FROM"])  # no host of a registry
    assert int(said["USER"]) > 0
    assert done.index("USER") > max(number for number, name in enumerate(done) if name == "RUN")
    assert json.loads(said["ENTRYPOINT"]) == ["hepfilter"]
    copied = {path for name, paths in steps if name == "COPY" for path in paths.split()[:-1]}
    assert all((ROOT / path).exists() for path in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {"pyproject.toml", project["project"]["readme"], *project["project"]["license-files"], *wheel["packages"]}
    assert needed | set(wheel["force-include"]) <= copied
    (pip,) = [line for name, line in steps if name == "RUN" and "pip install" in line]
    words = shlex.split(pip)
    assert words[words.index("--only-binary") + 1] == ":all:"
    assert words[words.index("-c") + 1] in copied
    (extras,) = re.findall(r"\.\[([\w,]+)\]", pip)
    assert set(extras.split(",")) == {"dask", "remote"} <= project["project"]["optional-dependencies"].keys()


def test_slurms_recipe_makes_a_skim_in_slurm(tmp_path):
    if why := slurm_is_missing():
        pytest.skip(why)
    make_nano(tmp_path / "a.root")
    (tmp_path / "datasets.txt").write_text("a\n")
    with slurm(tmp_path / "slurm") as more:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        env = {**os.environ, **more, "PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        asked = ["--wait", "--array=1-1", "--cpus-per-task=1", "--mem=1G", str(BATCH / "slurm.sh")]
        given = ["{dataset}.root", "-o", "{dataset}-skim.root", "--where", "nMuon >= 2"]
        subprocess.run(["sbatch", *asked, *given], cwd=tmp_path, env=env, timeout=60, check=True)
    (log,) = tmp_path.glob("hepfilter-*.log")
    assert (tmp_path / "a-skim.root").is_file(), log.read_text()
