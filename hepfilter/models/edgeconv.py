"""The edge-convolution network, with two ways through the same weights.

A layer is ParticleNet's edge convolution (H. Qu, L. Gouskos, arXiv:1902.08570) with the pair features e of the Particle
Transformer (arXiv:2202.03772) in the message, and layer norm, so that no score depends on the batch:

    m_ij = relu(W [x_i, x_j − x_i, e_ij] + b)
    x_i ← norm(x_i + mlp([x_i, mean_j m_ij, max_j m_ij]))

`EdgeConvNet.forward` takes a `torch_geometric.data.Batch` and is the reference. `EdgeConvNet.forward_padded` is the
fast way: with W = [W₁ W₂ W₃], W₁x_i + W₂(x_j − x_i) + W₃e_ij = (W₁ − W₂)x_i + W₂x_j + W₃e_ij, so that only W₃, a few
columns wide, is applied pair by pair.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from hepfilter.config.model import ModelDefinition
from hepfilter.graphs.padded import PaddedGraphs
from hepfilter.graphs.pairs import DensePairs, dense_pairs

if TYPE_CHECKING:
    from torch_geometric.data import Batch


@dataclass(frozen=True)
class PreparedPairs:
    """The edges as the layers want them, computed once for all of them.

    attributes:    [B·N·K, P + 1] normalised pair features, with a last column that is 1 where no edge is.
    index:         [B·N·K] int64 neighbours as rows of the flattened nodes; None if neighbour k is node k.
    inverse_count: [B, N, 1] one over the number of neighbours; 1 where there is none.
    k:             K.
    """

    attributes: Tensor
    index: Tensor | None
    inverse_count: Tensor
    k: int


class EdgeConvLayer(nn.Module):
    """One edge convolution: the weights, the dense way, and the update of the nodes that both ways share."""

    def __init__(self, width: int, n_pair_features: int, dropout: float) -> None:
        super().__init__()
        self.edge = nn.Linear(2 * width + n_pair_features, width)
        self.mix = nn.Linear(3 * width, width)
        self.out = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def update(self, x: Tensor, mean: Tensor, maximum: Tensor) -> Tensor:
        """[..., C] nodes and the mean and maximum of their messages → the new nodes [..., C]."""
        mixed = self.mix(torch.cat([x, mean, maximum], dim=-1)).relu_()
        new: Tensor = self.norm(x + self.dropout(self.out(mixed)))
        return new

    def forward(self, x: Tensor, pairs: PreparedPairs, workspace: Tensor | None) -> Tensor:
        """The dense way: nodes x [B, N, C] and their edges → the new nodes [B, N, C]."""
        n_events, n_nodes, width = x.shape
        own, other, pair = self.edge.weight.tensor_split((width, 2 * width), dim=1)
        bias = torch.cat([self.edge.bias, self.edge.bias.new_zeros(width)])
        target, source = nn.functional.linear(x, torch.cat([own - other, other]), bias).chunk(2, dim=2)
        space = None if workspace is None else workspace[: len(pairs.attributes) * width]
        if pairs.index is None:
            # Neighbours along dimension 1, nodes along 2: to reduce over the middle of contiguous memory is faster so.
            out = None if space is None else space.view(n_events, n_nodes, n_nodes, width)
            messages, over = torch.add(target.unsqueeze(1), source.unsqueeze(2), out=out), 1
        else:
            out = None if space is None else space.view(-1, width)
            gathered = torch.index_select(source.reshape(-1, width), 0, pairs.index, out=out)
            messages, over = gathered.view(n_events, n_nodes, pairs.k, width).add_(target.unsqueeze(2)), 2
        # Where no edge is, so much is taken away that relu gives exactly 0, which neither sum nor maximum (≥ 0) feels.
        weight = torch.cat([pair.t(), pair.new_full((1, width), torch.finfo(messages.dtype).min / 2)])
        messages.view(-1, width).addmm_(pairs.attributes.to(messages.dtype), weight.to(messages.dtype)).relu_()
        return self.update(x, messages.sum(over) * pairs.inverse_count, messages.amax(over))


class EdgeConvNet(nn.Module):
    """Encoder, edge convolutions, pooled readout and class logits.

    feature_mean, feature_std [F] and pair_mean, pair_std [P] normalise the input; they are buffers, belong to the
    checkpoint and to the model hash, and are set by `set_normalisation` before training.
    """

    feature_mean: Tensor
    feature_std: Tensor
    pair_mean: Tensor
    pair_std: Tensor

    def __init__(self, definition: ModelDefinition) -> None:
        super().__init__()
        self.definition = definition
        architecture = definition.architecture
        n_features, n_pairs = len(definition.graph.feature_names), len(definition.graph.pair_features)
        width = architecture.width
        for name, length in (("feature", n_features), ("pair", n_pairs)):
            self.register_buffer(f"{name}_mean", torch.zeros(length))
            self.register_buffer(f"{name}_std", torch.ones(length))
        self.encoder = nn.Sequential(nn.Linear(n_features, width), nn.ReLU(), nn.Linear(width, width))
        self.layers = nn.ModuleList(
            EdgeConvLayer(width, n_pairs, architecture.dropout) for _ in range(architecture.layers)
        )
        self.pooled = nn.Sequential(nn.Linear(2 * width + 1, architecture.head_width), nn.ReLU())
        self.dropout = nn.Dropout(architecture.dropout)
        self.head = nn.Linear(architecture.head_width, len(definition.classes))

    def set_normalisation(self, *, features: tuple[Tensor, Tensor], pairs: tuple[Tensor, Tensor]) -> None:
        """Mean and standard deviation of the node features [F] and of the pair features [P]."""
        for name, (mean, std) in (("feature", features), ("pair", pairs)):
            getattr(self, f"{name}_mean").copy_(mean)
            getattr(self, f"{name}_std").copy_(std)

    def forward(self, batch: "Batch") -> Tensor:
        """[B, classes] float32 logits by message passing over a batch of `graphs.build`: the reference."""
        # Imported here: torch-geometric takes seconds to import, and scoring goes the dense way.
        from hepfilter.models.message_passing import EdgeMessages, pool

        passing = EdgeMessages()
        x = self._encoded(batch.x)
        edges = (batch.edge_attr - self.pair_mean) / self.pair_std
        for layer in self.layers:
            assert isinstance(layer, EdgeConvLayer)
            mean, maximum = passing(x, batch.edge_index, edges, layer.edge).chunk(2, dim=-1)
            x = layer.update(x, mean, maximum)
        return self._logits(*pool(x, batch.batch, batch.num_graphs))

    def forward_padded(self, graphs: PaddedGraphs, *, workspace: Tensor | None = None) -> Tensor:
        """[B, classes] float32 logits; equal to `forward` of the same graphs up to rounding.

        An event without nodes is read out as zeros: a defined score. Memory grows as B·N·K·width. `workspace` is for
        inference alone: a flat float32 tensor of at least `workspace_size` entries to be overwritten, which saves the
        cost of fresh memory in every layer.
        """
        pairs = self._prepared(dense_pairs(graphs.momenta, graphs.mask, self.definition.graph))
        x = self._encoded(graphs.features)
        for layer in self.layers:
            x = layer(x, pairs, workspace)
        mask = graphs.mask.unsqueeze(2)
        count = graphs.mask.sum(1, keepdim=True).to(x.dtype)
        mean = x.masked_fill(~mask, 0.0).sum(1) / count.clamp_min(1.0)
        maximum = x.masked_fill(~mask, -torch.inf).amax(1).masked_fill(count == 0, 0.0)
        return self._logits(mean, maximum, count)

    def _encoded(self, features: Tensor) -> Tensor:
        """[..., F] → [..., C]."""
        encoded: Tensor = self.encoder((features - self.feature_mean) / self.feature_std)
        return encoded

    def workspace_size(self, n_events: int, n_nodes: int) -> int:
        """Entries that the workspace of `forward_padded` needs for this shape."""
        k = self.definition.graph.edges.k
        return n_events * n_nodes * (n_nodes if k is None else min(k, n_nodes)) * self.definition.architecture.width

    def _prepared(self, pairs: DensePairs) -> PreparedPairs:
        """Normalise the pair features and mark where no edge is."""
        normalised = (pairs.attributes - self.pair_mean) / self.pair_std
        no_edge = (~pairs.valid).unsqueeze(-1).to(normalised.dtype)
        attributes = torch.cat([normalised, no_edge], dim=-1).flatten(0, 2)
        inverse_count = 1 / pairs.valid.sum(2).clamp_min(1).unsqueeze(-1).to(normalised.dtype)
        if pairs.index is None:
            return PreparedPairs(attributes, None, inverse_count, pairs.valid.shape[2])
        n_events, n_nodes, k = pairs.index.shape
        first = torch.arange(0, n_events * n_nodes, n_nodes, device=pairs.index.device)
        return PreparedPairs(attributes, (pairs.index + first.view(-1, 1, 1)).flatten(), inverse_count, k)

    def _logits(self, mean: Tensor, maximum: Tensor, count: Tensor) -> Tensor:
        """The readout: mean [B, C], maximum [B, C] and count [B, 1] of the nodes; the last layer is always float32."""
        hidden = self.dropout(self.pooled(torch.cat([mean, maximum, torch.log1p(count)], dim=-1)))
        with torch.autocast(hidden.device.type, enabled=False):
            logits: Tensor = self.head(hidden.float())
        return logits
