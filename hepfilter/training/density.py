"""Fitting the heads of a network to the latent vectors of background; the network itself stays as it is."""

import copy
import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hepfilter.config.training import HeadFit
from hepfilter.errors import TrainingError
from hepfilter.graphs.labelled import LabelledEvents
from hepfilter.graphs.reading import Progress
from hepfilter.models.density import LatentHead
from hepfilter.models.device import choose_device
from hepfilter.models.network import GraphNetwork
from hepfilter.training.batches import balanced_weights

_EVENTS_AT_ONCE: Final = 1024

Mix = Literal["classes", "nature"]


@dataclass(frozen=True)
class Background:
    """Latent vectors [n, H], weights [n] of mean 1, background classes [n] int64 (from 0); all on one device."""

    latent: Tensor
    weights: Tensor
    classes: Tensor


def fit_heads(
    network: GraphNetwork,
    training: LabelledEvents,
    validation: LabelledEvents,
    *,
    targets: tuple[NDArray[np.int64], NDArray[np.int64]],
    options: HeadFit,
    weight_power: float = 0.0,
    device: str = "auto",
    progress: Progress = lambda *_: None,
) -> None:
    """Fit every head of a trained network, in place; the same input and number of threads give the same on a CPU.

    Background events are those whose `targets` are background classes. What they count for a head is what its `mix`
    says: each class equally, within it events by their generator weight to `weight_power`; or all by their generator
    weight. TrainingError if a class has no event, or a loss is not finite.
    """
    if not network.heads:
        return
    place = choose_device(device)
    network.to(place)
    read = [
        _LatentEvents(network, data, target, weight_power, place)
        for data, target in ((training, targets[0]), (validation, targets[1]))
    ]
    for definition in network.definition.heads:
        head = network.heads[definition.name]
        assert isinstance(head, LatentHead)
        learnt, judging = (events.background(definition.mix) for events in read)
        with torch.no_grad():
            head.prepare(learnt.latent, learnt.weights, learnt.classes)
        if any(True for _ in head.parameters()):
            _fit(definition.name, head, learnt, judging, options=options, progress=progress)
        with torch.no_grad():
            head.settle(learnt.latent, learnt.weights)
    network.cpu()


class _LatentEvents:
    """The background events of `data` in the latent space of a network."""

    def __init__(
        self,
        network: GraphNetwork,
        data: LabelledEvents,
        target: NDArray[np.int64],
        power: float,
        device: torch.device,
    ) -> None:
        classes = network.definition.classes
        numbers = np.cumsum([not c.is_signal for c in classes]) - 1
        chosen = ~np.array([c.is_signal for c in classes])[target]
        self._events, self._own = data.select(chosen), numbers[target[chosen]]
        self._names = [c.name for c in classes if not c.is_signal]
        self._power = power
        self._latent = _latent(network, self._events, device)

    def background(self, mix: Mix) -> Background:
        """As a head of this `mix` sees it."""
        if mix == "nature":
            raw = self._events.weights
            weights, own = raw * (len(raw) / raw.sum()), np.zeros_like(self._own)
        else:
            weights, own = balanced_weights(self._events, self._own, self._names, self._power), self._own
        device = self._latent.device
        return Background(
            self._latent, torch.from_numpy(weights.astype(np.float32)).to(device), torch.from_numpy(own).to(device)
        )


def _latent(network: GraphNetwork, events: LabelledEvents, device: torch.device) -> Tensor:
    """[n, H] the latent vectors of `events`."""
    latent = torch.zeros(len(events), network.latent_width)
    with torch.inference_mode():
        for start in range(0, len(events), _EVENTS_AT_ONCE):
            graphs = events.padded(np.arange(start, min(start + _EVENTS_AT_ONCE, len(events))))
            for n_nodes, rows in graphs.buckets():
                part = graphs.select(rows).cropped(n_nodes).to(device)
                latent[start + rows] = network.embed_padded(part).float().cpu()
    return latent.to(device)


def _fit(
    name: str, head: LatentHead, training: Background, validation: Background, *, options: HeadFit, progress: Progress
) -> None:
    """Minimise the head's mean score of background; keep the epoch that is best on the validation events.

    Events are drawn by their weights, so that few heavy ones do not make the steps jump.
    """
    whitened, judged = (head.whitened(part.latent) for part in (training, validation))
    generator = torch.Generator().manual_seed(options.seed)
    head.requires_grad_(True)
    optimizer = torch.optim.AdamW(head.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay)
    steps = options.epochs * math.ceil(len(whitened) / options.batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    best, best_weights, since = math.inf, copy.deepcopy(head.state_dict()), 0
    for epoch in range(options.epochs):
        for events in _drawn(training.weights, generator).split(options.batch_size):  # type: ignore[no-untyped-call]
            optimizer.zero_grad()
            drawn = whitened[events]
            _loss(head, drawn, torch.ones_like(drawn[:, 0]), options.noise, generator).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        with torch.no_grad():
            fixed = torch.Generator().manual_seed(options.seed)
            loss = float(_loss(head, judged, validation.weights, options.noise, fixed))
        progress(f"head {name}", epoch + 1, options.epochs)
        since = 0 if loss < best else since + 1
        if loss < best:
            best, best_weights = loss, copy.deepcopy(head.state_dict())
        elif since >= options.patience or not math.isfinite(loss):
            break
    if not math.isfinite(best):
        raise TrainingError(
            f"head {name}: the loss is not finite from the first epoch on; lower head_fit.learning_rate"
        )
    head.load_state_dict(best_weights)
    head.requires_grad_(False)


def _drawn(weights: Tensor, generator: torch.Generator) -> Tensor:
    """[n] positions, each as often as its weight [n] says, in random order."""
    edges = weights.double().cumsum(0)
    places = torch.rand(len(weights), dtype=torch.float64, generator=generator).to(weights.device) * edges[-1]
    return torch.searchsorted(edges, places).clamp_max(len(weights) - 1)


def _loss(head: LatentHead, whitened: Tensor, weights: Tensor, noise: float, generator: torch.Generator) -> Tensor:
    """The weighted mean score, with noise on the input."""
    added = noise * torch.randn(whitened.shape, generator=generator).to(whitened.device)
    loss: Tensor = (head.score(whitened + added) * weights).mean()
    return loss
