"""One layout out of many: which branches the output's tree has when the sources' trees differ.

Files of one dataset differ: trigger paths come and go between them. By policy the output has all branches of all
files (`union`), those that all files have (`intersection`), or the files must agree (`strict`). A branch of one name
must have one type everywhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np

from hepfilter.errors import OutputError, UsageError
from hepfilter.io.ntuple import NTupleLayout, NTupleMerger, OpenNTuple
from hepfilter.io.plain import is_plain, plain_dtype
from hepfilter.io.reading import OpenTree, Table
from hepfilter.io.shapes import TableShape, widen
from hepfilter.io.ttree import Branch, TreeHeader, copy_branches

Policy = Literal["strict", "union", "intersection"]
POLICIES: tuple[Policy, ...] = get_args(Policy)


@dataclass(frozen=True)
class Fill:
    """What stands in a branch for the entries of a source that lacks it: `value`, once for each that `counter` counts.

    `counter` is the name of the counter's branch, None for one value an entry.
    """

    value: float
    dtype: str
    counter: str | None


@dataclass(frozen=True)
class TreeLayout:
    """The output's tree: its header, its top-level branches, and by name the fills of those that some sources lack.

    `obstacles` tell by name which branches cannot be in it, and why: what a message says before the names, and behind.
    They are none where the branch is left out. `left_out` names what the policy `intersection` left out.
    """

    header: TreeHeader
    branches: tuple[Branch, ...]
    fills: Mapping[str, Fill]
    obstacles: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    def refuse_obstacles(self) -> None:
        """OutputError if a branch cannot be in the output: it cannot be copied, or the sources do not agree on it."""
        if self.obstacles:
            before, behind = reason = next(iter(self.obstacles.values()))
            names = [name for name, other in self.obstacles.items() if other == reason]
            raise OutputError(f"{before} {some(names)}{behind}")

    @property
    def filled(self) -> list[tuple[str, float]]:
        """(name, value) of each branch that some sources lack."""
        return [(name, fill.value) for name, fill in self.fills.items()]

    def fresh_branches(self) -> list[Branch]:
        """The branches anew, for an output to fill."""
        return list(copy_branches(self.branches))

    @property
    def columns(self) -> list[tuple[str, str | None]]:
        """(name, name of the branch that counts its elements) of each top-level branch."""
        return [(branch.name, _counter(branch)) for branch in self.branches]

    def keep(self, kept: Sequence[str]) -> "TreeLayout":
        """The layout with these branches alone."""
        names = frozenset(kept)
        return TreeLayout(
            self.header,
            tuple(branch for branch in self.branches if branch.name in names),
            {name: fill for name, fill in self.fills.items() if name in names},
            {name: why for name, why in self.obstacles.items() if name in names},
            self.left_out,
        )


Layout = TreeLayout | NTupleLayout


class LayoutMerger:
    """Takes the tree of each source in turn and tells the layout of the whole.

    `fills` gives values by branch name for branches that some sources lack; a Bool_t needs none, it becomes false.
    """

    def __init__(self, policy: Policy, fills: Mapping[str, float] | None = None) -> None:
        self._policy = policy
        self._values = dict(fills or {})
        self._first: OpenTree | None = None
        self._branches: dict[str, Branch] = {}
        self._origin: dict[str, str] = {}
        self._obstacles: dict[str, tuple[str, str]] = {}
        self._names: dict[frozenset[str], str] = {}  # those of a source's branches → the first such source

    def add(self, tree: OpenTree) -> None:
        """Take a source's tree; what does not fit becomes an obstacle of the result."""
        for top in tree.branches:
            below = next((branch for branch in top.walk() if branch.obstacle), None)
            if below is not None:
                what = f"{tree.path}: branch {below.name} {below.obstacle}, which cannot be copied"
                self._obstacles.setdefault(top.name, (f"{what}; leave it out with --drop-branches", ""))
        own = {branch.name: branch for branch in tree.branches}
        names = [branch.name for branch in tree.branches]
        for name in own if len(own) < len(names) else ():
            if names.count(name) > 1:
                before = f"{tree.path}: tree {tree.name} has several branches of the name"
                self._obstacles.setdefault(name, (before, "; leave them out, or rename them"))
        if self._first is None:
            self._first, self._branches = tree, own
            self._origin = dict.fromkeys(own, tree.path)
        else:
            self._compare(tree, own)
        self._names.setdefault(frozenset(own), tree.path)

    def _compare(self, tree: OpenTree, own: dict[str, Branch]) -> None:
        assert self._first is not None
        different = [
            name
            for name, branch in own.items()
            if name in self._branches and _signatures(branch) != _signatures(self._branches[name])
        ]
        missing = [name for name in self._branches if name not in own]
        new = [name for name in own if name not in self._branches]
        for name in different:
            what = f"{tree.path}: tree {tree.name} differs from {self._origin[name]} in the type of"
            self._obstacles.setdefault(name, (what, "; skim them apart, or drop the branches with --drop-branches"))
        for name in missing + new if self._policy == "strict" else ():
            what = f"{tree.path}: tree {tree.name} differs from {self._first.path} in"
            self._obstacles.setdefault(name, (what, "; --layout union or intersection takes files that differ"))
        for name in own.keys() & self._branches.keys() - set(different):
            self._branches[name].widen(own[name])
        if self._policy == "intersection":
            self._branches = {name: branch for name, branch in self._branches.items() if name in own}
            return
        for name in new:
            self._branches[name] = own[name]
            self._origin[name] = tree.path

    def widen(self, tree: OpenTree) -> None:
        """Take over larger maxima that a tree, taken before, states by now."""
        for branch in tree.branches:
            known = self._branches.get(branch.name)
            if known is not None and known is not branch and _signatures(known) == _signatures(branch):
                known.widen(branch)

    @property
    def is_doubtful(self) -> bool:
        """Whether the result may have obstacles."""
        return bool(self._obstacles) or len(self._names) > 1

    def result(self, *, final: bool = True) -> TreeLayout:
        """The layout of all; UsageError for a fill that the branch's type cannot hold, or (`final`) that none needs."""
        assert self._first is not None
        lacking = {name: [own for own in self._names if name not in own] for name in self._branches}
        needless = [name for name in self._values if not lacking.get(name)]
        if needless and final:
            raise UsageError(f"--fill {needless[0]}: no input lacks such a branch; leave it out")
        found = {
            name: self._fill(name, sources)
            for name, sources in lacking.items()
            if sources and name not in self._obstacles
        }
        fills = {name: fill for name, fill in found.items() if isinstance(fill, Fill)}
        obstacles = self._obstacles | {name: why for name, why in found.items() if not isinstance(why, Fill)}
        branches = copy_branches(tuple(self._branches.values()))
        _bind_counters([branch for top in branches for branch in top.walk()])
        own = {name: obstacles[name] for name in self._branches if name in obstacles}
        left_out = dict.fromkeys(name for names in self._names for name in sorted(names) if name not in self._branches)
        return TreeLayout(self._first.metadata.header, branches, fills, own, tuple(left_out))

    def _fill(self, name: str, lacking: Sequence[frozenset[str]]) -> Fill | tuple[str, str]:
        """The fill of a branch that sources of these names lack, or the obstacle that there is none."""
        branch = self._branches[name]
        counter = branch.leaves[0].count.name if branch.leaves and branch.leaves[0].count else None
        if not is_plain(branch) or (counter and not (counter in self._branches and is_plain(self._branches[counter]))):
            where = f"{self._names[lacking[0]]}: has no branch"
            return where, ", which holds more than plain numbers; --layout intersection leaves it out"
        dtype, value = plain_dtype(branch), self._values.get(name)
        if value is not None and not _holds(dtype, value):
            raise UsageError(f"--fill {name}={value:g}: the branch is of type {dtype}; give a value that it can hold")
        if self._counts_others(name):
            if value:
                raise UsageError(
                    f"--fill {name}={value:g}: it counts other branches, which are empty there; leave it out"
                )
            return Fill(0, dtype.name, None)
        # of a collection that a source lacks there is none, so that only one that is there needs a value
        needing = [names for names in lacking if counter is None or counter in names]
        if value is None and needing and dtype != np.bool_:
            what = f"say what stands there with --fill {name}=VALUE, or leave it out with --layout intersection"
            return f"{self._names[needing[0]]}: has no branch", f", as {self._origin[name]} has; {what}"
        return Fill(value or 0, dtype.name, counter)

    def _counts_others(self, name: str) -> bool:
        """Whether the branch counts the values of others."""
        counts = (leaf.count for branch in self._branches.values() for leaf in branch.leaves)
        return any(count is not None and count.name == name for count in counts)


