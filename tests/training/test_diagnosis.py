"""What a training says of its network's classes."""

import numpy as np
import pytest

from hepfilter.config.model import EventClass
from hepfilter.config.training import Fit
from hepfilter.graphs.labelled import LabelledGraphs
from hepfilter.training.diagnosis import _weights
from hepfilter.training.run import TrainingReport
from tests.evaluation.generated import labelled


def test_the_classes_are_told_apart(small_training: TrainingReport) -> None:
    confusion = small_training.diagnosis.confusion
    assert confusion.true == confusion.predicted == ("qcd", "ttbar", "dijet", "dilepton")
    shares = np.array(confusion.shares)
    assert shares.sum(axis=1) == pytest.approx(np.ones(4))
    assert (shares.argmax(axis=1) == np.arange(4)).all()
    assert shares[3, 3] > 0.9
    assert sum(confusion.n_events) == small_training.events["test"]


def test_the_books_of_the_classes_agree(small_training: TrainingReport) -> None:
    for part, n_events in small_training.events.items():
        assert sum(getattr(one, part) for one in small_training.classes) == n_events
    assert [(one.family, one.is_signal) for one in small_training.classes[1:3]] == [("top", False), ("dijet", True)]


def test_importance_is_that_of_the_sample(small_training: TrainingReport) -> None:
    study = small_training.diagnosis.importance
    assert study is not None
    assert study.n_events == small_training.events["test"]
    assert study.auc > 0.95
    found = {(one.kind, one.name): one for one in study.inputs}
    assert found["collection", "muon"].loss.value > 5 * found["collection", "muon"].loss.error
    assert found["collection", "photon"].loss.value == found["collection", "electron"].loss.value == 0  # it has none


def test_probabilities_of_every_class(small_training: TrainingReport) -> None:
    found = small_training.diagnosis.reliability
    assert [one.name for one in found] == ["any signal", "qcd", "ttbar", "dijet", "dilepton"]
    for one in found:
        assert sum(part.share for part in one.bins) == pytest.approx(1)
    mean = [sum(part.share * part.observed.value for part in one.bins) for one in found]
    assert mean == pytest.approx([0.5, 0.25, 0.25, 0.25, 0.25])  # every class counts the same
    given = [sum(part.share * part.predicted for part in one.bins) for one in found]
    assert given == pytest.approx(mean, abs=0.1)


def weights(data: LabelledGraphs, *target: int, **fit: object) -> list[float] | None:
    options = Fit.model_validate({"weight_power": 1.0, **fit})
    classes = [EventClass(name=name, is_signal=name != "a") for name in "abc"]
    found = _weights(data, np.array(target), classes, options)  # type: ignore[arg-type]
    return None if found is None else [float(value) for value in found]


def test_weights_are_those_of_the_fit_for_the_classes_that_are_there() -> None:
    assert weights(labelled(0, 0, 0, 5), 0, 0, 0, 2) == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2])
    assert weights(labelled(0, 0), 0, 0) is None
    assert weights(labelled(5), 1) is None
    few = {"reweight": {"observable": "ht"}}
    assert weights(labelled(0, 0, 5), 0, 0, 1, **few) is None  # ten background events are never as hard
