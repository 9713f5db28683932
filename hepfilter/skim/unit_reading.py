"""What the first pass reads of a unit of entries: only what the cuts, a menu and the model need."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

import numpy as np

from hepfilter.events.books import Books
from hepfilter.events.expressions import Column
from hepfilter.events.identity import Identity, pack_sections
from hepfilter.events.spectra import SPECTRUM_EDGES
from hepfilter.io.reading import Table
from hepfilter.skim.conditions import Conditions, Mask, blinded
from hepfilter.skim.cuts import MASKED, FileCuts
from hepfilter.skim.findings import Everyone, Flow, Index, UnitRead, Weights
from hepfilter.skim.lumi_sections import Sections
from hepfilter.skim.score_sources import ChunkScores, FileScores
from hepfilter.statistics.histograms import Histogram

_WHOLE_IDENTITY: Final = 3
"""Run, luminosity block and event: with fewer branches sections are not known."""


class UnitReader:
    """Reads the units of one file; `books` are its branches of identity and weight."""

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
        self.identified = identified

    @property
    def steps(self) -> list[str]:
        """The names of the cuts in the cutflow, in order."""
        return self._cuts.steps

    @property
    def branches(self) -> tuple[str, ...]:
        """All branches that are read, apart from those of the event record."""
        identity = self.books.identity if self.identified else None
        return tuple(
            dict.fromkeys([*Books(identity, self.books.weight).branches, *self._cuts.branches, *self._named.branches])
        )

    def read(self, start: int, stop: int) -> UnitRead:
        """Apply the cuts to the entries [start, stop), and score what is left."""
        count = stop - start
        columns = self._tree.values(self.branches, start, stop)
        weights, faults = self.books.read_weight(columns)
        identity = self._read_identity(columns, start, count)
        steps = self._cuts.passes(columns, identity, count)
        left = list(steps.values())[-1] if steps else np.ones(count, bool)
        scored = None if self._scored is None else self._scored.read(start, stop, left)
        conditions = {name: ok[left] for name, ok in self._named.passes(columns, count).items()}
        return UnitRead(
            start=start,
            stop=stop,
            chosen=np.flatnonzero(left) + start,
            weights=None if weights is None else weights[left],
            scores=None if scored is None else scored.scores,
            conditions=conditions,
            identity=None if identity is None else identity[left],
            sections=self._sections(identity, steps.get(MASKED)),
            found=self._found(identity),
            flow=_flow(steps, weights, count),
            problems=_problems(faults, scored),
            empty=0 if scored is None else scored.empty,
            bytes_read=0,
            everyone=self._everyone(identity, weights, steps),
            spectra={} if scored is None or self._cuts.unique else _spectra(scored, weights, left, conditions),
        )

    def _read_identity(self, columns: Mapping[str, Column], start: int, count: int) -> Identity | None:
        if not self.identified:
            return None
        return self.books.read_identity(columns, file=self._tree.path, first_entry=start, count=count)

    def _sections(self, identity: Identity | None, masked: Mask | None) -> Sections:
        if identity is None or len(self.books.identity or ()) != _WHOLE_IDENTITY:
            return np.empty(0, np.uint64)
        sections = pack_sections(identity.run, identity.luminosity_block)
        return np.unique(sections if masked is None else sections[masked])

    def _found(self, identity: Identity | None) -> Index:
        places = np.empty(0, np.int64) if identity is None else self._cuts.places(identity)
        return np.unique(places[places >= 0])

    def _everyone(self, identity: Identity | None, weights: Weights, steps: Mapping[str, Mask]) -> Everyone | None:
        if not self._cuts.unique:
            return None
        assert identity is not None
        levels = sum((step.astype(np.uint8) for step in steps.values()), np.zeros(len(identity), np.uint8))
        return Everyone(identity, weights, levels)


def _flow(steps: Mapping[str, Mask], weights: Weights, count: int) -> Flow:
    flow = Flow()
    for step, left in {"read": np.ones(count, bool), **steps}.items():
        flow.count(step, int(left.sum()), None if weights is None else float(weights[left].sum()))
    return flow


def _spectra(scored: ChunkScores, weights: Weights, left: Mask, conditions: Mapping[str, Mask]) -> dict[str, Histogram]:
    """Of the events that are `left` and in no blind region."""
    seen = ~blinded(conditions, int(left.sum()))
    of_seen = None if weights is None else weights[left][seen]
    return {name: Histogram.of(values[seen], SPECTRUM_EDGES, of_seen) for name, values in scored.spectra.items()}


def _problems(faults: Mapping[str, int], scored: ChunkScores | None) -> dict[str, int]:
    return dict(Counter(faults) + (Counter() if scored is None else scored.problems))
