"""Reading the values of chosen entries of TTrees, cluster by cluster, any group of branches apart from all others."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hepfilter.errors import SourceError
from hepfilter.io.baskets import Entries
from hepfilter.io.branch_values import branch_form, decode_values
from hepfilter.io.copying import Copier, CopyPlan, Piece
from hepfilter.io.text import one_line
from hepfilter.io.values import Values, join_values

_ADVICE = "as a TTree it is copied as it is, without --format rntuple"


@dataclass(frozen=True)
class ClusterValues:
    """The values of a cluster by branch, and how many bytes of sources were read for it."""

    values: dict[str, Values]
    bytes_read: int


def cluster_values(plan: CopyPlan, group: tuple[int, int]) -> Iterator[ClusterValues]:
    """The values of the branches with indices [low, high), cluster by cluster; faults are hepfilter's errors."""
    with TreeValues(plan, group) as reader:
        for cluster in plan.clusters:
            yield ClusterValues(reader.read(cluster.pieces), reader.take_bytes_read())


class TreeValues:
    """Reads the values of a group of a plan's branches, all of which have a form. A context manager."""

    def __init__(self, plan: CopyPlan, group: tuple[int, int]) -> None:
        self._plan = plan
        self._branches = plan.branches[slice(*group)]
        self._copier = Copier(plan, group)
        self.take_bytes_read = self._copier.take_bytes_read

    def __enter__(self) -> "TreeValues":
        return self

    def __exit__(self, *_: object) -> None:
        self._copier.__exit__()

    def read(self, pieces: Sequence[Piece]) -> dict[str, Values]:
        """The values of the pieces' entries, one after the other; at least one piece. SourceError if damaged."""
        parts = [self._read(piece) for piece in pieces]
        return {branch.name: join_values([part[branch.name] for part in parts]) for branch in self._branches}

    def _read(self, piece: Piece) -> dict[str, Values]:
        gathered: list[list[Entries]] = [[] for _ in self._branches]
        if len(piece.entries):
            self._copier.gather(piece, gathered)
        found = {}
        for branch, entries in zip(self._branches, gathered, strict=True):
            form = branch_form(branch)
            assert form is not None
            try:
                if sum(part.count for part in entries) != len(piece.entries):
                    raise ValueError("not all of them were found")
                found[branch.name] = decode_values(branch, form, entries)
            except ValueError as error:
                where = f"{self._plan.sources[piece.source].path}: tree {self._plan.tree}, branch {branch.name}"
                span = f"entries {piece.entries[0]} to {piece.entries[-1]}"
                raise SourceError(f"{where}, {span}: {one_line(error)}; {_ADVICE}") from error
        return found


def refuse_miscounted(
    plan: CopyPlan, pieces: Sequence[Piece], values: Mapping[str, Values], counters: Mapping[str, str]
) -> None:
    """SourceError if a branch has other numbers of elements than the branch that counts them says."""
    for name, counter in counters.items():
        wrong = np.flatnonzero(values[name].counts[0] != values[counter].numbers.astype(np.int64))
        if not len(wrong):
            continue
        starts = np.cumsum([0, *(len(piece.entries) for piece in pieces)])
        number = int(np.searchsorted(starts, wrong[0], side="right")) - 1
        entry = pieces[number].entries[wrong[0] - starts[number]]
        where = f"{plan.sources[pieces[number].source].path}: tree {plan.tree}, entry {entry}"
        what = f"branch {name} has {values[name].counts[0][wrong[0]]} elements, {counter} says"
        raise SourceError(f"{where}: {what} {values[counter].numbers[wrong[0]]}; {_ADVICE}")
