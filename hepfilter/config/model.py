"""What defines a network: architecture, graph specification and classes; all of it goes into the model hash."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from hepfilter.config.base import LONGEST_NAME, StrictModel, find_config, load_plain, validate
from hepfilter.config.graph import GraphSpecification
from hepfilter.errors import ConfigError, nearest

CLASS_NAME: Final = r"^[A-Za-z][A-Za-z0-9_]*$"

OUTPUT_NAMES: Final = ("interest", "pvalue", "combined", "passed", "entry", "probability", "weight")
"""What outputs say of an event beside heads and trigger paths, as ``HepFilter_<name>``."""

MOST_CLASSES: Final = 1000
MOST_HEADS: Final = 64

RESERVED_SCORES: Final = (*OUTPUT_NAMES, "ht", "multiplicity", "met", "hardness")
"""What no head can be called: the other things that an output says of an event, or an evaluation compares with."""


class EdgeConvArchitecture(StrictModel):
    """Message passing in the manner of ParticleNet's edge convolution, with pair features in the message.

    `dynamic` joins each node to its nearest in the space of the features of the layer before, from the second layer on,
    as ParticleNet does; it needs edges of kind knn. `norm` is ``batch``, as in ParticleNet, which learns in fewer steps
    and takes means of messages and nodes only, or ``layer``; a definition with that is written without this key.
    """

    kind: Literal["edgeconv"] = "edgeconv"
    width: int = Field(default=32, ge=8, le=512, multiple_of=8)
    layers: int = Field(default=3, ge=1, le=12)
    head_width: int = Field(default=64, ge=8, le=1024, multiple_of=8)
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    dynamic: bool = False
    norm: Literal["layer", "batch"] = "layer"

    @model_serializer(mode="wrap")
    def _without_the_norm_of_old(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        if self.norm == "layer":
            del data["norm"]
        return data


class TransformerArchitecture(StrictModel):
    """Self-attention with the pair features as bias, and class attention, in the manner of the Particle Transformer."""

    kind: Literal["transformer"] = "transformer"
    width: int = Field(default=64, ge=8, le=1024, multiple_of=8)
    heads: int = Field(default=4, ge=1, le=64)
    layers: int = Field(default=4, ge=1, le=24)
    class_layers: int = Field(default=2, ge=1, le=8)
    pair_width: int = Field(default=32, ge=8, le=256, multiple_of=8)
    head_width: int = Field(default=64, ge=8, le=1024, multiple_of=8)
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is no multiple of the number of heads, {self.heads}")
        return self


class DeepSetsArchitecture(StrictModel):
    """Each node by itself, then mean, maximum and number of nodes: the cheap baseline, blind to pairs."""

    kind: Literal["deepsets"] = "deepsets"
    width: int = Field(default=64, ge=8, le=1024, multiple_of=8)
    layers: int = Field(default=3, ge=1, le=12)
    head_width: int = Field(default=64, ge=8, le=1024, multiple_of=8)
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)


class CustomArchitecture(StrictModel):
    """A network of another package, by the name of its entry point in the group ``hepfilter.architectures``.

    The entry point is called with the model's definition and returns a `hepfilter.models.network.GraphNetwork`.
    """

    kind: Literal["custom"] = "custom"
    name: str = Field(min_length=1)
    width: int = Field(default=64, ge=1)
    options: Mapping[str, bool | int | float | str] = Field(default_factory=dict)


Architecture = Annotated[
    EdgeConvArchitecture | TransformerArchitecture | DeepSetsArchitecture | CustomArchitecture,
    Field(discriminator="kind"),
]


Mix = Literal["classes", "priors", "nature"]
"""How background counts for a head.

``classes``: each class as much as the others, within it events by generator weight to the fit's `weight_power`.
``priors``: as in the fit, with its `reweight`, and each class by its prior.    ``nature``: all by generator weight.
"""


class Head(StrictModel):
    """What all further scores have: the name, under which outputs hold it as ``HepFilter_<name>``."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=LONGEST_NAME)

    @field_validator("name")
    @classmethod
    def _is_free(cls, name: str) -> str:
        if name in RESERVED_SCORES:
            raise ValueError(f"{name} has a meaning of its own; give the head another name")
        return name


class DensityHead(Head):
    """A head that learns one `mix` of background; with ``nature`` it tells how rare an event is."""

    mix: Literal["classes", "nature"] = "classes"

    @property
    def mixes(self) -> tuple[Mix, ...]:
        """What it is fitted to."""
        return (self.mix,)


class FlowHead(DensityHead):
    """−log of the density of background in the latent space, by a flow of affine couplings (RealNVP)."""

    kind: Literal["flow"] = "flow"
    couplings: int = Field(default=6, ge=2, le=32)
    width: int = Field(default=64, ge=4, le=1024)


