"""From a menu and a sample to thresholds, and to what they will give in a future sample.

A fraction or a rate is that of what a path writes, its prescale included (a path that is off is resolved as if it were
on without one), and is taken of the events outside blind regions: neither a threshold nor a prediction tells what lies
in a region. A threshold is the lowest such that it, and every higher one, takes no more than its budget allows, by the
sum of weights: without negative weights the largest set of events. Events of equal score pass together.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hepfilter.config.menu import Menu, PathDefinition
from hepfilter.errors import UsageError
from hepfilter.statistics.counts import ScoreCounts
from hepfilter.statistics.intervals import effective_number
from hepfilter.statistics.prediction import Prediction, Unit, predict
from hepfilter.trigger.budget import SharedBudget, share_budget
from hepfilter.trigger.decisions import ResolvedPath, raw_bits, resolved_paths
from hepfilter.trigger.events import TriggerEvents, interesting
from hepfilter.trigger.prescales import accepted_share
from hepfilter.wording import counted

LEAST_PASSING: Final = 10
"""Effective events of the sample that must pass a threshold that is set by a budget, before the prescale."""

_ROUNDING: Final = 1e-9

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Resolution:
    """The thresholds of a menu, in the order of its paths, and what they will give, after prescales.

    `predictions` are by path, in the unit of its working point, else in Hz where that is known. `union` is that of all
    paths (without the control stream), `budget` that of those that share the budget. A blind path is in none of them
    unless it was unblinded; `budget` is None if one shares it, `union` if no path is left.
    """

    paths: tuple[ResolvedPath, ...]
    predictions: Mapping[str, Prediction]
    union: Prediction | None
    budget: Prediction | None


def resolve(menu: Menu, events: TriggerEvents, *, future: int | None = None, unblind: bool = False) -> Resolution:
    """Tune the thresholds of a menu on a sample, and predict the rates in one of `future` events (None: as many).

    `unblind` shows what is blind; it changes no threshold. UsageError if a rate is asked for and the sample's is not
    known, if weights are not finite or do not add up to more than 0, or if the sample is too small for a budget, with
    the number of events that it takes.
    """
    sample = events[~events.blind]
    if obstacle := _obstacle(sample):
        raise UsageError(obstacle)
    thresholds = _shared_thresholds(menu, sample)
    for name, path in menu.paths.items():
        if path.has_working_point:
            thresholds[name] = _own_threshold(name, path, sample)
    paths = resolved_paths(menu, thresholds)
    return _predicted(menu, paths, events if unblind else sample, future=future, unblind=unblind)


def stated_thresholds(menu: Menu) -> dict[str, float] | None:
    """The thresholds of the paths with a score, by name, where the menu states all; None where a sample decides."""
    stated = {name: _stated(path) for name, path in menu.paths.items() if path.score is not None}
    known = {name: threshold for name, threshold in stated.items() if threshold is not None}
    return known if len(known) == len(stated) else None


def is_sample(events: TriggerEvents) -> bool:
    """Whether `resolve` takes these events: there are some outside blind regions, and weights add up to more than 0."""
    return not _obstacle(events[~events.blind])


def _obstacle(sample: TriggerEvents) -> str:
    """Why no rate can be made of the events outside blind regions; empty if it can."""
    if not len(sample):
        return "there are no events outside the blind regions; thresholds need a sample"
    for amounts in (sample.weights, sample.hertz):
        if amounts is not None and (wrong := _wrong(amounts)):
            remedy = "give a larger sample, or state all thresholds in the menu: a skim then needs none"
            return f"{wrong}, of which no rates are made; {remedy}"
    return ""


def _wrong(amounts: Values) -> str:
    """Why weights are those of no rate; empty if they are."""
    if not np.isfinite(amounts.sum()):
        return "weights of events are not finite"
    if amounts.sum() > 0:
        return ""
    return _told_sum(amounts) if amounts.any() else "all weights of events are 0"


def _told_sum(amounts: Values) -> str:
    """What there is of events, where that is no more than 0."""
    return f"the weights of {counted(len(amounts), 'event')} add up to {amounts.sum():.3g}"


def _stated(path: PathDefinition) -> float | None:
    """The threshold that a path states; None where a sample decides."""
    if path.p_value is None:
        return path.threshold
    assert path.column is not None
    return float(interesting(path.column, np.array([path.p_value]))[0])


def _own_threshold(name: str, path: PathDefinition, sample: TriggerEvents) -> float:
    """The threshold of a path with a working point of its own."""
    assert path.column is not None
    stated = _stated(path)
    if stated is not None:
        return stated
    amounts, budget = _allowance(path.fraction, path.rate, sample, where=f"path {name}")
    values = _candidates(sample, name, path)
    allowed = budget / (accepted_share(path.prescale) or 1.0)
    threshold = ScoreCounts.of(values[values > -np.inf], amounts[values > -np.inf]).lowest_within(allowed)
    lowest = math.inf if threshold is None else threshold
    _refuse_few(f"path {name}: its {'rate' if path.rate else 'fraction'}", values, amounts, lowest, allowed)
    return lowest


def _shared_thresholds(menu: Menu, sample: TriggerEvents) -> dict[str, float]:
    """The thresholds of the paths that share the budget, by name; none without one."""
    if menu.budget is None:
        return {}
    paths = {name: menu.paths[name] for name in menu.budgeted}
    for name, path in paths.items():
        if path.prescale == 0:
            raise UsageError(f"path {name}: is off and shares the budget; leave it out, or give it a threshold")
    amounts, budget = _allowance(menu.budget.fraction, menu.budget.rate, sample, where="budget")
    problem = SharedBudget(
        values=np.stack([_candidates(sample, name, path) for name, path in paths.items()]),
        amounts=amounts,
        budget=budget,
        accepted=np.array([accepted_share(path.prescale) for path in paths.values()]),
        priorities=np.array([path.priority for path in paths.values()]),
    )
    for name, values in zip(paths, problem.values, strict=True):
        _refuse_empty(f"path {name}", values, amounts)
    thresholds = share_budget(problem)
    rates = problem.rates(thresholds)
    allowed = np.where(rates > 0, rates, budget * problem.priorities / problem.priorities.sum())
    for position, name in enumerate(paths):
        values, part = problem.values[position], float(allowed[position] / problem.accepted[position])
        _refuse_few(f"path {name}: its part of the budget", values, amounts, float(thresholds[position]), part)
    return dict(zip(paths, thresholds.tolist(), strict=True))


def _allowance(
    fraction: Fraction | None, rate: float | None, sample: TriggerEvents, *, where: str
) -> tuple[Values, float]:  # fmt: skip
    """[N] what each event adds, and how much of that a fraction or a rate allows."""
    if fraction is not None:
        return sample.weights, float(fraction) * float(sample.weights.sum())
    assert rate is not None
    if sample.hertz is None:
        what = "data need run and luminosityBlock, simulation its cross-sections and the menu's luminosity"
        raise UsageError(f"{where}: a rate in Hz is not known of these events: {what}; give a fraction")
    return sample.hertz, rate


def _candidates(sample: TriggerEvents, name: str, path: PathDefinition) -> Values:
    """[N] how interesting each event is to a path, −inf where its condition fails."""
    assert path.column is not None
    return np.where(sample.when[name], interesting(path.column, sample.scores[path.column]), -np.inf)


def _refuse_empty(what: str, values: Values, amounts: Values) -> None:
    """UsageError if no candidate has a weight."""
    if not ((values > -np.inf) & (amounts != 0)).any():
        raise UsageError(
            f"{what}: its `when` is true for none of {counted(len(values), 'event')}; give a larger sample"
        )


def _refuse_few(what: str, values: Values, amounts: Values, threshold: float, allowed: float) -> None:
    """UsageError if fewer than `LEAST_PASSING` effective events pass, with the number of events that would do."""
    candidates = (values > -np.inf) & (amounts != 0)
    passed = candidates & (values >= threshold)
    passing = effective_number(amounts[passed]) if amounts[passed].sum() > 0 else 0.0
    if passing >= LEAST_PASSING * (1 - _ROUNDING):
        return
    _refuse_empty(what, values, amounts)
    every = amounts[candidates]
    if not every.sum() > 0:
        raise UsageError(f"{what}: {_told_sum(every)} where its `when` is true; give a larger sample")
    possible = min(allowed / _one_event(values[candidates], every), effective_number(every))
    next_level = candidates & (values == values[candidates & ~passed].max(initial=-np.inf))
    if possible >= LEAST_PASSING and np.count_nonzero(next_level) > 1:
        raise UsageError(f"{what}: {next_level.sum():,} events of equal score do not fit into it; make it larger")
    share = min(possible, max(passing, 1.0)) if possible >= LEAST_PASSING else possible
    needed = math.ceil(len(values) * LEAST_PASSING / share * (1 - _ROUNDING))
    few = f"{share:.3g} effective events of {len(values):,}, and {LEAST_PASSING} must pass"
    raise UsageError(f"{what} leaves {few}; give a sample of {needed:,} events, or allow more")


def _one_event(values: Values, amounts: Values) -> float:
    """What an effective event adds, Σa² / Σa, by the events of highest value, `LEAST_PASSING` of them if there are.

    The sum of all is above 0.
    """
    ranked = amounts[np.argsort(-values, kind="stable")]
    sums, squares = np.cumsum(ranked), np.cumsum(ranked**2)
    enough = np.flatnonzero((sums > 0) & (sums**2 / squares >= LEAST_PASSING * (1 - _ROUNDING)))
    last = enough[0] if len(enough) else -1
    return float(squares[last] / sums[last])


def _predicted(
    menu: Menu, paths: tuple[ResolvedPath, ...], events: TriggerEvents, *, future: int | None, unblind: bool
) -> Resolution:
    """The thresholds with what they give of `events`."""
    shown = [path for path in paths if unblind or not path.blind]
    accepted = np.array([accepted_share(path.prescale) for path in shown])
    chances = raw_bits(events, shown) * accepted
    known: Unit = "fraction" if events.hertz is None else "Hz"
    units: list[Unit] = [_unit(menu.paths[path.name], menu, known) for path in shown]

    def of(probability: Values, unit: Unit, *, tuned: bool) -> Prediction:
        amounts = events.hertz if unit == "Hz" and events.hertz is not None else events.weights
        return predict(probability, amounts, of=unit, tuned=tuned, future=future)

    predictions = {
        path.name: of(chances[:, column], unit, tuned=_is_tuned(menu.paths[path.name]))
        if path.prescale
        else Prediction(0.0, 0.0, 0.0, 0.0, unit)
        for column, (path, unit) in enumerate(zip(shown, units, strict=True))
    }
    sharing = [column for column, path in enumerate(shown) if path.name in menu.budgeted]
    complete = menu.budget is not None and len(sharing) == len(menu.budgeted)
    return Resolution(
        paths=paths,
        predictions=predictions,
        union=of(_any(chances), known, tuned=False) if shown else None,
        budget=of(_any(chances[:, sharing]), units[sharing[0]], tuned=True) if complete else None,
    )


def _any(chances: Values) -> Values:
    """[N] the probability that one of the paths takes an event, of those [N, P] of each."""
    union: Values = 1 - (1 - chances).prod(axis=1)
    return union


def _is_tuned(path: PathDefinition) -> bool:
    """Whether the sample decided on the threshold."""
    return path.score is not None and path.threshold is None and path.p_value is None


def _unit(path: PathDefinition, menu: Menu, known: Unit) -> Unit:
    """That of the path's own fraction or rate, that of the budget it shares, else what is known."""
    asked = menu.budget if path.score is not None and not path.has_working_point else path
    if asked is None or (asked.fraction is None and asked.rate is None):
        return known
    return "Hz" if asked.rate is not None else "fraction"
