"""From the arrays of a tree to the flat columns of one collection, in GeV and radians, before any rule is applied."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from hepfilter.config.schema import Cut
from hepfilter.errors import SchemaError
from hepfilter.events.expressions import Column
from hepfilter.events.kinematics import mass_from_energy, polar
from hepfilter.events.record import Objects, offsets_of


@dataclass(frozen=True)
class BoundCollection:
    """A collection whose branches are known to be in the tree.

    `fields` maps each field to its branch, or to one scalar branch per object. `mass` is the number that the schema
    gives, None where it gives none; `constants` are its numbers for other fields. `missing` maps optional fields that
    the tree lacks to the branch sought for them. `also` are further sources of objects; `absent` names the first
    branch of those that the tree lacks. `minus` names the collections whose momenta make, with this soft term, the MET.
    """

    name: str
    fields: Mapping[str, tuple[str, ...]]
    per_object: bool
    mass: float | None
    cuts: tuple[Cut, ...]
    missing: Mapping[str, str]
    pt_min: float
    eta_max: float
    constants: Mapping[str, float] = field(default_factory=dict)
    also: tuple["BoundCollection", ...] = ()
    absent: tuple[str, ...] = ()
    minus: tuple[str, ...] = ()

    @property
    def branches(self) -> tuple[str, ...]:
        """All branches that are read for this collection."""
        names = [name for branches in self.fields.values() for name in branches]
        names += [cut.branch for cut in self.cuts]
        return tuple(dict.fromkeys([*names, *(name for source in self.also for name in source.branches)]))

    def objects(self, arrays: Mapping[str, ak.Array], *, to_gev: float) -> tuple[Objects, dict[str, int]]:
        """All objects of all sources, with a bool column ``passed`` for the cuts, and how often a cut's branch was NaN.

        Of `met` only what passes its cuts. SchemaError if branches disagree on the number of objects.
        """
        read = [source.own_objects(arrays, to_gev=to_gev) for source in (self, *self.also)]
        faults: Counter[str] = Counter()
        for _, found in read:
            faults.update(found)
        objects = joined([part for part, _ in read]) if self.also else read[0][0]
        return (self._one_met(objects) if self.name == "met" else objects), dict(faults)

    def _one_met(self, objects: Objects) -> Objects:
        """The MET of each event; without the soft terms of size 0, to which `minus` adds as to none at all."""
        passed = objects.columns["passed"].astype(np.bool_)
        met = objects.keep(passed & (objects.columns["pt"] != 0) if self.minus else passed)
        if len(met) and met.counts.max() > 1:
            branch = next(iter(self.fields.values()))[0]
            raise SchemaError(f"met: branch {branch} has more than one value in an event; there is one MET, cut on it")
        return met

    def own_objects(self, arrays: Mapping[str, ak.Array], *, to_gev: float) -> tuple[Objects, dict[str, int]]:
        """As `objects`, of the first source alone."""
        counts, raw = self._read(arrays)
        columns = _kinematics(raw, to_gev=to_gev)
        if self.mass is not None or "mass" not in columns:
            columns["mass"] = np.full(len(columns["pt"]), self.mass or 0.0, np.float32)
        passed = np.ones(len(columns["pt"]), np.bool_)
        for cut in self.cuts:
            passed &= _passes(cut, raw[cut.branch], columns["pt"], to_gev=to_gev)
        if "scale" in raw:
            # What fails the cuts keeps its own pt, so that a weight of 0 is not taken for a fault of the file.
            scale = np.where(passed, raw["scale"], 1)
            columns |= {name: columns[name] * scale for name in ("pt", "mass")}
        columns |= {name: raw[name] for name in ("charge", "pdg_id", "btag") if name in raw}
        columns |= {name: np.full(len(passed), value, np.float32) for name, value in self.constants.items()}
        faults = {f"NaN in {cut.branch}": int(np.count_nonzero(np.isnan(raw[cut.branch]))) for cut in self.cuts}
        return Objects.from_counts(counts, columns | {"passed": passed}), {name: n for name, n in faults.items() if n}

    def _read(self, arrays: Mapping[str, ak.Array]) -> tuple[NDArray[np.int64], dict[str, NDArray[Any]]]:
        """Objects per event, and the flat values of every field (by its name) and cut (by its branch)."""
        wanted = dict(self.fields) | {cut.branch: (cut.branch,) for cut in self.cuts}
        flat = {key: self._flat(names, arrays) for key, names in wanted.items()}
        first = next(iter(flat))
        counts = flat[first][0]
        for key, (other, _) in flat.items():
            if not np.array_equal(counts, other):
                entry = int(np.argmax(counts != other))
                raise SchemaError(
                    f"{self.name}: branches {wanted[first][0]} and {wanted[key][0]} disagree on the number of objects "
                    f"({counts[entry]} and {other[entry]} in entry {entry} of the chunk); name branches of one list"
                )
        return counts, {key: values for key, (_, values) in flat.items()}

    def _flat(self, names: tuple[str, ...], arrays: Mapping[str, ak.Array]) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Counts and flat values of one field."""
        if not self.per_object:
            return flatten(arrays[names[0]], names[0])
        columns = [flatten(arrays[name], name, scalar=True)[1] for name in names]
        return np.full(len(columns[0]), len(names), np.int64), np.stack(columns, axis=1).reshape(-1)


