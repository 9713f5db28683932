"""The edge-convolution network, with two ways through the same weights.

A layer is ParticleNet's edge convolution (H. Qu, L. Gouskos, arXiv:1902.08570) with the pair features e of the Particle
Transformer (arXiv:2202.03772) in the message. With layer norm (`EdgeConvLayer`), after an encoder of the nodes:

    m_ij = relu(W [x_i, x_j − x_i, e_ij] + b)
    x_i ← norm(x_i + mlp([x_i, mean_j m_ij, max_j m_ij]))

With batch norm (`NormedEdgeConvLayer`), which learns in fewer steps, and costs nothing more when it has learnt:

    m_ij = relu(norm(W [x_i, x_j − x_i, e_ij]))
    x_i ← relu(norm(V [x_i, mean_j m_ij]))

and of the nodes their mean alone is read. No maximum there: in the first steps it follows single nodes, and learning is
slowed down by as much as without batch norm.

`EdgeConvNet.embed` passes these messages and is the reference. `EdgeConvNet.embed_padded` is the fast way: with
W = [W₁ W₂ W₃], W₁x_i + W₂(x_j − x_i) + W₃e_ij = (W₁ − W₂)x_i + W₂x_j + W₃e_ij, so that only W₃, a few columns wide, is
applied pair by pair. Where the architecture is dynamic, the neighbours of every layer but the first are the nearest in
the space of x.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from hepfilter.config.model import EdgeConvArchitecture, ModelDefinition
from hepfilter.graphs.padded import PaddedGraphs
from hepfilter.graphs.pairs import DensePairs, feature_space_pairs
from hepfilter.models.network import GraphNetwork, MeanReadout, Readout, pool_padded
from hepfilter.models.normed import NormedLinear

if TYPE_CHECKING:
    from torch_geometric.data import Batch


@dataclass(frozen=True)
class PreparedPairs:
    """The edges as the layers want them, computed once for all of them.

    attributes:    [B·N·K, P + 1] normalised pair features, with a last column that is 1 where no edge is.
    index:         [B·N·K] int64 neighbours as rows of the flattened nodes; None if neighbour k is node k.
    inverse_count: [B, N, 1] one over the number of neighbours; 1 where there is none.
    there:         [B, N] bool, the nodes that exist.
    k:             K.
    """

    attributes: Tensor
    index: Tensor | None
    inverse_count: Tensor
    there: Tensor
    k: int

    @property
    def no_edge(self) -> Tensor:
        """[B·N·K] bool."""
        return self.attributes[:, -1] > 0


class EdgeConvLayer(nn.Module):
    """One edge convolution with layer norm: the weights, the dense way, and the update of the nodes of both ways."""

    def __init__(self, width: int, n_pair_features: int, dropout: float) -> None:
        super().__init__()
        self.edge = nn.Linear(2 * width + n_pair_features, width)
        self.mix = nn.Linear(3 * width, width)
        self.out = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def update(self, x: Tensor, received: Tensor, there: Tensor | None = None) -> Tensor:
        """[..., C] nodes and the mean and maximum of their messages [..., 2C] → the new nodes [..., C]."""
        mixed = self.mix(torch.cat([x, received], dim=-1)).relu_()
        new: Tensor = self.norm(x + self.dropout(self.out(mixed)))
        return new

    def forward(self, x: Tensor, pairs: PreparedPairs, workspace: Tensor | None) -> Tensor:
        """The dense way: nodes x [B, N, C] and their edges → the new nodes [B, N, C]."""
        messages, over = dense_messages(x, pairs, self.edge.weight, self.edge.bias, workspace)
        messages.relu_()
        return self.update(x, torch.cat([messages.sum(over) * pairs.inverse_count, messages.amax(over)], dim=-1))


class NormedEdgeConvLayer(nn.Module):
    """One edge convolution with batch norm, from nodes of any width: as `EdgeConvLayer`."""

    def __init__(self, n_in: int, width: int, n_pair_features: int, dropout: float) -> None:
        super().__init__()
        self.edge = NormedLinear(2 * n_in + n_pair_features, width)
        self.mix = NormedLinear(n_in + width, width)
        self.dropout = nn.Dropout(dropout)

    def update(self, x: Tensor, received: Tensor, there: Tensor | None = None) -> Tensor:
        """[..., C] nodes and the mean of their messages [..., width] → the new nodes [..., width].

        `there` [...] are those that exist; all if None.
        """
        new: Tensor = self.dropout(self.mix(torch.cat([x, received], dim=-1), there).relu())
        return new

    def forward(self, x: Tensor, pairs: PreparedPairs, workspace: Tensor | None) -> Tensor:
        """The dense way: nodes x [B, N, C] and their edges → the new nodes [B, N, width]."""
        if self.training:
            raw, over = dense_messages(x, pairs, self.edge.weight, None, None)
            no_edge = pairs.no_edge.view(raw.shape[:-1])
            normalised = self.edge.normalised(raw.masked_fill(no_edge.unsqueeze(-1), 0.0), ~no_edge)
            messages = normalised.relu().masked_fill(no_edge.unsqueeze(-1), 0.0)
        else:
            messages, over = dense_messages(x, pairs, *self.edge.folded(), workspace)
            messages.relu_()
        return self.update(x, messages.sum(over) * pairs.inverse_count, pairs.there)


def dense_messages(
    x: Tensor, pairs: PreparedPairs, weight: Tensor, bias: Tensor | None, workspace: Tensor | None
) -> tuple[Tensor, int]:
    """W [x_i, x_j − x_i, e_ij] + b for nodes x [B, N, C], W [width, 2C + P] and b [width], 0 if None.

    [B, K, N, width] with neighbours along dimension 1 where all nodes are joined, which is faster to reduce over, else
    [B, N, K, width]; and that dimension. Where no edge is, it is so low that relu makes it 0.
    """
    n_events, n_nodes, n_in = x.shape
    width = len(weight)
    own, other, pair = weight.tensor_split((n_in, 2 * n_in), dim=1)
    bias = None if bias is None else torch.cat([bias, bias.new_zeros(width)])
    target, source = nn.functional.linear(x, torch.cat([own - other, other]), bias).chunk(2, dim=2)
    space = None if workspace is None else workspace.view(source.dtype)[: len(pairs.attributes) * width]
    if pairs.index is None:
        out = None if space is None else space.view(n_events, n_nodes, n_nodes, width)
        messages, over = torch.add(target.unsqueeze(1), source.unsqueeze(2), out=out), 1
    else:
        out = None if space is None else space.view(-1, width)
        gathered = torch.index_select(source.reshape(-1, width), 0, pairs.index, out=out)
        messages, over = gathered.view(n_events, n_nodes, pairs.k, width).add_(target.unsqueeze(2)), 2
    # Where no edge is, so much is taken away that relu gives exactly 0, which neither sum nor maximum (≥ 0) feels.
    columns = torch.cat([pair.t(), pair.new_full((1, width), torch.finfo(messages.dtype).min / 2)])
    messages.view(-1, width).addmm_(pairs.attributes.to(messages.dtype), columns.to(messages.dtype))
    return messages, over


class EdgeConvNet(GraphNetwork):
    """Edge convolutions, after an encoder where they have layer norm, and a pooled readout."""

    def __init__(self, definition: ModelDefinition) -> None:
        architecture = definition.architecture
        assert isinstance(architecture, EdgeConvArchitecture)
        super().__init__(definition, latent_width=architecture.head_width)
        width, further = architecture.width, (self.num_pair_features, architecture.dropout)
        self.uses_batch_statistics = architecture.norm == "batch"
        self.encoder: nn.Module
        if self.uses_batch_statistics:
            self.encoder = nn.Identity()
            self.readout: nn.Module = MeanReadout(width, architecture.head_width, architecture.dropout)
            widths = [self.num_features, *[width] * (architecture.layers - 1)]
            self.layers = nn.ModuleList(NormedEdgeConvLayer(n_in, width, *further) for n_in in widths)
        else:
            self.encoder = nn.Sequential(nn.Linear(self.num_features, width), nn.ReLU(), nn.Linear(width, width))
            self.layers = nn.ModuleList(EdgeConvLayer(width, *further) for _ in range(architecture.layers))
            self.readout = Readout(width, architecture.head_width, architecture.dropout)
        self.dynamic = architecture.dynamic

    def embed(self, batch: "Batch") -> Tensor:
        """As the base class says."""
        # Imported here: torch-geometric takes seconds to import, and scoring goes the dense way.
        from hepfilter.models.message_passing import EdgeMessages, feature_space_edges, pool

        passing = EdgeMessages(["mean"] if self.uses_batch_statistics else ["mean", "max"])
        x = self.encoder(self.normalised_features(batch.x))
        edge_index, edge_attr = batch.edge_index, batch.edge_attr
        for number, layer in enumerate(self.layers):
            assert isinstance(layer, EdgeConvLayer | NormedEdgeConvLayer)
            if self.dynamic and number > 0:
                edge_index, edge_attr = feature_space_edges(x, batch, self.definition.graph)
            x = layer.update(x, passing(x, edge_index, self.normalised_pairs(edge_attr), layer.edge))
        latent: Tensor = self.readout(*pool(x, batch.batch, batch.num_graphs))
        return latent

    def embed_padded(self, graphs: PaddedGraphs, *, workspace: Tensor | None = None) -> Tensor:
        """As the base class says; memory grows as B·N·K·width."""
        pairs = self._prepared(self.pairs_of(graphs), graphs.mask)
        x = self.encoder(self.normalised_features(graphs.features))
        for number, layer in enumerate(self.layers):
            if self.dynamic and number > 0:
                nearest = feature_space_pairs(x, graphs.momenta, graphs.mask, self.definition.graph)
                pairs = self._prepared(nearest, graphs.mask)
            x = layer(x, pairs, workspace)
        latent: Tensor = self.readout(*pool_padded(x, graphs.mask))
        return latent

    def _prepared(self, pairs: DensePairs, there: Tensor) -> PreparedPairs:
        """Normalise the pair features and mark where no edge is."""
        normalised = self.normalised_pairs(pairs.attributes)
        no_edge = (~pairs.valid).unsqueeze(-1).to(normalised.dtype)
        attributes = torch.cat([normalised, no_edge], dim=-1).flatten(0, 2)
        inverse_count = 1 / pairs.valid.sum(2).clamp_min(1).unsqueeze(-1).to(normalised.dtype)
        if pairs.index is None:
            return PreparedPairs(attributes, None, inverse_count, there, pairs.valid.shape[2])
        n_events, n_nodes, k = pairs.index.shape
        first = torch.arange(0, n_events * n_nodes, n_nodes, device=pairs.index.device)
        index = (pairs.index + first.view(-1, 1, 1)).flatten()
        return PreparedPairs(attributes, index, inverse_count, there, k)
