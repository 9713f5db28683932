"""Events that a user already has as an awkward array, as ours: flat branches, coffea's NanoEvents, or our own record.

NanoEvents (NanoAODSchema) hold ``Jet_pt`` as ``events.Jet.pt``; its branches are found by these names. Only what is
needed of an array is touched, so that of coffea's virtual arrays only that is read.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from hepfilter.config.schema import COLLECTIONS
from hepfilter.errors import SchemaError, UsageError
from hepfilter.events.binding import Binding, bind
from hepfilter.events.identity import Identity
from hepfilter.events.record import Events
from hepfilter.events.schemas import detect_schema, load_schema
from hepfilter.io.own_branches import own_names
from hepfilter.trigger.selection import ties

if TYPE_CHECKING:
    from hepfilter.events.expressions import Column

_WHERE = "the array of events"


class ArrayBranches(Mapping[str, ak.Array]):
    """The branches of an array of events, by the names that they have in a file.

    A collection ``Jet`` with the field ``pt`` has the branch ``Jet_pt`` and, where events hold lists of it, the counter
    ``nJet``. What a skim added is left out. UsageError if `events` is no awkward array with fields.
    """

    def __init__(self, events: ak.Array) -> None:
        if not isinstance(events, ak.Array):
            kind = f"{type(events).__module__.partition('.')[0]}.{type(events).__name__}"
            raise UsageError(
                f"events are an awkward array, not {kind}: uproot's tree.arrays(), coffea's NanoEvents "
                '(mode "eager" or "virtual"), or a record of hepfilter.open(FILE).events()'
            )
        if not ak.fields(events):
            raise UsageError(f"{_WHERE} has no fields ({ak.type(events)}); read branches by name, tree.arrays([…])")
        self.events = events

    @cached_property
    def _places(self) -> dict[str, tuple[str, str | None]]:
        """(field of the event, field of its objects; None for the field itself, "" for their number) by branch."""
        places: dict[str, tuple[str, str | None]] = {}
        for name in ak.fields(self.events):
            inner = ak.fields(self.events[name])
            if not inner:
                places[name] = (name, None)
                continue
            places |= {f"{name}_{field}": (name, field) for field in inner}
            if self.events[name].ndim > 1:
                places.setdefault(f"n{name}", (name, ""))
        added = own_names(places)  # by a skim before this one
        return {branch: place for branch, place in places.items() if branch not in added}

    def __getitem__(self, branch: str) -> ak.Array:
        name, field = self._places[branch]
        if field == "":
            return ak.num(self.events[name], axis=1)
        return self.events[name] if field is None else self.events[name][field]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def columns(self, names: Collection[str]) -> "dict[str, Column]":
        """Some branches as flat values. SchemaError if one holds anything but numbers or lists of numbers."""
        from hepfilter.events.columns import as_column

        return {name: as_column(self[name], name) for name in names}


@dataclass(frozen=True)
class BoundArray:
    """The branches of an array, and how they map onto the event record."""

    branches: ArrayBranches
    binding: Binding

    def events(self) -> Events:
        """All events, as they would be read from a file."""
        return self.binding.events(self.branches)

    def identity(self) -> Identity:
        """Who the events are. SchemaError if the array does not say it."""
        if self.binding.books.identity is None:
            named = self.binding.schema.identity
            wanted = ", ".join(named.names()) if named else "run, luminosityBlock and event"
            raise SchemaError(f"{_WHERE} lacks {wanted}, by which events are told apart; read them too")
        return self._who()

    def ties(self) -> NDArray[np.float64]:
        """[B] what decides among events of equal score; their places where nothing else says who they are."""
        return ties(self._who())

    def _who(self) -> Identity:
        books = self.binding.books
        columns = self.branches.columns(books.identity or ())
        return books.read_identity(columns, file="", first_entry=0, count=len(self.branches.events))

    def lacking(self, wanted: Collection[str]) -> tuple[str, ...]:
        """In plain words what is not as it should be, if the `wanted` collections are used."""
        absent = [name for name in wanted if name in self.binding.absent]
        empty = [f"{', '.join(absent)}: empty in every event, for want of branches"] if absent else []
        return (*self.binding.warnings, *empty)


def is_record(events: Any) -> bool:
    """Whether an array is our own event record already."""
    return isinstance(events, ak.Array) and set(COLLECTIONS) <= set(ak.fields(events))


def bind_array(events: ak.Array, *, wanted: Collection[str], schema: str | None = None) -> BoundArray:
    """The branches of an array bound to a schema: one that ships, or a file; found from the branches if None.

    UsageError if it is no array of events, SchemaError if no schema fits, or nothing `wanted` is there.
    """
    branches = ArrayBranches(events)
    found = detect_schema(branches, "of events", file=_WHERE) if schema is None else load_schema(schema)
    return BoundArray(branches, bind(found, branches, wanted=wanted, where=_WHERE))