def joined(parts: Sequence[Objects]) -> Objects:
    """The objects of all parts, event by event in the order of the parts; a field that a part lacks is 0 there."""
    names = dict.fromkeys(name for part in parts for name in part.columns)
    order = np.argsort(np.concatenate([part.event for part in parts]), kind="stable")
    columns = {
        name: np.concatenate([part.columns.get(name, np.zeros(len(part), np.float32)) for part in parts])[order]
        for name in names
    }
    counts: NDArray[np.int64] = np.sum([part.counts for part in parts], axis=0)
    return Objects.from_counts(counts, columns)


def as_column(array: ak.Array, branch: str) -> Column:
    """A branch of one number, or one list of numbers, an event; SchemaError if it holds anything else."""
    counts, values = flatten(array, branch)
    return Column(values, offsets_of(counts) if array.ndim > 1 else None)


def flatten(array: ak.Array, branch: str, *, scalar: bool = False) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Values per event and flat values of a branch; one value an event counts as a list of one.

    SchemaError if the branch holds anything but numbers or lists of numbers, or with `scalar` a list.
    """
    layout = ak.to_layout(ak.to_packed(array))
    if isinstance(layout, ak.contents.RegularArray) and not scalar:
        layout = layout.to_ListOffsetArray64(True)
    if isinstance(layout, ak.contents.ListOffsetArray) and not scalar:
        content = layout.content
        offsets = np.asarray(layout.offsets, np.int64)
        counts = offsets[1:] - offsets[:-1]
    else:
        content, counts = layout, np.ones(len(layout), np.int64)
    if isinstance(content, ak.contents.EmptyArray):
        return counts, np.empty(0, np.float32)
    values = np.asarray(content.data) if isinstance(content, ak.contents.NumpyArray) else None
    is_text = layout.parameter("__array__") is not None
    if values is None or is_text or values.ndim != 1 or values.dtype.kind not in "biuf":
        wanted = "one number an event" if scalar else "numbers or one list of numbers an event"
        raise SchemaError(f"branch {branch}: holds {ak.type(array).content}; the schema needs {wanted}")
    return counts, values


def _kinematics(raw: Mapping[str, NDArray[Any]], *, to_gev: float) -> dict[str, NDArray[Any]]:
    """pt, eta, phi and, where the file gives it, mass; energies times `to_gev`."""
    if "px" in raw:
        pz = raw.get("pz", np.zeros_like(raw["px"]))  # MET has none
        pt, eta, phi = polar(raw["px"], raw["py"], pz)
    else:
        pt, phi = raw["pt"], raw["phi"]
        eta = raw.get("eta", np.zeros(len(pt), np.float32))
    columns: dict[str, NDArray[Any]] = {"pt": pt, "eta": eta, "phi": phi}
    if "mass" in raw:
        columns["mass"] = raw["mass"]
    elif "energy" in raw:
        columns["mass"] = mass_from_energy(pt, eta, raw["energy"])
    if to_gev != 1.0:
        columns |= {name: columns[name] * to_gev for name in ("pt", "mass") if name in columns}
    return columns


def _passes(cut: Cut, values: NDArray[Any], pt: NDArray[Any], *, to_gev: float) -> NDArray[np.bool_]:
    """Which objects pass; a NaN fails. `pt` is in GeV."""
    passed = np.ones(len(values), np.bool_)
    if cut.mask is not None:
        if values.dtype.kind not in "iub":
            raise SchemaError(f"branch {cut.branch}: holds {values.dtype}; a cut with a mask needs integers")
        values = values.astype(np.int64) & cut.mask
    if cut.relative:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            values = values * to_gev / pt
    if cut.min is not None:
        passed &= values >= cut.min
    if cut.max is not None:
        passed &= values <= cut.max
    if cut.pt_below is not None:
        passed |= pt >= cut.pt_below
    return passed
