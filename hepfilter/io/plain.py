"""Plain branches: one number, or one list of numbers, an entry; decoded from their bytes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hepfilter.events.expressions import Column
from hepfilter.io.ttree import Branch, Leaf

if TYPE_CHECKING:
    from hepfilter.io.baskets import Entries

# class of a leaf → (numpy type of its values, of the unsigned ones)
_TYPES = {
    "TLeafO": ("?", "?"), "TLeafB": ("i1", "u1"), "TLeafS": ("i2", "u2"), "TLeafI": ("i4", "u4"),
    "TLeafL": ("i8", "u8"), "TLeafG": ("i8", "u8"), "TLeafF": ("f4", "f4"), "TLeafD": ("f8", "f8"),
}  # fmt: skip


def is_plain(branch: Branch) -> bool:
    """Whether the branch holds one number an entry, or one list with a counter, of a type that numpy has."""
    if branch.element is not None or branch.children or branch.obstacle or len(branch.leaves) != 1:
        return False
    leaf = branch.leaves[0]
    return (
        leaf.class_name in _TYPES and leaf.length == 1 and (leaf.count is not None) == (branch.entry_offset_length > 0)
    )


def plain_dtype(branch: Branch) -> np.dtype[Any]:
    """The type of a plain branch's values, as they are in memory."""
    dtype = leaf_dtype(branch.leaves[0])
    assert dtype is not None
    return dtype


def leaf_dtype(leaf: Leaf) -> np.dtype[Any] | None:
    """The type of a leaf's values, as they are in memory; None where numpy has no such type."""
    return np.dtype(_TYPES[leaf.class_name][leaf.is_unsigned]) if leaf.class_name in _TYPES else None


def decode(branch: Branch, pieces: "Sequence[Entries]") -> Column:
    """The values of a plain branch, pieces one after the other; an empty list of pieces gives no entry."""
    dtype = plain_dtype(branch)
    stored = [piece.data.view(dtype.newbyteorder(">")) for piece in pieces]
    values = np.concatenate([np.empty(0, dtype), *stored]).astype(dtype, copy=False)
    if branch.leaves[0].count is None:
        return Column(values)
    sizes = [np.full(p.count, p.width) if p.layout is None else p.layout.sizes for p in pieces]
    offsets = np.zeros(sum(map(len, sizes)) + 1, np.int64)
    np.cumsum(np.concatenate([np.empty(0, np.int64), *sizes]) // dtype.itemsize, out=offsets[1:])
    return Column(values, offsets)
