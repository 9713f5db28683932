"""What every network must fulfil, whatever its architecture: derive from `ModelChecks`, with a fixture `model`."""

import awkward as ak
import numpy as np
import torch
from torch import Tensor

from hepfilter.events.record import COLLECTIONS, Objects, build_record
from hepfilter.graphs.build import batch_of, build_padded
from hepfilter.graphs.padded import PaddedGraphs
from hepfilter.models.network import GraphNetwork
from tests.graph_records import random_record, record_of

TOLERANCE = 1e-5


def dense(model: GraphNetwork, graphs: PaddedGraphs) -> Tensor:
    with torch.inference_mode():
        return model.forward_padded(graphs)


def reference(model: GraphNetwork, graphs: PaddedGraphs) -> Tensor:
    with torch.inference_mode():
        return model(batch_of(graphs, model.definition.graph))


def separated(n_events: int, *, seed: int) -> ak.Array:
    """A record in which no two objects of an event are closer than 0.3 in ΔR: float32 leaves their distance exact."""
    record = random_record(n_events, seed=seed)
    rng = np.random.default_rng(seed)
    collections = {}
    for shift, name in enumerate(COLLECTIONS):
        objects = record[name]
        counts = np.asarray(ak.num(objects))
        columns = {field: np.array(ak.to_numpy(ak.flatten(objects[field]))) for field in objects.fields}
        rank = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        place = rank * len(COLLECTIONS) + shift  # every object of an event on its own place of a lattice in (η, φ)
        if name != "met":
            columns["eta"] = (-2.2 + 0.37 * (place % 12) + rng.uniform(-0.01, 0.01, len(place))).astype(np.float32)
        columns["phi"] = (-3.0 + 0.37 * ((place // 12 + place) % 16) + rng.uniform(-0.01, 0.01, len(place))).astype(
            np.float32
        )
        collections[name] = Objects.from_counts(counts, columns)
    return build_record(collections, n_events)


def moved(graphs: PaddedGraphs, *, rotate: float = 0.0, reflect: bool = False) -> PaddedGraphs:
    """The same events rotated about the beam, or reflected in η. Node features know of neither, so they stay."""
    pt, eta, phi, mass = graphs.momenta.double().unbind(-1)
    phi = torch.remainder(phi + rotate + torch.pi, 2 * torch.pi) - torch.pi
    momenta = torch.stack([pt, -eta if reflect else eta, phi, mass], dim=-1).float()
    return PaddedGraphs(graphs.features, momenta * graphs.mask.unsqueeze(2), graphs.mask)


class ModelChecks:
    """Needs a fixture `model`: a network in evaluation mode."""

    def test_both_ways_give_the_same(self, model: GraphNetwork) -> None:
        graphs = build_padded(random_record(200, seed=1), model.definition.graph)
        assert torch.allclose(dense(model, graphs), reference(model, graphs), atol=TOLERANCE, rtol=0)
        assert dense(model, graphs).std(0).min() > 100 * TOLERANCE

    def test_few_nodes(self, model: GraphNetwork) -> None:
        """Events with 0, 1, 2, … objects of each collection in turn."""
        graph = model.definition.graph
        for name in graph.collections:
            events = [[{"pt": 90.0 - i, "eta": 0.1 * i, "phi": 0.3 * i} for i in range(n)] for n in range(4)]
            graphs = build_padded(record_of(4, **{name: events}), graph)
            found = dense(model, graphs)
            assert found.isfinite().all()
            assert torch.allclose(found, reference(model, graphs), atol=TOLERANCE, rtol=0)

    def test_no_nodes_give_one_defined_score(self, model: GraphNetwork) -> None:
        graph = model.definition.graph
        graphs = build_padded(record_of(3), graph)
        alone = dense(model, graphs)
        among = dense(model, build_padded(ak.concatenate([record_of(1), random_record(5)]), graph))
        assert alone.isfinite().all()
        assert torch.equal(alone[0], alone[2])
        assert torch.allclose(among[0], alone[0], atol=TOLERANCE, rtol=0)
        assert torch.allclose(reference(model, graphs), alone, atol=TOLERANCE, rtol=0)

    def test_no_events(self, model: GraphNetwork) -> None:
        graphs = build_padded(record_of(0), model.definition.graph)
        assert dense(model, graphs).shape == (0, len(model.definition.classes))
        assert reference(model, graphs).shape == (0, len(model.definition.classes))

    def test_order_of_nodes(self, model: GraphNetwork) -> None:
        graphs = build_padded(random_record(60, seed=2), model.definition.graph)
        generator = torch.Generator().manual_seed(0)
        keys = torch.rand(graphs.mask.shape, generator=generator).masked_fill(~graphs.mask, 2.0)
        order = keys.argsort(dim=1)  # existing nodes shuffled, empty places still last
        event = torch.arange(60).unsqueeze(1)
        shuffled = PaddedGraphs(graphs.features[event, order], graphs.momenta[event, order], graphs.mask[event, order])
        assert torch.allclose(dense(model, shuffled), dense(model, graphs), atol=TOLERANCE, rtol=0)

    def test_rotation_about_the_beam(self, model: GraphNetwork) -> None:
        graphs = build_padded(separated(60, seed=3), model.definition.graph)
        for angle in (0.5, 2.0, -3.0):
            found = dense(model, moved(graphs, rotate=angle))
            assert torch.allclose(found, dense(model, graphs), atol=TOLERANCE, rtol=0)

    def test_reflection(self, model: GraphNetwork) -> None:
        graphs = build_padded(separated(60, seed=4), model.definition.graph)
        assert torch.allclose(dense(model, moved(graphs, reflect=True)), dense(model, graphs), atol=TOLERANCE, rtol=0)

    def test_distances_matter(self, model: GraphNetwork) -> None:
        """Else the symmetries would hold for the wrong reason."""
        graphs = build_padded(separated(60, seed=5), model.definition.graph)
        squeezed = graphs.momenta * torch.tensor([1.0, 0.5, 0.5, 1.0])
        found = dense(model, PaddedGraphs(graphs.features, squeezed, graphs.mask))
        assert (found - dense(model, graphs)).abs().max() > 100 * TOLERANCE

    def test_composition_of_the_batch(self, model: GraphNetwork) -> None:
        graphs = build_padded(random_record(40, seed=6), model.definition.graph)
        together = dense(model, graphs)
        alone = torch.cat([dense(model, graphs.select(slice(i, i + 1))) for i in range(40)])
        assert torch.allclose(alone, together, atol=TOLERANCE, rtol=0)

    def test_padding(self, model: GraphNetwork) -> None:
        """More room, and whatever stands in it, changes nothing."""
        graphs = build_padded(random_record(40, seed=7), model.definition.graph)
        room = torch.zeros(40, 5, dtype=torch.bool)
        noise = torch.Generator().manual_seed(1)
        padded = PaddedGraphs(
            torch.cat([graphs.features, torch.randn(40, 5, graphs.features.shape[2], generator=noise)], dim=1),
            torch.cat([graphs.momenta, torch.rand(40, 5, 4, generator=noise)], dim=1),
            torch.cat([graphs.mask, room], dim=1),
        )
        assert torch.allclose(dense(model, padded), dense(model, graphs), atol=TOLERANCE, rtol=0)

    def test_a_workspace_changes_no_bit(self, model: GraphNetwork) -> None:
        graphs = build_padded(random_record(40, seed=8), model.definition.graph)
        workspace = torch.full((model.workspace_size(*graphs.mask.shape) + 7,), torch.nan)
        with torch.inference_mode():
            assert torch.equal(model.forward_padded(graphs, workspace=workspace), model.forward_padded(graphs))

    def test_both_ways_have_the_same_gradients(self, model: GraphNetwork) -> None:
        graphs = build_padded(random_record(30, seed=9), model.definition.graph)
        gradients = []
        for logits in (model.forward_padded(graphs), model(batch_of(graphs, model.definition.graph))):
            model.zero_grad()
            logits.logsumexp(1).sum().backward()
            gradients.append({name: weight.grad for name, weight in model.named_parameters()})
        for name, gradient in gradients[0].items():
            assert gradient is not None, name
            scale = float(gradient.abs().max())
            assert scale > 0, name
            assert torch.allclose(gradient, gradients[1][name], atol=1e-4 * scale, rtol=0), name
        model.zero_grad()
