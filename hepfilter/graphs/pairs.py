"""The edges of padded graphs in dense form: the one place that says which pairs of nodes are joined."""

from dataclasses import dataclass

import torch
from torch import Tensor

from hepfilter.config.graph import GraphSpecification
from hepfilter.graphs.features import Kinematics, pair_features
from hepfilter.graphs.neighbours import Neighbours, nearest_in_features, nearest_neighbours


@dataclass(frozen=True)
class DensePairs:
    """For each node of B events with N places its K possible neighbours.

    attributes: [B, N, K, P] pair features, finite also where no edge is.
    valid:      [B, N, K] bool, true where there is an edge.
    index:      [B, N, K] int64 neighbour within the event; None when neighbour k is node k (fully connected, K = N).
    """

    attributes: Tensor
    valid: Tensor
    index: Tensor | None


def dense_pairs(momenta: Tensor, mask: Tensor, specification: GraphSpecification) -> DensePairs:
    """The edges of events with [B, N, 4] momenta and [B, N] mask. Memory grows as B·N², so cut large B into pieces."""
    nodes = Kinematics.of(momenta)
    if specification.edges.k is None:
        order = torch.arange(mask.shape[1], device=mask.device)
        valid = mask.unsqueeze(2) & mask.unsqueeze(1) & (order.unsqueeze(1) != order)
        attributes = pair_features(nodes.unsqueezed(2), nodes.unsqueezed(1), specification.pair_features)
        return DensePairs(attributes, valid, None)
    return _neighbour_pairs(nodes, nearest_neighbours(momenta, mask, k=specification.edges.k), specification)


def feature_space_pairs(x: Tensor, momenta: Tensor, mask: Tensor, specification: GraphSpecification) -> DensePairs:
    """As `dense_pairs` for edges of kind knn, but each node is joined to its nearest in the space of x [B, N, C]."""
    assert specification.edges.k is not None
    neighbours = nearest_in_features(x, mask, k=specification.edges.k)
    return _neighbour_pairs(Kinematics.of(momenta), neighbours, specification)


def edge_list(pairs: DensePairs, first: Tensor) -> tuple[Tensor, Tensor]:
    """edge_index [2, E] and edge_attr [E, P] as in `graphs.keys`; `first` [B] numbers each event's first node."""
    event, target, slot = pairs.valid.nonzero(as_tuple=True)
    source = slot if pairs.index is None else pairs.index[event, target, slot]
    return torch.stack([first[event] + source, first[event] + target]), pairs.attributes[event, target, slot]


def _neighbour_pairs(nodes: Kinematics, neighbours: Neighbours, specification: GraphSpecification) -> DensePairs:
    """The pairs of the nodes [B, N] and their neighbours."""
    others = nodes.gathered(neighbours.index)
    attributes = pair_features(nodes.unsqueezed(2), others, specification.pair_features)
    return DensePairs(attributes, neighbours.valid, neighbours.index)
