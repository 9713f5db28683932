"""What the first pass reads of one file: chunk by chunk, only what the cuts, a menu and the model need."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hepfilter.events.books import Books
from hepfilter.events.expressions import Column
from hepfilter.events.identity import Identity, pack_sections
from hepfilter.io.reading import Table
from hepfilter.skim.conditions import Conditions, Mask
from hepfilter.skim.cuts import MASKED, FileCuts
from hepfilter.skim.score_sources import FileScores
from hepfilter.trigger.drift import ProblemCounts
from hepfilter.work.units import Unit

_WHOLE_IDENTITY: Final = 3
"""Run, luminosity block and event: with fewer branches sections are not known."""

Index = npt.NDArray[np.int64]
Weights = npt.NDArray[np.float64] | None
Scores = Mapping[str, npt.NDArray[np.float32]] | None
"""What a model says of events, by name, ``interest`` among it; None where there is no model."""


@dataclass
class Flow:
    """Events and their sum of weights after each cut, in the order of the cuts; the first is all that were read."""

    events: dict[str, int] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)

    def count(self, step: str, events: int, weight: float | None) -> None:
        """Add to a step."""
        self.events[step] = self.events.get(step, 0) + events
        if weight is not None:
            self.weights[step] = self.weights.get(step, 0.0) + weight


class SurveyedChunks:
    """The survey of one file, chunk by chunk; `books` are its branches of identity and weight."""

    def __init__(
        self,
        tree: Table,
        books: Books,
        cuts: FileCuts,
        conditions: Conditions,
        scored: FileScores | None,
        *,
        identified: bool,
    ) -> None:
        self._tree, self.books, self._cuts, self._scored = tree, books, cuts, scored
        self._named = conditions
        self._identified = identified
        self.flow = Flow()
        for step in ("read", *cuts.steps):
            self.flow.count(step, 0, 0.0 if books.weight else None)
        self._chosen: list[Index] = []
        self._weights: list[npt.NDArray[np.float64]] = []
        self._scores: list[Mapping[str, npt.NDArray[np.float32]]] = []
        self.problems: Counter[str] = Counter()
        self._identities: list[Identity] = []
        self._fulfilled: list[Mapping[str, Mask]] = []
        self._problem_counts: list[ProblemCounts] = []
        self.sections = np.empty(0, np.uint64)

    @property
    def branches(self) -> tuple[str, ...]:
        """All branches that are read, apart from those of the event record."""
        identity = self.books.identity if self._identified else None
        return tuple(
            dict.fromkeys([*Books(identity, self.books.weight).branches, *self._cuts.branches, *self._named.branches])
        )

    def read(self, unit: Unit) -> None:
        """Apply the cuts to a chunk, and score what is left."""
        count, before = unit.num_entries, self.all_problems
        columns = self._tree.values(self.branches, unit.start, unit.stop)
        weights, faults = self.books.read_weight(columns)
        self.problems.update(faults)
        self.flow.count("read", count, None if weights is None else float(weights.sum()))
        identity = self._read_identity(columns, unit)
        left = np.ones(count, bool)
        steps = self._cuts.passes(columns, identity, count)
        if identity is not None and len(self.books.identity or ()) == _WHOLE_IDENTITY:
            masked = steps.get(MASKED, left)
            self.sections = np.union1d(self.sections, pack_sections(identity.run, identity.luminosity_block)[masked])
        for step, left in steps.items():
            self.flow.count(step, int(left.sum()), None if weights is None else float(weights[left].sum()))
        self._chosen.append(np.flatnonzero(left) + unit.start)
        if weights is not None:
            self._weights.append(weights[left])
        self._fulfilled.append({name: ok[left] for name, ok in self._named.passes(columns, count).items()})
        if identity is not None:
            self._identities.append(identity[left])
        if self._scored is not None:
            self._scores.append(self._scored.read(unit.start, unit.stop, left))
        self._problem_counts.append(_shared(self.all_problems - before, int(left.sum()), count))

    @property
    def chosen(self) -> Index:
        """The entries that passed all cuts, rising."""
        return _joined(self._chosen, np.int64)

    @property
    def weights(self) -> Weights:
        """Their weights, None where there are none."""
        return _joined(self._weights, np.float64) if self.books.weight else None

    @property
    def all_problems(self) -> Counter[str]:
        """What was treated by rule so far, and how often."""
        return self.problems + (Counter() if self._scored is None else self._scored.problems)

    @property
    def problem_counts(self) -> tuple[ProblemCounts, ...]:
        """The share of them that falls on the events that passed, chunk by chunk as far as that is known."""
        if self._scored is None or self._scored.by_chunk:
            return tuple(self._problem_counts)
        return (_shared(self.all_problems, len(self.chosen), self.flow.events["read"]),)

    def _read_identity(self, columns: Mapping[str, Column], unit: Unit) -> Identity | None:
        if not self._identified:
            return None
        where = {"file": self._tree.path, "first_entry": unit.start}
        return self.books.read_identity(columns, count=unit.num_entries, **where)  # type: ignore[arg-type]

    def scores(self, names: Sequence[str]) -> Scores:
        """What the model says of the chosen events."""
        return {name: _joined([part[name] for part in self._scores], np.float32) for name in names}

    def conditions(self) -> dict[str, Mask]:
        """Which of the chosen events fulfil each condition."""
        names = self._named.expressions
        return {name: _joined([part[name] for part in self._fulfilled], np.bool_) for name in names}

    def identity(self) -> Identity | None:
        """The identities of the chosen events."""
        if not self._identified:
            return None
        return Identity.join(self._identities)


def _shared(problems: Counter[str], passed: int, count: int) -> ProblemCounts:
    """What of the problems of `count` events falls on those that passed, if they are like the rest."""
    return ProblemCounts(passed, {what: round(number * passed / max(count, 1)) for what, number in problems.items()})


def _joined(parts: list[npt.NDArray[Any]], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    return np.concatenate([np.empty(0, dtype), *parts])
