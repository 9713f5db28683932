"""A transformer in the manner of the Particle Transformer (H. Qu, C. Li, S. Qian, arXiv:2202.03772).

The pair features e_ij become through a small network one number u_ij for each head, which is added to the logits
q_i·k_j / √d of the attention in all layers. A node attends to its neighbours and to itself, for which u is a weight of
its own, as no pair feature speaks of it. Blocks are as in that paper, with layer norm before and after the attention;
class attention gathers an event into one vector: a learnt query attends to itself and to all nodes. All norms are layer
norms, so that no score depends on the batch. Keys have no bias: the softmax would not feel it.

`TransformerNet.embed` passes messages over the list of edges and is the reference; `TransformerNet.embed_padded`
attends over all places, with u = −∞ where no edge is.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from hepfilter.config.model import ModelDefinition, TransformerArchitecture
from hepfilter.graphs.padded import PaddedGraphs
from hepfilter.graphs.pairs import DensePairs
from hepfilter.models.network import GraphNetwork

if TYPE_CHECKING:
    from torch_geometric.data import Batch

_FEED_FORWARD = 4
"""The hidden width of the feed-forward part in units of the width, as in the paper."""


class Attention(nn.Module):
    """The projections of multi-head attention, and its dense way."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, width)

    def projected(self, targets: Tensor, sources: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[..., C] → the query of the targets, key and value of the sources, each [..., H, D]."""
        key, value = self.key_value(sources).chunk(2, dim=-1)
        query, key, value = (part.unflatten(-1, (self.heads, -1)) for part in (self.query(targets), key, value))
        return query, key, value

    def forward(self, targets: Tensor, sources: Tensor, bias: Tensor) -> Tensor:
        """targets [B, T, C], sources [B, S, C], bias [B, H or 1, T, S], −∞ where there is no edge → [B, T, C]."""
        query, key, value = (part.transpose(1, 2) for part in self.projected(targets, sources))
        attended = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=bias.to(query.dtype))
        new: Tensor = self.out(attended.transpose(1, 2).flatten(2))
        return new


class Block(nn.Module):
    """One block, up to the attention itself: what is attended with, and the update that both ways share."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.before = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.after = nn.LayerNorm(width)
        hidden = _FEED_FORWARD * width
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, hidden), nn.GELU(), nn.LayerNorm(hidden), nn.Linear(hidden, width)
        )
        self.dropout = nn.Dropout(dropout)

    def update(self, x: Tensor, attended: Tensor) -> Tensor:
        """x [..., C] and what the attention gave [..., C] → the new x."""
        x = x + self.dropout(self.after(attended))
        new: Tensor = x + self.dropout(self.feed_forward(x))
        return new


