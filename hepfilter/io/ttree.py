"""A TTree's metadata: branches and leaves as plain data, and their streaming.

Member order and class versions follow the StreamerInfo that ROOT writes into its own files. What a reader sees of a
branch (names, titles, leaf types, counters) is kept as given; only sizes, positions and entry counts are ours.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from hepfilter.errors import OutputError
from hepfilter.io.buffer import ObjectBuffer

if TYPE_CHECKING:
    from hepfilter.io.ttree_reading import StoredBaskets

# class of a leaf → layout of its fMinimum and fMaximum
LEAF_RANGES = {
    "TLeafO": "?", "TLeafB": "b", "TLeafS": "h", "TLeafI": "i", "TLeafL": "q", "TLeafG": "q",
    "TLeafF": "f", "TLeafD": "d", "TLeafC": "i", "TLeafD32": "f", "TLeafF16": "3s",
}  # fmt: skip
_LEAF_CLASSES = (*LEAF_RANGES, "TLeafElement")
_IO_FEATURES = b"\x40\0\0\7\0\0\x1a\xa1\x2f\x10\0"  # TIOFeatures: byte count 7, version 0, checksum, no feature on
_BRANCH_BITS = 0x03400000
_NO_LIMIT = 1_000_000_000_000
_AUTO_FLUSH = -30_000_000  # ROOT's default: flush every 30 MB


@dataclass(eq=False)
class Leaf:
    """A TLeaf; `count` is the leaf with the number of elements, or None, `element` (fID, fType) of a TLeafElement."""

    class_name: str
    name: str
    title: str
    length: int = 1
    type_size: int = 4
    offset: int = 0
    is_range: bool = False
    is_unsigned: bool = False
    count: "Leaf | None" = None
    minimum: float = 0
    maximum: float = 0
    element: tuple[int, int] = (0, 0)
    version: int = 1


@dataclass(frozen=True)
class Element:
    """What a TBranchElement adds to a TBranch: the class it streams and its place in it."""

    class_name: str
    parent_name: str
    clones_name: str
    checksum: int
    class_version: int
    identifier: int
    kind: int
    streamer_type: int
    maximum: int
    count: "Branch | None"
    count2: "Branch | None"


@dataclass(eq=False)
class Branch:
    """A TBranch (or a TBranchElement, with `element`), and the baskets that were written for it.

    Of a branch that was read, `stored` tells where its baskets lie, `source_bytes` how many they are, unpacked and in
    the file, and `obstacle` what it has that cannot be copied, if anything.
    """

    name: str
    title: str
    leaves: list[Leaf]
    children: list["Branch"] = field(default_factory=list)
    element: Element | None = None
    basket_size: int = 32000
    entry_offset_length: int = 0
    split_level: int = 0
    offset: int = 0
    bits: int = _BRANCH_BITS
    fill: tuple[int, int] = (0, 1001)
    basket_bytes: list[int] = field(default_factory=list)
    basket_entries: list[int] = field(default_factory=list)
    basket_seeks: list[int] = field(default_factory=list)
    total_bytes: int = 0
    zipped_bytes: int = 0
    stored: "StoredBaskets | None" = None
    source_bytes: tuple[int, int] = (0, 0)
    obstacle: str = ""

    def walk(self) -> Iterator["Branch"]:
        """This branch and all below it, in ROOT's order."""
        yield self
        for child in self.children:
            yield from child.walk()

    def entries_of(self, tree_entries: int) -> int:
        """Entries that the branch counts: its baskets', or the tree's where it only groups others (a split class)."""
        if self.basket_entries:
            return sum(self.basket_entries)
        return tree_entries if self.children or self.element else 0

    @property
    def signature(self) -> tuple[object, ...]:
        """What must agree for two branches' entries to stand in one branch: the leaves' types and titles, the class."""
        leaves = tuple(
            (leaf.class_name, leaf.title, leaf.is_unsigned, leaf.count and leaf.count.name) for leaf in self.leaves
        )
        own = self.element
        element = own and (own.class_name, own.checksum, own.class_version, own.kind)
        return leaves, element, self.entry_offset_length > 0

    def widen(self, other: "Branch") -> None:
        """Take over the larger maxima of a branch of the same signature: ROOT sizes its buffers from them."""
        for mine, theirs in zip(self.walk(), other.walk(), strict=True):
            for leaf, leaf2 in zip(mine.leaves, theirs.leaves, strict=True):
                leaf.maximum = max(leaf.maximum, leaf2.maximum)
                leaf.length = max(leaf.length, leaf2.length)
            if mine.element and theirs.element:
                mine.element = replace(mine.element, maximum=max(mine.element.maximum, theirs.element.maximum))


