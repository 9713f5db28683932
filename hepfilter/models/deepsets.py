"""Deep sets (M. Zaheer et al., arXiv:1703.06114; energy flow networks, arXiv:1810.05165): the cheap baseline.

Every node goes through the same blocks x ← norm(x + mlp(x)); mean, maximum and number of the nodes are read out. Pairs
are not looked at, so that the cost grows as the number of nodes. Both ways share all but the pooling.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from hepfilter.config.model import DeepSetsArchitecture, ModelDefinition
from hepfilter.graphs.padded import PaddedGraphs
from hepfilter.models.network import GraphNetwork, Readout, pool_padded

if TYPE_CHECKING:
    from torch_geometric.data import Batch


class NodeBlock(nn.Module):
    """One block on each node by itself: x [..., C] → [..., C]."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.mix, self.out = nn.Linear(width, width), nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """As the class says."""
        new: Tensor = self.norm(x + self.dropout(self.out(torch.relu(self.mix(x)))))
        return new


class DeepSetsNet(GraphNetwork):
    """Encoder, blocks on nodes, pooled readout."""

    def __init__(self, definition: ModelDefinition) -> None:
        architecture = definition.architecture
        assert isinstance(architecture, DeepSetsArchitecture)
        super().__init__(definition, latent_width=architecture.head_width)
        width = architecture.width
        blocks = (NodeBlock(width, architecture.dropout) for _ in range(architecture.layers))
        self.nodes = nn.Sequential(nn.Linear(self.num_features, width), nn.ReLU(), *blocks)
        self.readout = Readout(width, architecture.head_width, architecture.dropout)

    def embed(self, batch: "Batch") -> Tensor:
        """As the base class says."""
        from hepfilter.models.message_passing import pool

        x = self.nodes(self.normalised_features(batch.x))
        latent: Tensor = self.readout(*pool(x, batch.batch, batch.num_graphs))
        return latent

    def embed_padded(self, graphs: PaddedGraphs, *, workspace: Tensor | None = None) -> Tensor:
        """As the base class says; the workspace is not needed."""
        x = self.nodes(self.normalised_features(graphs.features))
        latent: Tensor = self.readout(*pool_padded(x, graphs.mask))
        return latent

    def workspace_size(self, n_events: int, n_nodes: int) -> int:
        """As the base class says; there are no pairs."""
        return n_events * n_nodes * self.definition.architecture.width
