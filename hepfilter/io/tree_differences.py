"""Whether two trees are described alike: names, order, titles, types, counters and classes of their branches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hepfilter.io.ttree import Branch, Leaf, TreeHeader

# class of a leaf → ROOT's name of its type, and of the unsigned one
_TYPES = {
    "TLeafO": ("Bool_t", "Bool_t"), "TLeafB": ("Char_t", "UChar_t"), "TLeafS": ("Short_t", "UShort_t"),
    "TLeafI": ("Int_t", "UInt_t"), "TLeafL": ("Long64_t", "ULong64_t"), "TLeafG": ("Long_t", "ULong_t"),
    "TLeafF": ("Float_t", "Float_t"), "TLeafD": ("Double_t", "Double_t"), "TLeafC": ("Char_t*", "Char_t*"),
    "TLeafF16": ("Float16_t", "Float16_t"), "TLeafD32": ("Double32_t", "Double32_t"),
}  # fmt: skip
MISSING, EXCESS = "is missing", "is in excess"
REDUCED = ("TLeafF16", "TLeafD32")
"""The leaves that hold fewer bits than their type has in memory; their branches are copied as stored."""


@dataclass(frozen=True)
class Difference:
    """How two trees differ in one `aspect` of a branch; `branch` is empty where it is the tree itself."""

    branch: str
    aspect: str
    what: str

    def __str__(self) -> str:
        place = f"branch {self.branch}: " if self.branch else "the tree's "
        return f"{place}{self.aspect} {self.what}".strip()


def type_name(leaf: Leaf) -> str:
    """ROOT's name of a leaf's type."""
    if leaf.class_name not in _TYPES:
        return leaf.class_name
    return _TYPES[leaf.class_name][leaf.is_unsigned]


def compare_headers(expected: TreeHeader, found: TreeHeader) -> list[Difference]:
    """Differences in title, aliases and weight."""
    pairs = [
        ("title", expected.title, found.title),
        ("aliases", list(expected.aliases), list(found.aliases)),
        ("weight", expected.settings.get("fWeight", 1.0), found.settings.get("fWeight", 1.0)),
    ]
    return [Difference("", name, f"is {new!r}, not {old!r}") for name, old, new in pairs if old != new]


def compare_branches(expected: Sequence[Branch], found: Sequence[Branch]) -> list[Difference]:
    """All differences between branches and those below them; sizes that a reader's buffers have are no matter here."""
    counters = [
        {id(leaf) for top in tops for branch in top.walk() for leaf in branch.leaves} for tops in (expected, found)
    ]
    return list(_compare(expected, found, counters, ""))


def _compare(
    expected: Sequence[Branch], found: Sequence[Branch], counters: Sequence[set[int]], above: str
) -> Iterator[Difference]:
    """`counters` are the leaves (by id) that stand in the one tree and in the other."""
    old, new = ({branch.name: branch for branch in branches} for branches in (expected, found))
    yield from (Difference(above + name, MISSING, "") for name in old if name not in new)
    yield from (Difference(above + name, EXCESS, "") for name in new if name not in old)
    common = [name for name in old if name in new]
    for wanted, name in zip(common, (name for name in new if name in old), strict=True):
        if wanted != name:
            yield Difference(above + name, "place", f"is that of {wanted}")
            break
    if len(found) != len(new):
        twice = next(branch.name for branch in found if new[branch.name] is not branch)
        if len(expected) == len(old):
            yield Difference(above + twice, EXCESS, "(it is there twice)")
    for name in common:
        before, after = (
            _aspects(branch, known) for branch, known in ((old[name], counters[0]), (new[name], counters[1]))
        )
        for aspect in dict.fromkeys([*before, *after]):
            if before.get(aspect) != after.get(aspect):
                yield Difference(above + name, aspect, f"is {after.get(aspect)!r}, not {before.get(aspect)!r}")
        yield from _compare(old[name].children, new[name].children, counters, f"{above}{name}/")


def _aspects(branch: Branch, known: set[int]) -> dict[str, Any]:
    """All that a reader sees of a branch, by what it is called in a message."""
    aspects: dict[str, Any] = {"title": branch.title, "varying size": branch.entry_offset_length > 0}
    aspects["number of leaves"] = len(branch.leaves)
    aspects["split level"] = branch.split_level
    for number, leaf in enumerate(branch.leaves):
        label = "leaf" if len(branch.leaves) == 1 else f"leaf {number}"
        aspects |= {
            f"{label} name": leaf.name,
            f"{label} title": leaf.title,
            f"{label} type": type_name(leaf),
            f"{label} size": leaf.type_size,
            f"{label} offset": leaf.offset,
            f"{label} range": leaf.is_range,
            f"{label} sign": "unsigned" if leaf.is_unsigned else "signed",
            f"{label} element": leaf.element,
            f"{label} counter": None if leaf.count is None else _counter(leaf.count, known),
        }
        if leaf.class_name != "TLeafC":  # there it is the length of the longest text
            aspects[f"{label} length"] = leaf.length
    own = branch.element
    if own is not None:
        aspects["class"] = f"{own.class_name} version {own.class_version}, checksum {own.checksum:#x}"
        aspects["class of its parent"] = own.parent_name
        aspects["class of its clones"] = own.clones_name
        aspects["kind"] = (own.identifier, own.kind, own.streamer_type)
        aspects["counting branches"] = (own.count and own.count.name, own.count2 and own.count2.name)
    return aspects


def _counter(leaf: Leaf, known: set[int]) -> str:
    """A counter's leaf; readers need the very leaf of a branch of the tree, not one of the same name."""
    return f"{leaf.name} ({type_name(leaf)})" + ("" if id(leaf) in known else " of no branch")


def narrowed(expected: Sequence[Branch], found: Sequence[Branch]) -> list[Difference]:
    """The branches of `found` with a maximum below that of the same branch of `expected`: ROOT sizes buffers by it."""
    new = {branch.name: branch for top in found for branch in top.walk()}
    differences = []
    for branch in (branch for top in expected for branch in top.walk()):
        other = new.get(branch.name)
        for leaf, own in zip(branch.leaves, other.leaves if other else [], strict=False):
            if own.maximum < leaf.maximum or own.length < leaf.length:
                differences.append(
                    Difference(branch.name, "maximum", f"is {own.maximum:g}, less than the sources' {leaf.maximum:g}")
                )
    return differences


def same_form(expected: Branch, found: Branch) -> bool:
    """Whether the bytes of two branches' entries can be compared: equal sizes of all leaves, and classes."""

    def form(branch: Branch) -> list[object]:
        element = branch.element and (branch.element.class_name, branch.element.checksum)
        own = [(leaf.type_size, leaf.class_name == "TLeafElement") for leaf in branch.leaves]
        return [branch.name, own, element, branch.entry_offset_length > 0]

    old, new = ([form(branch) for branch in top.walk()] for top in (expected, found))
    return old == new
