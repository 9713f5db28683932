"""The calls from Python give what the command line gives."""

import dataclasses
import json
from fractions import Fraction
from inspect import signature
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

import hepfilter
from hepfilter.cli import skim_options
from hepfilter.cli.app import run
from hepfilter.cli.skim import skim as skim_command
from hepfilter.errors import OutputError, SourceError, UsageError
from hepfilter.io.score_file import read_scores
from hepfilter.skim.recipe import Recipe, make_recipe
from tests.fat_jets import write_fat_jets
from tests.nano import make_nano


def trees(path: Path) -> dict[str, bytes]:
    """The bytes of all branches of a file's events."""
    with uproot.open({path: "Events"}) as tree:
        return {name: ak.to_buffers(array)[2] for name, array in tree.arrays(how=dict).items()}


def same(one: Path, other: Path) -> bool:
    a, b = trees(one), trees(other)
    return list(a) == list(b) and all(
        all(np.array_equal(x, y) for x, y in zip(a[name].values(), b[name].values(), strict=True)) for name in a
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--keep", "10%"], {"keep": "10%"}),
        (["--keep", "1/10", "--where", "nJet > 3"], {"keep": 0.1, "where": "nJet > 3"}),
        (
            ["--threshold", "0.17", "--drop-branches", "Muon_*", "--split-size", "1GB"],
            {"threshold": 0.17, "drop_branches": ["Muon_*"], "split_size": "1GB"},
        ),
    ],
)
def test_a_skim_from_python_is_that_of_the_command_line(tmp_path, untrained_model, options, words):
    source = make_nano(tmp_path / "in.root", 200)
    command = ["skim", str(source), "-o", str(tmp_path / "a.root"), "--model", str(untrained_model), "--workers", "1"]
    assert run([*command, *options]) == 0
    report = hepfilter.skim(source, tmp_path / "b.root", model=untrained_model, **words)
    assert 0 < report.written < 200
    paths = [next(tmp_path.glob(f"{name}*.root")) for name in "ab"]
    assert same(*paths)


def test_a_skim_has_every_option_of_its_command():
    ours, theirs = (set(signature(function).parameters) for function in (hepfilter.public("skim"), skim_command))
    spoken = {"as_json", "executor", "scheduler", "cluster", "report", "dry_run", "signal"}  # or an `Execution`
    assert theirs - ours - spoken == set()
    assert ours - theirs == {"execution", "progress"}
    assert skim_options


def test_recipes_are_made_of_words(tmp_path):
    assert make_recipe(keep="5%", model=tmp_path / "m") == make_recipe(keep=0.05, model=str(tmp_path / "m"))
    assert make_recipe(keep="5%").keep == Fraction(1, 20)
    lists = make_recipe(where="x > 1", keep_branches=["a"], drop_branches=None, fill=["n=1"], layout="union")
    assert lists == Recipe(where="x > 1", keep_branches=("a",), fills={"n": 1}, layout="union")
    assert make_recipe(where="x > 1", layout="union", fill={"n": 1}).fills == {"n": 1}
    assert make_recipe(menu="discovery").trigger.menu.name == "discovery"
    with pytest.raises(UsageError, match="decides nothing"):
        make_recipe(model="interest-objects", where="x > 1")
    with pytest.raises(UsageError, match="1%"):
        make_recipe(keep="much")


def test_scores_in_memory_are_those_of_the_file(tmp_path, untrained_model):
    files = [make_nano(tmp_path / f"{seed}.root", 150, seed=seed, first_event=200 * seed) for seed in (1, 2)]
    hepfilter.score_files(files, tmp_path / "s.parquet", model=str(untrained_model))
    stored = read_scores(tmp_path / "s.parquet").scores
    calls = []
    scores = hepfilter.score(files, model=untrained_model, progress=lambda *call: calls.append(call))
    assert calls[-1] == ("scoring", 300, 300)
    assert scores.fields == list(stored) and len(scores) == 300
    assert all(ak.to_numpy(scores[name]).tobytes() == stored[name].tobytes() for name in stored)
    one = hepfilter.score(str(files[1]), model=untrained_model)
    assert ak.to_numpy(one.interest).tobytes() == stored["interest"][150:].tobytes()


