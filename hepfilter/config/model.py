"""What defines a network: architecture, graph specification and classes; all of it goes into the model hash."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from hepfilter.config.base import StrictModel, find_config, load_yaml
from hepfilter.config.graph import GraphSpecification


class EdgeConvArchitecture(StrictModel):
    """Message passing in the manner of ParticleNet's edge convolution, with pair features in the message."""

    kind: Literal["edgeconv"] = "edgeconv"
    width: int = Field(default=32, ge=8, le=512, multiple_of=8)
    layers: int = Field(default=3, ge=1, le=12)
    head_width: int = Field(default=64, ge=8, le=1024, multiple_of=8)
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)


Architecture = EdgeConvArchitecture


class EventClass(StrictModel):
    """One class of events; `prior` is relative to the other classes of its kind (signal or background)."""

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")
    is_signal: bool
    prior: float = Field(default=1.0, gt=0.0, allow_inf_nan=False)


class ModelDefinition(StrictModel):
    """All that a network needs beside its weights; the logits come in the order of `classes`."""

    graph: GraphSpecification
    architecture: Architecture
    classes: tuple[EventClass, ...]

    @model_validator(mode="after")
    def _has_signal_and_background(self) -> Self:
        if len({event_class.name for event_class in self.classes}) < len(self.classes):
            raise ValueError("a class is named twice")
        if {event_class.is_signal for event_class in self.classes} != {False, True}:
            raise ValueError("needs at least one signal and one background class")
        return self


def load_architecture(name: str | Path) -> Architecture:
    """An architecture that ships (``edgeconv-small``) or one's own YAML file; ConfigError tells what is wrong."""
    return load_yaml(find_config("models", name), EdgeConvArchitecture)