class TransformerNet(GraphNetwork):
    """Encoder, attention between nodes, class attention."""

    def __init__(self, definition: ModelDefinition) -> None:
        architecture = definition.architecture
        assert isinstance(architecture, TransformerArchitecture)
        super().__init__(definition, latent_width=architecture.head_width)
        width, heads, pair_width = architecture.width, architecture.heads, architecture.pair_width
        self.encoder = nn.Sequential(nn.Linear(self.num_features, width), nn.GELU(), nn.Linear(width, width))
        self.pair_bias = nn.Sequential(
            nn.Linear(self.num_pair_features, pair_width), nn.GELU(),
            nn.Linear(pair_width, pair_width), nn.GELU(),
            nn.Linear(pair_width, heads),
        )  # fmt: skip
        self.self_bias = nn.Parameter(torch.zeros(heads))
        self.blocks = nn.ModuleList(Block(width, heads, architecture.dropout) for _ in range(architecture.layers))
        self.query = nn.Parameter(0.02 * torch.randn(width))
        self.class_blocks = nn.ModuleList(
            Block(width, heads, architecture.dropout) for _ in range(architecture.class_layers)
        )
        self.readout = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, architecture.head_width), nn.GELU())

    def embed(self, batch: "Batch") -> Tensor:
        """As the base class says."""
        from hepfilter.models.message_passing import AttentionMessages

        attend, n_nodes, n_events = AttentionMessages(), len(batch.x), batch.num_graphs
        x = self.encoder(self.normalised_features(batch.x))
        edges, bias = self._with_self(batch.edge_index, self.pair_bias(self.normalised_pairs(batch.edge_attr)), n_nodes)
        for block in self.blocks:
            assert isinstance(block, Block)
            inside = block.before(x)
            attended = attend(*block.attention.projected(inside, inside), edges, bias)
            x = block.update(x, block.attention.out(attended.flatten(1)))
        # Class attention: the queries of the events are sources too; they come first, then the nodes.
        nodes = torch.stack([torch.arange(n_nodes, device=x.device) + n_events, batch.batch])
        edges = torch.cat([torch.arange(n_events, device=x.device).expand(2, -1), nodes], dim=1)
        bias = bias.new_zeros(edges.shape[1], 1)
        summary = self.query.expand(n_events, -1)
        for block in self.class_blocks:
            assert isinstance(block, Block)
            target, sources = block.before(summary), block.before(torch.cat([summary, x]))
            attended = attend(*block.attention.projected(target, sources), edges, bias)
            summary = block.update(summary, block.attention.out(attended.flatten(1)))
        latent: Tensor = self.readout(summary)
        return latent

    def embed_padded(self, graphs: PaddedGraphs, *, workspace: Tensor | None = None) -> Tensor:
        """As the base class says; memory grows as B·heads·N². The workspace is not needed."""
        x = self.encoder(self.normalised_features(graphs.features))
        bias = self._dense_bias(self.pairs_of(graphs))
        for block in self.blocks:
            assert isinstance(block, Block)
            inside = block.before(x)
            x = block.update(x, block.attention(inside, inside, bias))
        there = nn.functional.pad(graphs.mask, (1, 0), value=True)  # the event's own query comes first
        bias = torch.zeros_like(there, dtype=x.dtype).masked_fill(~there, -torch.inf)[:, None, None]
        summary = self.query.expand(len(graphs), 1, -1)
        for block in self.class_blocks:
            assert isinstance(block, Block)
            target, sources = block.before(summary), block.before(torch.cat([summary, x], dim=1))
            summary = block.update(summary, block.attention(target, sources, bias))
        latent: Tensor = self.readout(summary.squeeze(1))
        return latent

    def workspace_size(self, n_events: int, n_nodes: int) -> int:
        """As the base class says: the bias, the pairs' network or the feed-forward part."""
        architecture, k = self.definition.architecture, self.definition.graph.edges.k
        assert isinstance(architecture, TransformerArchitecture)
        pairs = (n_nodes if k is None else min(k, n_nodes)) * architecture.pair_width
        return n_events * n_nodes * max(architecture.heads * n_nodes, pairs, _FEED_FORWARD * architecture.width)

    def _with_self(self, edge_index: Tensor, bias: Tensor, n_nodes: int) -> tuple[Tensor, Tensor]:
        """Edges [2, E] and their bias [E, H], and after them those of each node to itself."""
        own = torch.arange(n_nodes, device=edge_index.device).expand(2, -1)
        return torch.cat([edge_index, own], dim=1), torch.cat([bias, self.self_bias.expand(n_nodes, -1).to(bias.dtype)])

    def _dense_bias(self, pairs: DensePairs) -> Tensor:
        """[B, H, N, N]: node, other node; −∞ where no edge is. A place without node has itself: no row is empty."""
        bias = self.pair_bias(self.normalised_pairs(pairs.attributes)).permute(0, 3, 1, 2)
        n_nodes = bias.shape[2]
        own = torch.eye(n_nodes, dtype=torch.bool, device=bias.device)
        if pairs.index is None:
            dense = bias.masked_fill(~pairs.valid.unsqueeze(1), -torch.inf)
        else:
            # What is no edge is put where a node meets itself, and overwritten there.
            index = torch.where(pairs.valid, pairs.index, torch.arange(n_nodes, device=bias.device).view(1, -1, 1))
            nothing = bias.new_full((*bias.shape[:3], n_nodes), -torch.inf)
            dense = nothing.scatter(3, index.unsqueeze(1).expand_as(bias), bias)
        return torch.where(own, self.self_bias.to(dense.dtype).view(1, -1, 1, 1), dense)
