"""Fitting the heads of a network to background as they see it; the network itself stays as it is."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hepfilter.config.model import HeadDefinition, Mix, ModelDefinition
from hepfilter.config.training import Fit, HeadFit
from hepfilter.errors import TrainingError
from hepfilter.graphs.labelled import LabelledEvents
from hepfilter.graphs.reading import Progress
from hepfilter.models.conditional import Conditional
from hepfilter.models.density import LatentHead
from hepfilter.models.device import choose_device
from hepfilter.models.network import GraphNetwork
from hepfilter.statistics.conditional import conditional_quantiles
from hepfilter.training.batches import balanced_weights, training_weights

_EVENTS_AT_ONCE: Final = 1024


@dataclass(frozen=True)
class Background:
    """Latent vectors [n, H], weights [n] of mean 1, background classes [n] int64 (from 0); all on one device."""

    latent: Tensor
    weights: Tensor
    classes: Tensor


def refuse_weightless(definition: ModelDefinition, data: LabelledEvents, targets: NDArray[np.int64]) -> None:
    """TrainingError if a head is to learn background as nature mixes it, and none of it has weight."""
    heads = [head.name for head in definition.heads if "nature" in head.mixes]
    is_signal = np.array([c.is_signal for c in definition.classes])
    weights = data.weights[~is_signal[targets]]
    if heads and len(weights) and not weights.any():
        raise TrainingError(
            f"head {heads[0]}: it learns background by the generator weights, which are all 0 in the training or "
            "validation data; give events with weights, or leave out the head"
        )


def fit_heads(
    network: GraphNetwork,
    training: LabelledEvents,
    validation: LabelledEvents,
    *,
    targets: tuple[NDArray[np.int64], NDArray[np.int64]],
    options: HeadFit,
    fit: Fit = Fit(),
    device: str = "auto",
    progress: Progress = lambda *_: None,
) -> None:
    """Fit every head of a trained network, in place; the same input and number of threads give the same on a CPU.

    Background events are those whose `targets` are background classes. What they count for a head is what its `mixes`
    say: the classes equally, within a class events by their generator weight to the power that `fit`, the network's,
    says; or as in that fit, with its reweighting, and by the priors; or all by their generator weight. TrainingError if
    a class has no event, a loss is not finite, or there is too little background for the table of a conditional head.
    """
    if not network.heads:
        return
    place = choose_device(device)
    network.to(place)
    read = [
        _SeenEvents(network, data, target, fit, place)
        for data, target in ((training, targets[0]), (validation, targets[1]))
    ]
    for definition in network.definition.heads:
        head = network.heads[definition.name]
        if isinstance(head, Conditional):
            _tabulate(definition, head, read[0])
            continue
        assert isinstance(head, LatentHead)
        _fit_latent(definition, head, read, options=options, progress=progress)
    network.cpu()


class _SeenEvents:
    """The background events of `data` as the heads of a network see them."""

    def __init__(
        self,
        network: GraphNetwork,
        data: LabelledEvents,
        target: NDArray[np.int64],
        fit: Fit,
        device: torch.device,
    ) -> None:
        classes = network.definition.classes
        numbers = np.cumsum([not c.is_signal for c in classes]) - 1
        chosen = ~np.array([c.is_signal for c in classes])[target]
        self._events, self._own = data.select(chosen), numbers[target[chosen]]
        self._classes = [c for c in classes if not c.is_signal]
        self._balanced = balanced_weights(self._events, self._own, [c.name for c in self._classes], fit.weight_power)
        reweighted = fit.reweight is not None
        self._fitted = training_weights(data, target, classes, fit)[chosen] if reweighted else self._balanced
        self._latent, self.interest, self.hardness = _seen(network, self._events, device)

    def background(self, mix: Mix) -> Background:
        """As a head sees it that is fitted to this `mix`."""
        weights, own = self._balanced, self._own
        if mix == "nature":
            raw = self._events.weights
            weights, own = raw * (len(raw) / raw.sum()), np.zeros_like(own)
        elif mix == "priors":
            weights = self._fitted * np.array([c.prior for c in self._classes])[own]
            weights /= weights.mean()
        device = self._latent.device
        return Background(
            self._latent, torch.from_numpy(weights.astype(np.float32)).to(device), torch.from_numpy(own).to(device)
        )


def _seen(network: GraphNetwork, events: LabelledEvents, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Latent vectors [n, H] on `device`; interest [n] and hardness [n], as heads see them, on the CPU."""
    latent, interest, hardness = torch.zeros(len(events), network.latent_width), *torch.zeros(2, len(events))
    with torch.inference_mode():
        for start in range(0, len(events), _EVENTS_AT_ONCE):
            graphs = events.padded(np.arange(start, min(start + _EVENTS_AT_ONCE, len(events))))
            for n_nodes, rows in graphs.buckets():
                part = graphs.select(rows).cropped(n_nodes).to(device)
                found = network.embed_padded(part).float()
                conditions = network.conditions(network.classify(found), part)
                latent[start + rows] = found.cpu()
                interest[start + rows], hardness[start + rows] = (values.cpu() for values in conditions)
    return latent.to(device), interest, hardness