class SvddHead(DensityHead):
    """Distance from the centre of background, in a space in which background was drawn together (Deep SVDD)."""

    kind: Literal["svdd"] = "svdd"
    width: int = Field(default=32, ge=2, le=1024)
    layers: int = Field(default=2, ge=1, le=8)


class MahalanobisHead(DensityHead):
    """Distance from the nearest centre of a background class, in units of the spread within the classes.

    With the mix ``nature`` there is one centre, that of all background.
    """

    kind: Literal["mahalanobis"] = "mahalanobis"


class RatioHead(Head):
    """log of the density of background by the priors, which `interest` compares signals with, over that in nature.

    Training makes much of hard background; this head tells how much, event by event. `interest` and it together are
    log-odds against background as nature mixes it.
    """

    kind: Literal["ratio"] = "ratio"
    width: int = Field(default=64, ge=2, le=1024)
    layers: int = Field(default=2, ge=1, le=8)

    @property
    def mixes(self) -> tuple[Mix, ...]:
        """What it is fitted to: the denominator comes last."""
        return ("priors", "nature")


class ConditionalHead(Head):
    """−log of the share of background of an event's own hardness that is at least as interesting.

    It tells what `interest` does, in another measure: a cut on it takes the same share of background at every hardness.
    So it has no part in the combination of all scores. `knots` is the number of hardnesses at which that is tabled.
    """

    kind: Literal["conditional"] = "conditional"
    knots: int = Field(default=48, ge=2, le=1024)

    @property
    def mixes(self) -> tuple[Mix, ...]:
        """What it is fitted to."""
        return ("nature",)


HeadDefinition = Annotated[
    FlowHead | SvddHead | MahalanobisHead | RatioHead | ConditionalHead, Field(discriminator="kind")
]


def _refuse_extreme(prior: float) -> float:
    """ValueError for a prior with which sums and ratios may overflow."""
    if not 1e-30 <= prior <= 1e30:
        raise ValueError(f"a prior lies between 1e-30 and 1e30, not at {prior:g}; only ratios of them count")
    return prior


Prior = Annotated[float, Field(gt=0.0, allow_inf_nan=False), AfterValidator(_refuse_extreme)]


class EventClass(StrictModel):
    """One class of events; `prior` is relative to the other classes of its kind (signal or background)."""

    name: str = Field(pattern=CLASS_NAME)
    is_signal: bool
    prior: Prior = 1.0


class ModelDefinition(StrictModel):
    """All that a network needs beside its weights; the logits come in the order of `classes`.

    `heads` give further scores. A model without them is written as if there were no such key.
    """

    graph: GraphSpecification
    architecture: Architecture
    classes: tuple[EventClass, ...] = Field(max_length=MOST_CLASSES)
    heads: tuple[HeadDefinition, ...] = Field(default=(), max_length=MOST_HEADS)

    @model_validator(mode="after")
    def _has_signal_and_background(self) -> Self:
        if len({event_class.name for event_class in self.classes}) < len(self.classes):
            raise ValueError("a class is named twice")
        if {event_class.is_signal for event_class in self.classes} != {False, True}:
            raise ValueError("needs at least one signal and one background class")
        if len({head.name for head in self.heads}) < len(self.heads):
            raise ValueError("a head is named twice")
        return self

    @model_validator(mode="after")
    def _dynamic_has_k(self) -> Self:
        if isinstance(self.architecture, EdgeConvArchitecture) and self.architecture.dynamic and not self.graph.edges.k:
            raise ValueError(f"a dynamic edgeconv needs edges of kind knn; the graph {self.graph.name} has all pairs")
        return self

    @model_serializer(mode="wrap")
    def _without_the_heads_that_are_not_there(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        if not self.heads:
            del data["heads"]
        return data


_ARCHITECTURES: Mapping[str, type[StrictModel]] = {
    "edgeconv": EdgeConvArchitecture,
    "transformer": TransformerArchitecture,
    "deepsets": DeepSetsArchitecture,
    "custom": CustomArchitecture,
}


def load_architecture(name: str | Path) -> Architecture:
    """An architecture that ships (``edgeconv-small``) or one's own YAML file; ConfigError tells what is wrong."""
    path = find_config("models", name)
    data = load_plain(path)
    kind = str(data.get("kind")) if isinstance(data, dict) else "none"
    if kind not in _ARCHITECTURES:
        close = nearest(kind, _ARCHITECTURES)
        raise ConfigError(f"{path}: key 'kind': {kind} is no architecture; known: {', '.join(_ARCHITECTURES)}{close}")
    architecture: Architecture = validate(data, _ARCHITECTURES[kind], where=str(path))  # type: ignore[assignment]
    return architecture
