"""Binding: a schema meets the branches of a tree. What is read, what is absent, and how arrays become events."""

from collections.abc import Collection as Sized
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import awkward as ak
import numpy as np

from hepfilter.config.schema import COLLECTIONS, Alternative, Branch, Collection, Cut, FirstOf, Schema, spelling
from hepfilter.errors import SchemaError, nearest
from hepfilter.events.books import Books, find_books
from hepfilter.events.cleaning import drop_unphysical, sort_by_pt
from hepfilter.events.columns import BoundCollection, as_column
from hepfilter.events.missing import missing_momentum
from hepfilter.events.overlap import ENTANGLED, remove_overlaps
from hepfilter.events.record import Events, Objects, build_record
from hepfilter.events.shifts import EventShift

_DIRECTIONS = frozenset({"pt", "eta", "phi", "px", "py", "pz"})


@dataclass(frozen=True)
class Binding:
    """A schema bound to a tree.

    `collections` are those that the tree has, in the order of COLLECTIONS, and of them `read` are read: the wanted ones
    and what their cleaning needs. `books` names the branches of identity and weight. `warnings` tell in plain words
    what is not as it should be. `where` (file and tree) begins error messages.
    """

    schema: Schema
    collections: Mapping[str, BoundCollection]
    read: tuple[str, ...]
    books: Books
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
        names = list(self.books.branches)
        for collection in self.read:
            names += self.collections[collection].branches
        return tuple(dict.fromkeys(names))

    def events(
        self,
        arrays: Mapping[str, ak.Array],
        *,
        file: str = "",
        first_entry: int = 0,
        shift: EventShift | None = None,
    ) -> Events:
        """The events of a chunk: cleaned, overlaps removed, sorted, and changed if there is a `shift`.

        `arrays` holds at least `branches`, all of the same entries; `file` and `first_entry` say where they come from
        and are used where the tree has no identity. An empty chunk gives no events. SchemaError if a branch is not
        what the schema takes it for.
        """
        n_events = len(arrays[self.branches[0]])
        try:
            raw = {name: self.collections[name].objects(arrays, to_gev=self.schema.to_gev) for name in self.read}
            columns = {name: as_column(arrays[name], name) for name in self.books.branches}
            weight, problems = self.books.read_weight(columns)
            identity = self.books.read_identity(columns, file=file, first_entry=first_entry, count=n_events)
        except SchemaError as error:
            raise SchemaError(f"{self.where}: {error}" if self.where else str(error)) from error
        collections: dict[str, Objects] = {}
        for name, (objects, faults) in raw.items():
            physical, unphysical = drop_unphysical(objects)
            problems |= {f"{name}: {reason}": count for reason, count in (faults | unphysical).items()}
            shifted = physical if shift is None else shift.before_cuts(name, physical)
            collections[name] = _select(shifted, self.collections[name])
        cleaned = remove_overlaps(collections) | self._built_met(collections)
        if shift is not None:
            cleaned = shift.after_cuts(cleaned, met_of=self._met_of)
        collections = {name: sort_by_pt(objects) for name, objects in cleaned.items()}
        objects_read = {name: len(objects) for name, (objects, _) in raw.items()}
        return Events(build_record(collections, n_events), identity, weight, problems, objects_read)

    def _built_met(self, selected: Mapping[str, Objects]) -> dict[str, Objects]:
        """The MET that is built of the other collections, where the schema says so."""
        if "met" not in selected or not self._met_of:
            return {}
        return {"met": missing_momentum(selected["met"], selected, self._met_of)}

    @property
    def _met_of(self) -> tuple[str, ...]:
        """The collections that the MET is built of; none where the file holds it."""
        return self.collections["met"].minus if "met" in self.collections else ()


def bind(schema: Schema, branch_names: Iterable[str], *, wanted: Sized[str] = COLLECTIONS, where: str = "") -> Binding:
    """Find the branches of `schema` in a tree with `branch_names`.

    `wanted` are the collections that will be used; those that they need for cleaning are read too, all others are
    left empty. `where` (file and tree) begins the message of a SchemaError: a branch that `detect` asks for is missing,
    a collection is there in part, or no wanted collection is there at all; each names the nearest branches.
    """
    names = frozenset(branch_names)
    place = f"{where}: " if where else ""
    for item in schema.detect:
        if not any(spelling(name, names) for name in _options(item)):
            close = nearest(_options(item)[0], sorted(names))
            raise SchemaError(f"{place}schema {schema.name}: no branch {' or '.join(_options(item))}{close}")
    collections: dict[str, BoundCollection] = {}
    for name, collection in schema.collections.named():
        bound = _bind_collection(name, collection, names, place=f"{place}schema {schema.name}, ")
        if bound is not None:
            collections[name] = bound
    needed = _needed(collections, wanted)
    read = tuple(name for name in collections if name in needed)
    if not any(name in wanted for name in read):
        close = nearest(_first_branch(schema, wanted), sorted(names))
        raise SchemaError(f"{place}schema {schema.name}: the tree has no {' or '.join(wanted)}{close}")
    books = find_books(schema, names)
    warnings = [_without_identity(schema, names)] if books.identity is None else []
    massless = {name: _missing_mass(collections[name]) for name in read}
    warnings += [f"{name}: no branch {branch}, masses are 0" for name, branch in massless.items() if branch]
    absent = [(name, branch) for name in read for branch in collections[name].absent]
    warnings += [f"{name}: no branch {branch}, the objects of that source are missing" for name, branch in absent]
    return Binding(schema, collections, read, books, tuple(warnings), where)


