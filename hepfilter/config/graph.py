"""The graph specification: which objects of an event are nodes, what is said of each, and which pairs are edges."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from hepfilter.config.base import StrictModel, find_config, load_yaml

Collection = Literal["jet", "fatjet", "muon", "electron", "photon", "tau", "met", "particle"]
NodeFeature = Literal[
    "ln_pt", "ln_energy", "ln_pt_fraction", "abs_eta", "ln_mass", "charge", "collection", "particle_class"
]
PairFeature = Literal["ln_delta_r", "ln_kt", "ln_z", "ln_m2"]

PARTICLE_CLASSES = ("charged_hadron", "neutral_hadron", "photon", "electron", "muon")


class NodeCollection(StrictModel):
    """How many objects of a collection become nodes (the hardest first); which are too soft or too far forward."""

    max_count: int = Field(ge=1, le=1024)
    min_pt: float = Field(default=0.0, ge=0.0, allow_inf_nan=False)
    max_abs_eta: float | None = Field(default=None, gt=0.0, allow_inf_nan=False)


class Edges(StrictModel):
    """All pairs of different nodes (``full``), or for every node its `k` nearest in ΔR (``knn``)."""

    kind: Literal["full", "knn"]
    k: int | None = Field(default=None, ge=1, le=256)

    @model_validator(mode="after")
    def _k_belongs_to_knn(self) -> Self:
        if (self.kind == "knn") != (self.k is not None):
            raise ValueError("edges of kind knn need a k, those of kind full have none")
        return self


class GraphSpecification(StrictModel):
    """What a model is fed; stored in its checkpoint.

    The order of `collections` is the order of the nodes in an event; nodes beyond `max_nodes` are cut from the end, so
    that what comes first is what is never lost. No feature depends on φ or on the sign of η: scores do not change when
    an event is rotated about the beam or reflected.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    collections: Mapping[Collection, NodeCollection] = Field(min_length=1)
    max_nodes: int = Field(ge=1, le=1024)
    node_features: tuple[NodeFeature, ...] = Field(min_length=1)
    edges: Edges
    pair_features: tuple[PairFeature, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _features_are_distinct(self) -> Self:
        for names in (self.node_features, self.pair_features):
            if len(set(names)) < len(names):
                raise ValueError(f"a feature is named twice in {', '.join(names)}")
        return self

    @property
    def feature_names(self) -> tuple[str, ...]:
        """One name per column of the node features: ``collection`` and ``particle_class`` are one-hot."""
        columns: list[str] = []
        for feature in self.node_features:
            if feature == "collection":
                columns += [f"is_{collection}" for collection in self.collections]
            elif feature == "particle_class":
                columns += [f"is_{kind}" for kind in PARTICLE_CLASSES]
            else:
                columns.append(feature)
        return tuple(columns)

    @property
    def widths(self) -> tuple[int, int]:
        """Numbers of node features and of pair features."""
        return len(self.feature_names), len(self.pair_features)


def load_graph_specification(name: str | Path) -> GraphSpecification:
    """A specification that ships (``objects``, ``particles``) or one's own YAML file; ConfigError if it is wrong."""
    return load_yaml(find_config("graphs", name), GraphSpecification)
