"""Pictures of what is to be checked of a score: its distribution, what it shapes, what it goes by, what it hangs on."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from hepfilter.evaluation.calibration import NOMINAL, CalibrationCheck
from hepfilter.evaluation.distributions import ScoreDistribution
from hepfilter.evaluation.families import Measure
from hepfilter.evaluation.injection import InjectionScan
from hepfilter.evaluation.sculpting import CORRELATED, ScoreCorrelation, Sculpting
from hepfilter.evaluation.shifts import Shift
from hepfilter.visual.performance import TOO_FEW
from hepfilter.visual.style import GREY, colour, say_why_empty
from hepfilter.wording import MEASURE_NAMES

OBSERVABLE_NAMES = {"dijet_mass": "dijet mass [GeV]", "ht": "$H_T$ [GeV]"}


def plot_scores(axes: Axes, distribution: ScoreDistribution, families: Sequence[str], *, title: str) -> Axes:
    """The share of events in each bin: background filled, some families as lines."""
    axes.stairs(distribution.background, distribution.edges, fill=True, color="#d5dbda", label="background")
    for number, family in enumerate(families):
        axes.stairs(
            distribution.families[family], distribution.edges, color=colour(number), label=family, linewidth=1.8
        )
    axes.set_yscale("log")
    axes.set_ylim(1e-6, 1e2)
    axes.set_title(title, loc="left")
    axes.legend(loc="upper right", handlelength=1.2)
    return axes


def plot_sculpting(axes: Axes, sculpting: Sculpting) -> Axes:
    """The spectrum of all background and of what passes, with its divergence and that of a random selection."""
    axes.stairs(sculpting.contents, sculpting.edges, fill=True, color="#d5dbda", label="all background")
    for number, passing in enumerate(sculpting.passing):
        label = f"{100 * passing.share:g} %: JS {passing.divergence:.3f} (by chance {passing.expected:.3f})"
        axes.stairs(passing.contents, sculpting.edges, color=colour(number), label=label, linewidth=1.8)
    if not sculpting.passing:
        say_why_empty(axes, TOO_FEW)
    axes.set_xscale("log")
    axes.set_xlabel(OBSERVABLE_NAMES.get(sculpting.observable, sculpting.observable), loc="right")
    axes.set_ylabel("share of events", loc="top")
    axes.set_ylim(0, 1.45 * max(max(sculpting.contents), *(max(p.contents) for p in sculpting.passing), 1e-9))
    axes.set_title(f"background passing by {sculpting.score}", loc="left")
    axes.legend(loc="upper left")
    return axes


def plot_correlations(axes: Axes, correlations: Sequence[ScoreCorrelation], *, measure: Measure) -> Axes:
    """Spearman's coefficient of each score with each observable, and below it the distance correlation."""
    chosen = [found for found in correlations if found.measure == measure]
    scores = list(dict.fromkeys(found.score for found in chosen))
    values = np.full((len(scores), len(CORRELATED)), np.nan)
    for found in chosen:
        line, column = scores.index(found.score), CORRELATED.index(found.observable)
        rank, distance = found.correlation.spearman, found.correlation.distance
        values[line, column] = rank
        if not (np.isfinite(rank) and np.isfinite(distance)):
            axes.text(column, line, "undefined", ha="center", va="center", fontsize=9, color=GREY)
            continue
        axes.text(column, line - 0.13, f"{rank:+.2f}", ha="center", va="center", fontsize=13, color=_ink(rank))
        axes.text(column, line + 0.24, f"dCor {distance:.2f}", ha="center", va="center", fontsize=9, color=_ink(rank))
    axes.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
    return _name_cells(axes, scores, CORRELATED, f"background, {MEASURE_NAMES[measure]}")


