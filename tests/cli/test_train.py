"""`hepfilter train` on a small generated sample."""

import json
import re
from pathlib import Path

import pytest
import yaml

from hepfilter.cli.app import run
from hepfilter.cli.notices import lines_on_stderr
from hepfilter.cli.train import state_told
from hepfilter.models.metadata import read_metadata
from hepfilter.training.run import state_path
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
    page = folder / "m.html"
    arguments += ["--report", str(page)]
    assert run([*arguments, "--exclude-group", "lepton", "--epochs", "1", "--device", "cpu"]) == 0
    told = capsys.readouterr()
    shown = told.out
    assert "dijet" in shown
    assert "dilepton" in shown
    assert re.search(r"^trained and tested in \d+ s$", shown, re.MULTILINE)
    assert re.fullmatch(r"hepfilter: epoch 1: training loss \d\.\d{4}, validation loss \d\.\d{4}\n", told.err)
    metrics = json.loads((folder / "m.metrics.json").read_text(encoding="utf-8"))
    assert metrics["model_hash"] == read_metadata(model).model_hash
    assert [family["seen"] for family in metrics["families"]] == [True, False]
    assert metrics["families"][0]["physical"]["by_score"]["interest"]["working_points"]["0.001"] is None
    assert len(metrics["epochs"]) == 1
    assert "<h1>Training of small</h1>" in page.read_text(encoding="utf-8")


def test_a_cache_is_made_used_and_a_source(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["train", str(folder / "small.yaml"), "--epochs", "1", "--device", "cpu", "--json"]
    first, second = folder / "first.safetensors", folder / "second.safetensors"
    assert run([*arguments, "--data", str(folder / "s.root"), "-o", str(first), "--cache", str(folder / "c")]) == 0
    (folder / "first.resume.safetensors").touch()  # of no matter without --resume
    again = ["--data", str(folder / "c"), "--find-learning-rate", "--resume", "--logs", str(folder / "logs")]
    assert run([*arguments, "-o", str(second), *again, "--devices", "1"]) == 0
    capsys.readouterr()
    assert any((folder / "logs").rglob("events.*"))
    one, two = (read_metadata(path).provenance for path in (first, second))
    assert one["training_events"] == two["training_events"]
    assert two["training"]["fit"]["learning_rate"] == "auto"
    assert 1e-5 < two["learning_rate"] < 1 != one["learning_rate"]


@lines_on_stderr()
def test_the_state_of_a_training_that_was_ended_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "m.safetensors"
    state = state_path(output)
    with pytest.raises(SystemExit), state_told(output, resume=False):
        state.touch()
        raise SystemExit(130)
    assert "m.resume.safetensors has the state after the last whole epoch: --resume goes on" in capsys.readouterr().err
    with pytest.raises(SystemExit), state_told(output, resume=True):
        raise SystemExit(0)  # a process beside the first
    assert capsys.readouterr().err == ""
    with state_told(output, resume=False):
        assert "m.resume.safetensors, of a training that was ended, is replaced" in capsys.readouterr().err


def test_a_training_ended_in_its_test_says_so_and_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model, page = folder / "ended.safetensors", folder / "ended.html"
    arguments = ["train", str(folder / "small.yaml"), "--epochs", "1", "--device", "cpu", "-o", str(model)]
    arguments += ["--data", str(folder / "s.root")]

    def ended(*_: object) -> None:
        raise SystemExit(130)

    with monkeypatch.context() as patched:
        patched.setattr("hepfilter.training.run._tested", ended)
        assert run(arguments) == 130
    before = model.read_bytes()
    _, told = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"hepfilter: .*/ended\.safetensors has no metrics; .*: --resume --force goes on", told)
    assert run([*arguments, "--resume", "--force", "--report", str(page)]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""  # no epoch was left
    assert re.search(r"^trained and tested in \d+ s since it was resumed$", shown.out, re.MULTILINE)
    assert "since it was resumed" in page.read_text(encoding="utf-8")
    assert model.read_bytes() == before
    assert json.loads((folder / "ended.metrics.json").read_text(encoding="utf-8"))["resumed"]
    assert not state_path(model).exists()


def test_a_damaged_cache_is_made_again_and_said_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache = folder / "damaged"
    arguments = ["train", str(folder / "small.yaml"), "--epochs", "1", "--device", "cpu", "--cache", str(cache)]
    arguments += ["--data", str(folder / "s.root"), "-o", str(folder / "d.safetensors"), "--force"]
    assert run(arguments) == 0
    capsys.readouterr()
    with (cache / "events.npy").open("ab") as stream:
        stream.truncate(1000)
    assert run(arguments) == 0
    note, epoch, rest = capsys.readouterr().err.split("\n")
    assert re.fullmatch(r"hepfilter: .*events\.npy: cannot be read .*; it is made again from the files", note)
    assert epoch.startswith("hepfilter: epoch 1")
    assert rest == ""


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--data", "no.root"], 1, "no.root"),
        (["--data", "s.root", "--exclude", "dileptons"], 1, "nearest: dilepton"),
        (["--data", "s.root", "--exclude-group", "leptons"], 1, "nearest: lepton"),
        (["--data", "s.root", "--exclude-group", "dark"], 1, "no class of it is in the group dark; its classes are in"),
        (["--data", "s.root", "--device", "tpu"], 2, "tpu"),
        (["--data", "empty.root", "--device", "cpu", "--devices", "9999"], 2, "fit.devices is 9999"),  # before it reads
        (
            ["--data", "no.root", "-o", "bad.pt"],
            2,
            "bad.pt: is no name for a model; give one that ends in .safetensors",
        ),
        (["--data", "no.root", "-o", "bad"], 2, "bad: is no name for a model"),
        (["--data", "no.root", "-o", "taken.safetensors"], 1, "taken.metrics.json: exists; give another name with -o"),
        (["--data", "no.root", "--report", "taken.html"], 1, "taken.html: exists"),
        (["--data", "empty.root", "--logs", "taken.html"], 1, "taken.html: cannot be a folder for logs: File exists"),
    ],
)
def test_faults_are_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    arguments: list[str], code: int, message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(folder)
    for name in ("taken.metrics.json", "empty.root", "taken.html"):
        (folder / name).touch()
    assert run(["train", "small.yaml", "-o", "bad.safetensors", *arguments]) == code
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1
    assert not (folder / "bad.safetensors").exists()
