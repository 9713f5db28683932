"""What a run remembers of all its events, made of what the first pass found and what was decided."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from itertools import groupby, pairwise
from operator import add
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from hepfilter.config.menu import CONTROL_STREAM
from hepfilter.events.identity import pack_sections
from hepfilter.skim.added import bit_column
from hepfilter.skim.conditions import Mask, blinded
from hepfilter.skim.deciding import Verdict
from hepfilter.skim.event_rates import event_rates
from hepfilter.skim.findings import SurveyedFile
from hepfilter.skim.outputs import KeptEvents
from hepfilter.skim.summary import MOST_BLOCKS, SCORE_EDGES, Course, DatasetSummary, RunSummary, Selected
from hepfilter.statistics.histograms import Histogram
from hepfilter.trigger.events import interesting

if TYPE_CHECKING:
    from hepfilter.config.datasets import Dataset

_MOST_INPUTS: Final = 20
"""Inputs without a dataset that stand alone; of more, all are taken together."""
_TOP: Final = 0.99
_Amounts = npt.NDArray[np.float64]


def summarise(
    kept: Sequence[KeptEvents], verdict: Verdict | None, datasets: "Mapping[str, Dataset]", *, names: Sequence[str]
) -> RunSummary:
    """The summary of a run with the scores `names`."""
    files = [part.file for part in kept]
    shown = [_shown(part, verdict) for part in kept]
    amounts = [file.event_weights for file in files]
    menu = None if verdict is None or verdict.trigger is None else verdict.trigger.menu
    hertz = None if menu is None else event_rates(files, menu, datasets)
    if hertz is not None:
        amounts = np.split(hertz, np.cumsum([len(file.chosen) for file in files])[:-1])

    def select(numbers: Sequence[int], name: str) -> Selected:
        parts = [_selected(files[n], name, *shown[n], amounts[n]) for n in numbers]
        return reduce(add, parts)

    everything = range(len(files))
    identified = all(file.identity is not None for file in files)
    return RunSummary(
        unit="weight" if hertz is None else "Hz",
        datasets=tuple(_dataset(files, group, datasets, select, bool(names)) for group in _groups(files)),
        scores={name: select(everything, name) for name in names},
        runs=_course(files, shown, whole_runs=True) if identified else None,
        sections=_course(files, shown, whole_runs=False) if identified else None,
        rates=None if verdict is None else verdict.rates,
        unblinded=verdict is not None and verdict.unblinded,
    )


def _shown(part: KeptEvents, verdict: Verdict | None) -> tuple[Mask, Mask]:
    """[B] which events may be shown, and which of them are kept by what may be shown."""
    count = len(part.file.chosen)
    if verdict is None or verdict.trigger is None or verdict.unblinded:
        return np.ones(count, bool), part.kept
    menu = verdict.trigger.menu
    seen = ~blinded(part.file.conditions, count)
    bits = [name for name, path in menu.paths.items() if not path.blind]
    bits += [f"stream_{CONTROL_STREAM}"] if menu.control is not None else []
    taken = reduce(np.logical_or, (part.bits[bit_column(name)] for name in bits), np.zeros(count, bool))
    return seen, taken & seen


def _selected(file: SurveyedFile, name: str, seen: Mask, kept: Mask, amounts: _Amounts) -> Selected:
    assert file.scores is not None
    values = interesting(name, file.scores[name])
    return Selected(*(Histogram.of(values[mask], SCORE_EDGES, amounts[mask]) for mask in (seen, kept)))


def _groups(files: Sequence[SurveyedFile]) -> list[tuple[str, list[int]]]:
    """The numbers of the files of each dataset, by its name."""
    alone = sum(not file.dataset_name for file in files) <= _MOST_INPUTS
    groups: dict[str, list[int]] = {}
    for number, file in enumerate(files):
        groups.setdefault(file.dataset_name or (file.source.path if alone else ""), []).append(number)
    return [(name or "inputs without a dataset", numbers) for name, numbers in groups.items()]


def _dataset(
    files: Sequence[SurveyedFile],
    group: tuple[str, list[int]],
    datasets: "Mapping[str, Dataset]",
    select: Callable[[Sequence[int], str], Selected],
    scored: bool,
) -> DatasetSummary:
    name, numbers = group
    own = [files[number] for number in numbers]
    spectra = set.intersection(*(set(file.spectra) for file in own))
    return DatasetSummary(
        name=name,
        kind=datasets[name].kind if name in datasets else None,
        read=sum(file.flow.events["read"] for file in own),
        weight=sum(file.total_weight for file in own),
        interest=select(numbers, "interest") if scored else None,
        spectra={key: reduce(add, (file.spectra[key] for file in own)) for key in sorted(spectra)},
    )


def _course(files: Sequence[SurveyedFile], shown: Sequence[tuple[Mask, Mask]], *, whole_runs: bool) -> Course:
    """By runs or sections, neighbours joined so that blocks have about equally many events where there are too many."""
    who = [file.identity for file in files if file.identity is not None]
    seen, kept = (np.concatenate([masks[n] for masks in shown]) for n in range(2))
    keys = np.concatenate([pack_sections(one.run, one.luminosity_block) for one in who])
    scores = np.concatenate(
        [np.full(len(file.chosen), np.nan) if file.scores is None else file.scores["interest"] for file in files]
    )
    sections, of_event = np.unique(keys, return_inverse=True)
    blocks = _blocks(sections >> np.uint64(32 if whole_runs else 0), np.bincount(of_event, minlength=len(sections)))
    order = np.argsort(of_event, kind="stable")
    edges = np.searchsorted(of_event[order], [start for start, _ in blocks] + [len(sections)])
    columns: list[tuple[int, int, float, float]] = []
    for start, stop in pairwise(edges):
        block = order[start:stop]
        visible = scores[block][seen[block]]
        median, top = np.quantile(visible, [0.5, _TOP]) if len(visible) else (np.nan, np.nan)
        columns.append((len(block), int(kept[block].sum()), float(median), float(top)))
    ends = np.array([(sections[start], sections[stop - 1]) for start, stop in blocks], np.uint64).reshape(-1, 2)
    places = np.concatenate([ends >> np.uint64(32), ends & np.uint64(2**32 - 1)], axis=1).astype(np.int64)
    events, taken, medians, tops = np.array(columns, float).reshape(-1, 4).T
    return Course(
        run=places[:, 0], first=places[:, 2], last_run=places[:, 1], last=places[:, 3],
        events=events.astype(np.int64), kept=taken.astype(np.int64), median=medians, top=tops,
    )  # fmt: skip


def _blocks(keys: npt.NDArray[np.uint64], events: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """[start, stop) of the sections that belong together: those of one key, joined until there are few enough."""
    singles = list(_runs_of(keys))
    if len(singles) <= MOST_BLOCKS:
        return singles
    middle = np.cumsum(events) - events / 2
    share = np.array([middle[start] for start, _ in singles]) * (MOST_BLOCKS / max(events.sum(), 1))
    joined = [
        list(group) for _, group in groupby(singles, key=dict(zip(singles, share.astype(int), strict=True)).__getitem__)
    ]
    return [(group[0][0], group[-1][1]) for group in joined]


def _runs_of(keys: npt.NDArray[np.uint64]) -> Iterator[tuple[int, int]]:
    """[start, stop) of the stretches of equal keys."""
    edges = [0, *(np.flatnonzero(keys[1:] != keys[:-1]) + 1).tolist(), len(keys)]
    yield from ((start, stop) for start, stop in pairwise(edges) if stop > start)