def _tabulate(definition: HeadDefinition, head: Conditional, events: _SeenEvents) -> None:
    """Fill the head's table by its mix of background."""
    (mix,) = definition.mixes
    weights = events.background(mix).weights.cpu().numpy()
    try:
        table = conditional_quantiles(
            events.interest.numpy(), torch.log1p(events.hardness).numpy(), weights, most=len(head.knots)
        )
    except ValueError as error:
        raise TrainingError(f"head {definition.name}: {error}; give more background, or leave out the head") from error
    head.settle(table)


def _fit_latent(
    definition: HeadDefinition,
    head: LatentHead,
    read: Sequence[_SeenEvents],
    *,
    options: HeadFit,
    progress: Progress,
) -> None:
    """Fit a head that sees latent vectors alone, to its mixes of background."""
    learnt, judging = ([events.background(mix) for mix in definition.mixes] for events in read)
    first = learnt[0]
    with torch.no_grad():
        head.prepare(first.latent, first.weights, first.classes)
    if any(True for _ in head.parameters()):
        _fit(definition.name, head, learnt, judging, options=options, progress=progress)
    with torch.no_grad():
        head.settle(first.latent, first.weights)


def _fit(
    name: str,
    head: LatentHead,
    training: Sequence[Background],
    validation: Sequence[Background],
    *,
    options: HeadFit,
    progress: Progress,
) -> None:
    """Minimise the head's loss of the mixes of background; keep the epoch that is best on the validation events.

    Events are drawn by their weights, so that few heavy ones do not make the steps jump.
    """
    # all mixes are of the same events
    whitened, judged = (head.whitened(parts[0].latent) for parts in (training, validation))
    generator = torch.Generator().manual_seed(options.seed)
    head.requires_grad_(True)
    optimizer = torch.optim.AdamW(head.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay)
    steps = options.epochs * math.ceil(len(whitened) / options.batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    best, best_weights, since = math.inf, copy.deepcopy(head.state_dict()), 0
    for epoch in range(options.epochs):
        order = torch.stack([_drawn(part.weights, generator) for part in training])
        for events in order.split(options.batch_size, dim=1):  # type: ignore[no-untyped-call]
            optimizer.zero_grad()
            drawn = [(whitened[places], torch.ones(len(places), device=whitened.device)) for places in events]
            _loss(head, drawn, options.noise, generator).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        with torch.no_grad():
            fixed = torch.Generator().manual_seed(options.seed)
            loss = float(_loss(head, [(judged, part.weights) for part in validation], options.noise, fixed))
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


def _loss(head: LatentHead, mixes: Sequence[tuple[Tensor, Tensor]], noise: float, generator: torch.Generator) -> Tensor:
    """The head's loss, with noise on the input."""

    def shaken(whitened: Tensor) -> Tensor:
        return whitened + noise * torch.randn(whitened.shape, generator=generator).to(whitened.device)

    return head.loss(*((shaken(whitened), weights) for whitened, weights in mixes))
