"""Pictures of how well scores find signals: ROC curves, significance improvement, efficiencies."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

from hepfilter.evaluation.families import FamilyResult, Measure
from hepfilter.evaluation.metrics import BACKGROUND_EFFICIENCIES, MIN_BACKGROUND_ABOVE, RocCurve, WorkingPoint
from hepfilter.visual.style import GREY, colour, say_in_line, say_why_empty
from hepfilter.wording import MEASURE_NAMES

LIGHT = "#c5ddf4"
TOO_FEW = f"fewer than {MIN_BACKGROUND_ABOVE} background events above"
NO_SIGNAL = "no signal event above"
_MARKERS = ("o", "s", "D")
_DASHED: Mapping[str, Any] = {"linestyle": (0, (2, 1.5)), "linewidth": 1.2}


def plot_roc(
    axes: Axes, families: Sequence[FamilyResult], *, score: str, baseline: str, measure: Measure, title: str
) -> Axes:
    """Signal efficiency against background efficiency: `score` as lines, `baseline` dashed in the same colour.

    The legend names the families that have a line.
    """
    for number, result in enumerate(families):
        by_score = result.comparison(measure).by_score
        label = result.family if result.seen else f"{result.family} (unseen)"
        for name in (score, baseline):
            curve, style = by_score[name].roc, {} if name == score else _DASHED
            if len(curve.background) > 1:
                axes.plot(curve.background, curve.signal, color=colour(number), label=label, **style)
                label = "_"  # a family is named once
    if axes.lines:
        axes.legend(loc="lower right", handlelength=1.2)
    else:
        say_why_empty(axes, _why_no_curve([f.comparison(measure).by_score[score].roc for f in families]))
    chance = [10 ** (-4 + step / 10) for step in range(41)]
    axes.plot(chance, chance, color=GREY, linewidth=1)
    axes.set_xscale("log")
    axes.set_xlim(1e-4, 1)
    axes.set_ylim(0, 1.02)
    axes.set_title(title, loc="left")
    return axes


def plot_improvement(axes: Axes, families: Sequence[FamilyResult], *, score: str, measure: Measure) -> Axes:
    """ε_S/√ε_B of each family at each fixed background efficiency, with its interval; hollow where unseen.

    The legend is for the figure: both measures have the same.
    """
    drawn = set()
    for number, target in enumerate(BACKGROUND_EFFICIENCIES):
        points = _points(families, score=score, measure=measure, target=target)
        shown = {place: point for place, point in enumerate(points) if point is not None and point.sic.value > 0}
        for place, point in shown.items():
            error = [[point.sic.value - point.sic.lower], [point.sic.upper - point.sic.value]]
            axes.errorbar(
                point.sic.value, place + 0.22 * (number - 1), xerr=error, fmt=_MARKERS[number], color=colour(number),
                markersize=6, markerfacecolor=colour(number) if families[place].seen else "white", elinewidth=1.5,
            )  # fmt: skip
        if shown:
            axes.plot([], [], _MARKERS[number], color=colour(number), label=f"$\\varepsilon_B$ = {_power(target)}")
        drawn |= set(shown)
    if not all(families[place].seen for place in drawn):
        axes.plot([], [], "o", color="black", markerfacecolor="white", label="hollow: unseen")
    for place in set(range(len(families))) - drawn:
        any_point = any(families[place].comparison(measure).by_score[score].working_points.values())
        say_in_line(axes, place, NO_SIGNAL if any_point else TOO_FEW)
    axes.axvline(1, color=GREY, linewidth=1)
    axes.set_xscale("log")
    axes.set_xlabel(r"significance improvement  $\varepsilon_S\,/$√$\varepsilon_B$", loc="right")
    return _name_families(axes, families, MEASURE_NAMES[measure])


def plot_efficiencies(
    axes: Axes, families: Sequence[FamilyResult], *, score: str, baseline: str, measure: Measure, target: float
) -> Axes:
    """Bars: the signal efficiency of `score` with its interval, light where unseen; diamonds: that of `baseline`.

    The legend is for the figure: both measures have the same.
    """
    points, others = (_points(families, score=name, measure=measure, target=target) for name in (score, baseline))
    faces = {}
    for place, (result, point) in enumerate(zip(families, points, strict=True)):
        if point is not None and point.signal.n_effective > 0:
            signal = point.signal
            error = [[signal.value - signal.lower], [signal.upper - signal.value]]
            face, label = (colour(0), f"{score}, seen") if result.seen else (LIGHT, f"{score}, unseen")
            axes.barh(place, signal.value, height=0.7, color=face, edgecolor=colour(0), xerr=error, ecolor="black")
            faces[label] = face
        else:
            say_in_line(axes, place, TOO_FEW if point is None else NO_SIGNAL)
    for label, face in sorted(faces.items()):
        axes.plot([], [], "s", color=face, markeredgecolor=colour(0), markersize=11, label=label)
    known = [(place, other.signal.value) for place, other in enumerate(others) if other is not None]
    for place, value in known:
        axes.plot(value, place, "D", color=colour(1), markersize=5, clip_on=False)
    if known:
        axes.plot([], [], "D", color=colour(1), markersize=5, label=baseline)
    axes.set_xlim(0, 1.02)
    axes.set_xlabel(f"signal efficiency at $\\varepsilon_B$ = {_power(target)}", loc="right")
    return _name_families(axes, families, MEASURE_NAMES[measure])


def _points(
    families: Sequence[FamilyResult], *, score: str, measure: Measure, target: float
) -> list[WorkingPoint | None]:
    return [result.comparison(measure).by_score[score].working_points[target] for result in families]


def _why_no_curve(curves: Sequence[RocCurve]) -> str:
    """A curve of nothing but its end has no threshold; one without an end has no signal or no background."""
    return TOO_FEW if any(curve.background for curve in curves) else "no signal and background to compare"


def _name_families(axes: Axes, families: Sequence[FamilyResult], title: str) -> Axes:
    """One line for each family, the first on top."""
    axes.set_yticks(range(len(families)), [result.family for result in families])
    axes.yaxis.set_tick_params(which="both", length=0)
    axes.set_ylim(len(families) - 0.4, -0.6)
    axes.set_title(title, loc="left")
    return axes


def _power(target: float) -> str:
    """``$10^{-2}$``."""
    from math import log10

    return f"$10^{{{log10(target):.3g}}}$"
