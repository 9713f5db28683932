"""What an object must be to enter the record: physical, inside the schema's range, and in a fixed order.

The physical rules, each counted by collection and reason:

==============================  =========================================================================
non-finite kinematics           pt, η, φ or mass is NaN or infinite: the object is dropped
pt <= 0                         dropped (a filler of flat ntuples, a MET of exactly zero)
pt or mass > 7 TeV              dropped: more than half of what an LHC collision has
abs(eta) > 10                   dropped: beyond every detector
abs(phi) > 2 pi                 dropped: a sentinel such as -999; other angles are brought into [-π, π], uncounted
negative mass                   set to 0, the object stays: float32 leaves light objects slightly below zero
non-finite charge, btag, …      set to 0, the object stays
==============================  =========================================================================

The event always stays. `btag` is brought into [0, 1], uncounted: experiments write -1 or -10 for "not defined".
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepfilter.events.kinematics import wrap_phi
from hepfilter.events.record import FIELDS, Objects

MAX_ENERGY = 7e3
"""GeV; the largest pt and mass that an object may have."""
MAX_ABS_ETA = 10.0


def drop_unphysical(objects: Objects) -> tuple[Objects, dict[str, int]]:
    """Apply the physical rules; the objects that stay, and how often each reason occurred (the first of each)."""
    with np.errstate(over="ignore", invalid="ignore"):  # what float32 cannot hold becomes infinite, and is counted
        columns = {name: _as_in_record(name, column) for name, column in objects.columns.items()}
    pt, eta, phi, mass = (columns[name] for name in ("pt", "eta", "phi", "mass"))
    sick = np.zeros(len(pt), np.bool_)
    problems = {}
    finite = np.isfinite(pt) & np.isfinite(eta) & np.isfinite(phi) & np.isfinite(mass)
    for reason, fault in (
        ("non-finite kinematics", ~finite),
        ("pt <= 0", pt <= 0),
        ("pt or mass > 7 TeV", (pt > MAX_ENERGY) | (mass > MAX_ENERGY)),
        ("abs(eta) > 10", np.abs(eta) > MAX_ABS_ETA),
        ("abs(phi) > 2 pi", np.abs(phi) > np.float32(2 * np.pi)),
    ):
        problems[reason] = int(np.count_nonzero(fault & ~sick))
        sick |= fault
    kept = Objects(objects.offsets, columns).keep(~sick)
    repaired, repairs = _repair(kept)
    return repaired, {reason: count for reason, count in (problems | repairs).items() if count}


def _repair(objects: Objects) -> tuple[Objects, dict[str, int]]:
    """Values that are set right without dropping the object."""
    negative = objects.columns["mass"] < 0
    problems = {"negative mass": int(np.count_nonzero(negative))}
    columns = {
        "phi": wrap_phi(objects.columns["phi"]),
        "mass": np.where(negative, np.float32(0), objects.columns["mass"]) + np.float32(0),  # turns -0 into 0
    }
    for name in ("charge", "btag"):
        if name in objects.columns:
            column = objects.columns[name]
            finite = np.isfinite(column)
            problems[f"non-finite {name}"] = int(np.count_nonzero(~finite))
            columns[name] = np.where(finite, column, np.float32(0))
    if "btag" in columns:
        columns["btag"] = np.clip(columns["btag"], 0, 1)
    return objects.with_columns(**columns), problems


def _as_in_record(name: str, column: NDArray[Any]) -> NDArray[Any]:
    """A column in the type of the record; ``passed``, which the cuts have set, travels along."""
    if name == "passed":
        return column
    if name == "pdg_id" and column.dtype.kind == "f":
        column = np.nan_to_num(column, nan=0, posinf=0, neginf=0)
    return np.asarray(column, FIELDS[name])


def sort_by_pt(objects: Objects) -> Objects:
    """Every event's objects by descending pt; ties by η, φ, then all else: the order in the file never matters."""
    pt = np.asarray(objects.columns["pt"], np.float32)
    event = objects.event
    within = event[1:] == event[:-1]
    if not np.any(within & (pt[1:] >= pt[:-1])):
        return objects
    # The bits of a positive float32 order like the number itself, so event and pt fit into one integer key.
    key = (event.astype(np.uint64) << np.uint64(32)) | (~pt.view(np.uint32)).astype(np.uint64)
    order = np.argsort(key)
    ranked = key[order]
    tied = np.zeros(len(key), np.bool_)
    same = ranked[1:] == ranked[:-1]
    tied[1:] |= same
    tied[:-1] |= same
    if tied.any():
        order[tied] = _order_ties(objects, order[tied], ranked[tied])
    return objects.take(order)


def _order_ties(objects: Objects, index: NDArray[np.intp], key: NDArray[np.uint64]) -> NDArray[np.intp]:
    """Those of equal event and pt, ordered by η, φ and the rest; each group stays in the places that it has."""
    rest = [name for name in objects.columns if name not in ("pt", "eta", "phi")]
    keys = [objects.columns[name][index] for name in (*rest, "phi", "eta")]
    ordered: NDArray[np.intp] = index[np.lexsort((*keys, key))]
    return ordered
