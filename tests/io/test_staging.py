"""What copying tasks make, as bytes and back."""

import numpy as np

from hepfilter.io.container import PackedBasket
from hepfilter.io.copying import ClusterBaskets
from hepfilter.io.staging import pack_baskets, pack_values, unpack_baskets, unpack_values
from hepfilter.io.tree_values import ClusterValues
from hepfilter.io.values import Values


def test_baskets_return_as_they_were():
    for baskets in ([], [(3, PackedBasket(b"tail", b"stored", 17)), (5, PackedBasket(b"", b"", 0))]):
        copied = ClusterBaskets(baskets, 123)
        assert unpack_baskets(pack_baskets(copied)) == copied
    found = unpack_baskets(pack_baskets(copied)).baskets[0][1]
    assert isinstance(found.tail, bytes) and isinstance(found.stored, bytes)


def test_values_return_as_they_were():
    values = {
        "plain": Values(np.array([1.5, np.nan], ">f4")),
        "fixed": Values(np.arange(6, dtype=np.int64), (), 3),
        "bits": Values(np.array([True, False])),
        "lists": Values(np.arange(3, dtype=np.uint16), (np.array([2, 0]), np.array([1, 2]))),
        "": Values(np.empty(0, np.float64), (np.array([0, 0]),)),
    }
    found = unpack_values(pack_values(ClusterValues(values, 7)))
    assert found.bytes_read == 7 and list(found.values) == list(values)
    for name, own in values.items():
        back = found.values[name]
        assert back.length == own.length and back.numbers.dtype == own.numbers.dtype
        assert back.numbers.tobytes() == own.numbers.tobytes()
        assert [level.tolist() for level in back.counts] == [level.tolist() for level in own.counts]
