"""`hepfilter train` on a small generated sample."""

import json
from pathlib import Path

import pytest
import yaml

from hepfilter.cli.app import run
from hepfilter.models.metadata import read_metadata
from tests.training.simulated import CONFIG, write_sample


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("train")
    write_sample(path / "s.root", events_each=200)
    (path / "small.yaml").write_text(yaml.safe_dump(CONFIG.model_dump(mode="json")), encoding="utf-8")
    return path


def test_checkpoint_metrics_and_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = folder / "m.safetensors"
    arguments = ["train", str(folder / "small.yaml"), "--data", str(folder / "s.root"), "-o", str(model)]
    assert run([*arguments, "--exclude", "dilepton", "--epochs", "1", "--device", "cpu"]) == 0
    shown = capsys.readouterr().out
    assert "dijet" in shown
    assert "dilepton" in shown
    metrics = json.loads((folder / "m.metrics.json").read_text(encoding="utf-8"))
    assert metrics["model_hash"] == read_metadata(model).model_hash
    assert [family["seen"] for family in metrics["families"]] == [True, False]
    assert metrics["families"][0]["by_interest"]["working_points"]["0.001"] is None
    assert len(metrics["epochs"]) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--data", "no.root"], 1, "no.root"),
        (["--data", "s.root", "--exclude", "dileptons"], 1, "nearest: dilepton"),
        (["--data", "s.root", "--device", "tpu"], 2, "tpu"),
    ],
)
def test_faults_are_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    arguments: list[str], code: int, message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(folder)
    assert run(["train", "small.yaml", "-o", "bad.safetensors", *arguments]) == code
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1
    assert not (folder / "bad.safetensors").exists()
