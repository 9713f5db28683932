"""A training: which simulated processes make which classes, which network, and how it is fitted."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from hepfilter.config.base import StrictModel, find_config, load_yaml
from hepfilter.config.model import CLASS_NAME, MOST_CLASSES, MOST_HEADS, HeadDefinition, Prior


class Sample(StrictModel):
    """The simulated sample that the training is meant for: ``hepfilter simulate --set SET --size SIZE`` makes it."""

    set: str = Field(min_length=1)
    size: str = Field(min_length=1)


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


class Contrastive(StrictModel):
    """A supervised-contrastive term of this weight, on a projection of the latent vector to `width` dimensions."""

    weight: float = Field(gt=0.0, allow_inf_nan=False)
    temperature: float = Field(default=0.1, gt=0.0, allow_inf_nan=False)
    width: int = Field(default=32, ge=2, le=1024)


class Decorrelate(StrictModel):
    """A penalty of this weight on the distance correlation of background's `interest` with ln(1 + an observable)."""

    observable: Literal["hardness", "multiplicity"]
    weight: float = Field(gt=0.0, allow_inf_nan=False)


class HeadFit(StrictModel):
    """How heads are fitted to the latent vectors of background: Adam, the best epoch kept.

    `noise` (in standard deviations of background) is added to the latent vectors while a head learns, so that no
    direction in which background does not vary makes its density infinite.
    """

    seed: int = Field(default=1, ge=0, lt=2**63)
    epochs: int = Field(default=30, ge=1)
    patience: int = Field(default=5, ge=1)
    batch_size: int = Field(default=512, ge=1)
    learning_rate: float = Field(default=2e-3, gt=0.0, le=1e3)
    weight_decay: float = Field(default=1e-4, ge=0.0, allow_inf_nan=False)
    noise: float = Field(default=0.05, ge=0.0, allow_inf_nan=False)


class Reweight(StrictModel):
    """Weights with which all background together has the spectrum of an observable that all signals together have.

    As in the matched measure of an evaluation (`statistics.reweighting`), for the training and the validation events by
    themselves: in bins 12 % wide, where there are ten background events at least; what lies elsewhere does not count.
    """

    observable: str


class Fit(StrictModel):
    """The fit: AdamW with one cycle of the learning rate, stopped early, the best epoch kept.

    `learning_rate` is the highest of the cycle; ``auto`` finds it by a test over a range.
    `weight_power` is the power of the generator weights within a class: 1 trains on the physical spectrum, 0 on the
    events as they were generated. Every class counts equally, but for what `reweight` does to background.
    `batch_size` is that of each device. `ema` is the decay per step of an average of the weights, which then is what is
    validated and kept. `gradient_clip` bounds the norm of the gradient. With the probability `collection_dropout` a
    collection is missing in a training event, so that files without it still get sensible scores.
    `precision` is Lightning's; `devices`, `nodes` and `strategy` spread the fit (DDP); `workers` are processes that
    read batches ahead, 0 for none.
    """

    seed: int = Field(default=1, ge=0, lt=2**63)
    epochs: int = Field(default=20, ge=1)
    patience: int = Field(default=5, ge=1)
    batch_size: int = Field(default=1024, ge=1)
    learning_rate: Annotated[float, Field(gt=0.0, le=1e3)] | Literal["auto"] = 3e-3
    weight_decay: float = Field(default=1e-2, ge=0.0, allow_inf_nan=False)
    weight_power: float = Field(default=0.0, ge=0.0, le=1.0)
    reweight: Reweight | None = None
    ema: float | None = Field(default=None, gt=0.0, lt=1.0)
    gradient_clip: float | None = Field(default=None, gt=0.0, allow_inf_nan=False)
    collection_dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    devices: int = Field(default=1, ge=1)
    nodes: int = Field(default=1, ge=1)
    strategy: Literal["auto", "ddp"] = "auto"
    workers: int = Field(default=0, ge=0, le=256)
    contrastive: Contrastive | None = None
    decorrelate: Decorrelate | None = None


class TrainingConfig(StrictModel):
    """One training. `graph` and `architecture` name configurations that ship, or files.

    `classes` lists for each class its simulation cards, `priors` the weight of a class in the score (default 1 each).
    `exclude` names families of processes that are left out of the training and only tested on. `heads` are fitted to
    background after the network is, as `head_fit` says.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    graph: str
    architecture: str
    sample: Sample | None = None
    classes: Mapping[Annotated[str, Field(pattern=CLASS_NAME)], tuple[str, ...]] = Field(
        min_length=2, max_length=MOST_CLASSES
    )
    priors: Mapping[str, Prior] = Field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    split: Split = Split()
    fit: Fit = Fit()
    heads: tuple[HeadDefinition, ...] = Field(default=(), max_length=MOST_HEADS)
    head_fit: HeadFit = HeadFit()

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        cards = [card for members in self.classes.values() for card in members]
        twice = sorted({card for card in cards if cards.count(card) > 1})
        if twice:
            raise ValueError(f"the card {twice[0]} stands in two classes")
        unknown = sorted(set(self.priors) - set(self.classes))
        if unknown:
            raise ValueError(f"priors name {unknown[0]}, which is no class")
        if len({head.name for head in self.heads}) < len(self.heads):
            raise ValueError("a head is named twice")
        return self


def load_training(name: str | Path) -> TrainingConfig:
    """A training that ships (``interest-objects``) or one's own YAML file; ConfigError if it is wrong."""
    return load_yaml(find_config("training", name), TrainingConfig)
