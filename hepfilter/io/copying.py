"""Copying chosen entries of a source tree, whatever its branches hold, into a file being written.

The description of each branch is taken over from the source; its entries are copied as bytes. Baskets in which nothing
was chosen are never read.
"""

import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hepfilter.errors import OutputError, SourceError
from hepfilter.io.baskets import BasketReader, raw_entries
from hepfilter.io.buffer import decode_string
from hepfilter.io.compression import unpack
from hepfilter.io.container import Key, RootFile
from hepfilter.io.reading import READ_FAULTS, OpenFile, OpenTree, one_line
from hepfilter.io.treewriter import TreeWriter
from hepfilter.io.ttree import Branch, Element, Leaf, TreeHeader

_KEY_FIELDS = struct.Struct(">ihiIhh")
_LARGEST_RECORD = 1_000_000_000
_ATTACHMENT_BYTES = 24  # two empty arrays and four null pointers
_COLLECTIONS, _MEMBERS = (3, 4), (31, 41)  # fType of split TClonesArrays and STL collections, and of their members
_IS_REFERENCED = 0x10  # such an object would need the number of a TProcessID behind its bits
_SETTINGS = (
    "fLineColor",
    "fLineStyle",
    "fLineWidth",
    "fFillColor",
    "fFillStyle",
    "fMarkerColor",
    "fMarkerStyle",
    "fMarkerSize",
    "fWeight",
    "fTimerInterval",
    "fScanField",
    "fUpdate",
    "fDefaultEntryOffsetLen",
    "fMaxEntries",
    "fMaxEntryLoop",
    "fMaxVirtualSize",
    "fAutoSave",
    "fEstimate",
)


def describe_tree(source: OpenTree) -> tuple[TreeHeader, list[Branch]]:
    """The header and the top-level branches of a source tree, without any data."""
    members = source.tree.all_members
    settings = {name: members[name] for name in _SETTINGS if name in members}
    aliases = [(alias.member("fName"), alias.member("fTitle")) for alias in members.get("fAliases") or ()]
    return TreeHeader(source.name, source.tree.title, settings, aliases), _describe_branches(source)


class _Describer:
    """Turns uproot's models into plain branches; remembers each, as leaves and branches refer to one another."""

    def __init__(self) -> None:
        self._leaves: dict[int, Leaf] = {}
        self._branches: dict[int, Branch] = {}

    def branch(self, model: Any, collection: Branch | None = None) -> Branch:
        """The branch of an uproot TBranch or TBranchElement; `collection` is the one whose members it holds, if any."""
        if id(model) in self._branches:
            return self._branches[id(model)]
        get = model.all_members.get
        branch = self._branches[id(model)] = Branch(
            name=get("fName"),
            title=get("fTitle"),
            leaves=[],
            basket_size=get("fBasketSize"),
            entry_offset_length=get("fEntryOffsetLen"),
            split_level=get("fSplitLevel"),
            offset=get("fOffset"),
            bits=get("@fBits") & ~_IS_REFERENCED,
            fill=(get("fFillColor"), get("fFillStyle")),
        )
        branch.leaves.extend(self.leaf(leaf) for leaf in get("fLeaves"))
        own = branch if get("fType") in _COLLECTIONS else collection
        branch.children.extend(self.branch(child, own) for child in get("fBranches"))
        if get("fClassName") is not None:
            branch.element = self._element(get, collection)
        return branch

    def leaf(self, model: Any) -> Leaf:
        """The leaf of an uproot TLeaf."""
        if id(model) not in self._leaves:
            get = model.all_members.get
            leaf = self._leaves[id(model)] = Leaf(
                class_name=model.classname,
                name=get("fName"),
                title=get("fTitle"),
                length=get("fLen"),
                type_size=get("fLenType"),
                offset=get("fOffset"),
                is_range=get("fIsRange"),
                is_unsigned=get("fIsUnsigned"),
                minimum=get("fMinimum", 0),
                maximum=get("fMaximum", 0),
                element=(get("fID", 0), get("fType", 0)),
                version=model.instance_version,
            )
            if get("fLeafCount") is not None:
                leaf.count = self.leaf(get("fLeafCount"))
        return self._leaves[id(model)]

    def _element(self, get: Any, collection: Branch | None) -> Element:
        """The class part. A member of a collection counts by that: uproot leaves its pointer back to it empty."""
        counts = [None if get(name) is None else self.branch(get(name)) for name in ("fBranchCount", "fBranchCount2")]
        if counts[0] is None and get("fType") in _MEMBERS:
            counts[0] = collection
        texts = (str(get(name)) for name in ("fClassName", "fParentName", "fClonesName"))
        numbers = (get(name) for name in ("fCheckSum", "fClassVersion", "fID", "fType", "fStreamerType", "fMaximum"))
        return Element(*texts, *numbers, *counts)  # type: ignore[arg-type]


def _describe_branches(source: OpenTree) -> list[Branch]:
    describer = _Describer()
    known = ("TBranch", "TBranchElement")
    for model in _walk(source):
        if model.classname not in known:
            what = f"{source.path}: branch {model.name} is a {model.classname}"
            raise OutputError(f"{what}, which cannot be copied; known: {', '.join(known)}")
        features = model.member("fIOFeatures", none_if_missing=True)
        if features is not None and features.member("fIOBits"):
            raise OutputError(
                f"{source.path}: branch {model.name} has experimental TIOFeatures, which cannot be copied"
            )
    return [describer.branch(model) for model in source.branches]


