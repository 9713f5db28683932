"""ParticleNet and ParT of weaver-core (https://github.com/hqucms/weaver-core), trained on the events of our networks.

Equal data, epochs, batches, optimiser and learning rate; the features are those of our graphs, normalised; sizes as
published (arXiv:1902.08570, arXiv:2202.03772). pip install weaver-core
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hepfilter.config.training import Fit
from hepfilter.graphs.cache import CachedGraphs
from hepfilter.graphs.padded import PaddedGraphs
from hepfilter.models.device import choose_device
from hepfilter.scoring.peers import PARTICLENET, four_momenta

NAMES = ("ParticleNet", "ParT")
LEARNING_RATE = 3e-3
_SCORED_AT_ONCE = 256


class Peer(nn.Module):
    """A network of weaver behind our padded graphs: → [B, 2] logits."""

    def __init__(self, name: str, n_features: int) -> None:
        super().__init__()
        from weaver.nn.model.ParticleNet import ParticleNet
        from weaver.nn.model.ParticleTransformer import ParticleTransformer

        self.is_particle_net = name == "ParticleNet"
        self.network: Any
        if self.is_particle_net:
            self.network = ParticleNet(n_features, 2, **PARTICLENET)
        else:
            self.network = ParticleTransformer(n_features, 2, pair_input_dim=4)
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("std", torch.ones(n_features))

    def normalise(self, graphs: PaddedGraphs) -> None:
        nodes = graphs.features[graphs.mask]
        self.mean.copy_(nodes.mean(0))
        self.std.copy_(nodes.std(0).clamp_min(1e-3))

    def forward(self, graphs: PaddedGraphs) -> Tensor:
        mask = graphs.mask.unsqueeze(1).float()
        features = ((graphs.features - self.mean) / self.std).transpose(1, 2) * mask
        if self.is_particle_net:
            return self.network(graphs.momenta[..., 1:3].transpose(1, 2), features, mask)
        return self.network(features, v=four_momenta(graphs).transpose(1, 2), mask=mask)


def train_and_score(
    name: str,
    training: CachedGraphs,
    validation: CachedGraphs,
    test: CachedGraphs,
    is_signal: NDArray[np.bool_],
    validation_is_signal: NDArray[np.bool_],
    options: Fit,
    device_name: str,
) -> NDArray[np.float64]:
    """[test events] log-odds; classes count equally, the epoch with the best validation loss is kept."""
    device = choose_device(device_name)
    torch.manual_seed(options.seed)
    peer = Peer(name, training.specification.widths[0])
    some = np.linspace(0, len(training) - 1, min(len(training), 5000)).astype(np.int64)  # of all files and processes
    peer.normalise(training.padded(some))
    peer.to(device)
    rate = LEARNING_RATE if options.learning_rate == "auto" else options.learning_rate
    optimizer = torch.optim.AdamW(peer.parameters(), lr=rate, weight_decay=options.weight_decay)
    steps = options.epochs * -(-len(training) // options.batch_size)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=max(steps, 20), pct_start=0.2)
    rng, best, weights = np.random.default_rng(options.seed), np.inf, peer.state_dict()
    for epoch in range(options.epochs):
        peer.train()
        order = rng.permutation(len(training))
        for start in range(0, len(order), options.batch_size):
            events = order[start : start + options.batch_size]
            optimizer.zero_grad()
            _loss(peer(training.padded(events).to(device)), is_signal[events], is_signal.mean()).backward()
            optimizer.step()
            cycle.step()
        loss = float(_loss(_logits(peer, validation, device), validation_is_signal, is_signal.mean()))
        print(f"weaver {name}, epoch {epoch + 1}: validation loss {loss:.4f}", flush=True)
        if loss < best:
            best, weights = loss, {key: value.clone() for key, value in peer.state_dict().items()}
    peer.load_state_dict(weights)
    logits = _logits(peer, test, device).double().cpu().numpy()
    scores: NDArray[np.float64] = logits[:, 1] - logits[:, 0]
    return scores


def _loss(logits: Tensor, is_signal: NDArray[np.bool_], share: float) -> Tensor:
    weights = torch.tensor([0.5 / (1 - share), 0.5 / share], dtype=torch.float32, device=logits.device)
    target = torch.from_numpy(is_signal.astype(np.int64)).to(logits.device)
    losses = nn.functional.cross_entropy(logits, target, reduction="none")
    return (losses * weights[target]).mean()


@torch.inference_mode()
def _logits(peer: Peer, data: CachedGraphs, device: torch.device) -> Tensor:
    peer.eval()
    starts = range(0, len(data), _SCORED_AT_ONCE)
    pieces = (np.arange(start, min(start + _SCORED_AT_ONCE, len(data))) for start in starts)
    return torch.cat([peer(data.padded(events).to(device)) for events in pieces])
