"""The loss, and which weights a fit returns."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from hepfilter.config.graph import load_graph_specification
from hepfilter.config.model import EdgeConvArchitecture, ModelDefinition
from hepfilter.config.training import Fit
from hepfilter.errors import TrainingError, UsageError
from hepfilter.graphs.labelled import SplitData, read_labelled, split_data
from hepfilter.io.sources import Source
from hepfilter.training.batches import Batch, balanced_weights
from hepfilter.training.classes import event_classes, targets, training_classes
from hepfilter.training.fitting import Surroundings, fit
from hepfilter.training.history import Fitted
from hepfilter.training.module import Classifier
from tests.graph_records import definition, network
from tests.training.simulated import CONFIG, write_sample

OBJECTS = load_graph_specification("objects")
CLASSES = training_classes(CONFIG)
NAMES = [c.name for c in CLASSES]
DEFINITION = ModelDefinition(
    graph=OBJECTS, architecture=definition(OBJECTS).architecture, classes=event_classes(CLASSES)
)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> SplitData:
    path = write_sample(tmp_path_factory.mktemp("sample") / "s.root", events_each=200)
    data = read_labelled([Source(str(path))], OBJECTS, split_seed=1, progress=lambda *_: None)
    return split_data(data, CONFIG.split)


def fitted(parts: SplitData, **options: object) -> Fitted:
    both = (targets(parts.training.labels, CLASSES), targets(parts.validation.labels, CLASSES))
    return fit(DEFINITION, parts.training, parts.validation, targets=both, options=Fit(**options), device="cpu")  # type: ignore[arg-type]


def test_the_loss_is_the_weighted_cross_entropy(parts: SplitData) -> None:
    model = network(OBJECTS)
    data = parts.validation
    target = torch.from_numpy(targets(data.labels, CLASSES))
    weights = torch.linspace(0.1, 3.0, len(target))
    found = Classifier(model, Fit(), steps=1)._loss(Batch(data.graphs, target, weights, torch.zeros_like(weights)))
    log_p = model.forward_padded(data.graphs).log_softmax(1)
    expected = -(weights * log_p[torch.arange(len(target)), target]).mean()
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


def test_with_batch_norm_the_whole_batch_learns_at_once(parts: SplitData) -> None:
    """Not bucket by bucket; and so do the events of an evaluation, by the averages."""
    model = network(OBJECTS, architecture=EdgeConvArchitecture(width=16, layers=2, head_width=16, norm="batch"))
    data, other = parts.validation, copy.deepcopy(model)
    assert len(list(data.graphs.buckets())) > 1
    target = torch.from_numpy(targets(data.labels, CLASSES))
    batch = Batch(data.graphs, target, torch.ones(len(target)), torch.zeros(len(target)))
    for training in (True, False):
        found = Classifier(model.train(training), Fit(), steps=1)._loss(batch)
        expected = torch.nn.functional.cross_entropy(other.train(training).forward_padded(data.graphs), target)
        assert found.item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_weights_are_those_of_the_best_epoch(parts: SplitData) -> None:
    """With so high a learning rate the loss soon rises, and the last epochs are not the best."""
    found = fitted(parts, epochs=30, patience=2, learning_rate=0.3, batch_size=64)
    assert found.best < len(found.epochs) - 1
    data = parts.validation
    target = targets(data.labels, CLASSES)
    weights = torch.from_numpy(balanced_weights(data, target, NAMES, 0.0).astype(np.float32))
    loss = Classifier(found.network, Fit(), steps=1)._loss(
        Batch(data.graphs, torch.from_numpy(target), weights, torch.zeros_like(weights))
    )
    assert loss.item() == pytest.approx(found.epochs[found.best].validation_loss, rel=1e-4)
    assert not found.network.training


def test_a_loss_that_is_not_finite(parts: SplitData) -> None:
    both = (targets(parts.training.labels, CLASSES), targets(parts.validation.labels, CLASSES))
    options = Fit(epochs=2).model_copy(update={"learning_rate": 1e30})  # more than a configuration may say
    with pytest.raises(TrainingError, match="not finite from the first epoch"):
        fit(DEFINITION, parts.training, parts.validation, targets=both, options=options, device="cpu")


def test_progress_counts_the_events(parts: SplitData, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    both = (targets(parts.training.labels, CLASSES), targets(parts.validation.labels, CLASSES))
    total, size = len(parts.training), len(parts.training) // 3 + 1
    options = Fit(epochs=2, batch_size=size)
    fit(
        DEFINITION, parts.training, parts.validation, targets=both, options=options, device="cpu",
        around=Surroundings(progress=lambda *step: seen.append(step)),
    )  # fmt: skip
    assert seen == [(f"epoch {epoch}", done, total) for epoch in (1, 2) for done in (size, 2 * size, total)]


def test_an_unknown_device(parts: SplitData) -> None:
    both = (targets(parts.training.labels, CLASSES), targets(parts.validation.labels, CLASSES))
    with pytest.raises(UsageError, match="tpu"):
        fit(DEFINITION, parts.training, parts.validation, targets=both, options=Fit(), device="tpu")