def _walk(parent: Any) -> list[Any]:
    """All uproot branches below a tree or branch, in the order of Branch.walk."""
    return [model for child in parent.branches for model in (child, *_walk(child))]


def copy_entries(
    source: OpenTree, writer: TreeWriter, kept: npt.NDArray[np.bool_], extra: Mapping[str, npt.NDArray[Any]]
) -> None:
    """Append the entries of `source` where `kept` (bool, one an entry) is true; `extra` holds their added columns.

    `writer` must describe the source's branches in their order, followed by those of `extra`.
    """
    models = _walk(source)
    readers = [BasketReader(model, source.fetch, num_entries=source.num_entries) for model in models]
    own = writer.names[len(models) :]
    chosen = np.flatnonzero(kept)
    for start, stop in _windows(source, models, chosen):
        first, last = np.searchsorted(chosen, (start, stop))
        if first == last:
            continue
        in_baskets: dict[bytes, list[tuple[int, npt.NDArray[np.int64]]]] = {}  # many branches share their borders
        for index, reader in enumerate(readers):
            edges = reader.edges.tobytes()
            if edges not in in_baskets:
                in_baskets[edges] = _by_basket(reader.edges, chosen[first:last])
            for number, entries in in_baskets[edges]:
                writer.append(index, reader.read(number).take(entries))
        for offset, name in enumerate(own):
            writer.append(len(models) + offset, raw_entries(extra[name][first:last]))
        writer.count_entries(int(last - first))


def _by_basket(edges: npt.NDArray[np.int64], chosen: npt.NDArray[np.int64]) -> list[tuple[int, npt.NDArray[np.int64]]]:
    """The baskets with chosen entries, and the positions of those in each."""
    if len(edges) < 2:
        return []
    numbers = np.searchsorted(edges, chosen, side="right") - 1
    parts = np.split(chosen, np.flatnonzero(np.diff(numbers)) + 1)
    numbered = ((int(np.searchsorted(edges, part[0], side="right")) - 1, part) for part in parts if len(part))
    return [(number, part - edges[number]) for number, part in numbered]


def _windows(source: OpenTree, models: Sequence[Any], chosen: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Entry ranges of about a cluster of chosen bytes each: memory stays flat; at basket borders where they allow."""
    if not len(chosen):
        return []
    total = sum(int(model.member("fTotBytes")) for model in models)
    per_entry = total / max(source.num_entries, 1)
    room = max(1, math.floor(TreeWriter.CLUSTER_BYTES / max(per_entry, 1.0)))
    edges = np.asarray(source.cluster_edges())
    windows, start = [], 0
    while start < source.num_entries:
        first = np.searchsorted(chosen, start)
        stop = int(chosen[first + room]) if first + room < len(chosen) else source.num_entries
        border = int(edges[np.searchsorted(edges, stop, side="right") - 1])
        stop = border if border > start else stop
        windows.append((start, stop))
        start = stop
    return windows


def copy_streamers(source: OpenFile, out: RootFile) -> None:
    """Copy the source's StreamerInfo record as it lies, so that classes that only the source knows stay readable."""
    file = source.directory.file
    if file.fSeekInfo:
        key, stored, size = _read_record(source, file.fSeekInfo)
        out.set_streamers(key, stored, size)


def read_object(source: OpenFile, name: str) -> tuple[Key, bytes, int]:
    """(key, payload as stored, its size unpacked) of a top-level object, to be added to another file as it lies."""
    try:
        position = int(source.directory.key(name).fSeekKey)
    except READ_FAULTS as error:
        raise SourceError(f"{source.path}: object {name!r} cannot be found again: {one_line(error)}") from error
    return _read_record(source, position)


def has_attachments(source: OpenFile, tree: str) -> bool:
    """Whether a TTree carries an index, friends, user info or a branch reference: its last members, else zero."""
    _, stored, size = read_object(source, tree)
    return any(bytes(unpack(memoryview(stored), size))[-_ATTACHMENT_BYTES:])


def _read_record(source: OpenFile, position: int) -> tuple[Key, bytes, int]:
    """The record at `position`; SourceError if its header is no key's."""
    try:
        nbytes, version, size, _, length, _ = _KEY_FIELDS.unpack(source.fetch(position, position + _KEY_FIELDS.size))
        if not 0 < length < nbytes <= _LARGEST_RECORD:
            raise ValueError(f"a key of {length} bytes in a record of {nbytes}")
        raw = source.fetch(position, position + nbytes)
        big = version > 1000
        class_name, at = decode_string(raw, 34 if big else 26)
        name, at = decode_string(raw, at)
        title, _ = decode_string(raw, at)
    except (ValueError, IndexError, struct.error, OSError) as error:
        where = f"{source.path}: the record at byte {position}"
        raise SourceError(f"{where} cannot be read: {error}; the file is damaged, fetch it again") from error
    key = Key(class_name, name, title, big=big)
    if key.length != length:
        raise SourceError(f"{source.path}: the record of {name!r} has a key of another form, and cannot be copied")
    return key, raw[length:], size
