"""Event records and small networks for the tests of graphs, models, scores and training."""

from collections.abc import Mapping

import awkward as ak
import numpy as np
import torch

from hepfilter.config.graph import GraphSpecification, load_graph_specification
from hepfilter.config.model import Architecture, EdgeConvArchitecture, EventClass, ModelDefinition
from hepfilter.events.record import Objects, build_record
from hepfilter.models.architectures import build_network
from hepfilter.models.network import GraphNetwork

MEAN_COUNTS = {"jet": 4.0, "muon": 1.0, "electron": 1.0, "photon": 0.7, "tau": 0.2, "particle": 20.0}
CHARGED = ("muon", "electron", "tau", "particle")


def random_record(
    n_events: int, *, seed: int = 0, mean_counts: Mapping[str, float] = MEAN_COUNTS, hardness: float = 50.0
) -> ak.Array:
    """Objects as the record promises them: by descending pt, in range; many events have few objects or none."""
    rng = np.random.default_rng(seed)
    collections = {}
    for name, mean in mean_counts.items():
        counts = rng.poisson(mean, n_events)
        collections[name] = _objects(rng, name, counts, hardness)
    collections["met"] = _objects(rng, "met", rng.integers(0, 2, n_events), hardness)
    return build_record(collections, n_events)


def _objects(rng: np.random.Generator, name: str, counts: np.ndarray, hardness: float) -> Objects:
    total = int(counts.sum())
    pt = 20 + rng.exponential(hardness, total)
    event = np.repeat(np.arange(len(counts)), counts)
    columns = {
        "pt": pt[np.lexsort((-pt, event))].astype(np.float32),
        "eta": (np.zeros(total) if name == "met" else rng.normal(0, 1.2, total)).astype(np.float32),
        "phi": rng.uniform(-np.pi, np.pi, total).astype(np.float32),
        "mass": (rng.exponential(8, total) if name == "jet" else np.zeros(total)).astype(np.float32),
    }
    if name in CHARGED:
        columns["charge"] = rng.choice([-1.0, 1.0], total).astype(np.float32)
    if name == "particle":
        columns["pdg_id"] = rng.choice([211, -211, 22, 130, 11, -13, 1, 2], total).astype(np.int32)
    return Objects.from_counts(counts, columns)


def record_of(n_events: int = 1, **collections: list[list[dict[str, float]]]) -> ak.Array:
    """A record from plain lists: `collection=[[{"pt": …}, …], …]`, one list per event."""
    built = {}
    for name, events in collections.items():
        objects = [{"eta": 0.0, "phi": 0.0, "mass": 0.0, **values} for event in events for values in event]
        names = objects[0] if objects else ("pt", "eta", "phi", "mass")
        types = {key: np.int32 if key == "pdg_id" else np.float32 for key in names}
        columns = {key: np.array([values[key] for values in objects], types[key]) for key in names}
        built[name] = Objects.from_counts(np.array([len(event) for event in events]), columns)
    return build_record(built, n_events)


def small_particles() -> GraphSpecification:
    """The particle graph with few nodes and neighbours, so that both limits are reached."""
    shipped = load_graph_specification("particles")
    edges = shipped.edges.model_copy(update={"k": 4})
    return shipped.model_copy(update={"name": "particles-small", "max_nodes": 24, "edges": edges})


def small_objects_particles() -> GraphSpecification:
    """Objects and particles together, likewise small."""
    shipped = load_graph_specification("objects-particles")
    edges = shipped.edges.model_copy(update={"k": 5})
    return shipped.model_copy(update={"name": "objects-particles-small", "max_nodes": 28, "edges": edges})


def definition(
    graph: GraphSpecification, *, width: int = 16, layers: int = 2, architecture: Architecture | None = None
) -> ModelDefinition:
    names = (("qcd", False), ("top", False), ("dijet", True), ("leptoquark", True))
    return ModelDefinition(
        graph=graph,
        architecture=architecture or EdgeConvArchitecture(width=width, layers=layers, head_width=16),
        classes=tuple(EventClass(name=name, is_signal=is_signal) for name, is_signal in names),
    )


def network(
    graph: GraphSpecification, *, seed: int = 3, width: int = 16, architecture: Architecture | None = None
) -> GraphNetwork:
    """A network with random weights and a normalisation that brings its inputs to order one."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        built = build_network(definition(graph, width=width, architecture=architecture))
        n_features, n_pairs = len(graph.feature_names), len(graph.pair_features)
        built.set_normalisation(
            features=(torch.full((n_features,), 1.0), torch.full((n_features,), 2.0)),
            pairs=(torch.full((n_pairs,), 1.0), torch.full((n_pairs,), 3.0)),
        )
        with torch.no_grad():
            built.head.weight *= 4  # scores that differ by far more than rounding
    return built.eval()