def copy_branches(tops: Sequence[Branch]) -> tuple[Branch, ...]:
    """The branches anew, with no basket read or written; what they refer to among one another they do in the copy."""
    leaves: dict[int, Leaf] = {}
    branches: dict[int, Branch] = {}

    def copy_leaf(leaf: Leaf | None) -> Leaf | None:
        """The one copy of a leaf, with that of its counter."""
        if leaf is not None and id(leaf) not in leaves:
            made = leaves[id(leaf)] = copy(leaf)
            made.count = copy_leaf(leaf.count)
        return None if leaf is None else leaves[id(leaf)]

    def copy_branch(branch: Branch) -> Branch:
        """The one copy of a branch, with those of its leaves, children and counters."""
        if id(branch) not in branches:
            made = branches[id(branch)] = copy(branch)
            made.basket_bytes, made.basket_entries, made.basket_seeks, made.stored = [], [], [], None
            made.leaves = [made_leaf for leaf in branch.leaves if (made_leaf := copy_leaf(leaf)) is not None]
            made.children = [copy_branch(child) for child in branch.children]
            if branch.element is not None:
                counts = [count and copy_branch(count) for count in (branch.element.count, branch.element.count2)]
                made.element = replace(branch.element, count=counts[0], count2=counts[1])
        return branches[id(branch)]

    return tuple(copy_branch(top) for top in tops)


@dataclass(frozen=True)
class TreeHeader:
    """What is kept of a TTree beside its branches; `settings` holds numbers such as fWeight and fMaxEntries by name."""

    name: str
    title: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    aliases: Sequence[tuple[str, str]] = ()


def stream_tree(header: TreeHeader, branches: Sequence[Branch], *, clusters: Sequence[int], key_length: int) -> bytes:
    """The bytes of a TTree object whose clusters hold the given numbers of entries; `key_length` is that of its key."""
    out = ObjectBuffer(key_length)
    everything = [branch for top in branches for branch in top.walk()]
    leaves = [leaf for branch in everything for leaf in branch.leaves]
    entries = sum(clusters)
    get = header.settings.get
    with out.versioned(20):
        out.tnamed(header.name, header.title, bits=0x03000008)
        _attributes(out, get)
        sizes = [sum(branch.total_bytes for branch in everything), sum(branch.zipped_bytes for branch in everything)]
        out.pack("qqqqq", entries, *sizes, 0, 0)
        out.pack("diii", get("fWeight", 1.0), get("fTimerInterval", 0), get("fScanField", 25), get("fUpdate", 0))
        out.pack("iI", get("fDefaultEntryOffsetLen", 1000), max(len(clusters) - 1, 0))
        out.pack("qqq", get("fMaxEntries", _NO_LIMIT), get("fMaxEntryLoop", _NO_LIMIT), get("fMaxVirtualSize", 0))
        # the last cluster is described by fAutoFlush, those before it by a range each
        auto_flush = clusters[-1] if clusters else _AUTO_FLUSH
        out.pack("qqq", get("fAutoSave", -300_000_000), auto_flush, get("fEstimate", 1_000_000))
        out.array("q", [sum(clusters[: i + 1]) - 1 for i in range(len(clusters) - 1)])
        out.array("q", clusters[:-1])
        out.data += _IO_FEATURES
        out.object_array(branches, lambda branch: _branch(out, branch, entries))
        out.object_array(leaves, lambda leaf: _leaf(out, leaf))
        _aliases(out, header.aliases)
        out.pack("iiIIII", 0, 0, 0, 0, 0, 0)  # no index values, index, tree index, friends, user info, branch reference
    return bytes(out.data)


def _attributes(out: ObjectBuffer, get: Callable[[str, Any], Any]) -> None:
    """TAttLine, TAttFill and TAttMarker, version 2 each."""
    with out.versioned(2):
        out.pack("hhh", get("fLineColor", 602), get("fLineStyle", 1), get("fLineWidth", 1))
    with out.versioned(2):
        out.pack("hh", get("fFillColor", 0), get("fFillStyle", 1001))
    with out.versioned(2):
        out.pack("hhf", get("fMarkerColor", 1), get("fMarkerStyle", 1), get("fMarkerSize", 1.0))


