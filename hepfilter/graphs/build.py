"""From event records to graphs: a padded view, or one torch-geometric batch; both of the same nodes and edges."""

from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch import Tensor

from hepfilter.config.graph import GraphSpecification
from hepfilter.graphs import keys
from hepfilter.graphs.features import node_features
from hepfilter.graphs.nodes import FlatNodes, collect_nodes
from hepfilter.graphs.padded import PaddedGraphs
from hepfilter.graphs.pairs import dense_pairs, edge_list

if TYPE_CHECKING:
    import awkward as ak
    from torch_geometric.data import Batch

_PAIRS_AT_ONCE: Final = 2**20


def build_padded(record: "ak.Array", specification: GraphSpecification) -> PaddedGraphs:
    """The events of `record` as padded graphs with N = `specification.max_nodes`, on the CPU, in the record's order.

    An empty record gives B = 0; an event without objects has an empty row of the mask.
    """
    return pad_nodes(collect_nodes(record, specification), specification, n_events=len(record))


def pad_nodes(nodes: FlatNodes, specification: GraphSpecification, *, n_events: int) -> PaddedGraphs:
    """The nodes of `n_events` events as padded graphs with N = `specification.max_nodes`, on the CPU."""
    n_nodes, n_features = specification.max_nodes, len(specification.feature_names)
    row = nodes.event * n_nodes + nodes.position
    features = np.zeros((n_events * n_nodes, n_features), dtype=np.float32)
    features[row] = node_features(nodes, specification, n_events=n_events)
    momenta = np.zeros((n_events * n_nodes, 4), dtype=np.float32)
    momenta[row] = np.stack([nodes.pt, nodes.eta, nodes.phi, nodes.mass], axis=1)
    mask = np.zeros(n_events * n_nodes, dtype=np.bool_)
    mask[row] = True
    return PaddedGraphs(
        torch.from_numpy(features).view(n_events, n_nodes, n_features),
        torch.from_numpy(momenta).view(n_events, n_nodes, 4),
        torch.from_numpy(mask).view(n_events, n_nodes),
    )


def build_batch(record: "ak.Array", specification: GraphSpecification) -> "Batch":
    """The events of `record` as one `torch_geometric.data.Batch` with the keys of `hepfilter.graphs.keys`."""
    return batch_of(build_padded(record, specification), specification)


def batch_of(graphs: PaddedGraphs, specification: GraphSpecification) -> "Batch":
    """The same graphs as one `torch_geometric.data.Batch`; it can be taken apart with ``to_data_list``.

    edge_index is [2, 0] and edge_attr [0, P] where there is no edge at all.
    """
    # Imported here: it takes seconds, and scoring does without.
    from torch_geometric.data import Batch, Data

    counts = graphs.node_counts
    ptr = _offsets(counts)
    edge_index, edge_attr, edge_counts = _edges(graphs, specification, ptr)
    event = torch.repeat_interleave(torch.arange(len(graphs), device=counts.device), counts)
    batch = Batch(
        _base_cls=Data,
        **{
            keys.X: graphs.features[graphs.mask],
            keys.MOMENTUM: graphs.momenta[graphs.mask],
            keys.EDGE_INDEX: edge_index,
            keys.EDGE_ATTR: edge_attr,
            keys.BATCH: event,
            keys.PTR: ptr,
        },
    )
    edge_ptr, nothing = _offsets(edge_counts), torch.zeros_like(ptr[:-1])
    slices = {keys.X: ptr, keys.MOMENTUM: ptr, keys.EDGE_INDEX: edge_ptr, keys.EDGE_ATTR: edge_ptr}
    batch._num_graphs = len(graphs)
    batch._slice_dict = slices
    batch._inc_dict = {key: ptr[:-1] if key == keys.EDGE_INDEX else nothing for key in slices}
    return batch


def _edges(graphs: PaddedGraphs, specification: GraphSpecification, ptr: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """edge_index [2, E], edge_attr [E, P] and edges per event [B], a bounded number of pairs at a time."""
    step = max(1, _PAIRS_AT_ONCE // graphs.mask.shape[1] ** 2)
    indices = [torch.zeros((2, 0), dtype=torch.int64, device=ptr.device)]
    attributes = [torch.zeros((0, len(specification.pair_features)), device=ptr.device)]
    counts = [torch.zeros(0, dtype=torch.int64, device=ptr.device)]
    for start in range(0, len(graphs), step):
        part = graphs.select(slice(start, start + step))
        pairs = dense_pairs(part.momenta, part.mask, specification)
        edge_index, edge_attr = edge_list(pairs, ptr[start : start + len(part)])
        indices.append(edge_index)
        attributes.append(edge_attr)
        counts.append(pairs.valid.sum((1, 2)))
    return torch.cat(indices, dim=1), torch.cat(attributes), torch.cat(counts)


def _offsets(counts: Tensor) -> Tensor:
    """[n + 1] running sum of `counts` [n], beginning with 0."""
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)])
