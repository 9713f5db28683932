"""What a run remembers of all its events, kept or not, so that a report can be made of its output at any time.

It stands in the provenance of the first output. What a menu blinds is in no distribution, unless that was lifted: how
many such events there are follows from the sums, and from the cutflow, which count all events; what they are like does
not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from hepfilter.events.spectra import SPECTRUM_EDGES
from hepfilter.statistics.histograms import Histogram
from hepfilter.trigger.rates import RateTable

FORMAT: Final = 1
MOST_BLOCKS: Final = 400
"""Blocks of a course."""

_LINEAR, _STEP, _GROWTH, _TOP = 10.0, 0.1, 1.05, 1e4
_UPPER = np.append(
    np.arange(0, _LINEAR, _STEP), _LINEAR * _GROWTH ** np.arange(np.ceil(np.log(_TOP / _LINEAR) / np.log(_GROWTH)) + 1)
)
SCORE_EDGES: Final = np.append(-_UPPER[:0:-1], _UPPER)
"""Bins of what `trigger.events.interesting` says: of width 0.1 up to ±10, growing by 5 % beyond, to ±10,000."""

Count = NDArray[np.int64]


@dataclass(frozen=True)
class Course:
    """The events block by block, ordered by run and luminosity section; N ≤ `MOST_BLOCKS` blocks, all arrays are [N].

    A block goes from the section `first` of the `run` to the section `last` of the `last_run`: neighbouring blocks are
    joined where there are too many. `events` passed the cuts, blind ones too; `kept` are written, and shown. `median`
    and `top` are the scores `interest` below which half, and 99 %, of the events lie that are not blind; NaN where
    there are none.
    """

    run: Count
    first: Count
    last_run: Count
    last: Count
    events: Count
    kept: Count
    median: NDArray[np.float64]
    top: NDArray[np.float64]

    def plain(self) -> dict[str, Any]:
        """As JSON data."""
        return {name: values.tolist() for name, values in vars(self).items()}

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> Self:
        """What `plain` said; ValueError, TypeError or KeyError if it was nothing of that."""
        counts = {
            name: np.asarray(data[name], np.int64) for name in ("run", "first", "last_run", "last", "events", "kept")
        }
        median, top = (np.asarray(data[name], float) for name in ("median", "top"))
        if {len(column) for column in (*counts.values(), median, top)} != {len(median)}:
            raise ValueError("the columns of a course differ in length")
        return cls(**counts, median=median, top=top)


@dataclass(frozen=True)
class Selected:
    """A distribution of all events that passed the cuts, and of those that are kept, in the bins `SCORE_EDGES`."""

    every: Histogram
    kept: Histogram

    def __add__(self, other: "Selected") -> "Selected":
        return Selected(self.every + other.every, self.kept + other.kept)

    def plain(self) -> dict[str, Any]:
        """As JSON data."""
        return {"every": self.every.plain(), "kept": self.kept.plain()}

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> Self:
        """What `plain` said; errors as those of `Histogram.from_plain`."""
        return cls(*(Histogram.from_plain(data[name], SCORE_EDGES) for name in ("every", "kept")))


@dataclass(frozen=True)
class DatasetSummary:
    """The events of a dataset; without a catalogue, of an input or, if there are many, of all of them together.

    `read` counts events and `weight` sums their weights before all cuts. `interest` is None without a score. `spectra`
    are of all events that passed the cuts, in no blind region, by the names of `events.spectra.SPECTRA`: of those that
    the model looks at, and empty where events were not read as objects (no model ran, or duplicates went).
    """

    name: str
    kind: str | None
    read: int
    weight: float
    interest: Selected | None
    spectra: Mapping[str, Histogram]

    def plain(self) -> dict[str, Any]:
        """As JSON data."""
        return vars(self) | {
            "interest": None if self.interest is None else self.interest.plain(),
            "spectra": {name: histogram.plain() for name, histogram in self.spectra.items()},
        }

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> Self:
        """What `plain` said; errors as those of `Histogram.from_plain`."""
        return cls(
            name=str(data["name"]),
            kind=data["kind"],
            read=int(data["read"]),
            weight=float(data["weight"]),
            interest=None if data["interest"] is None else Selected.from_plain(data["interest"]),
            spectra={name: Histogram.from_plain(one, SPECTRUM_EDGES) for name, one in data["spectra"].items()},
        )


@dataclass(frozen=True)
class RunSummary:
    """All that a report needs to know of a run beyond its output and provenance.

    Histograms hold events and `unit`: Hz where a rate is known, else generator weights (1 for data); spectra always
    the latter. `scores` have each column of the scores, as `trigger.events.interesting` orders it. `runs` and
    `sections` are None where events have no run and luminosity block. `rates` are None without a menu; their course is
    left out where it has more than `MOST_BLOCKS` blocks. `unblinded`: what a menu blinds is shown here.
    """

    unit: Literal["Hz", "weight"]
    datasets: tuple[DatasetSummary, ...]
    scores: Mapping[str, Selected]
    runs: Course | None
    sections: Course | None
    rates: RateTable | None
    unblinded: bool

    def plain(self) -> dict[str, Any]:
        """As JSON data."""
        courses = {name: getattr(self, name) for name in ("runs", "sections")}
        return {
            "format": FORMAT,
            "unit": self.unit,
            "datasets": [dataset.plain() for dataset in self.datasets],
            "scores": {name: selected.plain() for name, selected in self.scores.items()},
            **{name: None if course is None else course.plain() for name, course in courses.items()},
            "rates": None if self.rates is None else self.rates.plain(most_blocks=MOST_BLOCKS),
            "unblinded": self.unblinded,
        }

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> Self:
        """What `plain` said; ValueError, TypeError, KeyError or AttributeError if it was nothing of that."""
        if data["format"] > FORMAT:
            raise ValueError(f"a summary of format {data['format']}, this version knows up to {FORMAT}")
        return cls(
            unit="Hz" if data["unit"] == "Hz" else "weight",
            datasets=tuple(DatasetSummary.from_plain(one) for one in data["datasets"]),
            scores={name: Selected.from_plain(one) for name, one in data["scores"].items()},
            **{name: None if data[name] is None else Course.from_plain(data[name]) for name in ("runs", "sections")},
            rates=None if data["rates"] is None else RateTable.from_plain(data["rates"]),
            unblinded=bool(data["unblinded"]),
        )
