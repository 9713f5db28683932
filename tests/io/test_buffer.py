"""ROOT's object streaming."""

import struct

import pytest

from hepfilter.io.buffer import ObjectBuffer, decode_string, encode_string


@pytest.mark.parametrize("length", [0, 1, 254, 255, 256, 70_000])
def test_strings_of_any_length_survive(length):
    raw = b"xx" + encode_string("a" * length) + b"yy"
    text, end = decode_string(raw, 2)
    assert text == "a" * length
    assert raw[end:] == b"yy"
    assert len(encode_string("a" * length)) == length + (1 if length < 255 else 5)


def test_bytes_that_are_no_utf8_survive():
    raw = b"\x03\xff\xfea"
    text, _ = decode_string(raw, 0)
    assert encode_string(text) == raw


def test_versioned_counts_its_bytes():
    buffer = ObjectBuffer(50)
    with buffer.versioned(7):
        buffer.pack("iq", 1, 2)
    count, version = struct.unpack_from(">IH", buffer.data)
    assert count == 0x40000000 | (2 + 4 + 8)
    assert version == 7


def test_an_object_is_written_once_and_then_referred_to():
    buffer = ObjectBuffer(key_length := 60)
    written = []
    for _ in range(2):
        buffer.pointer("leaf", "TLeafI", lambda: written.append(buffer.pack("i", 5)))
    buffer.pointer(None, "TLeafI", lambda: None)
    assert len(written) == 1
    reference, null = struct.unpack(">II", buffer.data[-8:])
    assert reference == key_length + 2  # the object began at byte 0 behind the key
    assert null == 0


def test_a_class_is_named_once():
    buffer = ObjectBuffer(10)
    for identity in ("a", "b"):
        buffer.pointer(identity, "TNamed", lambda: buffer.tnamed("n", "t"))
    assert buffer.data.count(b"TNamed\0") == 1
    assert struct.pack(">I", 0x80000000 | (4 + 10 + 2)) in buffer.data
