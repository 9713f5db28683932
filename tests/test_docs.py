"""What the documents name is there."""

import re
from pathlib import Path

import pytest
import yaml

from hepfilter.config.base import validate
from hepfilter.config.cluster import Cluster
from hepfilter.io.remote.limits import RemoteLimits
from tests.test_readme import blocks, commands, missing_options

ROOT = Path(__file__).parents[1]
SCALE = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
DOCUMENTS = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md"]


def test_commands_and_options_of_the_document_on_scale_exist(capsys):
    shown = commands(SCALE)
    assert len(shown) > 8
    assert not missing_options(shown, capsys)
    scripts = re.findall(r"^(?:sbatch|condor_submit) .*?(\S+/\S+)", SCALE, flags=re.MULTILINE)
    assert scripts
    assert all((ROOT / script).is_file() for script in scripts)
    text = re.sub(r"^```.*?^```$", "", SCALE, flags=re.DOTALL | re.MULTILINE)
    options = re.findall(r"`(--[\w-]+)", text)
    ours = [option for option in options if option not in ("--array", "--nv")]  # of sbatch and apptainer
    assert {"--resume", "--on-bad-file", "--deduplicate"} <= set(ours)
    assert not missing_options([["skim", *ours]], capsys)


def test_clusters_of_the_document_on_scale_are_valid():
    clusters = [validate(yaml.safe_load(text), Cluster, where="scale.md") for text in blocks("yaml", SCALE)]
    assert {cluster.kind for cluster in clusters} == {"slurm", "htcondor"}
    assert any(cluster.gpus for cluster in clusters)


def test_limits_of_the_document_on_scale_are_those_of_the_code():
    stated = dict(re.findall(r"`(HEPFILTER_\w+)`\s\((\d+)", SCALE))
    assert {name: float(value) for name, value in stated.items()} == {
        name: float(value) for name, value in RemoteLimits().to_environment().items()
    }


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_files_that_documents_name_exist(path):
    text = path.read_text(encoding="utf-8")
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text)]
    named = re.findall(r"(?<![\w/])((?:benchmarks|configs|examples|docs|tests|hepfilter)/[\w./-]+\.\w+)", text)
    assert [link for link in links if link and "://" not in link and not (path.parent / link).exists()] == []
    assert [name for name in named if not (ROOT / name).exists()] == []
