"""The sum of what several skims remember, such as those that a merged output holds."""

from collections.abc import Sequence
from dataclasses import fields, replace
from functools import reduce
from operator import add

import numpy as np

from hepfilter.skim.summary import Course, DatasetSummary, RunSummary


def add_summaries(summaries: Sequence[RunSummary]) -> RunSummary | None:
    """The sum of what skims of one recipe remember, without their rates; None of none."""
    if not summaries:
        return None
    if len(summaries) == 1:
        return summaries[0]
    datasets: dict[str, DatasetSummary] = {}
    for one in (dataset for summary in summaries for dataset in summary.datasets):
        if one.name not in datasets:
            datasets[one.name] = one
            continue
        known = datasets[one.name]
        interest = None if known.interest is None or one.interest is None else known.interest + one.interest
        spectra = {name: known.spectra[name] + one.spectra[name] for name in known.spectra if name in one.spectra}
        datasets[one.name] = replace(
            known, read=known.read + one.read, weight=known.weight + one.weight, interest=interest, spectra=spectra
        )
    names = [name for name in summaries[0].scores if all(name in summary.scores for summary in summaries)]
    return RunSummary(
        unit=summaries[0].unit,
        datasets=tuple(datasets.values()),
        scores={name: reduce(add, [summary.scores[name] for summary in summaries]) for name in names},
        runs=_joined([summary.runs for summary in summaries]),
        sections=_joined([summary.sections for summary in summaries]),
        rates=None,
        unblinded=all(summary.unblinded for summary in summaries),
    )


def _joined(courses: Sequence[Course | None]) -> Course | None:
    """The blocks of all, by run and section; None if one has none."""
    known = [course for course in courses if course is not None]
    if len(known) < len(courses):
        return None
    columns = {
        field.name: np.concatenate([getattr(course, field.name) for course in known]) for field in fields(Course)
    }
    order = np.lexsort((columns["first"], columns["run"]))
    return Course(**{name: values[order] for name, values in columns.items()})
