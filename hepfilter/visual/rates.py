"""Pictures of what a skim and a menu took: the cutflow, and the rates of paths."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from hepfilter.skim.report import CutflowStep
from hepfilter.trigger.rates import RateTable
from hepfilter.visual.style import colour

_SHARES = (("raw", "raw", 0), ("prescaled", "after prescale", 1), ("pure", "pure", 2))


def plot_cutflow(axes: Axes, flow: Sequence[CutflowStep]) -> Axes:
    """A bar for the events that are left after each cut, the first on top."""
    names, events = [step.name for step in flow], [step.events for step in flow]
    axes.barh(range(len(flow)), events, color=colour(0), height=0.65)
    for place, count in enumerate(events):
        share = f" ({count / events[0]:.2%})" if place and events[0] else ""
        axes.annotate(f"{count:,}{share}", (count, place), (5, 0), textcoords="offset points", va="center", fontsize=10)
    axes.set_yticks(range(len(flow)), names)
    axes.yaxis.set_tick_params(which="both", length=0)
    axes.set_ylim(len(flow) - 0.4, -0.6)
    axes.set_xlim(0, 1.35 * max([*events, 1]))
    axes.set_xlabel("events", loc="right")
    return axes


def plot_rates(axes: Axes, table: RateTable) -> Axes:
    """The rate of each path with its 68 % interval: raw, after its prescale, and of events that no other path took."""
    scale, unit = (1.0, "rate [Hz]") if table.of == "Hz" else (100.0, "share of events [%]")
    places = np.arange(len(table.paths))
    for name, label, number in _SHARES:
        rates = getattr(table, name)
        errors = scale * np.stack([rates.value - rates.lower, rates.upper - rates.value])
        axes.errorbar(
            scale * rates.value, places + 0.22 * (number - 1), xerr=errors, fmt="osD"[number], color=colour(number),
            markersize=6, label=label,
        )  # fmt: skip
    axes.set_yticks(places, table.paths)
    axes.yaxis.set_tick_params(which="both", length=0)
    axes.set_ylim(len(places) - 0.4, -0.6)
    axes.set_xlabel(unit, loc="right")
    axes.legend()
    return axes
