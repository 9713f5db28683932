"""Pictures of how well scores find signals: ROC curves, significance improvement, efficiencies."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from hepfilter.evaluation.families import FamilyResult, Measure
from hepfilter.evaluation.metrics import BACKGROUND_EFFICIENCIES, WorkingPoint
from hepfilter.visual.style import GREY, colour

MEASURE_NAMES: Mapping[Measure, str] = {"physical": "physical mix", "matched": "hardness-matched"}
LIGHT = "#c5ddf4"
_MARKERS = ("o", "s", "D")


def plot_roc(
    axes: Axes, families: Sequence[FamilyResult], *, score: str, baseline: str, measure: Measure, title: str
) -> Axes:
    """Signal efficiency against background efficiency: `score` as lines, `baseline` dashed in the same colour."""
    for number, result in enumerate(families):
        by_score = result.comparison(measure).by_score
        label = result.family if result.seen else f"{result.family} (unseen)"
        axes.plot(by_score[score].roc.background, by_score[score].roc.signal, color=colour(number), label=label)
        other = by_score[baseline].roc
        axes.plot(other.background, other.signal, color=colour(number), linestyle=(0, (2, 1.5)), linewidth=1.2)
    chance = [10 ** (-4 + step / 10) for step in range(41)]
    axes.plot(chance, chance, color=GREY, linewidth=1)
    axes.set_xscale("log")
    axes.set_xlim(1e-4, 1)
    axes.set_ylim(0, 1.02)
    axes.set_title(title, loc="left")
    axes.legend(loc="lower right", handlelength=1.2)
    return axes


def plot_improvement(axes: Axes, families: Sequence[FamilyResult], *, score: str, measure: Measure) -> Axes:
    """ε_S/√ε_B of each family at each fixed background efficiency, with its interval; hollow where unseen.

    The legend is for the figure: both measures have the same.
    """
    for number, target in enumerate(BACKGROUND_EFFICIENCIES):
        points = _points(families, score=score, measure=measure, target=target)
        shift = 0.22 * (number - 1)
        for place, (result, point) in enumerate(points):
            if point is None or not point.sic.value > 0:
                continue
            error = [[point.sic.value - point.sic.lower], [point.sic.upper - point.sic.value]]
            axes.errorbar(
                point.sic.value, place + shift, xerr=error, fmt=_MARKERS[number], color=colour(number), markersize=6,
                markerfacecolor=colour(number) if result.seen else "white", elinewidth=1.5,
            )  # fmt: skip
        axes.plot([], [], _MARKERS[number], color=colour(number), label=f"$\\varepsilon_B$ = {_power(target)}")
    axes.plot([], [], "o", color="black", markerfacecolor="white", label="hollow: unseen")
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
    pairs = zip(
        _points(families, score=score, measure=measure, target=target),
        _points(families, score=baseline, measure=measure, target=target),
        strict=True,
    )
    for place, ((result, point), (_, other)) in enumerate(pairs):
        if point is not None and point.signal.n_effective > 0:
            signal = point.signal
            error = [[signal.value - signal.lower], [signal.upper - signal.value]]
            face = colour(0) if result.seen else LIGHT
            axes.barh(place, signal.value, height=0.7, color=face, edgecolor=colour(0), xerr=error, ecolor="black")
        else:
            axes.text(0.01, place, "too little background", va="center", fontsize=9, color=GREY)
        if other is not None:
            axes.plot(other.signal.value, place, "D", color=colour(1), markersize=5, clip_on=False)
    for face, label in ((colour(0), f"{score}, seen"), (LIGHT, f"{score}, unseen")):
        axes.plot([], [], "s", color=face, markeredgecolor=colour(0), markersize=11, label=label)
    axes.plot([], [], "D", color=colour(1), markersize=5, label=baseline)
    axes.set_xlim(0, 1.02)
    axes.set_xlabel(f"signal efficiency at $\\varepsilon_B$ = {_power(target)}", loc="right")
    return _name_families(axes, families, MEASURE_NAMES[measure])


def _points(
    families: Sequence[FamilyResult], *, score: str, measure: Measure, target: float
) -> list[tuple[FamilyResult, WorkingPoint | None]]:
    return [(result, result.comparison(measure).by_score[score].working_points[target]) for result in families]


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
