"""From an open file to its events: the one way in which every command finds and reads them."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hepfilter.config.schema import COLLECTIONS, Schema
from hepfilter.errors import HepfilterError, SchemaError, SourceError
from hepfilter.events.schemas import detect_schema, load_schema, tree_candidates
from hepfilter.io.reading import OpenFile, Table

if TYPE_CHECKING:
    from hepfilter.events.binding import Binding
    from hepfilter.events.record import Events
    from hepfilter.events.shifts import EventShift

TRUTH_LABEL: Final = "HepFilterTruth_label"
IS_SIGNAL: Final = "HepFilterTruth_isSignal"
"""The branches in which simulated events say what they are."""


@dataclass(frozen=True)
class EventTree:
    """The tree of a file's events, and how its branches map onto the event record."""

    tree: Table
    binding: "Binding"

    def read(self, start: int = 0, stop: int | None = None, *, shift: "EventShift | None" = None) -> "Events":
        """The events of the entries [start, stop), cleaned, and changed if there is a `shift`."""
        arrays = self.tree.arrays(self.binding.branches, start, stop)
        return self.binding.events(arrays, file=self.tree.path, first_entry=start, shift=shift)


@dataclass(frozen=True)
class FoundTree:
    """The tree of a file's events and its schema; where that is None `fault` says why."""

    tree: Table
    schema: Schema | None
    fault: HepfilterError | None = None

    def bind(self, *, hidden: Collection[str] = (), wanted: Collection[str] = COLLECTIONS) -> EventTree:
        """The tree without its `hidden` branches, ready to be read as events with the `wanted` collections.

        The fault if there is no schema, SchemaError if it lacks all of the collections.
        """
        from hepfilter.events.binding import bind

        if self.schema is None:
            assert self.fault is not None
            raise self.fault
        tree = self.tree.without(hidden)
        where = f"{tree.path}: tree {tree.name}"
        return EventTree(tree, bind(self.schema, tree.branch_names, wanted=wanted, where=where))


def find_tree(file: OpenFile, *, tree: str | None = None, schema: str | None = None) -> FoundTree:
    """The tree of a file's events: `tree` if named, else the first that a schema names, else the only one.

    `schema` is one that ships, or a file; if None it is found from the branches. SourceError if there is no such tree.
    """
    if schema is not None:
        found = load_schema(schema)
        return FoundTree(file.table(*((tree,) if tree else found.trees)), found)
    try:
        opened = file.table(*([tree] if tree else tree_candidates()))
    except SourceError as fault:
        if tree is not None or len(file.table_names) != 1:
            raise
        return FoundTree(file.table(*file.table_names), None, fault)
    try:
        return FoundTree(opened, detect_schema(opened.branch_names, opened.name, file=file.path))
    except SchemaError as fault:
        return FoundTree(opened, None, fault)


def find_events(
    file: OpenFile, *, tree: str | None = None, schema: str | None = None, wanted: Collection[str] = COLLECTIONS
) -> EventTree:
    """Find the events of a file: in `tree` if named; by `schema` (one that ships, or a file), or by the branches.

    `wanted` are the collections that will be used. SourceError if there is no such tree, SchemaError if nothing fits.
    """
    return find_tree(file, tree=tree, schema=schema).bind(wanted=wanted)
