"""A TTree's metadata as it lies in a file: branches, leaves and where their baskets are, as plain data.

Member order after the StreamerInfo that ROOT writes into its files, for TTree 16 to 20, TBranch 10 to 13 and
TBranchElement 8 to 10: ROOT 5.18 and newer.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hepfilter.io.buffer import ObjectReader
from hepfilter.io.ttree import LEAF_RANGES, Branch, Element, Leaf, TreeHeader
from hepfilter.wording import counted

_SETTINGS = {
    "fWeight": "d", "fTimerInterval": "i", "fScanField": "i", "fUpdate": "i", "fDefaultEntryOffsetLen": "i",
    "fNClusterRange": "I", "fMaxEntries": "q", "fMaxEntryLoop": "q", "fMaxVirtualSize": "q", "fAutoSave": "q",
    "fAutoFlush": "q", "fEstimate": "q",
}  # fmt: skip
_SINCE = {"fDefaultEntryOffsetLen": 17, "fAutoFlush": 18, "fNClusterRange": 19}
_DERIVED = ("fNClusterRange", "fAutoFlush")  # the writer makes its own clusters
_IS_REFERENCED = 0x10  # such an object would need the number of a TProcessID behind its bits
_MOST_UNSEEN = 10**9  # entries that a tree may claim and no branch has
_BRANCH_CLASSES = ("TBranch", "TBranchElement", "TBranchObject")
_KEY = struct.Struct(">ihiIhh")
_DEEPEST = 60  # branches inside branches; ROOT's own split classes reach about ten
PARSE_FAULTS = (ValueError, IndexError, KeyError, struct.error, OverflowError, MemoryError, UnicodeError, TypeError)
"""What damaged bytes raise in our own reading of them."""


@dataclass(frozen=True)
class EmbeddedBasket:
    """A basket inside the tree's own record: its data behind the key's `key_length` bytes, and positions if they vary.

    `positions` and `displaced` (int32) hold one number an entry, counted from the key's start.
    """

    data: bytes
    count: int
    key_length: int
    positions: npt.NDArray[np.int32] | None
    displaced: npt.NDArray[np.int32] | None


@dataclass(frozen=True)
class StoredBaskets:
    """Where a branch's baskets lie: `edges` (int64) is the first entry of each, and at the end the number of entries.

    `seeks` and `sizes` (int64, bytes) are those of the baskets in the file; `embedded` baskets come behind them.
    """

    edges: npt.NDArray[np.int64]
    seeks: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    embedded: tuple[EmbeddedBasket, ...]

    @property
    def key(self) -> bytes:
        """What branches with the same borders share."""
        return self.edges.tobytes()


@dataclass(frozen=True)
class TreeMetadata:
    """What a TTree's record says. `attached` tells that it has friends, an index, user info or a branch reference."""

    header: TreeHeader
    branches: list[Branch]
    num_entries: int
    attached: bool


def parse_tree(data: bytes, key_length: int) -> TreeMetadata:
    """The metadata of a TTree from its record, unpacked; one of PARSE_FAULTS where it cannot be read."""
    return _TreeReader(data, key_length).tree()


