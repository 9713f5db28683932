"""`hepfilter evaluate`: tables, JSON, plots, and errors of one line."""

import errno
import json
import os
from pathlib import Path

import pytest

from hepfilter.cli.app import run
from hepfilter.models.checkpoint import load, save
from tests.training.simulated import write_sample


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sample(tmp_path_factory.mktemp("evaluate") / "s.root", events_each=1500)


def test_tables(sample: Path, untrained_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", str(untrained_model), str(sample), "--device", "cpu"]) == 0
    shown = capsys.readouterr().out
    assert "3,000 signal and 3,000 background events (3,000 effective), all events" in shown
    for title in ("hardness-matched", "mean / median / worst", "sculpting", "correlation", "injection", "under shifts"):
        assert title in shown
    for name in ("dijet", "dilepton", "multiplicity", "energy scale +5%", "no muon"):
        assert name in shown


def test_too_few_for_injections(tmp_path: Path, untrained_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample = write_sample(tmp_path / "few.root", events_each=100)
    assert run(["evaluate", str(untrained_model), str(sample), "--device", "cpu", "--no-shifts"]) == 0
    shown = capsys.readouterr().out
    assert "no injection: fewer than 10 (effective) background events" in shown
    assert "median significance" not in shown


@pytest.mark.parametrize(
    ("provenance", "key"),
    [
        ({"training": "by hand"}, "training"),
        ({"training": {"split": {"seed": "x", "training": 2}}}, "training.split"),
        ({"training": {"classes": ["qcd"]}}, "training.classes"),
        ({"processes": [{"a": 1}]}, "processes.0"),
        ({"excluded_families": 5}, "excluded_families"),
    ],
)
def test_a_provenance_that_no_training_writes_is_one_line(
    sample: Path, untrained_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    provenance: dict[str, object], key: str,
) -> None:  # fmt: skip
    save(load(untrained_model).network, tmp_path / "m.safetensors", provenance=provenance)
    assert run(["evaluate", str(tmp_path / "m.safetensors"), str(sample), "--device", "cpu"]) == 1
    told = capsys.readouterr().err
    assert f"m.safetensors: provenance: key '{key}" in told
    assert told.endswith("; save the model without that key, or train it anew\n") and told.count("\n") == 1


def test_the_seed_of_a_split_is_enough(
    sample: Path, untrained_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = {"note": "free text", "training": {"where": "here", "split": {"seed": 1}}}
    save(load(untrained_model).network, tmp_path / "m.safetensors", provenance=told)
    arguments = [str(tmp_path / "m.safetensors"), str(sample), "--device", "cpu"]
    assert run(["evaluate", *arguments, "--no-shifts"]) == 0
    assert "test part of its training's split" in capsys.readouterr().out
    assert run(["calibrate", *arguments, "--background", "qcd@200"]) == 0


def test_json_and_plots(sample: Path, untrained_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = sample.with_name("out")
    arguments = ["evaluate", str(untrained_model), str(sample), "--device", "cpu", "--no-shifts", "-o", str(folder)]
    assert run([*arguments, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)  # neither NaN nor infinity
    assert shown == json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert shown["families"][0]["physical"]["by_score"]["ht"]["working_points"]["0.001"] is None
    names = {path.name for path in folder.iterdir()}
    for plot in ("roc-physical", "roc-matched", "sic", "efficiency-0.01", "scores", "sculpting", "injection-0.01"):
        assert {f"{plot}-interest.png", f"{plot}-interest.svg"} <= names
    assert "correlations.png" in names
    before = (folder / "results.json").read_bytes()
    assert run(arguments) == 1
    assert "exists" in capsys.readouterr().err
    assert (folder / "results.json").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nothing", "{sample}"], 1, "no such file and no model that ships"),
        (["{model}", "no.root"], 1, "no.root"),
        (["{model}", "{sample}", "-o", "no/such/folder"], 1, "there is no folder no/such"),
        (["{model}", "{sample}", "--card", "zprime_lll"], 1, "nearest: zprime_ll"),
    ],
)
def test_faults_are_one_line(
    sample: Path, untrained_model: Path, capsys: pytest.CaptureFixture[str],
    arguments: list[str], code: int, message: str,
) -> None:  # fmt: skip
    filled = [a.format(sample=sample, model=untrained_model) for a in arguments]
    assert run(["evaluate", *filled, "--device", "cpu", "--no-shifts"]) == code
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1


def test_a_disk_that_is_full_leaves_nothing(
    sample: Path, untrained_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("hepfilter.visual.evaluation.write_plots", full)
    folder = tmp_path / "out"
    arguments = ["--device", "cpu", "--no-shifts", "-o", str(folder)]
    assert run(["evaluate", str(untrained_model), str(sample), *arguments]) == 1
    assert "out: cannot be written: No space left on device" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
