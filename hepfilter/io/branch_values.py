"""The values of branches from the bytes of their entries: numbers, arrays, vectors, vectors of vectors, texts.

Vectors and strings as ROOT streams them: a byte count and a version before the outermost vector, the number of elements
before each; a text's length in one byte, or in four behind a byte of 255. An empty text alone may have no byte at all.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hepfilter.io.baskets import Bytes, Entries
from hepfilter.io.plain import decode, is_plain, leaf_dtype, plain_dtype
from hepfilter.io.ttree import Branch
from hepfilter.io.values import CHARACTER, Form, Index, Values

# ROOT's name of a vector's element → its numbers
ELEMENTS = {
    "bool": "bool", "char": CHARACTER, "signed char": "int8", "unsigned char": "uint8", "short": "int16",
    "unsigned short": "uint16", "int": "int32", "unsigned int": "uint32", "Long64_t": "int64", "ULong64_t": "uint64",
    "long": "int64", "unsigned long": "uint64", "float": "float32", "double": "float64",
}  # fmt: skip
_VECTOR = re.compile(r"(?:std::)?vector<\s*(.*?)\s*>$")
_DEEPEST = 2
_BYTE_COUNT = 0x40000000
_LONG_TEXT = 255


def branch_form(branch: Branch) -> Form | None:
    """What the branch holds; None where that is more than numbers, lists of them, and texts."""
    if branch.obstacle or branch.children or len(branch.leaves) != 1:
        return None
    if branch.element is not None:
        return _element_form(branch)
    leaf, varies = branch.leaves[0], branch.entry_offset_length > 0
    if is_plain(branch):
        return Form(_number(plain_dtype(branch)), int(varies))
    dtype = leaf_dtype(leaf)
    if dtype is not None and leaf.count is None and leaf.length > 0 and not varies:
        return Form(_number(dtype), length=leaf.length)
    is_text = leaf.class_name == "TLeafC" and leaf.count is None and varies
    return Form(CHARACTER, is_text=True) if is_text else None


def _number(dtype: np.dtype[Any]) -> str:
    return CHARACTER if dtype == np.int8 else dtype.name


def _element_form(branch: Branch) -> Form | None:
    """What a branch of one object holds, where that is a vector or a string and none of a class."""
    own, depth = branch.element, 0
    assert own is not None
    name = own.class_name
    if own.identifier != -1 or own.streamer_type != -1 or own.count is not None:
        return None
    while match := _VECTOR.match(name):
        name, depth = match[1], depth + 1
    is_text = name in ("string", "std::string")
    if (name not in ELEMENTS and not is_text) or depth > _DEEPEST or depth + is_text == 0:
        return None
    return Form(CHARACTER if is_text else ELEMENTS[name], depth, is_text=is_text)


def decode_values(branch: Branch, form: Form, pieces: Sequence[Entries]) -> Values:
    """The values of a branch of this form, pieces one after the other. ValueError if its bytes are none."""
    if is_plain(branch):
        column = decode(branch, pieces)
        counts = () if column.offsets is None else (np.diff(column.offsets),)
        return Values(_checked(column.values), counts)
    data = np.concatenate([np.empty(0, np.uint8), *(piece.data for piece in pieces)])
    if not form.levels:
        numbers = data.view(form.dtype.newbyteorder(">")).astype(form.dtype)
        if len(numbers) != sum(piece.count for piece in pieces) * form.length:
            raise ValueError(f"entries that are not {form.length} numbers each")
        return Values(_checked(numbers), (), form.length)
    sizes = [np.full(p.count, p.width) if p.layout is None else p.layout.sizes for p in pieces]
    stops = np.cumsum(np.concatenate([np.empty(0, np.int64), *sizes]))
    return _Lists(data, stops, form).read()


def _checked(numbers: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The numbers; ValueError for a Bool_t that is neither true nor false."""
    if numbers.dtype == np.bool_ and numbers.view(np.uint8).max(initial=0) > 1:
        raise ValueError("a Bool_t that is neither 0 nor 1")
    return numbers


