"""Whether the records of an output are, to the byte, as container.py and treewriter.py write them.

What no reader of ours looks at, but another may, is seen here: keys of baskets, the list of keys, and the record of a
tree, made anew from its branches. What another tool wrote anew, as hadd does, is as valid, but has other bytes.
"""

import struct
from collections.abc import Iterable, Sequence

import numpy as np

from hepfilter.io.baskets import basket_tail
from hepfilter.io.buffer import encode_string
from hepfilter.io.container import BEGIN, FORMAT_VERSION, SMALL_LIMIT, Key, basket_header
from hepfilter.io.reading import OpenFile, OpenTree
from hepfilter.io.ttree import Branch, TreeHeader, stream_tree

_NUMBERS = ("fNbytes", "fVersion", "fObjlen", "fDatime", "fKeylen", "fCycle", "fSeekKey", "fSeekPdir")
_HEAD, _SMALL_HEAD = struct.Struct(">ihiIhhqq"), struct.Struct(">ihiIhhii")
_TAIL_BYTES = 19


def is_own(file: OpenFile) -> bool:
    """Whether a RootFile wrote the file as it lies there: it has 64-bit positions, also where none is above 2 GB."""
    version, key_version = struct.unpack(">i96xh", file.source(4, BEGIN + 6))
    is_small = file.directory.end < SMALL_LIMIT
    return key_version > 1000 or (version == FORMAT_VERSION and is_small)


def is_as_old_as_file(file: OpenFile, position: int) -> bool:
    """Whether the record at a position bears the file's own time, as all of ours do; ROOT's updates have another."""
    stamps = [file.source(start + 10, start + 14) for start in (BEGIN, position)]
    return stamps[0] == stamps[1]


def listed_key_faults(file: OpenFile) -> list[str]:
    """Where the directory's list of keys says something else than the keys of the records themselves."""
    faults = []
    entries = file.directory.cycles
    ends = [entry.position + len(entry.header) for entry in entries]
    inside = [entry.position >= 0 and end <= file.directory.end for entry, end in zip(entries, ends, strict=True)]
    spans = [(entry.position, end) if ok else (0, 0) for entry, end, ok in zip(entries, ends, inside, strict=True)]
    for entry, found in zip(entries, map(bytes, file.source.many(spans)), strict=True):
        if found != entry.header:
            what = f"object {entry.key.name};{entry.cycle}: the list of keys does not say what its own key says"
            faults.append(f"{what}: {_difference(entry.header, found)}")
    return faults


def basket_key_faults(file: OpenFile, tree: OpenTree) -> list[str]:
    """Which keys of a tree's baskets are not as they were written, and which branches do not count what they hold.

    All baskets must lie inside the file.
    """
    stamp = _HEAD.unpack_from(file.source(BEGIN, BEGIN + _HEAD.size))[3]
    faults = []
    for branch in (branch for top in tree.branches for branch in top.walk() if branch.stored is not None):
        unpacked = 0
        for number, (found, expected) in enumerate(_basket_keys(file, tree, branch, stamp)):
            _, _, size, _, length, _, _, _ = _HEAD.unpack_from(expected)
            unpacked += size + length
            if found != expected:
                what = f"tree {tree.name}, branch {branch.name}: the key of basket {number} is not as it was written"
                faults.append(f"{what}: {_difference(found, expected)}")
        if unpacked != branch.source_bytes[0]:
            what = f"tree {tree.name}, branch {branch.name}: counts {branch.source_bytes[0]:,} bytes unpacked"
            faults.append(f"{what}, its baskets hold {unpacked:,}")
    return faults


def _basket_keys(file: OpenFile, tree: OpenTree, branch: Branch, stamp: int) -> Iterable[tuple[bytes, bytes]]:
    """(the key that is there, the one that should be) of each basket; the sizes of its payload are as it says."""
    key, stored = Key("TBasket", branch.name, tree.name), branch.stored
    assert stored is not None
    length = key.length + _TAIL_BYTES
    spans = [(seek, seek + length) for seek in stored.seeks.tolist()]
    counts = np.minimum(np.diff(stored.edges), 2**31 - 2).tolist()  # more are damage, which the content tells
    for (seek, _), nbytes, count, raw in zip(
        spans, stored.sizes.tolist(), counts, file.source.many(spans), strict=False
    ):
        found = bytes(raw).ljust(length, b"\0")
        size, (last,) = _HEAD.unpack_from(found)[2], struct.unpack_from(">i", found, length - 5)
        header = basket_header(key, tail=_TAIL_BYTES, position=seek, nbytes=nbytes, size=size, stamp=stamp)
        width = count + 1 if branch.entry_offset_length else max(last - length, 0) // max(count, 1)
        yield found, header + basket_tail(width, count, last)


def _difference(found: bytes, expected: bytes) -> str:
    """The first member in which two keys differ."""
    big = len(expected) >= _HEAD.size and struct.unpack_from(">h", expected, 4)[0] > 1000
    form = _HEAD if big else _SMALL_HEAD
    if min(len(found), len(expected)) >= form.size:
        for name, new, old in zip(_NUMBERS, form.unpack_from(found), form.unpack_from(expected), strict=True):
            if new != old:
                return f"{name} is {new}, not {old}"
    return "its class, name, title or what follows differs"


def tree_record_fault(file: OpenFile, tree: OpenTree, header: TreeHeader, branches: Sequence[Branch]) -> str:
    """Where a tree's record differs from what TreeWriter makes of such branches with the tree's baskets; empty if not.

    `branches` (top-level, of the same names as the tree's) are filled.
    """
    record = file.tree_record(tree.name)
    clusters: list[int] = []
    filled = [branch for top in branches for branch in top.walk()]
    for branch, own in zip(filled, (branch for top in tree.branches for branch in top.walk()), strict=True):
        assert own.stored is not None
        branch.basket_seeks, branch.basket_bytes = own.stored.seeks.tolist(), own.stored.sizes.tolist()
        branch.basket_entries = np.diff(own.stored.edges).tolist()
        branch.total_bytes, branch.zipped_bytes = own.source_bytes[0], sum(branch.basket_bytes)
        clusters = max(clusters, branch.basket_entries, key=len)
    if not clusters and tree.num_entries:
        clusters = [tree.num_entries]
    try:
        expected = stream_tree(header, branches, clusters=clusters, key_length=record.key.length)
    except struct.error as error:
        return f"its record holds numbers that no tree has: {error}"
    found = record.payload()
    if found == expected:
        return ""
    common = min(len(found), len(expected))
    at = next((number for number in range(common) if found[number] != expected[number]), common)
    where = f"its record differs at byte {at:,} of {len(found):,} from what its branches give"
    behind = max(filled, key=lambda branch: expected.rfind(_named(branch), 0, at), default=None)
    return where if behind is None or _named(behind) not in expected[:at] else f"{where}, in branch {behind.name}"


def _named(branch: Branch) -> bytes:
    return encode_string(branch.name) + encode_string(branch.title)
