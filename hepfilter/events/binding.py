"""Binding: a schema meets the branches of a tree. What is read, what is absent, and how arrays become events."""

from collections.abc import Collection as Sized
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from hepfilter.config.schema import COLLECTIONS, Alternative, Branch, Collection, FirstOf, Schema
from hepfilter.errors import SchemaError, nearest
from hepfilter.events.cleaning import drop_unphysical, sort_by_pt
from hepfilter.events.columns import BoundCollection, flatten
from hepfilter.events.overlap import ENTANGLED, remove_overlaps
from hepfilter.events.record import Events, Identity, Objects, build_record

_DIRECTIONS = frozenset({"pt", "eta", "phi", "px", "py", "pz"})


@dataclass(frozen=True)
class Binding:
    """A schema bound to a tree.

    `collections` are those that the tree has, in the order of COLLECTIONS, and of them `read` are read: the wanted ones
    and what their cleaning needs. `identity` and `weight` name the branches; None: (file name, entry) serves, and no
    weight. `warnings` tell in plain words what is not as it should be. `where` (file and tree) begins error messages.
    """

    schema: Schema
    collections: Mapping[str, BoundCollection]
    read: tuple[str, ...]
    identity: tuple[str, ...] | None
    weight: str | None
    warnings: tuple[str, ...]
    where: str = ""

    @property
    def found(self) -> tuple[str, ...]:
        """The collections that the tree has."""
        return tuple(self.collections)

    @property
    def absent(self) -> tuple[str, ...]:
        """The collections that are empty in every event, since the tree has none of their branches."""
        return tuple(name for name in COLLECTIONS if name not in self.collections)

    @property
    def branches(self) -> tuple[str, ...]:
        """All branches that `events` needs, each once: identity, weight, then the collections that are read."""
        names = [*(self.identity or ()), *([self.weight] if self.weight else [])]
        for collection in self.read:
            names += self.collections[collection].branches
        return tuple(dict.fromkeys(names))

    def events(self, arrays: Mapping[str, ak.Array], *, file: str = "", first_entry: int = 0) -> Events:
        """The events of a chunk: cleaned, overlaps removed, sorted.

        `arrays` holds at least `branches`, all of the same entries; `file` and `first_entry` say where they come from
        and are used where the tree has no identity. An empty chunk gives no events. SchemaError if a branch is not
        what the schema takes it for.
        """
        n_events = len(arrays[self.branches[0]])
        try:
            raw = {name: self.collections[name].objects(arrays, to_gev=self.schema.to_gev) for name in self.read}
            weight, bad_weights = self._weight(arrays)
            identity = self._identity(arrays, file=file, first_entry=first_entry, count=n_events)
        except SchemaError as error:
            raise SchemaError(f"{self.where}: {error}" if self.where else str(error)) from error
        problems: dict[str, int] = {"weight: non-finite": bad_weights} if bad_weights else {}
        collections: dict[str, Objects] = {}
        for name, (objects, faults) in raw.items():
            physical, unphysical = drop_unphysical(objects)
            problems |= {f"{name}: {reason}": count for reason, count in (faults | unphysical).items()}
            collections[name] = _select(physical, self.collections[name])
        collections = {name: sort_by_pt(objects) for name, objects in remove_overlaps(collections).items()}
        objects_read = {name: len(objects) for name, (objects, _) in raw.items()}
        return Events(build_record(collections, n_events), identity, weight, problems, objects_read)

    def _identity(self, arrays: Mapping[str, ak.Array], *, file: str, first_entry: int, count: int) -> Identity:
        """From the branches, or (file name, entry)."""
        if self.identity is None:
            return Identity.from_entries(file, first_entry, count)
        run, *block, event = (_integers(arrays[name], name) for name in self.identity)
        luminosity_block = block[0].astype(np.uint32) if block else np.zeros(count, np.uint32)
        return Identity(run.astype(np.uint32), luminosity_block, event.astype(np.uint64))

    def _weight(self, arrays: Mapping[str, ak.Array]) -> tuple[NDArray[np.float64] | None, int]:
        """The weights, those that are not finite set to 0, and the number of those."""
        if self.weight is None:
            return None, 0
        _, values = flatten(arrays[self.weight], self.weight, scalar=True)
        finite = np.isfinite(values)
        return np.where(finite, values, 0).astype(np.float64), int(np.count_nonzero(~finite))


