"""What every network is, whatever its architecture: normalised input, a latent vector an event, class logits.

An architecture derives from `GraphNetwork` and gives two ways from graphs to the latent vector, with the same weights:
`embed` over a `torch_geometric.data.Batch`, which is the reference, and `embed_padded`, which is fast.
"""

from abc import abstractmethod
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from hepfilter.config.model import ModelDefinition
from hepfilter.graphs.padded import PaddedGraphs
from hepfilter.graphs.pairs import DensePairs, dense_pairs
from hepfilter.models.conditional import Conditional, hardness_of
from hepfilter.models.interest import interest_of

if TYPE_CHECKING:
    from torch_geometric.data import Batch


class GraphNetwork(nn.Module):
    """Graphs → latent [B, H] → logits [B, classes].

    feature_mean, feature_std [F] and pair_mean, pair_std [P] normalise the input; they are buffers, belong to the
    checkpoint and to the model hash, and are set by `set_normalisation` before training.
    """

    feature_mean: Tensor
    feature_std: Tensor
    pair_mean: Tensor
    pair_std: Tensor
    uses_batch_statistics = False
    """In training the events of a batch must come through the network together."""

    def __init__(self, definition: ModelDefinition, *, latent_width: int) -> None:
        super().__init__()
        self.definition = definition
        self.latent_width = latent_width
        self.num_features, self.num_pair_features = definition.graph.widths
        for name, length in (("feature", self.num_features), ("pair", self.num_pair_features)):
            self.register_buffer(f"{name}_mean", torch.zeros(length))
            self.register_buffer(f"{name}_std", torch.ones(length))
        self.head = nn.Linear(latent_width, len(definition.classes))
        self.heads = nn.ModuleDict()  # `architectures.build_network` fills it

    @abstractmethod
    def embed(self, batch: "Batch") -> Tensor:
        """[B, H] latent vectors by message passing over a batch of `graphs.build`: the reference."""

    @abstractmethod
    def embed_padded(self, graphs: PaddedGraphs, *, workspace: Tensor | None = None) -> Tensor:
        """[B, H] latent vectors; equal to `embed` of the same graphs up to rounding.

        An event without nodes has a defined one. `workspace` is for inference alone: a flat float32 tensor of at least
        `workspace_size` entries to be overwritten, which saves the cost of fresh memory in every layer.
        """

    def workspace_size(self, n_events: int, n_nodes: int) -> int:
        """Floats that the largest intermediate result takes for this shape: what batches are cut by."""
        k = self.definition.graph.edges.k
        return n_events * n_nodes * (n_nodes if k is None else min(k, n_nodes)) * self.definition.architecture.width

    def set_normalisation(self, *, features: tuple[Tensor, Tensor], pairs: tuple[Tensor, Tensor]) -> None:
        """Mean and standard deviation of the node features [F] and of the pair features [P]."""
        for name, (mean, std) in (("feature", features), ("pair", pairs)):
            getattr(self, f"{name}_mean").copy_(mean)
            getattr(self, f"{name}_std").copy_(std)

    def forward(self, batch: "Batch") -> Tensor:
        """[B, classes] float32 logits by the reference way."""
        return self.classify(self.embed(batch))

    def forward_padded(self, graphs: PaddedGraphs, *, workspace: Tensor | None = None) -> Tensor:
        """[B, classes] float32 logits by the fast way."""
        return self.classify(self.embed_padded(graphs, workspace=workspace))

    def classify(self, latent: Tensor) -> Tensor:
        """[B, classes] float32 logits of latent vectors [B, H]; the last layer is always float32."""
        with torch.autocast(latent.device.type, enabled=False):
            logits: Tensor = self.head(latent.float())
        return logits

    def all_outputs(self, graphs: PaddedGraphs, *, workspace: Tensor | None = None) -> Tensor:
        """[B, classes + heads] float32 by the fast way: the logits, then the scores of the heads in their order."""
        latent = self.embed_padded(graphs, workspace=workspace)
        logits = self.classify(latent)
        return torch.cat([logits, self.head_scores(latent, logits, graphs)], dim=1)

    def head_scores(self, latent: Tensor, logits: Tensor, graphs: PaddedGraphs) -> Tensor:
        """[B, heads] float32 scores of the heads for events with these latent vectors and logits, in float32."""
        with torch.autocast(latent.device.type, enabled=False):
            scores = [
                head(*self.conditions(logits, graphs)) if isinstance(head, Conditional) else head(latent.float())
                for head in self.heads.values()
            ]
        return torch.stack(scores, dim=1) if scores else latent.new_zeros((len(latent), 0), dtype=torch.float32)

    def conditions(self, logits: Tensor, graphs: PaddedGraphs) -> tuple[Tensor, Tensor]:
        """What conditional heads go by: interest [B] of these logits, hardness [B] of their graphs, in float32."""
        return interest_of(logits, self.definition.classes), hardness_of(graphs)

    def normalised_features(self, features: Tensor) -> Tensor:
        """[..., F] node features with mean 0 and variance 1 in the training."""
        return (features - self.feature_mean) / self.feature_std

    def normalised_pairs(self, attributes: Tensor) -> Tensor:
        """[..., P] pair features with mean 0 and variance 1 in the training."""
        return (attributes - self.pair_mean) / self.pair_std

    def pairs_of(self, graphs: PaddedGraphs) -> DensePairs:
        """The edges of padded graphs, as the definition says; their attributes are not normalised."""
        return dense_pairs(graphs.momenta, graphs.mask, self.definition.graph)


class Readout(nn.Module):
    """Mean, maximum and number of an event's nodes → its latent vector."""

    def __init__(self, width: int, latent_width: int, dropout: float) -> None:
        super().__init__()
        self.pooled = nn.Sequential(nn.Linear(2 * width + 1, latent_width), nn.ReLU())
        self.dropout = nn.Dropout(dropout)

    def forward(self, mean: Tensor, maximum: Tensor, count: Tensor) -> Tensor:
        """mean [B, C], maximum [B, C], count [B, 1] → [B, H]."""
        latent: Tensor = self.dropout(self.pooled(torch.cat([mean, maximum, torch.log1p(count)], dim=-1)))
        return latent


class MeanReadout(nn.Module):
    """Mean of an event's nodes → its latent vector, as in ParticleNet (arXiv:1902.08570); called as `Readout`."""

    def __init__(self, width: int, latent_width: int, dropout: float) -> None:
        super().__init__()
        self.pooled = nn.Sequential(nn.Linear(width, latent_width), nn.ReLU(), nn.Dropout(dropout))

    def forward(self, mean: Tensor, maximum: Tensor, count: Tensor) -> Tensor:
        """mean [B, C] → [B, H]."""
        latent: Tensor = self.pooled(mean)
        return latent


def pool_padded(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean [B, C], maximum [B, C] and count [B, 1] of the nodes x [B, N, C] that exist; zeros without nodes."""
    there = mask.unsqueeze(2)
    count = mask.sum(1, keepdim=True).to(x.dtype)
    mean = x.masked_fill(~there, 0.0).sum(1) / count.clamp_min(1.0)
    maximum = x.masked_fill(~there, -torch.inf).amax(1).masked_fill(count == 0, 0.0)
    return mean, maximum, count
