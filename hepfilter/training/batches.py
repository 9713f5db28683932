"""What the fit is fed: weights, normalisation, and batches in a reproducible order."""

import math
from collections.abc import Iterator
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hepfilter.config.model import ModelDefinition
from hepfilter.errors import TrainingError
from hepfilter.graphs.padded import PaddedGraphs
from hepfilter.graphs.pairs import dense_pairs
from hepfilter.training.data import LabelledGraphs

_NORMALISATION_EVENTS: Final = 20_000

Batch = tuple[PaddedGraphs, Tensor, Tensor]
"""Graphs, targets [b] int64, weights [b] float32."""


class WeightedBatches:
    """Batches of a data set in a new order every epoch; all orders follow from the seed. Not shuffled without one."""

    def __init__(
        self,
        graphs: PaddedGraphs,
        targets: NDArray[np.int64],
        weights: NDArray[np.float64],
        *,
        size: int,
        seed: int | None,
    ) -> None:
        self._graphs, self._size = graphs, size
        self._targets, self._weights = torch.from_numpy(targets), torch.from_numpy(weights.astype(np.float32))
        self._generator = None if seed is None else torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return math.ceil(len(self._targets) / self._size)

    def __iter__(self) -> Iterator[Batch]:
        order = torch.arange(len(self._targets))
        if self._generator is not None:
            order = torch.randperm(len(self._targets), generator=self._generator)
        for events in torch.split(order, self._size):
            yield self._graphs.select(events), self._targets[events], self._weights[events]


def balanced_weights(
    data: LabelledGraphs, target: NDArray[np.int64], names: list[str], power: float
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


def normalisation(graphs: PaddedGraphs, definition: ModelDefinition) -> dict[str, tuple[Tensor, Tensor]]:
    """Mean and standard deviation of the node features and of the pair features of some events, equally spaced.

    A column that does not vary gets the standard deviation 1.
    """
    step = max(1, len(graphs) // _NORMALISATION_EVENTS)
    some = graphs.select(slice(None, None, step))
    nodes = some.features[some.mask]
    pairs = []
    for positions in torch.arange(len(some)).split(512):  # type: ignore[no-untyped-call]
        part = some.select(positions)
        dense = dense_pairs(part.momenta, part.mask, definition.graph)
        pairs.append(dense.attributes[dense.valid])
    return {"features": _moments(nodes), "pairs": _moments(torch.cat(pairs))}


def _moments(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Column-wise mean and standard deviation in float32; 0 and 1 where there is nothing to tell."""
    if len(rows) < 2:
        return torch.zeros(rows.shape[1]), torch.ones(rows.shape[1])
    mean, std = rows.double().mean(0), rows.double().std(0)
    return mean.float(), torch.where(std > 1e-6, std, 1.0).float()
