"""How much each path takes: rates, overlaps, and their course over runs and luminosity sections.

All rates are of events outside blind regions, and of paths that are not blind: what is blind is in none of them, nor
can the rate of a blind path be had as a difference. Rates are signed sums of weights, so that they add up, and in a
small selection of events with negative weights may lie below 0. Intervals are those of `weighted_shares`
(`statistics.intervals`, 68 %); the sum of all events is taken as known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self, cast

import numpy as np
from numpy.typing import NDArray

from hepfilter.events.identity import pack_sections
from hepfilter.shown import Shown
from hepfilter.statistics.intervals import WeightSums, weight_powers, weighted_shares
from hepfilter.statistics.prediction import Unit
from hepfilter.trigger.decisions import Decisions, ResolvedPath
from hepfilter.trigger.events import Mask, TriggerEvents

Values = NDArray[np.float64]
_DIMENSIONS: Final = dict.fromkeys(("raw", "prescaled", "pure", "shared"), 1) | {
    "overlap": 2, "union": 0, "control": 0, "written": 0,
}  # fmt: skip
"""How many axes of a table's rates are its paths."""
_COURSES: Final = ("runs", "sections")


@dataclass(frozen=True)
class Rates:
    """Rates with their intervals, lower ≤ value ≤ upper, arrays of one shape.

    NaN, and any rate, of no events, and where the weights of all do not add up to more than 0.
    """

    value: Values
    lower: Values
    upper: Values

    def plain(self) -> dict[str, Any]:
        """As JSON data."""
        return {name: values.tolist() for name, values in vars(self).items()}

    @classmethod
    def from_plain(cls, data: Mapping[str, Any], shape: tuple[int, ...]) -> Self:
        """What `plain` said of rates of this shape; KeyError, TypeError or ValueError if it was nothing of that."""
        return cls(*(np.asarray(data[name], np.float64).reshape(shape) for name in ("value", "lower", "upper")))


@dataclass(frozen=True)
class BlockRates:
    """The course over S runs or luminosity sections, ordered by number.

    `run` and `luminosity_block` [S] (0 where whole runs are meant), `events` [S] those seen there, blind ones too;
    `prescaled` [S, P] and `union` [S] as in `RateTable`, in Hz the rate while the block lasted: all luminosity sections
    are taken as equally long, as they are in data.
    """

    run: NDArray[np.int64]
    luminosity_block: NDArray[np.int64]
    events: NDArray[np.int64]
    prescaled: Rates
    union: Rates

    def plain(self, *, most: int) -> dict[str, Any]:
        """As JSON data; of more than `most` blocks there are none in it."""
        count = len(self.run) if len(self.run) <= most else 0
        columns = {name: getattr(self, name)[:count].tolist() for name in ("run", "luminosity_block", "events")}
        return columns | {
            name: {key: values[:count].tolist() for key, values in vars(getattr(self, name)).items()}
            for name in ("prescaled", "union")
        }

    @classmethod
    def from_plain(cls, data: Mapping[str, Any], n_paths: int) -> Self:
        """What `plain` said; errors as those of `Rates`."""
        run, block, events = (np.asarray(data[name], np.int64) for name in ("run", "luminosity_block", "events"))
        shapes = {"prescaled": (len(run), n_paths), "union": (len(run),)}
        return cls(run, block, events, *(Rates.from_plain(data[name], shape) for name, shape in shapes.items()))


