"""The objects that a first-level trigger sees, as a fixed list of numbers (E. Govorkova et al., arXiv:2107.02157)."""

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from hepfilter.events.hardest import flat_objects, hardest, merged

if TYPE_CHECKING:
    import awkward as ak

COLLECTIONS: Final = ("met", "electron", "photon", "muon", "jet")
"""The collections of the event record that are looked at."""
FIRST_LEVEL_OBJECTS: Final = 19


def first_level_objects(record: "ak.Array") -> NDArray[np.float32]:
    """[B, 19, 3] float32 pt, η, φ: the missing momentum (η = 0), 4 electrons or photons, 4 muons, 10 jets.

    Each kind by descending pt; 0 where there is no object. At the first level electrons and photons are one kind.
    """
    flat = {name: flat_objects(record[name]) for name in COLLECTIONS}
    parts = [
        hardest(flat["met"], 1),
        merged(hardest(flat["electron"], 4), hardest(flat["photon"], 4)).of(*range(4)),
        hardest(flat["muon"], 4),
        hardest(flat["jet"], 10),
    ]
    columns = [np.concatenate([getattr(part, name) for part in parts], axis=1) for name in ("pt", "eta", "phi")]
    return np.stack(columns, axis=2).astype(np.float32)
