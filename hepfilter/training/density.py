"""Fitting the heads of a network to the latent vectors of background; the network itself stays as it is."""

import copy
import math
from typing import Final

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

Background = tuple[Tensor, Tensor, Tensor]
"""Latent vectors [n, H], weights [n] of mean 1, background classes [n] int64 (from 0); all float32 on one device."""


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

    Background events are those whose `targets` are background classes; each class counts equally, within it events by
    their generator weight to `weight_power`. TrainingError if a class has no event, or a loss is not finite.
    """
    if not network.heads:
        return
    place = choose_device(device)
    network.to(place)
    backgrounds = [
        _background(network, data, target, weight_power, place)
        for data, target in ((training, targets[0]), (validation, targets[1]))
    ]
    for name, head in network.heads.items():
        assert isinstance(head, LatentHead)
        with torch.no_grad():
            head.prepare(*backgrounds[0])
        if any(True for _ in head.parameters()):
            _fit(name, head, *backgrounds, options=options, progress=progress)
        with torch.no_grad():
            head.settle(*backgrounds[0][:2])
    network.cpu()


def _background(
    network: GraphNetwork, data: LabelledEvents, target: NDArray[np.int64], power: float, device: torch.device
) -> Background:
    """The latent vectors of the background events of `data`."""
    classes = network.definition.classes
    numbers = np.cumsum([not c.is_signal for c in classes]) - 1
    chosen = ~np.array([c.is_signal for c in classes])[target]
    kept, own = data.select(chosen), numbers[target[chosen]]
    names = [c.name for c in classes if not c.is_signal]
    weights = balanced_weights(kept, own, names, power)
    latent = torch.zeros(len(kept), network.latent_width)
    with torch.inference_mode():
        for start in range(0, len(kept), _EVENTS_AT_ONCE):
            graphs = kept.padded(np.arange(start, min(start + _EVENTS_AT_ONCE, len(kept))))
            for n_nodes, events in graphs.buckets():
                part = graphs.select(events).cropped(n_nodes).to(device)
                latent[start + events] = network.embed_padded(part).float().cpu()
    columns = torch.from_numpy(weights.astype(np.float32)), torch.from_numpy(own)
    return latent.to(device), columns[0].to(device), columns[1].to(device)


def _fit(
    name: str, head: LatentHead, training: Background, validation: Background, *, options: HeadFit, progress: Progress
) -> None:
    """Minimise the head's mean score of background; keep the epoch that is best on the validation events."""
    inputs = [(head.whitened(latent), weights) for latent, weights, _ in (training, validation)]
    generator = torch.Generator().manual_seed(options.seed)
    head.requires_grad_(True)
    optimizer = torch.optim.AdamW(head.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay)
    steps = options.epochs * math.ceil(len(training[0]) / options.batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    best, best_weights, since = math.inf, copy.deepcopy(head.state_dict()), 0
    for epoch in range(options.epochs):
        for events in torch.randperm(len(inputs[0][0]), generator=generator).split(options.batch_size):  # type: ignore[no-untyped-call]
            optimizer.zero_grad()
            _loss(head, inputs[0][0][events], inputs[0][1][events], options.noise, generator).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        with torch.no_grad():
            fixed = torch.Generator().manual_seed(options.seed)
            loss = float(_loss(head, *inputs[1], options.noise, fixed))
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


def _loss(head: LatentHead, whitened: Tensor, weights: Tensor, noise: float, generator: torch.Generator) -> Tensor:
    """The weighted mean score, with noise on the input."""
    added = noise * torch.randn(whitened.shape, generator=generator).to(whitened.device)
    loss: Tensor = (head.score(whitened + added) * weights).mean()
    return loss
