"""Missing transverse momentum from the objects of the record, for files that hold no final one.

p_T^miss = soft term − Σ p_T of the objects. ATLAS derivations hold the soft term, and how tracks and clusters associate
with objects; each analysis sums its own objects (METMaker of Athena; arXiv:1802.08168). As there, electrons and photons
are not counted again as the jets that they are, while muons leave next to nothing in a jet and are all counted. Unlike
there, what is soft in a dropped object is not added to the soft term, so the resolution is somewhat worse.
"""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from hepfilter.events.overlap import remove_overlaps
from hepfilter.events.record import Objects


def missing_momentum(soft: Objects, collections: Mapping[str, Objects], names: Iterable[str]) -> Objects:
    """One MET an event: `soft` (at most one an event) minus the objects of the collections `names`; GeV and radians.

    `collections` are selected, their overlaps not yet removed; those that are not there count as empty. An event
    without soft term counts as one with a soft term of 0; where nothing at all is left there is no MET.
    """
    summed = remove_overlaps({name: objects for name, objects in collections.items() if name != "muon"})
    summed |= {name: objects for name, objects in collections.items() if name == "muon"}
    momentum = _sums(soft)
    for name in names:
        if name in summed:
            momentum = momentum - _sums(summed[name])
    pt = np.hypot(*momentum)
    there = pt > 0
    zeros = np.zeros(int(np.count_nonzero(there)), np.float32)
    phi = np.arctan2(momentum[1], momentum[0])[there].astype(np.float32)
    columns = {"pt": pt[there].astype(np.float32), "eta": zeros, "phi": phi, "mass": zeros}
    return Objects.from_counts(there.astype(np.int64), columns)


def _sums(objects: Objects) -> NDArray[np.float64]:
    """[2, n_events]: Σ px and Σ py of every event."""
    pt, phi = (objects.columns[name].astype(np.float64) for name in ("pt", "phi"))
    total = np.zeros((2, objects.n_events))
    np.add.at(total[0], objects.event, pt * np.cos(phi))
    np.add.at(total[1], objects.event, pt * np.sin(phi))
    return total
