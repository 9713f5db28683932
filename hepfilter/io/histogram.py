"""Writing a TH1D with labelled bins: the cutflow, one bin a step.

Member order after the StreamerInfo of TH1 version 8, TAxis version 10 and TAttAxis version 4 that ROOT writes.
"""

import struct
from collections.abc import Sequence
from functools import partial

from hepfilter.io.buffer import ObjectBuffer
from hepfilter.io.container import Key, RootFile

_UNSET = -1111.0  # what ROOT takes for "no maximum", "no minimum"


def write_cutflow(out: RootFile, name: str, title: str, steps: Sequence[tuple[str, float]]) -> None:
    """Write (label, content) of each step as a TH1D `name`, without errors; its entries are the first content."""
    out.add(*stream_cutflow(name, title, steps))


def stream_cutflow(name: str, title: str, steps: Sequence[tuple[str, float]]) -> tuple[Key, bytes]:
    """(the key, the bytes) of such a histogram."""
    key = Key("TH1D", name, title)
    buffer = ObjectBuffer(key.length)
    contents = [0.0, *([content for _, content in steps] or [0.0]), 0.0]  # an axis has a bin at least
    with buffer.versioned(3):
        with buffer.versioned(8):
            buffer.tnamed(name, title)
            _attributes(buffer)
            buffer.pack("i", len(contents))
            _axis(buffer, "xaxis", [label for label, _ in steps])
            _axis(buffer, "yaxis", [])
            _axis(buffer, "zaxis", [])
            buffer.pack("hh", 0, 1000)
            weights = sum(contents)
            squares = sum(content**2 for content in contents)
            first = contents[1] if steps else 0.0
            buffer.pack("ddddd", first, weights, squares, 0.0, 0.0)
            buffer.pack("ddd", _UNSET, _UNSET, 0.0)
            buffer.pack("ii", 0, 0)  # no contours, no squares of weights
            buffer.string("")
            _empty_list(buffer)  # of functions: a member that is always there is no pointer in the file
            buffer.pack("iBii", 0, 0, 0, 2)  # no buffer, normal errors, overflows neutral
        buffer.pack(f"i{len(contents)}d", len(contents), *contents)
    return key, bytes(buffer.data)


def _attributes(buffer: ObjectBuffer) -> None:
    """TAttLine, TAttFill, TAttMarker: ROOT's defaults."""
    for layout, values in (("hhh", (602, 1, 1)), ("hh", (0, 1001)), ("hhf", (1, 1, 1.0))):
        with buffer.versioned(2):
            buffer.data += struct.pack(">" + layout, *values)


def _axis(buffer: ObjectBuffer, name: str, labels: Sequence[str]) -> None:
    """A TAxis of unit bins with these labels; without any, the single bin of an axis that is not used."""
    bins = max(len(labels), 1)
    with buffer.versioned(10):
        buffer.tnamed(name, "")
        with buffer.versioned(4):
            buffer.pack("ihhhfffffhh", 510, 1, 1, 42, 0.005, 0.035, 0.03, 1.0, 0.035, 1, 42)
        buffer.pack("iddi", bins, 0.0, float(bins), 0)
        buffer.pack("iiH?", 0, 0, 0, False)
        buffer.string("")
        buffer.pointer((name, "labels") if labels else None, "THashList", partial(_labels, buffer, name, labels))
        buffer.pointer(None, "TList", lambda: None)


def _labels(buffer: ObjectBuffer, axis: str, labels: Sequence[str]) -> None:
    """The list of labels; the unique ID of each is its bin."""
    with buffer.versioned(5):
        buffer.tobject()
        buffer.string("")
        buffer.pack("i", len(labels))
        for number, label in enumerate(labels, start=1):
            buffer.pointer((axis, number), "TObjString", partial(_label, buffer, number, label))
            buffer.string("")


def _label(buffer: ObjectBuffer, number: int, label: str) -> None:
    with buffer.versioned(1):
        buffer.tobject(unique_id=number)
        buffer.string(label)


def _empty_list(buffer: ObjectBuffer) -> None:
    with buffer.versioned(5):
        buffer.tobject()
        buffer.string("")
        buffer.pack("i", 0)
