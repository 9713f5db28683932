"""A whole training, small: it learns, it is reproducible, and what it says is true."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hepfilter.config.training import TrainingConfig
from hepfilter.errors import CheckpointError, SourceError, TrainingError
from hepfilter.io.sources import Source
from hepfilter.models.checkpoint import load
from hepfilter.models.metadata import metrics_path
from hepfilter.training.classes import training_classes
from hepfilter.training.run import TrainingReport, _refuse_unknown_labels, train
from tests.training.simulated import CONFIG, write_sample


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sample(tmp_path_factory.mktemp("sample") / "s.root")


@pytest.fixture(scope="module")
def report(small_training: TrainingReport) -> TrainingReport:
    return small_training


def with_fit(**update: object) -> TrainingConfig:
    return CONFIG.model_copy(update={"fit": CONFIG.fit.model_copy(update=update)})


def with_class_without_events() -> TrainingConfig:
    return TrainingConfig.model_validate(CONFIG.model_dump() | {"classes": {**CONFIG.classes, "w": ["wprime_lnu"]}})


def test_it_learns(report: TrainingReport) -> None:
    losses = [epoch.validation_loss for epoch in report.epochs]
    assert losses[report.best_epoch] == min(losses) < 0.6 * losses[0]
    assert {result.family: result.seen for result in report.families} == {"dijet": True, "dilepton": True}
    assert all(result.physical.by_score["interest"].auc > 0.97 for result in report.families)
    # Σ pt cannot tell dileptons as well as the network.
    by_score = report.families[1].physical.by_score
    assert by_score["interest"].auc > by_score["hardness"].auc


def test_the_books_agree(report: TrainingReport) -> None:
    assert sum(report.events.values()) == 2400
    found = [result.physical.by_score["interest"] for result in report.families]
    background = {result.n_background for result in found}
    assert sum(result.n_signal for result in found) + background.pop() == report.events["test"]


def test_the_checkpoint_knows_how_it_was_made(report: TrainingReport) -> None:
    metadata = load(report.model).metadata
    assert metadata.model_hash == report.model_hash
    assert metadata.provenance["training"]["classes"]["dijet"] == ["wprime_xy"]
    assert metadata.provenance["training_events"] == report.events["training"]
    assert metadata.provenance["processes"][2] == {"label": 100, "family": "dijet", "is_signal": True, "trained": True}
    assert [c.name for c in metadata.definition.classes] == ["qcd", "ttbar", "dijet", "dilepton"]
    std = load(report.model).network.feature_std
    assert not torch.equal(std, torch.ones_like(std))


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(report: TrainingReport, sample: Path) -> None:
    sources, target = [Source(str(sample))], sample.with_name("again.safetensors")
    torch.manual_seed(99)  # the global generator must not matter, and must not be touched
    before = torch.get_rng_state()
    train(CONFIG, sources, target, device="cpu")
    assert torch.equal(torch.get_rng_state(), before)
    assert target.read_bytes() == report.model.read_bytes()
    other = train(with_fit(seed=2, epochs=1), sources, sample.with_name("other.safetensors"), device="cpu")
    assert other.model_hash != report.model_hash


def test_a_family_left_out_is_tested_only(sample: Path) -> None:
    target = sample.with_name("without.safetensors")
    config = with_fit(epochs=1)
    found = train(config, [Source(str(sample))], target, exclude=["dilepton"], device="cpu")
    assert {result.family: result.seen for result in found.families} == {"dijet": True, "dilepton": False}
    assert [c.name for c in load(target).metadata.definition.classes] == ["qcd", "ttbar", "dijet"]
    assert load(target).metadata.provenance["excluded_families"] == ["dilepton"]
    assert found.events["training"] < 0.8 * 0.6 * 2400
    assert found.families[1].physical.by_score["interest"].n_signal > 0
    left_out = found.classes[3]
    assert (left_out.name, left_out.trained, left_out.training) == ("dilepton", False, 0)
    confusion = found.diagnosis.confusion
    assert confusion.true == ("qcd", "ttbar", "dijet", "dilepton")
    assert confusion.predicted == ("qcd", "ttbar", "dijet")
    assert confusion.n_events[3] == left_out.test > 0


def test_it_stops_early_and_keeps_the_best(sample: Path) -> None:
    """With a learning rate far too high the loss cannot fall for long."""
    config = with_fit(epochs=30, patience=2, learning_rate=3.0)
    found = train(config, [Source(str(sample))], sample.with_name("wild.safetensors"), device="cpu")
    assert len(found.epochs) < 30
    assert len(found.epochs) - 1 - found.best_epoch == 2
    losses = [epoch.validation_loss for epoch in found.epochs]
    assert np.argmin(losses) == found.best_epoch


def test_data_that_do_not_fit_the_configuration(sample: Path, tmp_path: Path) -> None:
    classes = {name: cards for name, cards in CONFIG.classes.items() if name != "ttbar"}
    without = TrainingConfig.model_validate(CONFIG.model_dump() | {"classes": classes})
    told = r"truth label 1 \(toptag_top, ttbar\), which no class of the configuration has; known are 0, 100, 102"
    with pytest.raises(TrainingError, match=told):
        train(without, [Source(str(sample))], tmp_path / "m.safetensors", device="cpu")
    no_card = np.array([0, 777])
    with pytest.raises(TrainingError, match="truth label 777, which no class"):
        _refuse_unknown_labels(SimpleNamespace(labels=no_card), training_classes(without))  # type: ignore[arg-type]
    with pytest.raises(TrainingError, match="class w: no events"):
        train(with_class_without_events(), [Source(str(sample))], tmp_path / "m.safetensors", device="cpu")
    assert list(tmp_path.iterdir()) == []


def test_a_split_without_a_test(sample: Path, tmp_path: Path) -> None:
    split = CONFIG.split.model_copy(update={"training": 0.9 - 1e-9})
    config = CONFIG.model_copy(update={"split": split})
    with pytest.raises(TrainingError, match=r"leaves none of 2,400 events to test on; .* make split\.training"):
        train(config, [Source(str(sample))], tmp_path / "m.safetensors", device="cpu")
    assert list(tmp_path.iterdir()) == []  # no epoch was trained


@pytest.mark.parametrize("head", [{"kind": "mahalanobis", "mix": "nature"}, {"kind": "ratio"}])
def test_background_without_weight_for_a_head_of_nature(head: dict[str, str], tmp_path: Path) -> None:
    sample = write_sample(tmp_path / "s.root", events_each=50, weight_sign=0.0)
    config = TrainingConfig.model_validate(CONFIG.model_dump() | {"heads": [head | {"name": "rarity"}]})
    with pytest.raises(TrainingError, match=r"head rarity: .* generator weights, which are all 0"):
        train(config, [Source(str(sample))], tmp_path / "m.safetensors", device="cpu")
    assert list(tmp_path.iterdir()) == [sample]  # no epoch was trained


def test_a_head_that_cannot_be_called_so_is_refused_before_the_data_are_read(tmp_path: Path) -> None:
    heads = [{"kind": "mahalanobis", "name": "values"}]
    config, before = TrainingConfig.model_validate(CONFIG.model_dump() | {"heads": heads}), torch.get_rng_state()
    with pytest.raises(CheckpointError, match="no head can be called values"):
        train(config, [Source(str(tmp_path / "no.root"))], tmp_path / "m.safetensors", device="cpu")
    assert torch.equal(torch.get_rng_state(), before)


def test_what_a_killed_training_left_unfinished_is_removed(tmp_path: Path) -> None:
    names = [".m.safetensors", ".m.resume.safetensors", ".m.metrics.json", ".other.safetensors"]
    for name in names:
        (tmp_path / f"{name}.0123abcd.part").touch()
    with pytest.raises(SourceError, match=r"no\.root"):
        train(CONFIG, [Source(str(tmp_path / "no.root"))], tmp_path / "m.safetensors", device="cpu")
    assert [path.name for path in tmp_path.iterdir()] == [".other.safetensors.0123abcd.part"]


def test_metrics_of_an_earlier_model_are_gone_before_the_new_one_appears(
    sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, metrics = tmp_path / "m.safetensors", tmp_path / "m.metrics.json"
    assert metrics == metrics_path(output)
    output.write_text("earlier model")
    metrics.write_text("{}")
    with pytest.raises(TrainingError, match="class w: no events"):
        train(with_class_without_events(), [Source(str(sample))], output, device="cpu")
    assert metrics.exists()  # they still belong to what is there

    def killed(*_: object, **__: object) -> None:
        assert output.read_text() == "earlier model"
        assert not metrics.exists()
        raise KeyboardInterrupt

    monkeypatch.setattr("hepfilter.training.run.save", killed)
    with pytest.raises(KeyboardInterrupt):
        train(with_fit(epochs=1), [Source(str(sample))], output, device="cpu")
