"""Parts of the engine: the average of weights, the range test, logs, precision, missing collections."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from hepfilter.config.graph import load_graph_specification
from hepfilter.config.training import Fit
from hepfilter.errors import TrainingError
from hepfilter.graphs.labelled import LabelledGraphs
from hepfilter.training.averaging import moving_average
from hepfilter.training.batches import Batch, BatchOrder, EventBatches, load_batches
from hepfilter.training.fitting import Surroundings, fit
from hepfilter.training.history import Epoch, Fitted, History
from hepfilter.training.learning_rate import find_learning_rate
from hepfilter.training.module import Classifier
from tests.graph_records import definition, network
from tests.training.test_batches import data_with

OBJECTS = load_graph_specification("objects")


@pytest.fixture(scope="module")
def data() -> LabelledGraphs:
    return data_with(np.ones(160))


def targets(data: LabelledGraphs) -> np.ndarray:
    """By the number of nodes, so that there is something to learn."""
    return np.minimum(data.graphs.node_counts.numpy() // 4, 3).astype(np.int64)


def fitted(data: LabelledGraphs, *, logs: Path | None = None, **options: object) -> Fitted:
    chosen = Fit.model_validate({"epochs": 2, "batch_size": 64, "learning_rate": 0.01} | options)
    both = targets(data), targets(data)
    around = Surroundings(logs=logs)
    return fit(definition(OBJECTS), data, data, targets=both, options=chosen, device="cpu", around=around)


def test_the_average_forgets_and_then_follows_slowly() -> None:
    weight = torch.nn.Linear(1, 1, bias=False)
    average = moving_average(weight, decay=0.9)
    values, expected = np.random.default_rng(0).normal(size=200), 0.0
    for number, value in enumerate(values):
        torch.nn.init.constant_(weight.weight, value)
        average.update_parameters(weight)
        decay = min(0.9, (1 + number) / (10 + number)) if number else 0.0
        expected = decay * expected + (1 - decay) * value
    assert average.module.weight.item() == pytest.approx(expected, rel=1e-5)
    assert not average.module.weight.requires_grad


def test_the_average_is_what_is_validated_and_kept(data: LabelledGraphs) -> None:
    """With so slow an average the weights that are kept are not those of the last step."""
    plain, averaged = fitted(data), fitted(data, ema=0.999)
    assert averaged.epochs[0].training_loss == plain.epochs[0].training_loss
    assert averaged.epochs[1].validation_loss != plain.epochs[1].validation_loss
    module = Classifier(averaged.network, Fit(), steps=1)
    own = targets(data)
    counts = np.bincount(own, minlength=4)
    weights = torch.from_numpy((len(own) / 4 / counts[own]).astype(np.float32))
    loss = module._loss(Batch(data.graphs, torch.from_numpy(own), weights, torch.zeros_like(weights))).item()
    assert loss == pytest.approx(averaged.epochs[averaged.best].validation_loss, rel=1e-4)


def test_the_range_test_finds_a_rate_that_learns_and_touches_nothing(
    data: LabelledGraphs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hepfilter.training.learning_rate._RATES", np.geomspace(1e-5, 1, 30))
    module = Classifier(network(OBJECTS), Fit(), steps=1)
    before, state = copy.deepcopy(module.state_dict()), torch.get_rng_state()
    batches = load_batches(
        EventBatches(data, targets(data), np.ones(160)), BatchOrder(160, size=64, seed=1), workers=0, pinned=False
    )
    rate = find_learning_rate(module, batches, device=torch.device("cpu"))
    assert rate == find_learning_rate(module, batches, device=torch.device("cpu"))
    assert 1e-4 < rate < 0.1
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    found = fitted(data, learning_rate="auto")
    assert found.learning_rate != 0.01
    assert fitted(data, learning_rate=found.learning_rate).epochs == found.epochs


def test_a_range_test_without_a_finite_loss(data: LabelledGraphs) -> None:
    batches = load_batches(
        EventBatches(data, targets(data), np.full(160, np.nan)),
        BatchOrder(160, size=64, seed=1),
        workers=0,
        pinned=False,
    )
    with pytest.raises(TrainingError, match="not finite at any learning rate"):
        find_learning_rate(Classifier(network(OBJECTS), Fit(), steps=1), batches, device=torch.device("cpu"))


def test_clipping_and_half_precision_change_the_steps_a_little(data: LabelledGraphs) -> None:
    plain = fitted(data)
    for found in (fitted(data, gradient_clip=0.01), fitted(data, precision="bf16-mixed")):
        assert found.epochs[1] != plain.epochs[1]
        assert found.epochs[1].validation_loss == pytest.approx(plain.epochs[1].validation_loss, rel=0.2)
    half, full = fitted(data, precision="bf16-mixed").epochs[0], plain.epochs[0]
    assert half.training_loss == pytest.approx(full.training_loss, rel=0.02)


def test_collections_are_missing_in_training_alone() -> None:
    seen: list[tuple[int, float]] = []

    class Spied(LabelledGraphs):
        def padded(self, events, *, absent=None):  # type: ignore[no-untyped-def]
            seen.append((len(events), -1.0 if absent is None else float(absent.mean())))
            return super().padded(events)

    plain = data_with(np.ones(160))
    fitted(Spied(**vars(plain)), collection_dropout=0.3, epochs=1)
    shares = [share for _, share in seen if share >= 0]
    assert len(shares) == 3
    assert np.mean(shares) == pytest.approx(0.3, abs=0.05)
    assert sum(size for size, share in seen if share < 0) == 2 * 160  # for the normalisation, and to validate
    with pytest.raises(TrainingError, match="of a cache only"):
        fitted(plain, collection_dropout=0.3)


def test_logs_have_a_value_an_epoch(data: LabelledGraphs, tmp_path: Path) -> None:
    found = fitted(data, logs=tmp_path / "logs")
    events = EventAccumulator(str(tmp_path / "logs" / "version_0")).Reload()
    for name, field in (("training_loss", "training_loss"), ("validation_loss", "validation_loss")):
        scalars = events.Scalars(name)
        assert [scalar.step for scalar in scalars] == [1, 2]
        assert [scalar.value for scalar in scalars] == pytest.approx([getattr(e, field) for e in found.epochs])
    assert len(events.Scalars("learning_rate")) == 2


@pytest.mark.parametrize(
    ("losses", "best", "finished"),
    [
        ([], -1, False),
        ([1.0, 0.5], 1, False),
        ([0.5, 0.5, 0.7], 0, True),
        ([1.0, float("nan")], 0, True),
        ([float("nan")], -1, True),
        ([4.0, 3.0, 2.0, 1.0], 3, True),
    ],
)
def test_when_it_is_enough(losses: list[float], best: int, finished: bool) -> None:
    history = History(Fit(epochs=4, patience=2), 10, lambda *_: None)
    history.epochs = [Epoch(0.0, loss) for loss in losses]
    assert (history.best, history.finished) == (best, finished)