def plot_injection(axes: Axes, scans: Sequence[InjectionScan], *, title: str) -> Axes:
    """The significance against the number of injected events: median, and the central 68 % of the draws."""
    for number, scan in enumerate(scans):
        n_signal = [
            max(point.n_signal, 3) for point in scan.points
        ]  # 0 stands at the left edge of the logarithmic axis
        spreads = [point.significance for point in scan.points]
        axes.plot(n_signal, [s.median for s in spreads], "o-", color=colour(number), markersize=4, label=scan.family)
        axes.fill_between(
            n_signal,
            [s.lower for s in spreads],
            [s.upper for s in spreads],
            color=colour(number),
            alpha=0.2,
            linewidth=0,
        )
    for sigma in (0, 5):
        axes.axhline(sigma, color=GREY, linewidth=1)
    axes.set_xscale("log")
    axes.set_yscale("symlog", linthresh=5)
    axes.set_xticks([3, 10, 100, 1000], ["0", "10", "100", "1000"])
    axes.set_yticks([0, 2, 5, 20, 100], ["0", "2", "5", "20", "100"])
    axes.set_ylim(-3, 200)
    axes.set_title(title, loc="left")
    axes.legend(loc="upper left", handlelength=1.2)
    return axes


def plot_shifts(axes: Axes, shifts: Sequence[Shift], *, target: float) -> Axes:
    """The efficiency above the nominal threshold under each shift, over the nominal one; the background first."""
    families = [family.family for family in shifts[0].families]
    values = np.full((1 + len(families), len(shifts)), np.nan)
    for column, shift in enumerate(shifts):
        if target not in shift.thresholds:
            continue
        values[0, column] = shift.background[target].value / shift.nominal_background[target].value
        for line, family in enumerate(shift.families):
            nominal = family.nominal[target].value
            values[1 + line, column] = family.shifted[target].value / nominal if nominal > 0 else np.nan
    axes.imshow(np.log2(np.clip(values, 0.25, 4)), cmap="RdBu_r", vmin=-2, vmax=2, aspect="auto")
    for (line, column), value in np.ndenumerate(values):
        ink = _ink(float(np.log2(np.clip(value, 0.25, 4))) / 2) if np.isfinite(value) else GREY
        text = f"{value:.2f}" if np.isfinite(value) else "–"
        axes.text(column, line, text, ha="center", va="center", fontsize=10, color=ink)
    names = [shift.name for shift in shifts]
    title = f"{shifts[0].score}: efficiency under the shift / nominal, threshold at $\\varepsilon_B$ = {target:g}"
    _name_cells(axes, ["background", *families], names, title)
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right", rotation_mode="anchor")
    return axes


def plot_calibration(axes: Axes, checks: Sequence[CalibrationCheck]) -> Axes:
    """The share of the background with at most this p-value, over the p-value, with its interval."""
    for number, check in enumerate(checks):
        points = [point for point in check.points if point.n_events > 0]
        if not points:
            continue
        x = [point.nominal * 1.03 ** (number - len(checks) / 2) for point in points]
        ratio = [point.observed.value / point.nominal for point in points]
        low = [(point.observed.value - point.observed.lower) / point.nominal for point in points]
        high = [(point.observed.upper - point.observed.value) / point.nominal for point in points]
        axes.errorbar(x, ratio, yerr=[low, high], fmt="o", color=colour(number), markersize=5, label=check.head)
    if axes.containers:
        axes.legend(loc="upper right")
    else:
        say_why_empty(axes, f"no background event has p ≤ {max(NOMINAL):g}")
    axes.axhline(1, color=GREY, linewidth=1)
    axes.set_xscale("log")
    axes.set_xlim(min(NOMINAL) / 2, 1)
    axes.set_ylim(0, 2.5)
    axes.set_xlabel("background p-value", loc="right")
    axes.set_ylabel("observed share / p-value", loc="top")
    return axes


def _name_cells(axes: Axes, lines: Sequence[str], columns: Sequence[str], title: str) -> Axes:
    """A matrix with names at both sides and no ticks."""
    axes.set_yticks(range(len(lines)), lines)
    axes.set_xticks(range(len(columns)), columns)
    axes.tick_params(which="both", length=0)
    axes.set_title(title, loc="left")
    return axes


def _ink(value: float) -> str:
    """White on dark colours; `value` in [-1, 1]."""
    return "white" if abs(value) > 0.6 else "black"
