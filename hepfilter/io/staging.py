"""What a copying task makes, as bytes that can wait on disk: a header as JSON, then all that it lists, end to end."""

import json
import struct
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np

from hepfilter.io.container import PackedBasket
from hepfilter.io.copying import ClusterBaskets
from hepfilter.io.tree_values import ClusterValues
from hepfilter.io.values import Values

_LENGTH: Final = struct.Struct("<I")  # of the header in bytes; it comes first


def pack_baskets(copied: ClusterBaskets) -> bytes:
    """Baskets as bytes: of each the index of its branch, its size unpacked, the tail of its key and what is stored."""
    items = [(index, basket.size) for index, basket in copied.baskets]
    blocks = [data for _, basket in copied.baskets for data in (basket.tail, basket.stored)]
    return _pack(copied.bytes_read, items, blocks)


def unpack_baskets(data: bytes) -> ClusterBaskets:
    """What `pack_baskets` was given."""
    bytes_read, items, blocks = _unpack(data)
    baskets = [
        (index, PackedBasket(bytes(tail), bytes(stored), size))
        for (index, size), tail, stored in zip(items, blocks[::2], blocks[1::2], strict=True)
    ]
    return ClusterBaskets(baskets, bytes_read)


def pack_values(found: ClusterValues) -> bytes:
    """Values as bytes: of each branch its name, the type and number of its numbers, and the lengths of its lists."""
    items, blocks = [], []
    for name, values in found.values.items():
        arrays = [*values.counts, values.numbers]
        items.append((name, values.length, [array.dtype.str for array in arrays]))
        blocks += [array.tobytes() for array in arrays]
    return _pack(found.bytes_read, items, blocks)


def unpack_values(data: bytes) -> ClusterValues:
    """What `pack_values` was given."""
    bytes_read, items, blocks = _unpack(data)
    found, rest = {}, iter(blocks)
    for name, length, types in items:
        *counts, numbers = [np.frombuffer(next(rest), kind) for kind in types]
        found[name] = Values(numbers, tuple(counts), length)
    return ClusterValues(found, bytes_read)


def _pack(bytes_read: int, items: Sequence[Any], blocks: Sequence[bytes]) -> bytes:
    header = json.dumps({"bytes_read": bytes_read, "items": items, "lengths": list(map(len, blocks))}).encode()
    return b"".join([_LENGTH.pack(len(header)), header, *blocks])


def _unpack(data: bytes) -> tuple[int, list[Any], list[memoryview]]:
    """Bytes read of sources, what the header says of each item, and the blocks."""
    view, at = memoryview(data), _LENGTH.size
    (length,) = _LENGTH.unpack_from(view)
    header = json.loads(data[at : at + length])
    borders = np.cumsum([at + length, *header["lengths"]]).tolist()
    blocks = [view[low:high] for low, high in pairwise(borders)]
    return header["bytes_read"], header["items"], blocks
