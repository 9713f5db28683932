"""The reference way through the edge convolution: torch-geometric's message passing over edge lists."""

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing
from torch_geometric.utils import scatter


class EdgeMessages(MessagePassing):  # type: ignore[misc]  # torch-geometric has no types
    """Mean and maximum of the messages to each node."""

    def __init__(self) -> None:
        super().__init__(aggr=["mean", "max"])

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor, linear: nn.Linear) -> Tensor:
        """x [V, C], edge_index [2, E], normalised edge_attr [E, P] → [V, 2C]; zeros for a node without neighbours."""
        aggregated: Tensor = self.propagate(edge_index, x=x, edge_attr=edge_attr, linear=linear)
        return aggregated

    def message(self, x_i: Tensor, x_j: Tensor, edge_attr: Tensor, linear: nn.Linear) -> Tensor:
        """[E, C] messages from neighbour j to node i."""
        return torch.relu(linear(torch.cat([x_i, x_j - x_i, edge_attr], dim=-1)))


def pool(x: Tensor, event: Tensor, n_events: int) -> tuple[Tensor, Tensor, Tensor]:
    """Mean [B, C], maximum [B, C] and count [B, 1] of the nodes [V, C] of each event; zeros without nodes."""
    mean: Tensor = scatter(x, event, dim=0, dim_size=n_events, reduce="mean")
    maximum: Tensor = scatter(x, event, dim=0, dim_size=n_events, reduce="max")
    return mean, maximum, torch.bincount(event, minlength=n_events).to(x.dtype).unsqueeze(1)