def _aliases(out: ObjectBuffer, aliases: Sequence[tuple[str, str]]) -> None:
    """The TList of TNamed that TTree::SetAlias fills; null where there are none."""

    def write() -> None:
        with out.versioned(5):
            out.tobject()
            out.string("")
            out.pack("i", len(aliases))
            for name, formula in aliases:
                out.pointer(("alias", name), "TNamed", partial(out.tnamed, name, formula))
                out.string("")  # no draw option

    out.pointer("aliases" if aliases else None, "TList", write)


def _branch(out: ObjectBuffer, branch: Branch | None, entries: int) -> None:
    """A pointer to a branch."""
    if branch is None:
        out.pointer(None, "TBranch", lambda: None)
    elif branch.element is None:
        out.pointer(id(branch), "TBranch", lambda: _stream_branch(out, branch, entries))
    else:
        element = branch.element
        out.pointer(id(branch), "TBranchElement", lambda: _stream_element(out, branch, element, entries))


def _stream_branch(out: ObjectBuffer, branch: Branch, entries: int) -> None:
    """A TBranch, version 13."""
    baskets = len(branch.basket_seeks)
    capacity = max(baskets + 1, 10)
    with out.versioned(13):
        out.tnamed(branch.name, branch.title, bits=branch.bits)
        with out.versioned(2):
            out.pack("hh", *branch.fill)
        # level 0 makes ROOT decide basket by basket whether one is compressed, as small ones may not be
        own = branch.entries_of(entries)
        out.pack("iiiiq", 0, branch.basket_size, branch.entry_offset_length, baskets, own)
        out.data += _IO_FEATURES
        out.pack("iIiqq", branch.offset, capacity, branch.split_level, own, 0)
        out.pack("qq", branch.total_bytes, branch.zipped_bytes)
        out.object_array(branch.children, lambda child: _branch(out, child, entries))
        out.object_array(branch.leaves, lambda leaf: _leaf(out, leaf))
        out.object_array([], lambda _: None)
        starts = [0]
        for count in branch.basket_entries:
            starts.append(starts[-1] + count)
        rest = [0] * (capacity - baskets)
        out.array("i", branch.basket_bytes + rest)
        out.array("q", starts + rest[1:])
        out.array("q", branch.basket_seeks + rest)
        out.string("")


def _stream_element(out: ObjectBuffer, branch: Branch, element: Element, entries: int) -> None:
    """A TBranchElement, version 10."""
    with out.versioned(10):
        _stream_branch(out, branch, entries)
        for text in (element.class_name, element.parent_name, element.clones_name):
            out.string(text)
        out.pack("Ih", element.checksum, element.class_version)
        out.pack("iiii", element.identifier, element.kind, element.streamer_type, element.maximum)
        _branch(out, element.count, entries)
        _branch(out, element.count2, entries)


def _leaf(out: ObjectBuffer, leaf: Leaf | None) -> None:
    """A pointer to a leaf."""
    if leaf is None:
        out.pointer(None, "TLeaf", lambda: None)
        return
    if leaf.class_name not in _LEAF_CLASSES:
        known = ", ".join(_LEAF_CLASSES)
        raise OutputError(f"leaf {leaf.name!r} is a {leaf.class_name}, which cannot be written; known: {known}")
    out.pointer(id(leaf), leaf.class_name, lambda: _stream_leaf(out, leaf))


def _stream_leaf(out: ObjectBuffer, leaf: Leaf) -> None:
    """A TLeafX around its TLeaf, version 2."""
    with out.versioned(leaf.version):
        with out.versioned(2):
            out.tnamed(leaf.name, leaf.title)
            out.pack("iii??", leaf.length, leaf.type_size, leaf.offset, leaf.is_range, leaf.is_unsigned)
            _leaf(out, leaf.count)
        if leaf.class_name == "TLeafElement":
            out.pack("ii", *leaf.element)
        elif leaf.class_name == "TLeafF16":  # a Float16_t; readers take the range from the title, never from here
            out.pack("3s3s", b"\0\0\0", b"\0\0\0")
        else:
            layout = LEAF_RANGES[leaf.class_name]
            out.pack(layout * 2, leaf.minimum, leaf.maximum)
