"""The reference ways through the networks: torch-geometric's message passing over edge lists."""

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch
from torch_geometric.nn import MessagePassing
from torch_geometric.utils import scatter, softmax, to_dense_batch

from hepfilter.config.graph import GraphSpecification
from hepfilter.graphs.pairs import edge_list, feature_space_pairs


class EdgeMessages(MessagePassing):  # type: ignore[misc]  # torch-geometric has no types
    """The messages to each node, aggregated in each of these ways ("mean", "max")."""

    def __init__(self, ways: list[str]) -> None:
        super().__init__(aggr=ways)

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor, linear: nn.Module) -> Tensor:
        """x [V, C], edge_index [2, E], normalised edge_attr [E, P] → [V, ways · width]; zeros without neighbours."""
        aggregated: Tensor = self.propagate(edge_index, x=x, edge_attr=edge_attr, linear=linear)
        return aggregated

    def message(self, x_i: Tensor, x_j: Tensor, edge_attr: Tensor, linear: nn.Module) -> Tensor:
        """[E, C] messages from neighbour j to node i."""
        return torch.relu(linear(torch.cat([x_i, x_j - x_i, edge_attr], dim=-1)))


class AttentionMessages(MessagePassing):  # type: ignore[misc]
    """Scaled dot-product attention of each target over the sources that it has an edge from."""

    def __init__(self) -> None:
        super().__init__(aggr="sum", node_dim=0)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, edge_index: Tensor, bias: Tensor) -> Tensor:
        """query [T, H, D], key and value [S, H, D], edges (source, target) [2, E], bias [E, H] → [T, H, D]."""
        parts = {"query": (None, query), "key": (key, None), "value": (value, None), "bias": bias}
        attended: Tensor = self.propagate(edge_index, size=(len(key), len(query)), **parts)
        return attended

    def message(
        self, query_i: Tensor, key_j: Tensor, value_j: Tensor, bias: Tensor, index: Tensor, size_i: int
    ) -> Tensor:
        """[E, H, D] the values of the sources, weighted."""
        logits = (query_i * key_j).sum(-1) / query_i.shape[-1] ** 0.5
        weighted: Tensor = softmax(logits + bias, index, num_nodes=size_i).unsqueeze(-1) * value_j
        return weighted


def feature_space_edges(x: Tensor, batch: Batch, specification: GraphSpecification) -> tuple[Tensor, Tensor]:
    """edge_index [2, E] and edge_attr [E, P] of each node's nearest by x [V, C], for the nodes of `batch`."""
    room = {"max_num_nodes": specification.max_nodes, "batch_size": batch.num_graphs}
    dense, mask = to_dense_batch(x, batch.batch, **room)
    momenta, _ = to_dense_batch(batch.momentum, batch.batch, **room)
    return edge_list(feature_space_pairs(dense, momenta, mask, specification), batch.ptr[:-1])


def pool(x: Tensor, event: Tensor, n_events: int) -> tuple[Tensor, Tensor, Tensor]:
    """Mean [B, C], maximum [B, C] and count [B, 1] of the nodes [V, C] of each event; zeros without nodes."""
    mean: Tensor = scatter(x, event, dim=0, dim_size=n_events, reduce="mean")
    maximum: Tensor = scatter(x, event, dim=0, dim_size=n_events, reduce="max")
    return mean, maximum, torch.bincount(event, minlength=n_events).to(x.dtype).unsqueeze(1)