def _holds(dtype: np.dtype[Any], value: float) -> bool:
    """Whether the type can hold the value, rounded where it is a floating one."""
    if dtype.kind == "f":
        return True
    if dtype.kind == "b":
        return value in (0, 1)
    return value == np.floor(value) and np.iinfo(dtype).min <= value <= np.iinfo(dtype).max


def _bind_counters(branches: Sequence[Branch]) -> None:
    """Let each leaf be counted by the output's leaf; one that came from a later source knows that source's.

    Where the baskets of the sources lie is forgotten.
    """
    leaves = {leaf.name: leaf for branch in reversed(branches) for leaf in branch.leaves}
    known = {id(leaf) for leaf in leaves.values()}
    for branch in branches:
        branch.stored = None
        for leaf in branch.leaves:
            if leaf.count is not None and id(leaf.count) not in known:
                leaf.count = leaves.get(leaf.count.name, leaf.count)


class LayoutGatherer:
    """Takes the TTree or the RNTuple of each source in turn; OutputError where a source has the other.

    Of a source whose tree is of a shape that was taken before the shape will do.
    """

    def __init__(self, policy: Policy, fills: Mapping[str, float] | None = None) -> None:
        self._trees = LayoutMerger(policy, fills)
        self._ntuples = NTupleMerger()
        self._kind: tuple[type[Table], str] | None = None
        self._shapes: dict[str, tuple[Table, dict[int, float]]] = {}

    def add_shape(self, shape: TableShape) -> bool:
        """Take a source's by its shape, if that will do."""
        if shape.digest not in self._shapes:
            return False
        widths = self._shapes[shape.digest][1]
        widths |= {place: max(width, widths.get(place, width)) for place, width in shape.widths.items()}
        return True

    def add(self, table: Table, shape: TableShape | None = None) -> None:
        """Take a source's; errors as LayoutMerger's."""
        if shape is not None:
            self._shapes[shape.digest] = table, {}
        if self._kind is None:
            self._kind = type(table), table.path
        if not isinstance(table, self._kind[0]):
            names = {OpenTree: "TTree", OpenNTuple: "RNTuple"}
            what = f"{table.path}: {table.name} is a {names[type(table)]}, in {self._kind[1]} a {names[self._kind[0]]}"
            raise OutputError(f"{what}; skim them apart")
        if isinstance(table, OpenNTuple):
            self._ntuples.add(table)
        else:
            self._trees.add(table)

    @property
    def is_doubtful(self) -> bool:
        """Whether the result may have obstacles."""
        return self._trees.is_doubtful

    def result(self, *, final: bool = True) -> Layout:
        """The layout of all, so far or `final`; errors as LayoutMerger's."""
        assert self._kind is not None
        for table, widths in self._shapes.values():
            if isinstance(table, OpenTree) and widths:
                widen(table, widths)
                self._trees.widen(table)
        return self._trees.result(final=final) if self._kind[0] is OpenTree else self._ntuples.result()


def _counter(branch: Branch) -> str | None:
    """The name of the branch that counts this one's elements, where that is another."""
    counts = [leaf.count.name for leaf in branch.leaves if leaf.count is not None and branch.element is None]
    return counts[0] if counts else None


def _signatures(branch: Branch) -> list[tuple[object, ...]]:
    """What must agree, of the branch and all below it."""
    return [(below.name, *below.signature) for below in branch.walk()]


def some(names: Sequence[str]) -> str:
    """The first few names."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