def _needed(collections: Mapping[str, BoundCollection], wanted: Sized[str]) -> frozenset[str]:
    """The wanted collections and what they are built or cleaned of."""
    needed = frozenset(wanted)
    if "met" in needed and "met" in collections:
        needed |= set(collections["met"].minus)
    return needed | ENTANGLED if needed & ENTANGLED else needed


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
        sources = [(source, _directions(source, names)) for source in alternative.sources()]
        in_part = [(missing[0], there[0]) for _, (there, missing) in sources if there and missing]
        found = [_bound(name, collection, source, names) for source, (_, missing) in sources if not missing]
        if found and not in_part:
            absent = tuple(missing[0] for _, (_, missing) in sources if missing)
            return replace(found[0], also=tuple(found[1:]), absent=absent)
        partial += in_part
    if partial:
        lacking, there_is = partial[0]
        close = nearest(lacking, sorted(names))
        raise SchemaError(f"{place}{name}: no branch {lacking}, though {there_is} is there{close}")
    return None


def _directions(source: Alternative, names: frozenset[str]) -> tuple[list[str], list[str]]:
    """The branches that say where the objects point: those that the tree has, and the fields' first that it lacks."""
    resolved = [(branch, _resolve(branch, names)) for field, branch in source.fields() if field in _DIRECTIONS]
    there = [found[0] for _, found in resolved if found is not None]
    return there, [_options(branch)[0] for branch, found in resolved if found is None]


def _bound(name: str, collection: Collection, source: Alternative, names: frozenset[str]) -> BoundCollection:
    """The source with its branches resolved; optional fields that the tree lacks are left out and listed."""
    fields: dict[str, tuple[str, ...]] = {}
    missing: dict[str, str] = {}
    for field, branch in source.fields():
        found = _resolve(branch, names)
        if found is None:
            missing[field] = _options(branch)[0]
        elif field != "energy" or source.mass is None:
            fields[field] = found
    numbers = {field: getattr(source, field) for field in ("mass", "charge", "pdg_id")}
    constants = {field: value for field, value in numbers.items() if isinstance(value, float)}
    return BoundCollection(
        name,
        fields,
        per_object=any(isinstance(branch, tuple) for _, branch in source.fields()),
        mass=constants.pop("mass", None),
        cuts=tuple(cut for item in source.cuts for cut in _applied(item, names)),
        missing=missing,
        pt_min=collection.pt_min,
        eta_max=collection.eta_max,
        constants=constants,
        minus=source.minus,
    )


def _applied(cuts: tuple[Cut, ...], names: frozenset[str]) -> list[Cut]:
    """The first of the cuts whose branch the tree has, with the branch as the tree spells it."""
    spelled = [(cut, spelling(cut.branch, names)) for cut in cuts]
    return [cut.model_copy(update={"branch": branch}) for cut, branch in spelled if branch is not None][:1]


def _resolve(branch: Branch, names: frozenset[str]) -> tuple[str, ...] | None:
    """The branches to read for a field, None if the tree lacks one that it needs."""
    spelled = [name for name in (spelling(option, names) for option in _options(branch)) if name is not None]
    if isinstance(branch, tuple):
        return tuple(spelled) if len(spelled) == len(branch) else None
    return tuple(spelled[:1]) or None


def _options(branch: Branch) -> tuple[str, ...]:
    """All names that a field or a `detect` entry may mean."""
    if isinstance(branch, FirstOf):
        return branch.first_of
    return (branch,) if isinstance(branch, str) else branch


def _without_identity(schema: Schema, names: frozenset[str]) -> str:
    """What is lacking for an identity, as a warning."""
    wanted = schema.identity.names() if schema.identity else ()
    lacking = [name for name in wanted if spelling(name, names) is None]
    what = f"branch {', '.join(lacking)}" if lacking else "identity in the schema"
    return f"no {what}: events are identified by file name and entry"


def _missing_mass(bound: BoundCollection) -> str | None:
    """The branch that should have given the mass, where the tree lacks it and nothing else does."""
    if bound.mass is not None or {"mass", "energy"} & set(bound.fields):
        return None
    return bound.missing.get("mass", bound.missing.get("energy"))


def _first_branch(schema: Schema, wanted: Sized[str]) -> str:
    """The branch that a wanted collection would begin with, for a message; empty if the schema has none of them."""
    options = [c.alternatives[0].fields()[0][1] for name, c in schema.collections.named() if name in wanted]
    return _options(options[0])[0] if options else ""