class _TreeReader(ObjectReader):
    """Reads one tree."""

    def __init__(self, data: bytes, key_length: int) -> None:
        super().__init__(data, key_length)
        self._depth = 0
        self._placed: set[int] = set()

    def pointer(self, make: Callable[[str], Any], fill: Callable[[str, Any], None]) -> Any:
        """As in ObjectReader, but objects that damaged bytes nest too deeply are refused."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ValueError(f"objects nested more than {_DEEPEST} deep")
        found = super().pointer(make, fill)
        self._depth -= 1
        return found

    def tree(self) -> TreeMetadata:
        """The tree with its branches; ValueError for what is no tree that ROOT 5.18 or newer wrote."""
        version, _ = self.version()
        if not 16 <= version <= 20:
            raise ValueError(f"version {version} of TTree; 16 to 20 are known (ROOT 5.18 and newer)")
        name, title, _ = self.tnamed()
        settings = self._attributes()
        entries = int(self.unpack("qqqq" if version < 18 else "qqqqq")[0])
        for member, layout in _SETTINGS.items():
            if version >= _SINCE.get(member, 0):
                settings[member] = self.unpack(layout)[0]
        ranges = settings.get("fNClusterRange", 0)
        if version >= 19:
            self._array("q", ranges)
            self._array("q", ranges)
        if version >= 20:
            self.skip()  # TIOFeatures
        branches = self._branches()
        self.skip()  # the leaves, which the branches have named
        longest = max((int(branch.stored.edges[-1]) for branch in branches if branch.stored is not None), default=0)
        if not 0 <= entries <= max(longest, _MOST_UNSEEN):
            raise ValueError(f"{counted(entries, 'entry')}, of which no branch has more than {longest}")
        aliases = self._aliases()
        kept = {member: value for member, value in settings.items() if member not in _DERIVED}
        return TreeMetadata(
            TreeHeader(name, title, kept, aliases), branches, entries, attached=any(self.data[self.at :])
        )

    def _attributes(self) -> dict[str, Any]:
        """TAttLine, TAttFill and TAttMarker."""
        settings: dict[str, Any] = {}
        for members, layout in (
            (("fLineColor", "fLineStyle", "fLineWidth"), "hhh"),
            (("fFillColor", "fFillStyle"), "hh"),
            (("fMarkerColor", "fMarkerStyle", "fMarkerSize"), "hhf"),
        ):
            _, end = self.version()
            settings |= dict(zip(members, self.unpack(layout), strict=True))
            self.at = end
        return settings

    def _array(self, code: str, length: int) -> npt.NDArray[Any]:
        """A counted array member: a byte that says whether it is there, then its values."""
        (there,) = self.unpack("B")
        if not there:
            return np.empty(0, code)
        values = np.frombuffer(self.data, ">" + code, length, self.at)
        self.at += values.nbytes
        return values.astype(code)

    def _aliases(self) -> list[tuple[str, str]]:
        """The pairs of name and formula that TTree::SetAlias fills."""
        found: list[tuple[str, str]] = []

        def item(kind: str, _: Any) -> None:
            """One alias: its name and formula."""
            if kind != "TNamed":
                raise ValueError(f"an alias of class {kind}")
            name, formula, _bits = self.tnamed()
            found.append((name, formula))

        def items(kind: str, _: Any) -> None:
            """The list of them."""
            if kind != "TList":
                raise ValueError(f"aliases in a {kind}")
            self.version()
            self.tobject()
            self.string()
            for _number in range(self.unpack("i")[0]):
                self.pointer(str, item)
                self.string()

        self.pointer(str, items)
        return found

    def branch(self) -> Any:
        """The branch behind a pointer."""
        return _of_type(Branch, self.pointer(lambda kind: Branch("", "", []), self._fill_branch))

    def _branches(self) -> list[Branch]:
        """The branches of a list, each of which stands nowhere else: what damage ties into a knot has no end."""
        found: list[Branch | None] = self.object_array(self.branch)
        branches = [branch for branch in found if branch is not None and id(branch) not in self._placed]
        self._placed.update(map(id, branches))
        if len(set(map(id, branches))) != len(found):
            raise ValueError("a branch that is missing, or stands in two places")
        return branches

    def _fill_branch(self, kind: str, branch: Branch) -> None:
        if kind not in _BRANCH_CLASSES:
            raise ValueError(f"a branch of class {kind}; known: {', '.join(_BRANCH_CLASSES)}")
        if kind == "TBranch":
            self._fill_base(branch)
            return
        version, _ = self.version()
        if kind == "TBranchObject":
            self._fill_base(branch)
            branch.obstacle = f"is a {kind}"
            return
        if not 8 <= version <= 10:
            raise ValueError(f"version {version} of TBranchElement; 8 to 10 are known")
        self._fill_base(branch)
        names = self.string(), self.string(), self.string()
        numbers: tuple[Any, ...] = self.unpack("Ihiiii" if version == 10 else "Iiiiii")
        branch.element = Element(*names, *numbers, self.branch(), self.branch())  # type: ignore[call-arg]

    def _fill_base(self, branch: Branch) -> None:
        """The part that every branch has."""
        version, end = self.version()
        if not 10 <= version <= 13:
            raise ValueError(f"version {version} of TBranch; 10 to 13 are known (ROOT 5.18 and newer)")
        branch.name, branch.title, bits = self.tnamed()
        branch.bits = bits & ~_IS_REFERENCED
        _, behind = self.version()
        branch.fill = self.unpack("hh")
        self.at = behind
        _, branch.basket_size, branch.entry_offset_length, written, _ = self.unpack("iiiiq")
        if version >= 13:
            _, behind = self.version()
            branch.obstacle = "has experimental TIOFeatures" if self.data[behind - 1] else ""
            self.at = behind
        branch.offset, capacity, branch.split_level, entries = self.unpack("iIiq")
        totals = self.unpack("qq" if version == 10 else "qqq")
        branch.source_bytes = totals[-2], totals[-1]
        branch.children = self._branches()
        branch.leaves = self.object_array(self._leaf)
        if None in branch.leaves:
            raise ValueError(f"branch {branch.name} lacks a leaf")
        embedded = [basket for basket in self.object_array(self._basket) if basket is not None]
        sizes, firsts, seeks = self._array("i", capacity), self._array("q", capacity), self._array("q", capacity)
        elsewhere = self.string()
        if elsewhere:
            raise ValueError(
                f"branch {branch.name} keeps its baskets in another file, {elsewhere}; hadd makes one of both"
            )
        branch.stored = _stored(seeks, sizes, firsts, written=written, entries=entries, embedded=embedded)
        self.at = end

    def _leaf(self) -> Any:
        """The leaf behind a pointer."""
        return _of_type(Leaf, self.pointer(lambda kind: Leaf(kind, "", ""), self._fill_leaf))

    def _fill_leaf(self, kind: str, leaf: Leaf) -> None:
        leaf.version, _ = self.version()
        _, end = self.version()
        leaf.name, leaf.title, _ = self.tnamed()
        leaf.length, leaf.type_size, leaf.offset, leaf.is_range, leaf.is_unsigned = self.unpack("iii??")
        leaf.count = self._leaf()
        self.at = end
        if kind == "TLeafElement":
            leaf.element = self.unpack("ii")
        elif kind != "TLeafF16" and kind in LEAF_RANGES:
            leaf.minimum, leaf.maximum = self.unpack(LEAF_RANGES[kind] * 2)

    def _basket(self) -> EmbeddedBasket | None:
        """The embedded basket behind a pointer, None where there is none or an empty one."""
        found: list[EmbeddedBasket] = []
        self.pointer(str, lambda kind, _: found.extend(self._read_basket(kind)))
        return found[0] if found else None

    def _read_basket(self, kind: str) -> list[EmbeddedBasket]:
        """After TBasket::Streamer: the flag says whether positions (tens digit and ones), and data follow."""
        if kind != "TBasket":
            raise ValueError(f"a basket of class {kind}")
        start = self.at
        _, _, _, _, key_length, _ = _KEY.unpack_from(self.data, start)
        self.at = start + key_length - 19
        version, _, _, count, last, flag = self.unpack("HiiiiB")
        positions = displaced = None
        if flag >= 80:
            raise ValueError("an embedded basket whose positions are left out")
        if count and flag % 10 != 2:
            positions = self._counted()[:count]
            if flag > 40:
                displaced = self._counted()[:count]
        if not count or not (flag == 1 or flag > 10):
            return []
        if version < 2:
            self.unpack("i")
        if count < 0 or any(found is not None and len(found) != count for found in (positions, displaced)):
            raise ValueError(f"an embedded basket of {counted(count, 'entry')} with other positions")
        data = self.data[self.at + key_length : self.at + last]
        return [EmbeddedBasket(data, count, key_length, positions, displaced)]

    def _counted(self) -> npt.NDArray[np.int32]:
        """An array behind its length."""
        (length,) = self.unpack("i")
        values = np.frombuffer(self.data, ">i4", length, self.at).astype(np.int32)
        self.at += 4 * length
        return values


def _of_type(kind: type, found: Any) -> Any:
    """What a pointer leads to, if that is nothing or of this type."""
    if found is not None and not isinstance(found, kind):
        raise ValueError(f"a reference to a {type(found).__name__} in place of a {kind.__name__}")
    return found


def _stored(
    seeks: npt.NDArray[np.int64], sizes: npt.NDArray[np.int32], firsts: npt.NDArray[np.int64],
    *, written: int, entries: int, embedded: list[EmbeddedBasket],
) -> StoredBaskets:  # fmt: skip
    """The baskets in the file are those with a position; the embedded ones end the branch."""
    count = int(np.count_nonzero(np.logical_and.accumulate(seeks[: max(written, 0) + 1] != 0)))
    inside = np.array([basket.count for basket in embedded], np.int64)
    end = entries - int(inside.sum())
    edges = np.concatenate([firsts[:count], end + np.append(0, np.cumsum(inside))]) if count + len(inside) else [0]
    edges, seeks, sizes = np.asarray(edges, np.int64), seeks[:count], sizes[:count]
    if edges[0] != 0 or (edges[1:] < edges[:-1]).any() or min(seeks.min(initial=0), sizes.min(initial=0)) < 0:
        raise ValueError("the baskets of a branch do not follow one another")
    return StoredBaskets(edges, seeks, sizes.astype(np.int64), tuple(embedded))
