"""Classes from cards."""

from typing import Any

import numpy as np
import pytest

from hepfilter.config.groups import FamilyGroups
from hepfilter.config.training import TrainingConfig
from hepfilter.errors import ConfigError, TrainingError
from hepfilter.training.classes import (
    UNSEEN,
    event_classes,
    families_of_groups,
    processes,
    targets,
    training_classes,
)
from tests.training.simulated import CONFIG


def changed(**update: Any) -> TrainingConfig:
    return TrainingConfig.model_validate(CONFIG.model_dump() | update)


def test_classes_of_the_cards() -> None:
    classes = training_classes(changed(priors={"qcd": 3.0}))
    assert [c.name for c in classes] == ["qcd", "ttbar", "dijet", "dilepton"]
    assert [c.is_signal for c in classes] == [False, False, True, True]
    assert [c.prior for c in event_classes(classes)] == [3.0, 1.0, 1.0, 1.0]
    assert [set(c.labels) for c in classes] == [{0}, {1}, {100}, {102}]


def test_slices_share_a_class() -> None:
    for cards in (["qcd@200", "qcd@500"], ["qcd"], ["qcd@all", "lhco_qcd"]):
        classes = training_classes(changed(classes={"qcd": cards, "dijet": ["wprime_xy@all"]}))
        assert [set(c.labels) for c in classes] == [{0}, {100}]


@pytest.mark.parametrize("by_option", [True, False])
def test_a_family_left_out(by_option: bool) -> None:
    config = CONFIG if by_option else changed(exclude=["dilepton"])
    classes = training_classes(config, exclude=["dilepton"] if by_option else ())
    assert [c.name for c in event_classes(classes)] == ["qcd", "ttbar", "dijet"]
    assert targets(np.array([0, 100, 102, 1], np.int32), classes).tolist() == [0, 2, UNSEEN, 1]


@pytest.mark.parametrize(
    ("update", "exclude", "message"),
    [
        ({}, ["dileptons"], "no family 'dileptons' to leave out; nearest: dilepton"),
        ({}, ["dilepton", "dijet"], "no signal class is left"),
        ({}, ["qcd", "top"], "no background class is left"),
        ({"classes": {"a": ["qcd@200", "ttbar"], "b": ["wprime_xy"]}}, [], "class a must have cards of one family"),
        (
            {"classes": {"a": ["qcd@200"], "b": ["qcd@500"], "c": ["wprime_xy"]}},
            [],
            "two classes have the truth label 0",
        ),
        ({"classes": {"a": [], "b": ["wprime_xy"]}}, [], "class a must have cards"),
    ],
)
def test_what_makes_no_sense(update: dict[str, Any], exclude: list[str], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        training_classes(changed(**update), exclude=exclude)


def test_a_group_is_left_out_by_its_families() -> None:
    groups = FamilyGroups(groups={"jets": ("susy", "dijet"), "leptons": ("dilepton", "lepton_met")})
    assert families_of_groups(CONFIG, ["leptons"], groups) == ("dilepton",)
    assert families_of_groups(CONFIG, ["jets", "leptons"], groups) == ("dijet", "dilepton")
    assert families_of_groups(CONFIG, [], groups) == ()


def test_the_processes_of_the_classes() -> None:
    found = processes(training_classes(CONFIG, exclude=["dilepton"]))
    assert [(process.label, process.family) for process in found] == [
        (0, "qcd"), (1, "top"), (100, "dijet"), (102, "dilepton"),
    ]  # fmt: skip
    assert [process.trained for process in found] == [True, True, True, False]


def test_an_unknown_card() -> None:
    with pytest.raises(ConfigError, match=r"qcd200: no such file .*nearest: .*qcd"):
        training_classes(changed(classes={"qcd": ["qcd200"], "dijet": ["wprime_xy"]}))
