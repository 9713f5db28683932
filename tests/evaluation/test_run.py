"""A whole evaluation of a small trained model."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hepfilter.config.training import TrainingConfig
from hepfilter.errors import TrainingError
from hepfilter.evaluation import run
from hepfilter.evaluation.run import Evaluation, EvaluationOptions, _test_part, evaluate
from hepfilter.io.sources import Source
from hepfilter.scoring.calibrating import calibrate
from hepfilter.scoring.calibration import fit_calibration
from hepfilter.training.run import TrainingReport, train
from tests.evaluation.generated import labelled
from tests.training.simulated import CONFIG, write_sample


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sample(tmp_path_factory.mktemp("sample") / "s.root", events_each=2400)


@pytest.fixture(scope="module")
def report(sample: Path) -> TrainingReport:
    config: TrainingConfig = CONFIG.model_copy(update={"fit": CONFIG.fit.model_copy(update={"epochs": 3})})
    model = sample.with_name("m.safetensors")
    return train(config, [Source(str(sample))], model, exclude=["dilepton"], device="cpu")


@pytest.fixture(scope="module")
def found(report: TrainingReport, sample: Path) -> Evaluation:
    other = write_sample(sample.with_name("other.root"), events_each=400, seed=6)
    return evaluate(
        report.model, [Source(str(sample))], shifted=[Source(str(other))], device="cpu",
        options=EvaluationOptions(n_draws=10),
    )  # fmt: skip


def test_the_training_and_the_evaluation_say_the_same(found: Evaluation, report: TrainingReport) -> None:
    """The same test events, families and figures: what was trained on is what the checkpoint says."""
    assert found.part == "test"
    assert found.n_signal + found.n_background == report.events["test"]
    assert {result.family: result.seen for result in found.families} == {"dijet": True, "dilepton": False}
    assert found.families == report.families
    assert found.model_hash == report.model_hash


def test_every_part_is_there(found: Evaluation) -> None:
    assert found.heads == ("interest",)
    assert {summary.score for summary in found.summaries} >= {"interest", "ht", "hardness"}
    assert {c.score for c in found.correlations} == {"interest", "ht", "met", "multiplicity", "hardness"}
    assert {s.score for s in found.sculpting} == {"interest", "ht"}
    assert found.calibration == ()
    (distribution,) = found.distributions
    assert sum(distribution.background) == pytest.approx(1)
    assert set(distribution.families) == {"dijet", "dilepton"}


def test_shifts_in_memory_and_by_file(found: Evaluation) -> None:
    names = [shift.name for shift in found.shifts]
    collections = ["met", "muon", "electron", "photon", "jet"]
    assert names == ["energy scale -5%", "energy scale +5%", *(f"no {c}" for c in collections), "other.root"]
    by_name = dict(zip(names, found.shifts, strict=True))
    assert by_name["other.root"].n_background == 800  # all of its events
    assert by_name["no muon"].n_background == found.n_background
    same = by_name["no electron"].families  # there is none in the sample
    assert all(family.nominal_auc == family.shifted_auc for family in same)
    dilepton = by_name["no muon"].families[1]
    assert dilepton.shifted_auc < dilepton.nominal_auc - 0.03
    assert by_name["energy scale +5%"].families[0].shifted_auc != by_name["energy scale +5%"].families[0].nominal_auc


def test_all_events_of_what_the_model_never_saw(report: TrainingReport, sample: Path) -> None:
    options = EvaluationOptions(all_events=True, shifts=False, n_draws=2)
    found = evaluate(report.model, [Source(str(sample))], options=options, device="cpu")
    assert (found.part, found.n_signal, found.n_background) == ("all", 4800, 4800)
    assert found.shifts == ()


def test_a_calibration_is_checked_by_halves_on_its_own_events(report: TrainingReport, sample: Path) -> None:
    other = write_sample(sample.with_name("more.root"), events_each=1200, seed=7)
    model = sample.with_name("calibrated.safetensors")
    calibrate(report.model, [Source(str(sample))], output=model, background=CONFIG.classes["qcd"], device="cpu")
    options = EvaluationOptions(shifts=False, n_draws=2)
    for path, told in ((sample, (str(sample),)), (other, ())):
        found = evaluate(model, [Source(str(path))], options=options, device="cpu")
        assert found.calibrated_on == told
        assert [check.head for check in found.calibration] == ["interest"]
        share = found.calibration[0].n_effective / found.n_effective_background
        assert share == pytest.approx(0.5 if told else 1.0, abs=0.01)


def test_files_without_a_uuid_are_told_by_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some writers leave zeros."""
    none = "00000000-0000-0000-0000-000000000000"
    sizes = {"first.root": 1000, "second.root": 1001}

    @contextmanager
    def opened(source: Source) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(uuid=none, directory=SimpleNamespace(end=sizes[source.path]))

    monkeypatch.setattr(run, "open_file", opened)
    said = {"files": [{"path": "first.root", "uuid": none, "size": 1000}]}
    calibration = fit_calibration({"interest": np.arange(200.0)}, np.ones(200), model_hash="0", background=said)
    assert run._calibrated_on(calibration, [Source(path) for path in sizes]) == ("first.root",)


def test_data_that_the_model_was_trained_on_alone_are_refused() -> None:
    with pytest.raises(TrainingError, match=r"none of the 2 events is in the test part.*--all-events takes them all"):
        _test_part(labelled(0, 100), CONFIG.split)


def test_a_model_that_does_not_say_how_it_was_trained(untrained_model: Path, sample: Path) -> None:
    options = EvaluationOptions(shifts=False, n_draws=2)
    found = evaluate(untrained_model, [Source(str(sample))], options=options, device="cpu")
    assert found.part == "all"
    assert not any(result.seen for result in found.families)
    assert np.isfinite([result.physical.by_score["interest"].auc for result in found.families]).all()


def test_one_kind_of_events_is_not_enough(untrained_model: Path, sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hepfilter.graphs.labelled import LabelledGraphs, read_labelled

    for wanted, message in ((100, "no background among"), (1, "no signal among")):

        def only(*arguments: object, label: int = wanted, **options: object) -> LabelledGraphs:
            data = read_labelled(*arguments, **options)  # type: ignore[arg-type]
            return data.select(data.labels == label)

        monkeypatch.setattr(run, "read_labelled", only)
        with pytest.raises(TrainingError, match=message):
            evaluate(untrained_model, [Source(str(sample))], device="cpu")
