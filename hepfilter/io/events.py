"""From an open file to the event record: the one way in which every command reads events."""

from collections.abc import Collection
from dataclasses import dataclass

from hepfilter.config.schema import COLLECTIONS
from hepfilter.events.binding import Binding, bind
from hepfilter.events.record import Events
from hepfilter.events.schemas import detect_schema, load_schema, tree_candidates
from hepfilter.io.reading import OpenFile, OpenTree


@dataclass(frozen=True)
class EventTree:
    """The tree of a file's events, and how its branches map onto the event record."""

    tree: OpenTree
    binding: Binding

    def read(self, start: int = 0, stop: int | None = None) -> Events:
        """The events of the entries [start, stop), cleaned."""
        arrays = self.tree.arrays(self.binding.branches, start, stop)
        return self.binding.events(arrays, file=self.tree.path, first_entry=start)

    @property
    def basket_edges(self) -> list[int]:
        """The entries at which baskets of all needed branches begin together, 0 and the end included."""
        return self.tree.cluster_edges(self.binding.branches)


def find_events(
    file: OpenFile, *, tree: str | None = None, schema: str | None = None, wanted: Collection[str] = COLLECTIONS
) -> EventTree:
    """Find the events of a file: in `tree` if named; by `schema` (one that ships, or a file), or by the branches.

    `wanted` are the collections that will be used. SourceError if there is no such tree, SchemaError if nothing fits.
    """
    if schema is not None:
        found = load_schema(schema)
        opened = file.tree(*((tree,) if tree else found.trees))
    else:
        opened = file.tree(*((tree,) if tree else tree_candidates()))
        found = detect_schema(opened.branch_names, opened.name, file=file.path)
    return EventTree(opened, bind(found, opened.branch_names, wanted=wanted, where=f"{file.path}: tree {opened.name}"))
