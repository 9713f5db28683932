"""Objects that share energy: each deposit is counted once before objects become nodes.

In NanoAOD an isolated electron stands in `Electron`, in `Jet` and often in `Photon` and `Tau`. The rule, in this order:

1. An electron within ΔR < 0.05 of a muon is dropped (a muon that radiated).
2. A photon, and a tau, within ΔR < 0.4 of a muon or an electron is dropped; the lepton is the better identified.
3. Every muon, electron and photon belongs to the jet nearest to it within ΔR < 0.4, if there is one. A jet is dropped
   if those that belong to it carry at least half of its pt: it is made of them. Otherwise it is a jet with a lepton or
   photon inside, and these are dropped.

So no object goes together with the jet that it is in, and none stays together with it. A tau is a jet as well: it
stands in both collections, as a fat jet and its two jets do; a graph takes what it wants. MET, fat jets and particles
are untouched.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hepfilter.events.kinematics import delta_r
from hepfilter.events.record import Objects

MUON_ELECTRON_RADIUS = 0.05
CONE = 0.4
SHARE = 0.5
"""The part of a jet's pt from which on the leptons and photons in it are what it is made of."""

ENTANGLED = frozenset({"jet", "muon", "electron", "photon", "tau"})
"""The collections of which each needs others of the set before it can be cleaned."""

_IDENTIFIED = ("muon", "electron", "photon")


def remove_overlaps(collections: Mapping[str, Objects]) -> dict[str, Objects]:
    """Apply the rule to collections of the same events; missing ones count as empty, the input is left as it is."""
    result = dict(collections)
    _drop_near(result, "electron", ("muon",), MUON_ELECTRON_RADIUS)
    _drop_near(result, "photon", ("muon", "electron"), CONE)
    _drop_near(result, "tau", ("muon", "electron"), CONE)
    _settle_jets(result)
    return result


def _drop_near(collections: dict[str, Objects], name: str, others: tuple[str, ...], radius: float) -> None:
    """Drop those objects of `name` that lie nearer than `radius` to one of the others."""
    if name not in collections:
        return
    objects = collections[name]
    near = np.zeros(len(objects), np.bool_)
    for other in others:
        if other in collections:
            left, _ = near_pairs(objects, collections[other], radius)
            near[left] = True
    collections[name] = objects.keep(~near)


def _settle_jets(collections: dict[str, Objects]) -> None:
    """Decide for every jet whether it goes or the leptons and photons in it."""
    if "jet" not in collections:
        return
    jets = collections["jet"]
    inside = {name: nearest_pairs(collections[name], jets, CONE) for name in _IDENTIFIED if name in collections}
    carried = np.zeros(len(jets), np.float64)
    touched = np.zeros(len(jets), np.bool_)
    for name, (left, right) in inside.items():
        pt = collections[name].columns["pt"]
        carried += np.bincount(right, weights=pt[left], minlength=len(jets))
        touched[right] = True
    made_of_them = touched & (carried >= SHARE * jets.columns["pt"])
    for name, (left, right) in inside.items():
        lost = np.zeros(len(collections[name]), np.bool_)
        lost[left[~made_of_them[right]]] = True
        collections[name] = collections[name].keep(~lost)
    collections["jet"] = jets.keep(~made_of_them)


def nearest_pairs(left: Objects, right: Objects, radius: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Those of `near_pairs` in which j is the nearest to i, so that every i occurs once; the first of equals."""
    i, j = near_pairs(left, right, radius)
    a, b = left.columns, right.columns
    order = np.lexsort((delta_r(a["eta"][i], a["phi"][i], b["eta"][j], b["phi"][j]), i))
    i, j = i[order], j[order]
    first = np.append(True, i[1:] != i[:-1])[: len(i)]
    return i[first], j[first]


def near_pairs(left: Objects, right: Objects, radius: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices (i, j) of the pairs of one object of each collection in the same event, nearer than `radius` in ΔR."""
    i, j = all_pairs(left.offsets, right.offsets)
    a, b = left.columns, right.columns
    # A band in η leaves few pairs for the angles.
    band = np.abs(a["eta"][i] - b["eta"][j]) < radius
    i, j = i[band], j[band]
    near = delta_r(a["eta"][i], a["phi"][i], b["eta"][j], b["phi"][j]) < radius
    return i[near], j[near]


def all_pairs(left: NDArray[np.int64], right: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices (i, j) of all pairs of objects in the same event, from the collections' offsets; i ascending, then j."""
    partners = np.repeat(np.diff(right), np.diff(left))
    starts = np.repeat(right[:-1], np.diff(left))
    i = np.repeat(np.arange(len(partners)), partners)
    j = np.arange(len(i)) - np.repeat(np.cumsum(partners) - partners, partners) + starts[i]
    return i, j
