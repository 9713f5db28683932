"""Event records without physics, for timing: about as many objects as tt̄ events of NanoAOD have after cleaning."""

from typing import TYPE_CHECKING, Final

import numpy as np

from hepfilter.config.graph import GraphSpecification
from hepfilter.events.record import Objects, build_record

if TYPE_CHECKING:
    import awkward as ak

MEAN_COUNTS: Final = {
    "jet": 5.0, "fatjet": 0.5, "muon": 0.6, "electron": 0.6, "photon": 0.4, "tau": 0.2, "met": 1.0, "particle": 120.0,
}  # fmt: skip
"""Objects an event; exactly one met, the others by Poisson's law."""


def generated_record(n_events: int, specification: GraphSpecification, *, seed: int = 1) -> "ak.Array":
    """`n_events` with the collections of `specification`; the same seed gives the same events."""
    rng = np.random.default_rng(seed)
    collections: dict[str, Objects] = {}
    for name in specification.collections:
        mean = MEAN_COUNTS[name]
        counts = np.ones(n_events, np.int64) if name == "met" else rng.poisson(mean, n_events)
        total = int(counts.sum())
        event, pt = np.repeat(np.arange(n_events), counts), 20 + rng.exponential(40, total)
        columns = {
            "pt": pt[np.lexsort((-pt, event))],
            "eta": rng.normal(0, 1.3, total),
            "phi": rng.uniform(-np.pi, np.pi, total),
            "mass": rng.exponential(5, total),
        }
        collections[name] = Objects.from_counts(
            counts, {key: value.astype(np.float32) for key, value in columns.items()}
        )
    return build_record(collections, n_events)
