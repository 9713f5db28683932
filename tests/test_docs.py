"""What the documentation shows works, and what it names is there."""

import re
from pathlib import Path

import pytest
import uproot
import yaml

from hepfilter.cli.app import run
from hepfilter.config.base import validate
from hepfilter.config.cluster import Cluster
from hepfilter.config.datasets import Catalogue
from hepfilter.config.menu import Menu
from hepfilter.config.sample import load_sample
from hepfilter.config.schema import Schema
from hepfilter.config.training import TrainingConfig
from hepfilter.io.remote.limits import RemoteLimits
from tests.documents import (
    DOCUMENTS,
    PAGES,
    ROOT,
    blocks,
    blocks_of,
    command_names,
    commands,
    missing_options,
    name_of,
    options_of,
    read,
    run_page,
)

TRAINING = {
    "name": "a",
    "graph": "objects",
    "architecture": "edgeconv-small",
    "classes": {"a": ["qcd"], "b": ["ttbar"]},
}
FOREIGN = {"--array", "--nv", "--batch-size", "--weaver", "--architecture", "--learning-rate", "--case"}
"""Options of other programs, and of our benchmarks."""
RUNNING = [path for path in PAGES if blocks("console", read(path)) or blocks("python", read(path))]

every_page = pytest.mark.parametrize("path", PAGES, ids=name_of)
every_document = pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)


@every_page
def test_commands_and_options_exist(path, capsys):
    assert not missing_options(commands(read(path)), capsys)


def test_options_in_the_text_exist(capsys):
    known = {option for name in command_names() for option in options_of(name, capsys)} | FOREIGN
    texts = [re.sub(r"^```.*?^```$", "", read(path), flags=re.DOTALL | re.MULTILINE) for path in DOCUMENTS]
    options = {option for text in texts for option in re.findall(r"`(?:hepfilter \w+ )?(--[a-z][\w-]+)", text)}
    assert {"--resume", "--on-bad-file", "--deduplicate"} < options
    assert not options - known


def test_every_command_has_an_example_on_a_page():
    shown = {tuple(words[:2]) for path in PAGES for words in commands(read(path))}
    assert {name for name in command_names() if not any(words[: len(name)] == name for words in shown)} == set()


@pytest.mark.parametrize("path", RUNNING, ids=name_of)
def test_what_a_page_shows_runs(path, small_files, tmp_path, monkeypatch, capsys):
    names = run_page(path, small_files, tmp_path, monkeypatch, capsys)
    check = {"skim-by-cut": check_cut, "menu": check_menu, "own-schema": check_schema, "skim-by-score": check_scores}
    if path.stem in check:
        check[path.stem](names)


def check_cut(names):
    assert names["report"].written == len(names["interest"]) == 4
    assert events_in("both.root") > 0
    assert events_in("again.root") == events_in("listed.root") == Path("ids.txt").read_text().count("\n1:") > 0


def check_scores(names):
    assert len(names["interest"]) == len(names["event"]) == 400
    assert events_in("rare.root") == 2
    assert events_in("interesting.root") == 12


def check_menu(names):
    assert len(names["kept"]["event"]) < 150 < names["spectrum"].sum() < 800
    assert 0 < names["efficiency"] < 1


def check_schema(names):
    with uproot.open({"interesting.root": "events"}) as tree:
        assert tree.num_entries == 1


def events_in(path):
    with uproot.open({path: "Events"}) as tree:
        return tree.num_entries


@every_page
def test_yaml_fits_its_model(path):
    for block in blocks_of(read(path)):
        if block.language == "yaml" and "--8<--" not in block.text:
            data = yaml.safe_load(block.text)
            validate(data, *model_of(data), where=f"{name_of(path)}: {block.text}")


def model_of(data):
    """The model that has all these keys, what is missing of a training added."""
    for model in (Cluster, Menu, Catalogue, Schema):
        if set(data) <= set(model.model_fields):
            return (model,)
    data.update({key: value for key, value in TRAINING.items() if key not in data})
    return (TrainingConfig,)


def test_clusters_of_the_page_on_clusters_are_of_both_kinds():
    texts = blocks("yaml", read(ROOT / "docs/how-to/cluster.md"))
    clusters = [validate(yaml.safe_load(text), Cluster, where="cluster.md") for text in texts]
    assert {cluster.kind for cluster in clusters} == {"slurm", "htcondor"}
    assert any(cluster.gpus for cluster in clusters)


def test_limits_of_the_page_on_remote_files_are_those_of_the_code():
    stated = dict(re.findall(r"`(HEPFILTER_\w+)` \| (\d+)", read(ROOT / "docs/how-to/remote-files.md")))
    assert {name: float(value) for name, value in stated.items()} == {
        name: float(value) for name, value in RemoteLimits().to_environment().items()
    }


def test_the_documented_card_makes_events_as_it_says(tmp_path):
    documented = read(ROOT / "configs" / "simulation" / "README.md")
    card, sample = re.findall(r"```yaml\n(.*?)```", documented, flags=re.DOTALL)
    (tmp_path / "mine.yaml").write_text(card + "multiple_interactions: false\n")
    output = tmp_path / "o.root"
    assert run(["simulate", f"{tmp_path / 'mine.yaml'}@500", "-n", "5", "-o", str(output)]) == 0
    with uproot.open({output: "Events"}) as tree:
        events = tree.arrays(["HepFilterTruth_label", "HepFilterTruth_point", "GenPart_pdgId", "Jet_pt"])
    assert events.HepFilterTruth_label.tolist() == [1001] * 5
    assert events.HepFilterTruth_point.tolist() == [500.0] * 5
    assert all({13, -13} <= set(event) for event in events.GenPart_pdgId.tolist())
    assert all(max(event) > 50 for event in events.Jet_pt.tolist())
    (tmp_path / "set.yaml").write_text(sample)
    names = [production.card.name for production in load_sample(tmp_path / "set.yaml").productions("small")]
    assert names[:2] == ["qcd@15", "qcd@50"] and "zprime_tt@500" in names


def test_scripts_of_batch_systems_exist():
    scripts = re.findall(r"^(?:sbatch|condor_submit) .*?(\S+/\S+)", "\n".join(map(read, DOCUMENTS)), flags=re.MULTILINE)
    assert scripts
    assert all((ROOT / script).is_file() for script in scripts)


@every_document
def test_files_that_documents_name_exist(path):
    text = read(path)
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text)]
    named = re.findall(r"(?<![\w/])((?:benchmarks|configs|examples|docs|tests|hepfilter)/[\w./-]+\.\w+)", text)
    assert [link for link in links if link and "://" not in link and not (path.parent / link).exists()] == []
    assert [name for name in named if not (ROOT / name).exists()] == []