def bind(schema: Schema, branch_names: Iterable[str], *, wanted: Sized[str] = COLLECTIONS, where: str = "") -> Binding:
    """Find the branches of `schema` in a tree with `branch_names`.

    `wanted` are the collections that will be used; those that they need for cleaning are read too, all others are
    left empty. `where` (file and tree) begins the message of a SchemaError: a branch that `detect` asks for is missing,
    a collection is there in part, or no wanted collection is there at all; each names the nearest branches.
    """
    names = frozenset(branch_names)
    place = f"{where}: " if where else ""
    for item in schema.detect:
        if not any(name in names for name in _options(item)):
            close = nearest(_options(item)[0], sorted(names))
            raise SchemaError(f"{place}schema {schema.name}: no branch {' or '.join(_options(item))}{close}")
    collections: dict[str, BoundCollection] = {}
    for name, collection in schema.collections.named():
        bound = _bind_collection(name, collection, names, place=f"{place}schema {schema.name}, ")
        if bound is not None:
            collections[name] = bound
    needed = ENTANGLED.union(wanted) if ENTANGLED.intersection(wanted) else wanted
    read = tuple(name for name in collections if name in needed)
    if not any(name in wanted for name in read):
        close = nearest(_first_branch(schema, wanted), sorted(names))
        raise SchemaError(f"{place}schema {schema.name}: the tree has no {' or '.join(wanted)}{close}")
    identity, lacking = _bind_identity(schema, names)
    warnings = [f"no {lacking}: events are identified by file name and entry"] if identity is None else []
    massless = {name: _missing_mass(collections[name]) for name in read}
    warnings += [f"{name}: no branch {branch}, masses are 0" for name, branch in massless.items() if branch]
    weight = schema.weight if schema.weight in names else None
    return Binding(schema, collections, read, identity, weight, tuple(warnings), where)


def _select(objects: Objects, bound: BoundCollection) -> Objects:
    """Those that pass the cuts, the least pt and the largest |η| of the schema."""
    columns = dict(objects.columns)
    passed = columns.pop("passed").astype(np.bool_)
    inside = (columns["pt"] >= bound.pt_min) & (np.abs(columns["eta"]) <= bound.eta_max)
    return Objects(objects.offsets, columns).keep(passed & inside)


def _bind_collection(name: str, collection: Collection, names: frozenset[str], *, place: str) -> BoundCollection | None:
    """The first alternative that is there, None if there is nothing of any; SchemaError if one is there in part."""
    partial: list[tuple[str, str]] = []
    for alternative in collection.alternatives:
        directions = {field: _resolve(branch, names) for field, branch in alternative.fields() if field in _DIRECTIONS}
        missing = [_options(branch)[0] for field, branch in alternative.fields() if directions.get(field, ()) is None]
        if not missing:
            return _bound(name, collection, alternative, names)
        there = [found[0] for found in directions.values() if found]
        if there:
            partial.append((missing[0], there[0]))
    if partial:
        lacking, there_is = partial[0]
        close = nearest(lacking, sorted(names))
        raise SchemaError(f"{place}{name}: no branch {lacking}, though {there_is} is there{close}")
    return None


def _bound(name: str, collection: Collection, alternative: Alternative, names: frozenset[str]) -> BoundCollection:
    """The alternative with its branches resolved; optional fields that the tree lacks are left out and listed."""
    fields: dict[str, tuple[str, ...]] = {}
    missing: dict[str, str] = {}
    for field, branch in alternative.fields():
        found = _resolve(branch, names)
        if found is None:
            missing[field] = _options(branch)[0]
        elif field != "energy" or alternative.mass is None:
            fields[field] = found
    constant = alternative.mass if isinstance(alternative.mass, float) else None
    per_object = any(isinstance(branch, tuple) for _, branch in alternative.fields())
    cuts = tuple(cut for item in alternative.cuts for cut in [c for c in item if c.branch in names][:1])
    return BoundCollection(
        name, fields, per_object, constant, cuts, missing, pt_min=collection.pt_min, eta_max=collection.eta_max
    )


def _resolve(branch: Branch, names: frozenset[str]) -> tuple[str, ...] | None:
    """The branches to read for a field, None if the tree lacks one that it needs."""
    if isinstance(branch, tuple):
        return branch if names.issuperset(branch) else None
    return next(((name,) for name in _options(branch) if name in names), None)


def _options(branch: Branch) -> tuple[str, ...]:
    """All names that a field or a `detect` entry may mean."""
    if isinstance(branch, FirstOf):
        return branch.first_of
    return (branch,) if isinstance(branch, str) else branch


def _bind_identity(schema: Schema, names: frozenset[str]) -> tuple[tuple[str, ...] | None, str]:
    """The identity's branches, or None and what is lacking."""
    if schema.identity is None:
        return None, "identity in the schema"
    lacking = [name for name in schema.identity.names() if name not in names]
    return (None, f"branch {', '.join(lacking)}") if lacking else (schema.identity.names(), "")


def _missing_mass(bound: BoundCollection) -> str | None:
    """The branch that should have given the mass, where the tree lacks it and nothing else does."""
    if bound.mass is not None or {"mass", "energy"} & set(bound.fields):
        return None
    return bound.missing.get("mass", bound.missing.get("energy"))


def _first_branch(schema: Schema, wanted: Sized[str]) -> str:
    """The branch that a wanted collection would begin with, for a message; empty if the schema has none of them."""
    options = [c.alternatives[0].fields()[0][1] for name, c in schema.collections.named() if name in wanted]
    return _options(options[0])[0] if options else ""


def _integers(array: ak.Array, branch: str) -> NDArray[Any]:
    """An identity branch as integers."""
    _, values = flatten(array, branch, scalar=True)
    if values.dtype.kind not in "iu":
        raise SchemaError(f"branch {branch}: holds {values.dtype}; an identity needs integers")
    return values