@dataclass(frozen=True)
class RateTable(Shown):
    """The rates of a menu's P `paths` (those that are shown), in the unit `of`, of `events` events, blind ones too.

    Before (`raw` [P]) and after the prescale (`prescaled` [P]); `pure` [P] of events that no other shown path took,
    `shared` [P] of the rest. `overlap` [P, P]: of events that both took, after prescales; its diagonal is `prescaled`.
    Of shape [] are `union` (any shown path), `control` (the control stream), `written` (either). `blinded` are the
    names of the paths that are left out, `blind_regions` says whether events are.
    """

    of: Unit
    events: int
    paths: tuple[str, ...]
    blinded: tuple[str, ...]
    blind_regions: bool
    raw: Rates
    prescaled: Rates
    pure: Rates
    shared: Rates
    overlap: Rates
    union: Rates
    control: Rates
    written: Rates
    runs: BlockRates
    sections: BlockRates

    def plain(self, *, most_blocks: int) -> dict[str, Any]:
        """As JSON data; a course of more than `most_blocks` blocks is left out."""
        courses = {name: getattr(self, name).plain(most=most_blocks) for name in _COURSES}
        facts = {name: getattr(self, name) for name in ("of", "events", "paths", "blinded", "blind_regions")}
        return facts | {name: getattr(self, name).plain() for name in _DIMENSIONS} | courses

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> Self:
        """What `plain` said; errors as those of `Rates`."""
        n_paths = len(data["paths"])
        shapes = {name: (n_paths,) * number for name, number in _DIMENSIONS.items()}
        return cls(
            of="Hz" if data["of"] == "Hz" else "fraction",
            events=int(data["events"]),
            paths=tuple(map(str, data["paths"])),
            blinded=tuple(map(str, data["blinded"])),
            blind_regions=bool(data["blind_regions"]),
            **cast(Any, {name: Rates.from_plain(data[name], shape) for name, shape in shapes.items()}),
            **cast(Any, {name: BlockRates.from_plain(data[name], n_paths) for name in _COURSES}),
        )


@dataclass(frozen=True)
class _Sample:
    """The events that are counted: what each adds, in Hz or by weight; `runs_of_sections` of all that were seen."""

    of: Unit
    amounts: Values
    run: NDArray[np.int64]
    luminosity_block: NDArray[np.int64]
    runs_of_sections: NDArray[np.int64]

    def rates(self, masks: Mask) -> Rates:
        """Rates of events [B, …] that pass."""
        flat = masks.reshape(len(masks), int(np.prod(masks.shape[1:])))
        sums = WeightSums(*(np.reshape(part @ flat, masks.shape[1:]) for part in weight_powers(self.amounts)))
        every = WeightSums.of(self.amounts)
        return _rates(sums, every, scale=np.abs(every.signed) if self.of == "Hz" else np.asarray(1.0))

    def by_block(self, passed: Mask, *, whole_runs: bool) -> BlockRates:
        """The course, for the paths' bits [B, P] after prescales."""
        sections, of_event = _blocks(self.run, self.luminosity_block)
        blocks = np.unique(sections[:, :1], axis=0) if whole_runs else sections
        lengths = np.ones(len(blocks), np.int64)
        if whole_runs:
            run_of_section = np.searchsorted(blocks[:, 0], sections[:, 0])
            of_event = run_of_section[of_event]
            lengths = (self.runs_of_sections == blocks[:, :1]).sum(axis=1)
            blocks = np.pad(blocks, ((0, 0), (0, 1)))
        bits = np.column_stack([passed, passed.any(axis=1), np.ones(len(passed), bool)])
        sums = [_summed(of_event, bits, part, len(blocks)) for part in weight_powers(self.amounts)]
        every = WeightSums(*(part[:, -1:] for part in sums))
        scale = (
            np.abs(every.signed) * len(self.runs_of_sections) / lengths[:, None]
            if self.of == "Hz"
            else np.ones((len(blocks), 1))
        )
        found = _rates(WeightSums(*(part[:, :-1] for part in sums)), every, scale=scale)
        parts = [found.value, found.lower, found.upper]
        return BlockRates(
            run=blocks[:, 0],
            luminosity_block=blocks[:, 1],
            events=np.bincount(of_event, minlength=len(blocks)),
            prescaled=Rates(*(part[:, :-1] for part in parts)),
            union=Rates(*(part[:, -1] for part in parts)),
        )


