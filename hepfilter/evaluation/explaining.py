"""Which objects, and which edges between them, carry a score: each is taken away by itself, and the event scored again.

An object carries what the score loses without it. The smaller event is built and scored as a file without the object
would be (occlusion: M. Zeiler, R. Fergus, arXiv:1311.2901). An edge carries what the score loses when the two objects
no longer hear of each other. What lowers the score carries less than nothing. It holds for every architecture, and
nothing is drawn at random.

It says what this network made of this event, and claims no cause: an event without one object, but with all others and
the missing momentum as they were, is none that nature makes. What is carried does not add up to the score. Of two
objects that say the same each may carry little, since the other is still there.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hepfilter.graphs.build import pad_nodes
from hepfilter.graphs.nodes import FlatNodes, collect_nodes
from hepfilter.graphs.padded import PaddedGraphs
from hepfilter.graphs.pairs import DensePairs
from hepfilter.models.interest import interest
from hepfilter.models.network import GraphNetwork
from hepfilter.scoring.scorer import Scorer

if TYPE_CHECKING:
    import awkward as ak

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Explanation:
    """What carries the `interest` of one event with V nodes and E edges; all in log-odds, not rounded.

    score: of the whole event.
    nodes: the V nodes, in the order in which the network has them.    carried: [V], what each carries.
    edges: [2, E] pairs of nodes, the lower first, each pair once.     carried_by_edges: [E], what each carries.
    """

    score: float
    nodes: FlatNodes
    carried: Floats
    edges: NDArray[np.int64]
    carried_by_edges: Floats


def explain(scorer: Scorer, record: "ak.Array") -> tuple[Explanation, ...]:
    """What carries the score of each event of `record`; of an event always the same, whatever stands beside it."""
    found = []
    for place in range(len(record)):
        nodes = collect_nodes(record[place : place + 1], scorer.metadata.definition.graph)
        n_nodes = len(nodes.pt)
        scores = score_subsets(scorer, nodes, ~np.eye(n_nodes + 1, n_nodes, dtype=np.bool_))
        edges, carried_by_edges = _explain_edges(scorer, nodes)
        found.append(Explanation(float(scores[-1]), nodes, scores[-1] - scores[:-1], edges, carried_by_edges))
    return tuple(found)


def score_subsets(scorer: Scorer, nodes: FlatNodes, kept: NDArray[np.bool_]) -> Floats:
    """[S]: `interest`, not rounded, of the event with these V nodes when it has but those that `kept` [S, V] says."""
    subset, node = np.nonzero(kept)
    columns = {name: column[node] for name, column in vars(nodes).items()}
    position = (np.cumsum(kept, axis=1) - 1)[subset, node]
    chosen = FlatNodes(**columns | {"event": subset.astype(np.int64), "position": position.astype(np.int64)})
    definition = scorer.metadata.definition
    graphs = pad_nodes(chosen, definition.graph, n_events=len(kept))
    return interest(scorer.logits(graphs), definition.classes).astype(np.float64)


def _explain_edges(scorer: Scorer, nodes: FlatNodes) -> tuple[NDArray[np.int64], Floats]:
    """The edges [2, E] of the event with these V nodes, and what each carries [E]."""
    definition, inference = scorer.metadata.definition, scorer.inference
    n_nodes = max(len(nodes.pt), 1)
    graph = pad_nodes(nodes, definition.graph, n_events=1).cropped(n_nodes).to(inference.device)
    edges = _joined(inference.network.pairs_of(graph), n_nodes)
    number = torch.arange(edges.shape[1], device=edges.device)
    logits = []
    for part in torch.arange(edges.shape[1] + 1).split(inference.events_per_batch(n_nodes)):  # type: ignore[no-untyped-call]
        inside = (number >= part[0]) & (number <= part[-1])  # the last of all is the event as it is
        event, (low, high) = number[inside] - int(part[0]), edges[:, inside]
        cut = torch.zeros((len(part), n_nodes, n_nodes), dtype=torch.bool, device=edges.device)
        cut[event, low, high] = cut[event, high, low] = True
        with torch.inference_mode(), _without_edges(inference.network, cut):
            copies = graph.select(torch.zeros(len(part), dtype=torch.int64, device=edges.device))
            logits.append(inference.network.forward_padded(copies).cpu())
    scores = interest(torch.cat(logits).numpy(), definition.classes).astype(np.float64)
    return edges.cpu().numpy(), scores[-1] - scores[:-1]


def _joined(pairs: DensePairs, n_nodes: int) -> Tensor:
    """[2, E]: the pairs of nodes of one event that an edge joins, in one direction or both."""
    target, slot = pairs.valid[0].nonzero(as_tuple=True)
    source = slot if pairs.index is None else pairs.index[0, target, slot]
    code = torch.unique(torch.minimum(target, source) * n_nodes + torch.maximum(target, source))
    return torch.stack([code // n_nodes, code % n_nodes])


@contextmanager
def _without_edges(network: GraphNetwork, cut: Tensor) -> Iterator[None]:
    """Inside, the network sees B events without the edges of `cut` [B, N, N]: node, neighbour.

    Of a dynamic network only the first layer's: the later ones choose neighbours of their own.
    """
    whole = network.pairs_of

    def pairs_of(graphs: PaddedGraphs) -> DensePairs:
        pairs = whole(graphs)
        gone = cut if pairs.index is None else cut.gather(2, pairs.index)
        return replace(pairs, valid=pairs.valid & ~gone)

    vars(network)["pairs_of"] = pairs_of  # comes before the method of the class
    try:
        yield
    finally:
        del vars(network)["pairs_of"]
