"""A training: which simulated processes make which classes, which network, and how it is fitted."""

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from hepfilter.config.base import StrictModel, find_config, load_yaml


class Sample(StrictModel):
    """The simulated sample that the training is meant for: events of each simulation card, and the seed."""

    events: int = Field(ge=1)
    seed: int = Field(ge=0)


class Split(StrictModel):
    """Shares of the events for training and validation; the rest is the test. An event's part follows from its hash."""

    training: float = Field(default=0.6, gt=0.0, lt=1.0)
    validation: float = Field(default=0.1, gt=0.0, lt=1.0)
    seed: int = 1

    @model_validator(mode="after")
    def _leaves_a_test(self) -> Self:
        if self.training + self.validation >= 1:
            raise ValueError("training and validation leave nothing for the test")
        return self


class Fit(StrictModel):
    """The fit: AdamW with one cycle of the learning rate, stopped early, the best epoch kept.

    `weight_power` is the power of the generator weights within a class: 1 trains on the physical spectrum, 0 on the
    events as they were generated. Every class counts equally.
    """

    seed: int = Field(default=1, ge=0)
    epochs: int = Field(default=20, ge=1)
    patience: int = Field(default=5, ge=1)
    batch_size: int = Field(default=1024, ge=1)
    learning_rate: float = Field(default=3e-3, gt=0.0, allow_inf_nan=False)
    weight_decay: float = Field(default=1e-2, ge=0.0, allow_inf_nan=False)
    weight_power: float = Field(default=0.0, ge=0.0, le=1.0)


class TrainingConfig(StrictModel):
    """One training. `graph` and `architecture` name configurations that ship, or files.

    `classes` lists for each class its simulation cards, `priors` the weight of a class in the score (default 1 each).
    `exclude` names families of processes that are left out of the training and only tested on.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    graph: str
    architecture: str
    sample: Sample
    classes: Mapping[str, tuple[str, ...]] = Field(min_length=2)
    priors: Mapping[str, float] = Field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    split: Split = Split()
    fit: Fit = Fit()

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        cards = [card for members in self.classes.values() for card in members]
        twice = sorted({card for card in cards if cards.count(card) > 1})
        if twice:
            raise ValueError(f"the card {twice[0]} stands in two classes")
        unknown = sorted(set(self.priors) - set(self.classes))
        if unknown:
            raise ValueError(f"priors name {unknown[0]}, which is no class")
        return self


def load_training(name: str | Path) -> TrainingConfig:
    """A training that ships (``interest-objects``) or one's own YAML file; ConfigError if it is wrong."""
    return load_yaml(find_config("training", name), TrainingConfig)