def rate_table(
    events: TriggerEvents,
    decisions: Decisions,
    paths: Sequence[ResolvedPath],
    *,
    sections: NDArray[np.uint64] | None = None,
    unblind: bool = False,
) -> RateTable:
    """The table of events [B], the decisions made of them, and the paths in the order of the decisions.

    In Hz where the events' rates are known, else as shares of the summed weights. `sections` (run · 2³² + luminosity
    block) are those that the livetime is of, also without events; None: those of the events. `unblind` shows what is
    blind.
    ValueError if the decisions are not of these paths, or a weight is not finite.
    """
    if decisions.paths != tuple(path.name for path in paths):
        raise ValueError(f"decisions of {decisions.paths} do not fit the paths {[path.name for path in paths]}")
    seen = np.ones(len(events), bool) if unblind else ~events.blind
    shown = np.array([unblind or not path.blind for path in paths], bool)
    sample = _sample(events, seen, sections)
    raw, passed = decisions.raw[:, shown] & seen[:, None], decisions.passed[:, shown] & seen[:, None]
    alone: Mask = passed.sum(axis=1, keepdims=True) == 1
    union: Mask = np.asarray(passed.any(axis=1))
    control: Mask = decisions.control & seen
    return RateTable(
        of=sample.of,
        events=len(events),
        paths=tuple(path.name for path, is_shown in zip(paths, shown, strict=True) if is_shown),
        blinded=tuple(path.name for path, is_shown in zip(paths, shown, strict=True) if not is_shown),
        blind_regions=bool(events.blind.any()) and not unblind,
        raw=sample.rates(raw),
        prescaled=sample.rates(passed),
        pure=sample.rates(passed & alone),
        shared=sample.rates(passed & ~alone),
        overlap=_overlap(sample, passed),
        union=sample.rates(union),
        control=sample.rates(control),
        written=sample.rates(np.logical_or(union, control)),
        runs=sample.by_block(passed, whole_runs=True),
        sections=sample.by_block(passed, whole_runs=False),
    )


def _sample(events: TriggerEvents, seen: Mask, sections: NDArray[np.uint64] | None) -> _Sample:
    """The events, of which those that are not `seen` add nothing; sections and livetime are those of all."""
    amounts = events.weights if events.hertz is None else events.hertz
    if not np.isfinite(amounts).all():
        raise ValueError("a weight is not finite; a rate has no interval then")
    run, section = (np.asarray(column).astype(np.int64) for column in (events.run, events.luminosity_block))
    of: Unit = "fraction" if events.hertz is None else "Hz"
    keys = np.unique(
        pack_sections(run, section) if sections is None else np.append(pack_sections(run, section), sections)
    )
    return _Sample(of, np.where(seen, amounts, 0.0), run, section, (keys >> np.uint64(32)).astype(np.int64))


def _overlap(sample: _Sample, passed: Mask) -> Rates:
    """[P, P], a path at a time, so that no [B, P, P] is ever made."""
    rows = [sample.rates(passed & passed[:, [column]]) for column in range(passed.shape[1])]
    shape = (len(rows), len(rows))
    parts = ([getattr(row, part) for row in rows] for part in ("value", "lower", "upper"))
    return Rates(*(np.reshape(np.array(part, np.float64), shape) for part in parts))


def _rates(passed: WeightSums, every: WeightSums, *, scale: Values) -> Rates:
    """Shares of what `every` event adds, with intervals, times `scale`."""
    found = weighted_shares(passed, every)
    return Rates(found.value * scale, found.lower * scale, found.upper * scale)


def _blocks(run: NDArray[np.int64], section: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The distinct (run, section) [S, 2], both below 2³², ordered, and for each event which it is of."""
    distinct, of_event = np.unique(pack_sections(run, section), return_inverse=True)
    blocks = np.column_stack([distinct >> np.uint64(32), distinct & np.uint64(2**32 - 1)])
    return blocks.astype(np.int64), of_event


def _summed(block: NDArray[np.int64], bits: Mask, amounts: Values, n_blocks: int) -> Values:
    """[S, P] the sums of `amounts` over the events of each block that have each bit."""
    columns = [np.bincount(block[column], amounts[column], n_blocks) for column in bits.T]
    sums: Values = np.stack(columns, axis=1).astype(np.float64)
    return sums
