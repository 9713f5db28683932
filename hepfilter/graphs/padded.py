"""The dense view of many events: every event padded to the same number of nodes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class PaddedGraphs:
    """B events of up to N nodes; row `b`, node `n` exists where ``mask[b, n]``, and existing nodes come first.

    features: [B, N, F] float32, as `keys.X`; 0 where no node is.
    momenta:  [B, N, 4] float32, as `keys.MOMENTUM`; 0 where no node is.
    mask:     [B, N] bool.
    """

    features: Tensor
    momenta: Tensor
    mask: Tensor

    def __post_init__(self) -> None:
        shape = tuple(self.mask.shape)
        if len(shape) != 2 or self.features.shape[:2] != shape or tuple(self.momenta.shape) != (*shape, 4):
            raise ValueError(
                f"features {tuple(self.features.shape)}, momenta {tuple(self.momenta.shape)} and mask {shape} "
                "must be [B, N, F], [B, N, 4] and [B, N]"
            )
        if self.mask.dtype != torch.bool:
            raise ValueError(f"mask must be bool, not {self.mask.dtype}")

    def __len__(self) -> int:
        return int(self.mask.shape[0])

    @property
    def node_counts(self) -> Tensor:
        """[B] int64: nodes per event."""
        return self.mask.sum(1)

    def select(self, events: Tensor | slice) -> Self:
        """The events at these positions, in this order."""
        return type(self)(self.features[events], self.momenta[events], self.mask[events])

    def cropped(self, n_nodes: int) -> Self:
        """The same events with room for `n_nodes` nodes only; those beyond are cut."""
        return type(self)(self.features[:, :n_nodes], self.momenta[:, :n_nodes], self.mask[:, :n_nodes])

    def filled(self, n_events: int) -> Self:
        """Empty events added at the end until there are `n_events`."""
        missing = n_events - len(self)
        if missing < 0:
            raise ValueError(f"{len(self)} events do not fit into {n_events}")
        if missing == 0:
            return self
        return type(self)(*(torch.cat([part, part.new_zeros((missing, *part.shape[1:]))]) for part in self._parts()))

    def buckets(self) -> Iterator[tuple[int, Tensor]]:
        """(room for nodes, positions of the events [b] int64) for each of `bucket_sizes`; every event in the smallest
        bucket that has room for it, events in ascending order, empty buckets left out.
        """
        counts, lower = self.node_counts, -1
        for n_nodes in bucket_sizes(int(self.mask.shape[1])):
            inside = ((counts > lower) & (counts <= n_nodes)).nonzero().flatten()
            lower = n_nodes
            if len(inside):
                yield n_nodes, inside

    def to(self, device: torch.device | str) -> Self:
        """The same graphs on another device."""
        return type(self)(*(part.to(device, non_blocking=True) for part in self._parts()))

    def pin_memory(self) -> Self:
        """The same graphs in memory that a GPU copies from while it computes; for torch's `DataLoader`."""
        return type(self)(*(part.pin_memory() for part in self._parts()))

    def _parts(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.features, self.momenta, self.mask


def bucket_sizes(max_nodes: int) -> tuple[int, ...]:
    """Up to four numbers of nodes, equally spaced, multiples of 4, the last at least `max_nodes`.

    Cost grows as the square of the number of places, so events are computed with about as many as they need.
    """
    step = -(-max_nodes // 16) * 4
    return tuple(step * number for number in range(1, -(-max_nodes // step) + 1))
