"""`hepfilter report` of a training and of an evaluation."""

import shutil
from pathlib import Path

import pytest

from hepfilter.cli.app import run
from hepfilter.models.metadata import metrics_path
from hepfilter.training.run import TrainingReport


@pytest.fixture
def folder(small_training: TrainingReport, tmp_path: Path) -> Path:
    """With a model and its metrics."""
    for path in (small_training.model, metrics_path(small_training.model)):
        shutil.copy(path, tmp_path)
    return tmp_path


@pytest.mark.parametrize("given", ["model.safetensors", "model.metrics.json", "."])
def test_of_a_model_its_metrics_or_its_folder(folder: Path, given: str, capsys: pytest.CaptureFixture[str]) -> None:
    page = folder / "p.html"
    assert run(["report", str(folder / given), "-o", str(page)]) == 0
    assert capsys.readouterr().out == f"{page}\n"
    assert "<h1>Training of small</h1>" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("given", ["model.safetensors", "model.metrics.json"])
def test_the_page_does_not_take_the_place_of_what_it_is_of(
    folder: Path, given: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (folder / given).read_bytes()
    assert run(["report", str(folder / given), "-o", str(folder / given), "--force"]) == 2
    assert "is one of the inputs" in capsys.readouterr().err and (folder / given).read_bytes() == before


def test_of_an_evaluation(small_training: TrainingReport, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample = small_training.model.with_name("s.root")
    assert run(["evaluate", str(small_training.model), str(sample), "--no-shifts", "--json"]) == 0
    (tmp_path / "results.json").write_text(capsys.readouterr().out, encoding="utf-8")  # as -o DIR writes it
    assert run(["report", str(tmp_path), "-o", str(tmp_path / "e.html")]) == 0
    text = (tmp_path / "e.html").read_text(encoding="utf-8")
    assert "<h1>Evaluation of model</h1>" in text
    assert "339 signal and 361 background events" in text


def test_faults_are_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics_path(folder / "model.safetensors").write_text('{"families": []}')
    assert run(["report", str(folder / "model.safetensors"), "-o", str(folder / "p.html")]) == 1
    told = capsys.readouterr().err
    assert "model.metrics.json: not metrics of `hepfilter train`" in told
    assert told.count("\n") == 1
    metrics_path(folder / "model.safetensors").unlink()
    assert run(["report", str(folder / "model.safetensors"), "-o", str(folder / "p.html")]) == 1
    assert "model.metrics.json: is not there" in capsys.readouterr().err
    assert not (folder / "p.html").exists()
