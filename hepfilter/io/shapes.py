"""What of a file's tree decides the output's layout, in short: trees of one shape need not be opened again for it."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from hepfilter.io.ntuple import OpenNTuple
from hepfilter.io.reading import OpenTree, Table
from hepfilter.io.ttree import Branch, Leaf

_NARROW: Final = {"maximum": 0, "length": 1}
"""The widths of a leaf that says nothing of them."""


@dataclass(frozen=True)
class TableShape:
    """A `digest` of names, types and what cannot be copied, and the `widths` that alone differ within one shape.

    These are the largest values and lengths that a tree states, by their place among all that there are; those that
    say nothing are left out.
    """

    digest: str
    widths: Mapping[int, float]


def shape_of(table: Table) -> TableShape:
    """The shape of a TTree or an RNTuple, without what is hidden of it."""
    if isinstance(table, OpenNTuple):
        schema = table.ntuple.schema
        return TableShape(_digest(repr((sorted(table.hidden), schema.fields, schema.columns, schema.aliases))), {})
    names = [(branch.name, branch.signature, branch.obstacle, len(branch.children)) for branch in _walk(table)]
    other = [leaf.maximum for leaf in _leaves(table) if isinstance(leaf.maximum, bytes)]
    widths = {place: width for place, (width, narrow) in enumerate(_widths(table)) if width != narrow}
    return TableShape(_digest(repr((names, other))), widths)


def widen(table: OpenTree, widths: Mapping[int, float]) -> None:
    """Let a tree state at least these widths, of another tree of its shape."""
    place = 0
    for branch in _walk(table):
        for leaf in branch.leaves:
            if not isinstance(leaf.maximum, bytes):
                leaf.maximum = max(leaf.maximum, widths.get(place, _NARROW["maximum"]))
                leaf.length = max(leaf.length, int(widths.get(place + 1, _NARROW["length"])))
                place += 2
        if branch.element is not None:
            most = max(branch.element.maximum, int(widths.get(place, _NARROW["maximum"])))
            branch.element = replace(branch.element, maximum=most)
            place += 1


def _widths(table: OpenTree) -> Iterator[tuple[float, float]]:
    """(width, what it is where a leaf says nothing) of all leaves and classes, in order."""
    for branch in _walk(table):
        for leaf in branch.leaves:
            if not isinstance(leaf.maximum, bytes):
                yield leaf.maximum, _NARROW["maximum"]
                yield leaf.length, _NARROW["length"]
        if branch.element is not None:
            yield branch.element.maximum, _NARROW["maximum"]


def _walk(table: OpenTree) -> Iterator[Branch]:
    return (branch for top in table.branches for branch in top.walk())


def _leaves(table: OpenTree) -> Iterator[Leaf]:
    return (leaf for branch in _walk(table) for leaf in branch.leaves)


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(errors="surrogateescape"), digest_size=16).hexdigest()
