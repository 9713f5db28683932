"""The values of branches from bytes as ROOT streams them, and what is damaged."""

import struct

import numpy as np
import pytest

from hepfilter.io.baskets import Entries, Layout, raw_entries
from hepfilter.io.branch_values import branch_form, decode_values
from hepfilter.io.ttree import Branch, Element, Leaf
from hepfilter.io.values import CHARACTER, Form


def of_class(name: str) -> Branch:
    kind = -1 if name == "string" else 0
    described = Element(name, "", "", 0, 6, -1, kind, -1, 0, None, None)
    return Branch("x", "", [Leaf("TLeafElement", "x", "x")], element=described, entry_offset_length=200)


def entries(*parts: bytes) -> Entries:
    positions = np.cumsum([0, *map(len, parts)]).astype(np.int32)
    return Entries(np.frombuffer(b"".join(parts), np.uint8), len(parts), Layout(positions))


def vector(content: bytes, size: int) -> bytes:
    """A vector of `size` elements as it is streamed."""
    return struct.pack(">IHI", 0x40000000 | len(content) + 6, 10, size) + content


def text(raw: bytes) -> bytes:
    return (bytes([len(raw)]) if len(raw) < 255 else b"\xff" + struct.pack(">I", len(raw))) + raw


def read(branch: Branch, *pieces: Entries) -> tuple[list, list[list[int]]]:
    form = branch_form(branch)
    assert form is not None
    found = decode_values(branch, form, pieces)
    assert found.numbers.dtype == form.dtype
    return found.numbers.tolist(), [own.tolist() for own in found.counts]


def test_vectors_of_several_baskets():
    first = entries(vector(struct.pack(">2f", 1.5, -2), 2), vector(b"", 0))
    second = entries(vector(struct.pack(">f", 7), 1))
    assert branch_form(of_class("vector<float>")) == Form("float32", 1)
    assert read(of_class("vector<float>"), first, second) == ([1.5, -2, 7], [[2, 0, 1]])
    assert read(of_class("vector<float>")) == ([], [[]])


def test_vectors_of_vectors():
    inner = [struct.pack(">I2h", 2, 5, -6), struct.pack(">I", 0), struct.pack(">Ih", 1, 7)]
    given = entries(vector(b"".join(inner), 3), vector(b"", 0), vector(inner[2], 1))
    assert read(of_class("vector<vector<short> >"), given) == ([5, -6, 7, 7], [[3, 0, 1], [2, 0, 1, 1]])


@pytest.mark.parametrize("length", [0, 1, 254, 255, 700])
def test_texts(length):
    raw = bytes(range(65, 91)) * 30
    raw = raw[:length]
    assert branch_form(of_class("string")) == Form(CHARACTER, is_text=True)
    assert read(of_class("string"), entries(text(b"ab"), text(raw))) == ([97, 98, *raw], [[2, length]])
    several = entries(vector(text(raw) + text(b"z"), 2), vector(b"", 0), vector(text(b""), 1))
    assert read(of_class("vector<string>"), several) == ([*raw, 122], [[2, 0, 1], [length, 1, 0]])
    leaf = Branch("x", "", [Leaf("TLeafC", "x", "x")], entry_offset_length=9)
    assert read(leaf, entries(text(raw), b"", text(b"q"))) == ([*raw, 113], [[length, 0, 1]])


def test_arrays_of_fixed_length():
    branch = Branch("x", "", [Leaf("TLeafD", "x", "x[2][3]", length=6, type_size=8)])
    assert branch_form(branch) == Form("float64", length=6)
    given = raw_entries(np.arange(12.0).reshape(2, 6))
    assert read(branch, given) == (list(range(12)), [])
    with pytest.raises(ValueError, match="entries that are not 6 numbers each"):
        decode_values(branch, Form("float64", length=6), [Entries(given.data[:-8], 2)])


DAMAGED = {
    "too long a vector": ("vector<int>", vector(struct.pack(">i", 1), 2)),
    "too short a vector": ("vector<int>", vector(struct.pack(">2i", 1, 2), 1)),
    "wrong byte count": ("vector<int>", b"\x40\0\0\x09" + vector(struct.pack(">i", 1), 1)[4:]),
    "no head": ("vector<int>", b"\x40\0"),
    "endless vector": ("vector<vector<int> >", vector(b"", 2**31)),
    "inner list too long": ("vector<vector<int> >", vector(struct.pack(">Ii", 2**30, 1), 1)),
    "inner list missing": ("vector<vector<int> >", vector(struct.pack(">Ii", 1, 1), 2)),
    "text too long": ("string", b"\x05abc"),
    "text too short": ("string", b"\x02abc"),
    "long text cut": ("string", b"\xff\0\0"),
    "texts missing": ("vector<string>", vector(b"\x01a", 2)),
    "neither true nor false": ("vector<bool>", vector(b"\x02", 1)),
}


@pytest.mark.parametrize("fault", DAMAGED)
def test_damage_is_told(fault):
    name, raw = DAMAGED[fault]
    branch = of_class(name)
    with pytest.raises(ValueError, match=r"entry|byte count|neither"):
        decode_values(branch, branch_form(branch), [entries(raw, raw)])
