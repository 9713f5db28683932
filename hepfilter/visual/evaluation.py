"""All plots of an evaluation, as files."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from hepfilter.config.groups import FamilyGroups
from hepfilter.evaluation.families import MEASURES, FamilyResult
from hepfilter.evaluation.metrics import BACKGROUND_EFFICIENCIES
from hepfilter.evaluation.run import Evaluation
from hepfilter.visual.checks import (
    plot_calibration,
    plot_correlations,
    plot_injection,
    plot_scores,
    plot_sculpting,
    plot_shifts,
)
from hepfilter.visual.performance import plot_efficiencies, plot_improvement, plot_roc
from hepfilter.visual.style import grid, plot_style, row, save, shared_legend
from hepfilter.wording import MEASURE_NAMES

BASELINE = "ht"


def write_plots(evaluation: Evaluation, folder: Path, groups: FamilyGroups) -> list[Path]:
    """Every plot as PNG and SVG in `folder`, which exists; the paths, in order."""
    with plot_style():
        figures = [
            (name, figure) for head in evaluation.heads for name, figure in _of_head(evaluation, head, groups)
        ] + list(_of_model(evaluation))
        return [path for name, figure in figures for path in save(figure, folder, name)]


def _of_head(evaluation: Evaluation, head: str, groups: FamilyGroups) -> Iterator[tuple[str, Figure]]:
    """The plots of one score."""
    grouped = groups.grouped(result.family for result in evaluation.families)
    families = [result for members in grouped.values() for result in _chosen(evaluation, members)]
    for measure in MEASURES:
        figure, panels = grid(len(grouped))
        for axes, (group, members) in zip(panels, grouped.items(), strict=True):
            chosen = _chosen(evaluation, members)
            plot_roc(axes, chosen, score=head, baseline=BASELINE, measure=measure, title=group)
        _name_axes(figure, "background efficiency", "signal efficiency")
        figure.suptitle(f"{head} (dashed: {BASELINE}, grey: chance), {MEASURE_NAMES[measure]}", fontsize=14)
        yield f"roc-{measure}-{head}", figure
    possible = [target for target in BACKGROUND_EFFICIENCIES if _any_point(families, head, target)]
    size = (5.5, 1.8 + 0.34 * len(families))
    if possible:
        figure, panels = row(2, size=size)
        for axes, measure in zip(panels, MEASURES, strict=True):
            plot_improvement(axes, families, score=head, measure=measure)
        shared_legend(figure, panels, columns=4)
        yield f"sic-{head}", figure
    for target in possible:
        figure, panels = row(2, size=size)
        for axes, measure in zip(panels, MEASURES, strict=True):
            plot_efficiencies(axes, families, score=head, baseline=BASELINE, measure=measure, target=target)
        shared_legend(figure, panels, columns=3)
        yield f"efficiency-{target:g}-{head}", figure
    yield from _checks_of_head(evaluation, head, grouped)


def _checks_of_head(
    evaluation: Evaluation, head: str, grouped: dict[str, tuple[str, ...]]
) -> Iterator[tuple[str, Figure]]:
    """Distributions, sculpting, injections and shifts of one score."""
    for distribution in evaluation.distributions:
        if distribution.score == head:
            figure, panels = grid(len(grouped))
            for axes, (group, members) in zip(panels, grouped.items(), strict=True):
                plot_scores(axes, distribution, members, title=group)
            yield f"scores-{head}", _name_axes(figure, head, "share of events")
    sculpted = [found for found in evaluation.sculpting if found.score == head]
    if sculpted:
        figure, panels = row(len(sculpted), size=(6.5, 5.0), share=False)
        for axes, found in zip(panels, sculpted, strict=True):
            plot_sculpting(axes, found)
        yield f"sculpting-{head}", figure
    for share in dict.fromkeys(scan.share for scan in evaluation.injections):
        scans = [scan for scan in evaluation.injections if (scan.score, scan.share) == (head, share)]
        figure, panels = grid(len(grouped))
        for axes, (group, members) in zip(panels, grouped.items(), strict=True):
            plot_injection(axes, [scan for scan in scans if scan.family in members], title=group)
        among = f"injected signal events among {scans[0].n_background:,} of background"
        yield (
            f"injection-{share:g}-{head}",
            _name_axes(figure, among, f"significance in the top {100 * share:g} % [$\\sigma$]"),
        )
    shifts = [shift for shift in evaluation.shifts if shift.score == head]
    if shifts and shifts[0].thresholds:
        figure, panels = row(1, size=(2.5 + 0.95 * len(shifts), 2.2 + 0.36 * len(shifts[0].families)))
        plot_shifts(panels[0], shifts, target=max(shifts[0].thresholds))
        yield f"shifts-{head}", figure


def _of_model(evaluation: Evaluation) -> Iterator[tuple[str, Figure]]:
    """The plots that show all scores together."""
    figure, panels = row(2, size=(5.2, 1.6 + 0.6 * len(evaluation.families[0].physical.by_score)))
    for axes, measure in zip(panels, MEASURES, strict=True):
        plot_correlations(axes, evaluation.correlations, measure=measure)
    yield "correlations", figure
    if evaluation.calibration:
        figure, panels = row(1, size=(6.5, 5.0))
        plot_calibration(panels[0], evaluation.calibration)
        yield "calibration", figure


def _chosen(evaluation: Evaluation, families: Sequence[str]) -> list[FamilyResult]:
    return [result for result in evaluation.families if result.family in families]


def _any_point(families: Sequence[FamilyResult], head: str, target: float) -> bool:
    return any(f.comparison(m).by_score[head].working_points[target] is not None for f in families for m in MEASURES)


def _name_axes(figure: Figure, x: str, y: str) -> Figure:
    """The names of the axes that all panels share."""
    figure.supxlabel(x, fontsize=14)
    figure.supylabel(y, fontsize=14)
    return figure
