"""Pages of every column type: what they decode to by hand, and that encoding gives the page back."""

import numpy as np
import pytest

from hepfilter.io.rntuple.pages import ENCODINGS, SWITCH

BY_NAME = {encoding.name: encoding for encoding in ENCODINGS}


@pytest.mark.parametrize("number", range(len(ENCODINGS)))
@pytest.mark.parametrize("count", [1, 7, 8, 1000])
def test_a_page_comes_back_as_it_was(number, count):
    encoding = ENCODINGS[number]
    for bits in [encoding.bits] if encoding.bits else [10, 13, 16, 31]:
        page = bytearray(np.random.default_rng(number).bytes((count * bits + 7) // 8))
        if count * bits % 8:
            page[-1] &= (1 << count * bits % 8) - 1  # the last bits of the last byte mean nothing
        items = encoding.decode(bytes(page), count, bits)
        assert len(items) == count and items.dtype == encoding.dtype
        assert encoding.encode(items, bits) == page


def test_pages_by_hand():
    assert BY_NAME["Bit"].decode(b"\x05\x01", 9, 1).tolist() == [1, 0, 1, 0, 0, 0, 0, 0, 1]
    assert BY_NAME["SplitUInt16"].decode(b"\x01\x02\x03\xff\x00\x10", 3, 16).tolist() == [0xFF01, 2, 0x1003]
    assert BY_NAME["SplitIndex32"].decode(b"\x01\x00\x02" + bytes(9), 3, 32).tolist() == [1, 1, 3]
    assert BY_NAME["Index64"].decode(np.array([1, 1, 3], "<u8").tobytes(), 3, 64).tolist() == [1, 1, 3]
    packed = (0b1000000001 | 0b0000000011 << 10).to_bytes(3, "little")
    assert BY_NAME["Real32Trunc"].decode(packed, 2, 10).tolist() == [0b1000000001, 3]
    switch = BY_NAME["Switch"].decode(b"\7" + bytes(7) + b"\2\0\0\0", 1, 96)
    assert switch.dtype == SWITCH and switch["index"].tolist() == [7] and switch["tag"].tolist() == [2]


def test_a_page_of_a_wrong_size_is_refused():
    with pytest.raises(ValueError, match="a page of 5 bytes for 2 items of 32 bits"):
        BY_NAME["Real32"].decode(bytes(5), 2, 32)
    with pytest.raises(ValueError, match="a page of"):
        BY_NAME["Real64"].decode(b"", 2**31, 64)
