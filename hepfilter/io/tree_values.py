"""Reading the values of chosen entries of TTrees, cluster by cluster, any group of branches apart from all others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hepfilter.errors import UnreadableEventsError
from hepfilter.io.baskets import Entries
from hepfilter.io.branch_values import branch_form, decode_values
from hepfilter.io.copy_plan import Cluster, CopyPlan, Group, Index, Piece
from hepfilter.io.copying import Copier
from hepfilter.io.text import one_line
from hepfilter.io.ttree import Branch
from hepfilter.io.values import Form, Values, join_values

_ADVICE = "as a TTree it is copied as it is, without --format rntuple"


@dataclass(frozen=True)
class ClusterValues:
    """The values of a cluster by branch, and how many bytes of sources were read for it."""

    values: dict[str, Values]
    bytes_read: int


class TreeValues:
    """Reads the values of a plan's branches, all of which have a form. A context manager."""

    def __init__(self, plan: CopyPlan) -> None:
        self._plan = plan
        self._branches = plan.branches
        self._copier = Copier(plan)

    def __enter__(self) -> "TreeValues":
        return self

    def __exit__(self, *_: object) -> None:
        self._copier.__exit__()

    def copy(self, cluster: Cluster, group: Group) -> ClusterValues:
        """The values of a group of branches in a cluster. UnreadableEventsError if they cannot be read."""
        return ClusterValues(self.read(cluster.pieces, group), self._copier.take_bytes_read())

    def read(self, pieces: Sequence[Piece], group: Group | None = None) -> dict[str, Values]:
        """The values of the pieces' entries, one after the other, of a group of branches or of all.

        At least one piece. UnreadableEventsError if damaged.
        """
        group = (0, len(self._branches)) if group is None else group
        parts = [self._read(piece, group) for piece in pieces]
        return {name: join_values([part[name] for part in parts]) for name in parts[0]}

    def _read(self, piece: Piece, group: Group) -> dict[str, Values]:
        branches = self._branches[slice(*group)]
        gathered: list[list[Entries]] = [[] for _ in branches]
        if len(piece.entries):
            self._copier.gather(piece, group, gathered)
        found = {}
        for branch, entries in zip(branches, gathered, strict=True):
            form = branch_form(branch)
            assert form is not None
            try:
                if sum(part.count for part in entries) != len(piece.entries):
                    raise ValueError("not all of them were found")
                found[branch.name] = decode_values(branch, form, entries)
            except ValueError as error:
                where = f"{self._plan.sources[piece.source].path}: tree {self._plan.tree}, branch {branch.name}"
                first, last = _undecoded(branch, form, entries, piece.entries)
                what = f"{where}, entries {first} to {last}: {one_line(error)}; {_ADVICE}"
                raise UnreadableEventsError(what, piece.source, first, last) from error
        return found


def _undecoded(branch: Branch, form: Form, parts: Sequence[Entries], chosen: Index) -> tuple[int, int]:
    """First and last of the chosen entries in the first basket that cannot be decoded; of all if that is none."""
    start = 0
    for part in parts:
        try:
            decode_values(branch, form, [part])
        except ValueError:
            own = chosen[start : start + part.count]
            return int(own[0]), int(own[-1])
        start += part.count
    return int(chosen[0]), int(chosen[-1])


def refuse_miscounted(
    plan: CopyPlan, pieces: Sequence[Piece], values: Mapping[str, Values], counters: Mapping[str, str]
) -> None:
    """UnreadableEventsError if a branch has other numbers of elements than the branch that counts them says."""
    for name, counter in counters.items():
        wrong = np.flatnonzero(values[name].counts[0] != values[counter].numbers.astype(np.int64))
        if not len(wrong):
            continue
        starts = np.cumsum([0, *(len(piece.entries) for piece in pieces)])
        number = int(np.searchsorted(starts, wrong[0], side="right")) - 1
        entry = int(pieces[number].entries[wrong[0] - starts[number]])
        where = f"{plan.sources[pieces[number].source].path}: tree {plan.tree}, entry {entry}"
        what = f"branch {name} has {values[name].counts[0][wrong[0]]} elements, {counter} says"
        message = f"{where}: {what} {values[counter].numbers[wrong[0]]}; {_ADVICE}"
        raise UnreadableEventsError(message, pieces[number].source, entry, entry)
