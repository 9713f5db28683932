"""The edges of padded graphs in dense form: the one place that says which pairs of nodes are joined."""

from dataclasses import dataclass

import torch
from torch import Tensor

from hepfilter.config.graph import GraphSpecification
from hepfilter.graphs.features import Kinematics, pair_features
from hepfilter.graphs.neighbours import nearest_neighbours


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
    neighbours = nearest_neighbours(momenta, mask, k=specification.edges.k)
    others = nodes.gathered(neighbours.index)
    attributes = pair_features(nodes.unsqueezed(2), others, specification.pair_features)
    return DensePairs(attributes, neighbours.valid, neighbours.index)
