"""Histograms as plain data: filled in pieces, added up, kept as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

_FIELDS: Final = ("counts", "weights", "squares")

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Histogram:
    """Events in n bins between the rising `edges` [n + 1].

    `counts` [n] of events (int64), Σw `weights` [n] and Σw² `squares` [n]. A bin holds its lower edge. The first and
    the last bin also have what lies beyond them.
    """

    edges: Values
    counts: NDArray[np.int64]
    weights: Values
    squares: Values

    @classmethod
    def of(
        cls, values: NDArray[np.floating[Any]], edges: Values, weights: NDArray[np.floating[Any]] | None = None
    ) -> Self:
        """Of `values` [N] with their `weights` [N], 1 where not given; ValueError for NaN."""
        if np.isnan(values).any():
            raise ValueError("NaN has no bin")
        last = len(edges) - 2
        places = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, last)
        w = np.ones(len(values)) if weights is None else np.asarray(weights, np.float64)
        sums = [np.bincount(places, part, last + 1).astype(np.float64) for part in (w, w**2)]
        return cls(edges, np.bincount(places, minlength=last + 1).astype(np.int64), *sums)

    def __add__(self, other: "Histogram") -> "Histogram":
        """The sum; ValueError if the bins are others."""
        if not np.array_equal(self.edges, other.edges):
            raise ValueError("histograms of different bins have no sum")
        return Histogram(self.edges, *(getattr(self, name) + getattr(other, name) for name in _FIELDS))

    def plain(self) -> dict[str, Any]:
        """As JSON data: the bins from the first to the last that has events, and where they begin."""
        filled = np.flatnonzero(self.counts)
        part = slice(int(filled[0]), int(filled[-1]) + 1) if len(filled) else slice(0, 0)
        return {"first": part.start} | {name: getattr(self, name)[part].tolist() for name in _FIELDS}

    @classmethod
    def from_plain(cls, data: Mapping[str, Any], edges: Values) -> Self:
        """What `plain` said, in the bins that it was of; ValueError, TypeError or KeyError if it was none."""
        parts, first = [np.asarray(data[name]) for name in _FIELDS], int(data["first"])
        n_bins = len(edges) - 1
        if {len(part) for part in parts} != {len(parts[0])} or not 0 <= first <= n_bins - len(parts[0]):
            raise ValueError(f"{len(parts[0])} bins from {first} on do not lie in {n_bins}")
        padding = (first, n_bins - first - len(parts[0]))
        counts, weights, squares = (np.pad(part.astype(np.float64), padding) for part in parts)
        return cls(edges, counts.astype(np.int64), weights, squares)
