"""The spectra by which one sees whether a selection sculpts: a few observables, quick enough for every event."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from hepfilter.events.hardest import flat_objects, hardest

if TYPE_CHECKING:
    import awkward as ak

SPECTRA: Final = ("ht", "dijet_mass", "met")
"""GeV, as `events.observables` defines them."""
SPECTRUM_EDGES: Final = np.append(0.0, 10 ** (1 + np.arange(67) / 20))
"""Bins of all spectra, GeV: 20 a decade from 10 to 20,000; below the first there is one, that of events without."""


def read_spectra(record: "ak.Array", collections: Collection[str]) -> dict[str, NDArray[np.float64]]:
    """[B] GeV of every event of a record after cleaning, by name of the spectra that `collections` suffice for.

    0 where an event has no such object.
    """
    found: dict[str, NDArray[np.float64]] = {}
    if "jet" in collections:
        jets = flat_objects(record["jet"])
        found["ht"] = np.bincount(jets.event, jets.columns["pt"], jets.n_events).astype(np.float64)
        found["dijet_mass"] = hardest(jets, 2).of(0, 1).invariant_mass()
    if "met" in collections:
        found["met"] = hardest(flat_objects(record["met"]), 1).pt[:, 0]
    return found