def mark(length: int, starts: Index, sizes: Index) -> npt.NDArray[np.bool_]:
    """Which of `length` bytes lie in ranges of these sizes that begin there; no two overlap."""
    borders = np.zeros(length + 1, np.int8)
    np.add.at(borders, starts, 1)
    np.add.at(borders, starts + sizes, -1)
    return np.cumsum(borders[:-1], dtype=np.int8).astype(bool)


class _Lists:
    """Reads the lists of all entries side by side: `at` is where each entry is read next, `stops` where it ends."""

    def __init__(self, data: Bytes, stops: Index, form: Form) -> None:
        self._data, self._form = data, form
        self._stops = stops.astype(np.int64)
        self._at = np.append(0, self._stops[:-1])[: len(self._stops)]

    def read(self) -> Values:
        """All of them; ValueError where the bytes of an entry do not end where it does."""
        all_entries = np.arange(len(self._stops))
        outer: list[Index] = []
        if self._form.depth:
            counted = self._four(all_entries) & (_BYTE_COUNT - 1)
            if np.any(counted + self._at != self._stops):
                raise ValueError("a vector whose byte count is wrong")
            self._at += 2  # the version
            outer.append(self._four(all_entries))
        read_length = self._text_length if self._form.is_text else self._four
        if self._form.levels == 1:
            starts, counts = (self._at.copy(), outer[0]) if outer else self._innermost(all_entries, read_length)
            if outer:
                self._skip(all_entries, counts)
        else:
            starts, inner = self._nested(outer[0], read_length)
            counts = inner
        if np.any(self._at != self._stops):
            raise ValueError("a vector or text that does not end where its entry does")
        item = self._form.dtype.itemsize
        content = self._data[mark(len(self._data), starts, counts * item)]
        numbers = content.view(self._form.dtype.newbyteorder(">")).astype(self._form.dtype)
        levels = (*outer, counts) if self._form.levels > len(outer) else (counts,)
        return Values(_checked(numbers), levels)

    def _nested(self, outer: Index, read_length: Callable[[Index], Index]) -> tuple[Index, Index]:
        """(where the content of each inner list begins, its length): the first of every entry, then the second, …"""
        firsts = np.cumsum(outer) - outer
        if outer.sum() > len(self._data):
            raise ValueError("a vector longer than its entry")
        starts, counts = np.zeros(outer.sum(), np.int64), np.zeros(outer.sum(), np.int64)
        for number in range(int(outer.max(initial=0))):
            entries = np.flatnonzero(outer > number)
            places = firsts[entries] + number
            starts[places], counts[places] = self._innermost(entries, read_length)
        return starts, counts

    def _innermost(self, entries: Index, read_length: Callable[[Index], Index]) -> tuple[Index, Index]:
        """(where the content of the next list of each of these entries begins, its length); moves behind it."""
        counts = read_length(entries)
        starts = self._at[entries]
        self._skip(entries, counts)
        return starts, counts

    def _skip(self, entries: Index, counts: Index) -> None:
        self._at[entries] += counts * self._form.dtype.itemsize
        if np.any(self._at[entries] > self._stops[entries]):
            raise ValueError("a list longer than its entry")

    def _four(self, entries: Index) -> Index:
        """The next four bytes of each of these entries as a number."""
        at = self._at[entries]
        if np.any(at + 4 > self._stops[entries]):
            raise ValueError("a list longer than its entry")
        words = self._data[at[:, None] + np.arange(4)].view(">u4").reshape(-1)
        self._at[entries] += 4
        return words.astype(np.int64)

    def _text_length(self, entries: Index) -> Index:
        """The length of the next text of each of these entries."""
        lengths = np.zeros(len(entries), np.int64)
        there = self._at[entries] < self._stops[entries]
        if self._form.depth and not there.all():
            raise ValueError("a text longer than its entry")
        lengths[there] = self._data[self._at[entries[there]]]
        self._at[entries[there]] += 1
        is_long = lengths == _LONG_TEXT
        lengths[is_long] = self._four(entries[is_long])
        return lengths
