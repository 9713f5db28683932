"""What the fit is fed: weights, normalisation, and batches in a reproducible order."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from hepfilter.config.graph import Collection
from hepfilter.config.model import EventClass, ModelDefinition
from hepfilter.config.training import Fit
from hepfilter.errors import TrainingError, nearest
from hepfilter.events.observables import OBSERVABLES
from hepfilter.graphs.labelled import LabelledEvents
from hepfilter.graphs.padded import PaddedGraphs
from hepfilter.graphs.pairs import dense_pairs
from hepfilter.statistics.reweighting import match_spectrum

_NORMALISATION_EVENTS: Final = 20_000
_AT_ONCE: Final = 512
_MOST_COLLECTIONS: Final = len(get_args(Collection))


class Batch(NamedTuple):
    """b events: targets [b] int64; weights [b] float32; observed [b] float32, ln(1 + the observable that the scores are
    to be decorrelated from), 0 where there is none."""

    graphs: PaddedGraphs
    targets: Tensor
    weights: Tensor
    observed: Tensor

    def on(self, device: torch.device) -> "Batch":
        """The batch on this device."""
        return Batch(self.graphs.to(device), self.targets.to(device), self.weights.to(device), self.observed.to(device))


@dataclass(frozen=True)
class Draw:
    """The events of one batch of this process: positions and factors for their weights, both [b].

    `key` seeds what is random in the batch; None without shuffling.
    """

    events: NDArray[np.int64]
    factors: NDArray[np.float32]
    key: tuple[int, ...] | None


class BatchOrder(Sampler[Draw]):
    """Which events are in which batch: another order every epoch, which follows from the seed and the epoch alone.

    Of `world` processes each takes `size` events of a batch, the one of this `rank` its own. All take equally many:
    what is missing is an event of weight 0, and factors see to it that the mean of the losses of all processes is that
    of one process with all events. Without a seed nothing is shuffled. Lightning tells the epoch, counted from
    where a training was begun or resumed: after `first_epoch` others.
    """

    def __init__(
        self, n_events: int, *, size: int, seed: int | None, first_epoch: int = 0, rank: int = 0, world: int = 1
    ) -> None:
        self._n_events, self._step, self._seed = n_events, size * world, seed
        self._first_epoch, self._epoch, self._rank, self._world = first_epoch, first_epoch, rank, world

    def set_epoch(self, epoch: int) -> None:
        """The epoch that comes next."""
        self._epoch = self._first_epoch + epoch

    def __len__(self) -> int:
        return math.ceil(self._n_events / self._step)

    def __iter__(self) -> Iterator[Draw]:
        order = np.arange(self._n_events)
        if self._seed is not None:
            order = np.random.default_rng([self._seed, self._epoch]).permutation(self._n_events)
        for number, start in enumerate(range(0, self._n_events, self._step)):
            key = None if self._seed is None else (self._seed, self._epoch, number, self._rank)
            whole = order[start : start + self._step]
            own, length = whole[self._rank :: self._world], math.ceil(len(whole) / self._world)
            factors = np.zeros(length, np.float32)
            factors[: len(own)] = length * self._world / len(whole)
            yield Draw(np.append(own, whole[: length - len(own)]), factors, key)


class EventBatches(Dataset[Batch]):
    """The batch that a `Draw` means; with the probability `dropout` a collection is missing in an event.

    `observable` names the one that the batches tell of.
    """

    def __init__(
        self,
        data: LabelledEvents,
        targets: NDArray[np.int64],
        weights: NDArray[np.float64],
        *,
        dropout: float = 0.0,
        observable: str | None = None,
    ) -> None:
        self._data, self._dropout = data, dropout
        observed = np.zeros(len(targets)) if observable is None else np.asarray(data.observable(observable), np.float64)
        self._observed = np.log1p(observed).astype(np.float32)
        self._targets, self._weights = targets, weights.astype(np.float32)

    def __len__(self) -> int:
        return len(self._targets)

    def __getitem__(self, draw: Draw) -> Batch:
        absent = None
        if self._dropout > 0 and draw.key is not None:
            absent = np.random.default_rng(draw.key).random((len(draw.events), _MOST_COLLECTIONS)) < self._dropout
        graphs = self._data.padded(draw.events, absent=absent)
        weights = self._weights[draw.events] * draw.factors
        targets, observed = (torch.from_numpy(column[draw.events]) for column in (self._targets, self._observed))
        return Batch(graphs, targets, torch.from_numpy(weights), observed)


def load_batches(batches: EventBatches, order: BatchOrder, *, workers: int, pinned: bool) -> "DataLoader[Batch]":
    """Read the batches in this order, by `workers` processes ahead of the fit, or by the fit itself."""
    further: dict[str, Any] = {"multiprocessing_context": "fork", "persistent_workers": True} if workers else {}
    return DataLoader(
        batches, batch_size=None, sampler=order, num_workers=workers, collate_fn=_unchanged, pin_memory=pinned,
        generator=torch.Generator(), **further,
    )  # fmt: skip


def _unchanged(batch: Any) -> Any:
    return batch


def balanced_weights(
    data: LabelledEvents, target: NDArray[np.int64], names: Sequence[str], power: float
) -> NDArray[np.float64]:
    """[B] weights of mean 1 with which every class counts equally; within a class ∝ generator weight to `power`.

    TrainingError if a class has no events, or none with weight.
    """
    raw = np.power(data.weights, power)
    sums = np.bincount(target, weights=raw, minlength=len(names))
    for name, total in zip(names, sums, strict=True):
        if total <= 0:
            raise TrainingError(f"class {name}: no events in the training or validation data; simulate more of it")
    weights: NDArray[np.float64] = raw * (len(target) / len(names)) / sums[target]
    return weights


def matched_weights(
    data: LabelledEvents, weights: NDArray[np.float64], is_signal: NDArray[np.bool_], observable: str
) -> NDArray[np.float64]:
    """The weights [B], those of background such that it has signal's spectrum of an observable, and its total still.

    It is `match_spectrum`: where there is only one of both, or too little background, both count 0, so that nothing is
    left to learn from the observable. TrainingError for an observable that is not known, or where nothing of signal is
    in reach of background.
    """
    if observable not in OBSERVABLES:
        close = nearest(observable, OBSERVABLES) or f"; known: {', '.join(OBSERVABLES)}"
        raise TrainingError(f"fit.reweight: no observable {observable!r}{close}")
    values = np.asarray(data.observable(observable), np.float64)
    match = match_spectrum(
        values[~is_signal],
        values[is_signal],
        source_weights=weights[~is_signal],
        target_weights=weights[is_signal],
    )
    if not match.coverage > 0:
        raise TrainingError(f"fit.reweight: no signal has a {observable} that ten background events have too")
    matched = weights.copy()
    matched[~is_signal] = match.weights * weights[~is_signal].sum()
    matched[is_signal] *= match.in_reach
    return matched


def training_weights(
    data: LabelledEvents, target: NDArray[np.int64], classes: Sequence[EventClass], options: Fit
) -> NDArray[np.float64]:
    """[B] what events count in a fit: `balanced_weights`, and `matched_weights` of them where `options` reweight.

    TrainingError as both say.
    """
    weights = balanced_weights(data, target, [c.name for c in classes], options.weight_power)
    if options.reweight is None:
        return weights
    is_signal = np.array([c.is_signal for c in classes])[target]
    return matched_weights(data, weights, is_signal, options.reweight.observable)


def normalisation(data: LabelledEvents, definition: ModelDefinition) -> dict[str, tuple[Tensor, Tensor]]:
    """Mean and standard deviation of the node features and of the pair features of some events, equally spaced.

    A column that does not vary gets the standard deviation 1.
    """
    some = np.arange(0, len(data), max(1, len(data) // _NORMALISATION_EVENTS))
    n_features, n_pairs = definition.graph.widths
    features, pairs = _Moments(n_features), _Moments(n_pairs)
    for start in range(0, len(some), _AT_ONCE):
        part = data.padded(some[start : start + _AT_ONCE])
        dense = dense_pairs(part.momenta, part.mask, definition.graph)
        features.add(part.features[part.mask])
        pairs.add(dense.attributes[dense.valid])
    return {"features": features.result(), "pairs": pairs.result()}


class _Moments:
    """Column-wise mean and standard deviation of rows that come in pieces; sums in float64."""

    def __init__(self, n_columns: int) -> None:
        self._count = 0
        self._sum, self._squares = (torch.zeros(n_columns, dtype=torch.float64) for _ in range(2))

    def add(self, rows: Tensor) -> None:
        """Rows [n, columns]."""
        values = rows.double()
        self._count += len(rows)
        self._sum += values.sum(0)
        self._squares += values.square().sum(0)

    def result(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation in float32; 0 and 1 where there is nothing to tell."""
        if self._count < 2:
            return torch.zeros(len(self._sum)), torch.ones(len(self._sum))
        mean = self._sum / self._count
        std = ((self._squares - self._count * mean.square()) / (self._count - 1)).clamp_min(0.0).sqrt()
        return mean.float(), torch.where(std > 1e-6, std, 1.0).float()
