"""Envelopes, frames, locators and records."""

import struct

import pytest

from hepfilter.io.rntuple.format import (
    HEADER,
    Column,
    Field,
    Reader,
    open_envelope,
    pack_list,
    pack_locator,
    pack_record,
    pack_string,
    seal_envelope,
)


def test_an_envelope_comes_back_and_damage_is_seen():
    data, checksum = seal_envelope(HEADER, b"payload")
    reader, found = open_envelope(data, HEADER)
    assert reader.rest == b"payload" and found == checksum
    for at in range(len(data)):
        broken = bytearray(data)
        broken[at] ^= 1
        with pytest.raises(ValueError, match="envelope"):
            open_envelope(bytes(broken), HEADER)
    with pytest.raises(ValueError, match="cut short"):
        open_envelope(data[:10], HEADER)


def test_frames_hold_what_was_packed_and_what_later_versions_append_is_passed_over():
    data = pack_list([pack_record(b"one" + bytes(4)), pack_record(b"two")], tail=b"tail") + pack_string("µ")
    reader = Reader(data)
    assert list(reader.records()) == [b"one" + bytes(4), b"two"]
    assert reader.string() == "µ" and reader.rest == b""


def test_locators():
    assert Reader(pack_locator(12345, 678)).locator() == (12345, 678)
    large = struct.pack("<iQQ", -(2**31) | 1 << 24 | 20, 2**33, 2**40)
    assert Reader(large).locator() == (2**40, 2**33)
    with pytest.raises(ValueError, match="a locator of unknown type 2"):
        Reader(struct.pack("<iQ", -(2**31) | 2 << 24 | 12, 0)).locator()


@pytest.mark.parametrize(
    ("data", "read", "words"),
    [
        (b"\1\2", lambda r: r.take("I"), "a record ends too early"),
        (struct.pack("<I", 9) + b"short", lambda r: r.string(), "a string is longer"),
        (struct.pack("<q", 100), lambda r: r.frame(), "a frame is longer"),
        (struct.pack("<q", 3), lambda r: r.frame(), "a frame is longer"),
        (struct.pack("<Q", 4), lambda r: r.flags(), "it uses features 0x4 of a later format"),
    ],
)
def test_what_does_not_fit_is_refused(data, read, words):
    with pytest.raises(ValueError, match=words):
        read(Reader(data))


def test_a_field_keeps_its_bytes_but_for_the_numbers():
    strings = b"".join(map(pack_string, ("pt", "float", "", "a title")))
    raw = struct.pack("<IIIHH", 1, 2, 5, 0, 0x1 | 0x2 | 0x4) + strings + struct.pack("<QII", 3, 9, 0xABCD) + b"later"
    field = Field.parse(raw)
    assert (field.name, field.type_name, field.description, field.repetition) == ("pt", "float", "a title", 3)
    assert (field.parent, field.source) == (5, 9)
    moved = Field.parse(field.renumbered({5: 1, 9: 4}))
    assert (moved.parent, moved.source) == (1, 4)
    assert moved.layout == field.layout and len(moved.raw) == len(raw) and moved.raw.endswith(b"later")


def test_a_late_column_is_kept_as_one_that_was_there_from_the_start():
    raw = struct.pack("<HHIHHqdd", 0x1D, 12, 7, 3, 1, 40, -1.0, 1.0)
    column = Column.parse(raw)
    assert (column.kind, column.bits, column.field, column.representation, column.first) == (0x1D, 12, 7, 1, 40)
    assert column.raw == struct.pack("<HHIHHdd", 0x1D, 12, 7, 2, 1, -1.0, 1.0)
    assert Column.parse(column.raw).first == 0
