"""Comparing a tree of an output with those of its sources, TTrees in several processes, RNTuples in this one."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from hepfilter.io.comparison import Compared, ComparisonPlan, EntryDifference, Match, compare_entries
from hepfilter.io.copy_plan import CopyPlan, cut_groups, useful_workers
from hepfilter.io.layout import Layout, TreeLayout
from hepfilter.io.ntuple import NTupleLayout, OpenNTuple
from hepfilter.io.reading import OpenTree, open_file
from hepfilter.io.rntuple.comparison import compare_ntuples
from hepfilter.io.sources import Source
from hepfilter.io.tree_differences import same_form
from hepfilter.skim.proof.conversion import compare_converted, is_converted
from hepfilter.skim.proof.evidence import Evidence
from hepfilter.skim.proof.subject import Subject, tells_of
from hepfilter.work.streams import open_streams

Progress = Callable[[str, int, int], None]
"""Called as (stage, done, in all)."""


@dataclass(frozen=True)
class Comparison:
    """What comparing found, in words."""

    entries: int
    faults: list[str]
    doubts: list[str]


def compare_tree(
    subject: Subject, part: int, name: str, layout: Layout, match: Match, *, workers: int, progress: Progress
) -> tuple[Comparison, int]:
    """(what differs between a tree of the output and those of a part's sources, the number of branches compared)."""
    tree = subject.opened(name)
    if is_converted(subject, part, name):
        found = _Found()
        with _Ntuples(subject.evidence[part], name) as opened:
            portions, branches = compare_converted(subject, part, name, layout, match, opened.source)
            found.take(portions, len(match), progress)
    elif isinstance(layout, NTupleLayout) and isinstance(tree, OpenNTuple):
        fields = [field for field in layout.names if field not in layout.drop and field in tree.branch_names]
        found, branches = _Found(), len(fields)
        with _Ntuples(subject.evidence[part], name) as opened:
            found.take(compare_ntuples(tree, opened.source, match, fields), len(match), progress)
    elif isinstance(layout, TreeLayout) and isinstance(tree, OpenTree):
        found, branches = _compare_trees(subject, part, tree, layout, match, workers=workers, progress=progress)
    else:
        return Comparison(0, [], [f"tree {name} is of another kind than in the sources"]), 0
    faults = []
    for one in found.differing.values():
        events = f"{one.count} entries differ" if one.count > 1 else "an entry differs"
        where = f"entry {one.position}, entry {one.entry} of {subject.name(part, one.source)}"
        faults.append(f"tree {name}, branch {one.branch}: {events} from the source, the first is {where}")
    doubts = [fault for fault in found.unreadable if tells_of(fault, subject.sources)]
    faults += [fault for fault in found.unreadable if fault not in doubts]
    return Comparison(found.entries, faults, doubts), branches


@dataclass
class _Found:
    """What comparing has found so far: differences by branch, what could not be read, entries compared."""

    differing: dict[str, EntryDifference] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)
    entries: int = 0

    def take(self, portions: Iterable[Compared], total: int, progress: Progress) -> None:
        """Take the results of all portions of `total` entries."""
        for compared in portions:
            self.add(compared)
            self.entries += compared.entries
            progress("comparing", self.entries, total)

    def add(self, compared: Compared) -> None:
        """Take the result of a window and a group of branches."""
        for one in compared.differences:
            known = self.differing.setdefault(one.branch, replace(one, count=0))
            self.differing[one.branch] = replace(known, count=known.count + one.count)
        self.unreadable += compared.unreadable


class _Ntuples:
    """The RNTuples of a part's sources; the one that was used last stays open."""

    def __init__(self, evidence: Evidence, name: str) -> None:
        self._evidence, self._name = evidence, name
        self._stack = ExitStack()
        self._opened: tuple[int, OpenNTuple] | None = None

    def __enter__(self) -> "_Ntuples":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def source(self, number: int) -> OpenNTuple:
        """That of a source."""
        if self._opened is None or self._opened[0] != number:
            self._stack.close()
            source = self._evidence.sources[number]
            assert source is not None
            table = self._stack.enter_context(open_file(source)).table(self._name)
            assert isinstance(table, OpenNTuple)
            self._opened = number, table
        return self._opened[1]


def _compare_trees(
    subject: Subject, part: int, tree: OpenTree, layout: TreeLayout, match: Match, *, workers: int, progress: Progress
) -> tuple[_Found, int]:
    """(what was found in a TTree, the number of branches compared, which are those of the same form)."""
    known = {branch.name: branch for branch in tree.branches}
    layout = layout.keep([top.name for top in layout.branches if top.name in known and same_form(top, known[top.name])])
    # a source that is missing is never asked for: no entry of the match comes from it
    sources = tuple(
        Source("") if source is None else replace(source, tree=None) for source in subject.evidence[part].sources
    )
    branches = CopyPlan(sources, tree.name, layout, (), None)
    size, stored = tree.entry_bytes
    plan = ComparisonPlan(subject.source, branches, match, size)
    groups = cut_groups(branches, useful_workers(workers, stored * len(match)))
    found = _Found()
    with open_streams(compare_entries, [(plan, group) for group in groups]) as streams:
        for window in plan.windows():
            for compared in [next(stream) for stream in streams]:
                found.add(compared)
            found.entries += len(window)
            progress("comparing", found.entries, len(match))
    return found, len(branches.branches)
