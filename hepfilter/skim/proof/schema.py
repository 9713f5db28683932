"""The check of an output's trees against what its sources say of theirs: branches, titles, types, counters."""

from collections import Counter

from hepfilter.io.layout import Layout, TreeLayout
from hepfilter.io.ntuple import NTupleLayout, OpenNTuple
from hepfilter.io.own_records import tree_record_fault
from hepfilter.io.reading import OpenTree, Table, open_file
from hepfilter.io.rntuple.comparison import compare_fields
from hepfilter.io.tree_differences import (
    EXCESS,
    MISSING,
    REDUCED,
    Difference,
    compare_branches,
    compare_headers,
    narrowed,
)
from hepfilter.io.ttree import copy_branches
from hepfilter.io.writing import Column, column_branch
from hepfilter.skim.added import added_columns
from hepfilter.skim.proof.checks import Check, conclude
from hepfilter.skim.proof.conversion import compare_description, is_converted
from hepfilter.skim.proof.evidence import Evidence
from hepfilter.skim.proof.subject import Subject
from hepfilter.wording import counted


def check_schema(subject: Subject) -> Check:
    """The description of each tree: just the kept branches and those that a skim adds, as the sources describe them."""
    faults: list[str] = []
    doubts: list[str] = []
    reduced: set[str] = set()
    different: set[str] = set()
    kinds: Counter[str] = Counter()
    ranked: list[tuple[int, str]] = []
    for number, evidence in ((number, subject.evidence[number]) for number, _ in subject.skims):
        doubts += evidence.layout_doubts
        for name, layout in evidence.layouts.items():
            main = name == evidence.tree
            if name not in subject.file.table_names:
                faults.append(f"tree {name} is missing")
                continue
            tree = subject.opened(name)
            expected = evidence.choice if main and evidence.choice is not None else layout
            is_other = is_converted(subject, number, name)
            if is_other:
                found = compare_description(expected, tree, evidence, _added(subject) if main else [])
            else:
                found = _differences(expected, tree, subject, evidence, main=main)
            open_kept = main and bool(evidence.layout_doubts)
            for difference in found:
                if open_kept and (is_other or difference.aspect in (MISSING, EXCESS)):
                    doubts.append(f"tree {name}, {difference}")
                else:
                    ranked.append((kinds[difference.aspect], f"tree {name}, {difference}"))
                    kinds[difference.aspect] += 1
            reduced |= _reduced(tree)
            different |= {name} if found else set()
    for name in subject.file.table_names if subject.own else ():
        tree = subject.opened(name)
        if isinstance(tree, OpenTree) and name not in different:
            faults += _record_faults(subject, tree)
    faults += [line for _, line in sorted(ranked, key=lambda pair: pair[0])]  # of each kind the first comes first
    known = {name for evidence in subject.evidence for name in evidence.layouts}
    faults += [f"tree {name} is in excess" for name in subject.file.table_names if known and name not in known]
    what = f"{counted(_size(subject.tree), 'branch')} of {subject.tree.name}"
    if len(known) > 1:
        what += f" and those of {counted(len(known) - 1, 'other tree')}"
    if reduced:
        what += f"; {len(reduced)} of Float16_t or Double32_t stay as stored"
    if kinds:
        what += "; different: " + ", ".join(f"{aspect} of {count:,}" for aspect, count in kinds.most_common())
    return conclude("schema", what, faults, doubts)


def _differences(
    expected: Layout, tree: Table, subject: Subject, evidence: Evidence, *, main: bool
) -> list[Difference]:
    """All differences of a tree; the events' tree, `main`, has branches of ours."""
    added = _added(subject) if main else []
    if isinstance(expected, NTupleLayout) and isinstance(tree, OpenNTuple):
        source = next(source for source in evidence.sources if source is not None)
        with open_file(source) as file:
            table = file.table(tree.name)
            assert isinstance(table, OpenNTuple)
            return compare_fields(table, expected, added, tree)
    if isinstance(expected, NTupleLayout) or isinstance(tree, OpenNTuple):
        kinds = ["an RNTuple" if isinstance(one, NTupleLayout | OpenNTuple) else "a TTree" for one in (tree, expected)]
        return [Difference("", "kind", f"is {kinds[0]}, not {kinds[1]}")]
    found = compare_headers(expected.header, tree.metadata.header)
    found += compare_branches([*expected.branches, *(column_branch(column, {}) for column in added)], tree.branches)
    # another tool may set the maxima anew
    return found + (narrowed(expected.branches, tree.branches) if subject.recorded else [])


def _record_faults(subject: Subject, tree: OpenTree) -> list[str]:
    """Where a tree's own bytes are not what its sources' description makes, or its own where theirs is not known."""
    layouts = []
    for evidence in (subject.evidence[number] for number, _ in subject.skims):
        layout = evidence.choice if tree.name == evidence.tree else evidence.layouts.get(tree.name)
        known = isinstance(layout, TreeLayout) and None not in evidence.sources and not evidence.layout_doubts
        layouts += [layout] if isinstance(layout, TreeLayout) and known else []
    header, branches = tree.metadata.header, list(copy_branches(tree.branches))
    if len(layouts) == len(subject.skims):
        header, branches = layouts[0].header, layouts[0].fresh_branches()
        for layout in layouts[1:]:
            for branch, other in zip(branches, layout.branches, strict=True):
                branch.widen(other)
        added = _added(subject) if tree.name == subject.tree.name else []
        branches += [column_branch(column, {}) for column in added]
    fault = tree_record_fault(subject.file, tree, header, branches)
    return [f"tree {tree.name}: {fault}"] if fault else []


def _added(subject: Subject) -> list[Column]:
    """The branches that the skim must have added."""
    if not subject.recorded:
        return []
    part = subject.parts[0]
    return added_columns(part.scores, part.menu)


def _size(tree: Table) -> int:
    """Branches of a tree, those below others too, or fields of an RNTuple."""
    if isinstance(tree, OpenNTuple):
        return len(tree.ntuple.schema.fields)
    return sum(1 for top in tree.branches for _ in top.walk())


def _reduced(tree: Table) -> set[str]:
    """The branches of fewer bits than their type has in memory."""
    if isinstance(tree, OpenNTuple):
        return set()
    branches = [branch for top in tree.branches for branch in top.walk()]
    return {branch.name for branch in branches if branch.leaves and branch.leaves[0].class_name in REDUCED}