def test_verify_and_merge_take_paths(tmp_path):
    parts = []
    for number in (0, 1):
        source = make_nano(tmp_path / f"{number}.root", 80, seed=number + 1, first_event=100 * number)
        parts.append(tmp_path / f"skim_{number}.root")
        hepfilter.skim(source, parts[-1], where="nJet > 5")
    merged = hepfilter.merge(parts, tmp_path / "whole.root")
    proof = hepfilter.verify(tmp_path / "whole.root")
    assert proof.passed and merged.events == sum(part.events for part in merged.parts) > 0
    with pytest.raises(OutputError, match="exists"):
        hepfilter.merge(parts, tmp_path / "whole.root")
    assert not hepfilter.verify(parts[0], sources=tmp_path / "1.root").passed


def test_simulate_makes_the_file_of_the_command(tmp_path):
    report = hepfilter.simulate("zprime_ll@1500", tmp_path / "a.root", events=4, seed=3)
    assert run(["simulate", "zprime_ll@1500", "-n", "4", "-s", "3", "-o", str(tmp_path / "b.root")]) == 0
    assert report.events == 4 and same(tmp_path / "a.root", tmp_path / "b.root")
    with pytest.raises(OutputError, match="exists"):
        hepfilter.simulate(["zprime_ll@1500"], tmp_path / "a.root", events=4)


def test_rates_and_locks_are_those_of_the_command_line(tmp_path, capsys):
    source = make_nano(tmp_path / "in.root", 300)
    menu = tmp_path / "m.yaml"
    menu.write_text('name: m\npaths:\n  many: {when: "nJet > 5"}\n  muon: {when: "nMuon > 0", prescale: 3}\n')
    found = hepfilter.rates(menu, source, where="nElectron > 0")
    words = [str(menu), str(source), "--where", "nElectron > 0", "--json"]
    assert run(["rates", "show", *words]) == 0
    printed = json.loads(capsys.readouterr().out)["rates"]
    assert printed["raw"]["value"] == found.rates.raw.value.tolist() != [0, 0]
    assert printed["events"] == found.rates.events < 300
    locked = hepfilter.lock(menu, [source], tmp_path / "a.lock", where="nElectron > 0")
    assert run(["rates", "lock", *words, "-o", str(tmp_path / "b.lock")]) == 0
    assert (tmp_path / "a.lock").read_text() == (tmp_path / "b.lock").read_text()
    assert locked.trigger.frozen is not None


def test_a_training_removes_no_metrics_that_it_was_not_told_to(tmp_path):
    metrics = tmp_path / "m.metrics.json"
    metrics.write_text("{}")
    with pytest.raises(OutputError, match=r"m\.metrics\.json: exists"):
        hepfilter.train("interest-objects", tmp_path / "none.root", tmp_path / "m.safetensors")
    with pytest.raises(SourceError, match=r"none\.root: no such file"):
        hepfilter.train("interest-objects", tmp_path / "none.root", tmp_path / "m.safetensors", force=True)
    assert metrics.read_text() == "{}"


def test_a_hunt_by_no_method_is_refused(tmp_path):
    path = write_fat_jets(tmp_path / "jets.root", 20, 2)
    with pytest.raises(UsageError, match="no method 'Template'; methods: cwola, template; nearest: template"):
        hepfilter.hunt(path, signal_region=(3300, 3700), sidebands=(2800, 4300), method="Template")


def test_a_hunt_is_that_of_the_command_line(tmp_path, capsys):
    path = write_fat_jets(tmp_path / "jets.root", 3000, 100)
    found = hepfilter.hunt(path, signal_region=(3300, 3700), sidebands=(2800, 4300), folds=2, members=1)
    words = [
        "--signal-region",
        "3300",
        "3700",
        "--sidebands",
        "2800",
        "4300",
        "--folds",
        "2",
        "--members",
        "1",
        "--json",
    ]
    assert run(["hunt", str(path), *words]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["events"] == len(found.scores) > 0
    assert printed["excesses"] == json.loads(json.dumps([dataclasses.asdict(one) for one in found.excesses]))
