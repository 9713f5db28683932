"""How trees differ in what they say of their branches."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from hepfilter.io.tree_differences import compare_branches, compare_headers, narrowed, same_form
from hepfilter.io.ttree import Branch, Element, Leaf, TreeHeader
from hepfilter.io.writing import Column, column_branch


def make_branches() -> list[Branch]:
    """A counter, a list that it counts, a number, and a class split into two."""
    leaves: dict[str, Leaf] = {}
    columns = [Column("n", "uint32", "how many"), Column("x", "float32", "a list", counter="n"), Column("b", "bool")]
    branches = [column_branch(column, leaves) for column in columns]
    leaves["n"].maximum = 7
    element = Element("Particle", "Particle", "", 0xABC, 3, -1, 0, -1, 0, None, None)
    below = Branch(
        "class.pt", "", [Leaf("TLeafElement", "pt", "pt", element=(0, 5))], element=replace(element, identifier=0)
    )
    return [*branches, Branch("class", "", [Leaf("TLeafElement", "class", "class")], [below], element)]


def set_leaf(index: int, **values: object) -> Callable[[list[Branch]], None]:
    def edit(branches: list[Branch]) -> None:
        for name, value in values.items():
            setattr(branches[index].leaves[0], name, value)

    return edit


def set_element(branches: list[Branch]) -> None:
    below = branches[3].children[0]
    below.element = replace(below.element, class_version=4)


EDITS = {
    "title": (lambda b: setattr(b[1], "title", "mine"), "branch x: title is 'mine', not 'a list'"),
    "leaf title": (set_leaf(1, title="x"), "branch x: leaf title is 'x', not 'x[n]'"),
    "leaf name": (set_leaf(2, name="c"), "branch b: leaf name is 'c', not 'b'"),
    "type": (set_leaf(2, class_name="TLeafB"), "branch b: leaf type is 'Char_t', not 'Bool_t'"),
    "offset": (set_leaf(2, offset=4), "branch b: leaf offset is 4, not 0"),
    "length": (set_leaf(2, length=3), "branch b: leaf length is 3, not 1"),
    "no counter": (set_leaf(1, count=None), "branch x: leaf counter is None, not 'n (UInt_t)'"),
    "another counter": (
        lambda b: setattr(b[1].leaves[0], "count", replace(b[0].leaves[0])),
        "branch x: leaf counter is 'n (UInt_t) of no branch', not 'n (UInt_t)'",
    ),
    "varying": (lambda b: setattr(b[1], "entry_offset_length", 0), "branch x: varying size is False, not True"),
    "missing": (lambda b: b.pop(2), "branch b: is missing"),
    "excess": (lambda b: b.append(column_branch(Column("y", "int8"), {})), "branch y: is in excess"),
    "twice": (lambda b: b.append(column_branch(Column("b", "bool"), {})), "branch b: is in excess (it is there twice)"),
    "order": (lambda b: b.insert(0, b.pop(2)), "branch b: place is that of n"),
    "class": (
        set_element,
        "branch class/class.pt: class is 'Particle version 4, checksum 0xabc', not 'Particle version 3",
    ),
    "below": (lambda b: b[3].children.clear(), "branch class/class.pt: is missing"),
    "no class": (lambda b: setattr(b[3], "element", None), "branch class: class is None, not 'Particle version 3"),
}  # fmt: skip


def test_equal_branches_do_not_differ():
    assert compare_branches(make_branches(), make_branches()) == []


@pytest.mark.parametrize("edit", EDITS)
def test_every_difference_is_told(edit):
    branches = make_branches()
    change, message = EDITS[edit]
    change(branches)
    found = [str(difference) for difference in compare_branches(make_branches(), branches)]
    assert any(line.startswith(message) for line in found), found
    assert len(found) == (1 if edit != "no class" else 5), found


def test_the_sign_of_a_counter_is_told_of_the_counter_and_its_list():
    branches = make_branches()
    branches[0].leaves[0].is_unsigned = False
    assert [str(difference) for difference in compare_branches(make_branches(), branches)] == [
        "branch n: leaf type is 'Int_t', not 'UInt_t'",
        "branch n: leaf sign is 'signed', not 'unsigned'",
        "branch x: leaf counter is 'n (Int_t)', not 'n (UInt_t)'",
    ]


def test_a_longer_text_is_no_difference():
    one, other = ([Branch("s", "", [Leaf("TLeafC", "s", "s/C", length=n)], entry_offset_length=1)] for n in (4, 90))
    assert compare_branches(one, other) == []
    assert [str(d) for d in narrowed(other, one)] == ["branch s: maximum is 0, less than the sources' 0"]
    assert narrowed(one, other) == []


def test_a_maximum_may_only_grow():
    smaller, larger = make_branches(), make_branches()
    smaller[0].leaves[0].maximum, larger[0].leaves[0].maximum = 6, 8
    assert narrowed(make_branches(), larger) == []
    assert [str(d) for d in narrowed(make_branches(), smaller)] == ["branch n: maximum is 6, less than the sources' 7"]


def test_headers_differ_in_title_aliases_and_weight():
    header = TreeHeader("Events", "a title", {"fWeight": 1.0}, [("a", "b+c")])
    assert compare_headers(header, replace(header, settings={})) == []
    others = replace(header, title="x"), replace(header, aliases=[]), replace(header, settings={"fWeight": 2.0})
    found = [str(difference) for other in others for difference in compare_headers(header, other)]
    assert found == [
        "the tree's title is 'x', not 'a title'",
        "the tree's aliases is [], not [('a', 'b+c')]",
        "the tree's weight is 2.0, not 1.0",
    ]


def test_bytes_are_comparable_where_sizes_are():
    branches, others = make_branches(), make_branches()
    others[2].leaves[0].class_name = "TLeafB"  # as long as a Bool_t
    others[1].leaves[0].type_size = 8
    set_element(others)
    assert [same_form(old, new) for old, new in zip(branches, others, strict=True)] == [True, False, True, True]
    others[3].children[0].element = replace(others[3].children[0].element, checksum=1)
    assert not same_form(branches[3], others[3])
