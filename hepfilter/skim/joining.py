"""The units of a file, joined in their order."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import numpy.typing as npt

from hepfilter.events.identity import Identity
from hepfilter.skim.cuts import UNIQUE, Cuts
from hepfilter.skim.findings import Everyone, FileHead, Flow, SurveyedFile, UnitRead
from hepfilter.statistics.histograms import Histogram
from hepfilter.trigger.drift import ProblemCounts


def join(head: FileHead, units: Sequence[UnitRead], cuts: Cuts) -> SurveyedFile:
    """A file of its units; what is in earlier files or units goes, where duplicates are to go."""
    units = [unit if unit.everyone is None else _first_occurrences(unit, unit.everyone, cuts) for unit in units]
    flow = Flow()
    for step in head.steps:
        flow.count(step, 0, 0.0 if head.weighted else None)
    for unit in units:
        cuts.note_found(unit.found)
        for step, events in unit.flow.events.items():
            flow.count(step, events, unit.flow.weights.get(step))
    problems = sum((Counter(unit.problems) for unit in units), Counter(head.head_problems or {}))
    return SurveyedFile(
        **vars(head),
        chosen=_joined([unit.chosen for unit in units], np.int64),
        weights=_joined([unit.weights for unit in units], np.float64) if head.weighted else None,
        scores=None if head.score_facts is None else _join_scores(units, head.score_facts["scores"]),
        conditions={name: _joined([unit.conditions[name] for unit in units], np.bool_) for name in head.asked},
        identity=Identity.join([unit.identity for unit in units if unit.identity]) if head.identified else None,
        sections=np.unique(np.concatenate([head.stated, *(unit.sections for unit in units)])),
        flow=flow,
        problems=problems,
        problem_counts=_problem_counts(head, units, problems, flow),
        empty=sum(unit.empty for unit in units),
        spectra=_summed(units),
        bytes_read=head.head_bytes + sum(unit.bytes_read for unit in units),
    )


def _first_occurrences(unit: UnitRead, everyone: Everyone, cuts: Cuts) -> UnitRead:
    """A unit without the events that have come before, which its cutflow counts as the first cut."""
    first = cuts.first_occurrences(everyone.identity)
    flow = Flow()
    flow.count("read", unit.flow.events["read"], unit.flow.weights.get("read"))
    for level, step in enumerate([UNIQUE, *list(unit.flow.events)[1:]]):
        left = first & (everyone.levels >= level)
        flow.count(step, int(left.sum()), None if everyone.weights is None else float(everyone.weights[left].sum()))
    kept = first[unit.chosen - unit.start]
    return replace(
        unit,
        chosen=unit.chosen[kept],
        weights=None if unit.weights is None else unit.weights[kept],
        scores=None if unit.scores is None else {name: values[kept] for name, values in unit.scores.items()},
        conditions={name: ok[kept] for name, ok in unit.conditions.items()},
        identity=None if unit.identity is None else unit.identity[kept],
        flow=flow,
    )


def _join_scores(units: Sequence[UnitRead], names: Sequence[str]) -> dict[str, npt.NDArray[np.float32]]:
    return {
        name: _joined([unit.scores[name] for unit in units if unit.scores is not None], np.float32) for name in names
    }


def _problem_counts(
    head: FileHead, units: Sequence[UnitRead], problems: Mapping[str, int], flow: Flow
) -> tuple[ProblemCounts, ...]:
    """The share of the problems that falls on the events that passed, unit by unit as far as that is known."""
    if head.head_problems is None:
        return tuple(_shared(unit.problems, len(unit.chosen), unit.stop - unit.start) for unit in units)
    passed = sum(len(unit.chosen) for unit in units)
    return (_shared(problems, passed, flow.events["read"]),)


def _shared(problems: Mapping[str, int], passed: int, count: int) -> ProblemCounts:
    """What of the problems of `count` events falls on those that passed, if they are like the rest."""
    return ProblemCounts(passed, {what: round(number * passed / max(count, 1)) for what, number in problems.items()})


def _summed(units: Sequence[UnitRead]) -> dict[str, Histogram]:
    """The spectra of all units; none unless each has them."""
    names = set.intersection(*(set(unit.spectra) for unit in units)) if units else set()
    return {name: reduce(add, (unit.spectra[name] for unit in units)) for name in sorted(names)}


def _joined(parts: Iterable[npt.NDArray[Any] | None], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    return np.concatenate([np.empty(0, dtype), *(part for part in parts if part is not None)])
