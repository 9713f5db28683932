"""Plots show what the containers say."""

from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from hepfilter.evaluation.calibration import check_calibration
from hepfilter.evaluation.distributions import score_distributions
from hepfilter.evaluation.families import FamilyResult, family_results
from hepfilter.evaluation.injection import injection_scans
from hepfilter.evaluation.sculpting import correlations, sculpting
from hepfilter.evaluation.shifts import compare_shift
from hepfilter.statistics.correlation import Correlation
from hepfilter.visual.checks import (
    plot_calibration,
    plot_correlations,
    plot_injection,
    plot_scores,
    plot_sculpting,
    plot_shifts,
)
from hepfilter.visual.performance import TOO_FEW, plot_efficiencies, plot_improvement, plot_roc
from hepfilter.visual.style import grid, plot_style, row, save, shared_legend
from tests.evaluation.generated import make_events

EVENTS = make_events(6_000, 400)


@pytest.fixture(scope="module")
def families() -> tuple[FamilyResult, ...]:
    return family_results(EVENTS)


@pytest.fixture
def axes() -> Axes:
    return row(1, size=(5, 4))[1][0]


def texts(axes: Axes) -> list[str]:
    legend = axes.get_legend()
    return [text.get_text() for text in (*axes.texts, *(legend.get_texts() if legend else ()))]


def test_roc(axes: Axes, families: tuple[FamilyResult, ...]) -> None:
    plot_roc(axes, families, score="interest", baseline="ht", measure="physical", title="both")
    expected = [families[0].physical.by_score[name].roc for name in ("interest", "ht")]
    for line, roc in zip(axes.lines, expected, strict=False):
        assert tuple(line.get_xdata()) == roc.background
        assert tuple(line.get_ydata()) == roc.signal
    assert texts(axes) == ["dijet", "dilepton (unseen)"]
    assert axes.get_title("left") == "both"


def test_significance_improvement(axes: Axes, families: tuple[FamilyResult, ...]) -> None:
    plot_improvement(axes, families, score="interest", measure="physical")
    found = axes.containers[0].lines[0], axes.containers[1].lines[0]
    for line, result in zip(found, families, strict=True):
        point = result.physical.by_score["interest"].working_points[1e-2]
        assert point is not None
        assert list(line.get_xdata()) == [point.sic.value]
        assert (to_hex(line.get_markerfacecolor()) == "#ffffff") == (not result.seen)
    assert len(axes.containers) == 2  # 1e-3 and 1e-4 have too few background events
    assert axes.get_legend_handles_labels()[1] == [r"$\varepsilon_B$ = $10^{-2}$", "hollow: unseen"]
    other = row(1, size=(5, 4))[1][0]
    plot_improvement(other, families[:1], score="interest", measure="physical")
    assert other.get_legend_handles_labels()[1] == [r"$\varepsilon_B$ = $10^{-2}$"]


def test_a_line_without_a_significance_improvement_says_why(axes: Axes) -> None:
    few = family_results(make_events(600, 400))
    plot_improvement(axes, few, score="interest", measure="physical")
    assert texts(axes) == [TOO_FEW, TOO_FEW] == ["fewer than 10 background events above"] * 2
    assert axes.get_legend_handles_labels()[1] == []
    below = family_results(make_events(6_000, 400, separation=-50.0))
    other = row(1, size=(5, 4))[1][0]
    plot_improvement(other, below, score="interest", measure="physical")
    assert texts(other) == ["no signal event above"] * 2


def test_a_curve_that_is_not_there_is_in_no_legend(axes: Axes, families: tuple[FamilyResult, ...]) -> None:
    few = family_results(make_events(9, 400))
    options = {"score": "interest", "baseline": "ht", "measure": "physical", "title": "group"}
    plot_roc(axes, few, **options)  # type: ignore[arg-type]
    assert texts(axes) == ["fewer than 10 background events above"]
    assert axes.get_legend() is None
    assert len(axes.lines) == 1  # that of chance
    other = row(1, size=(5, 4))[1][0]
    plot_roc(other, [few[0], families[1]], **options)  # type: ignore[arg-type]
    assert texts(other) == ["dilepton (unseen)"]
    without = make_events(600, 400)
    nothing = family_results(replace(without, weights=np.where(without.background, 0.0, 1.0)))
    last = row(1, size=(5, 4))[1][0]
    plot_roc(last, nothing, **options)  # type: ignore[arg-type]
    assert texts(last) == ["no signal and background to compare"]


def test_a_legend_below_the_panels_is_of_what_any_of_them_shows() -> None:
    figure, panels = row(2, size=(3, 3))
    panels[0].plot([0, 1], label="a")
    for name in "ab":
        panels[1].plot([0, 1], label=name)
    shared_legend(figure, panels, columns=2)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b"]
    empty, panels = row(2, size=(3, 3))
    shared_legend(empty, panels, columns=2)
    assert empty.legends == []


def test_efficiencies(axes: Axes, families: tuple[FamilyResult, ...]) -> None:
    options = {"score": "interest", "baseline": "ht", "measure": "physical"}
    plot_efficiencies(axes, families, target=1e-2, **options)  # type: ignore[arg-type]
    points = [result.physical.by_score["interest"].working_points[1e-2] for result in families]
    assert [bar.get_width() for bar in axes.patches] == [p.signal.value for p in points if p is not None]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["dijet", "dilepton"]
    assert to_hex(axes.patches[0].get_facecolor()) != to_hex(axes.patches[1].get_facecolor())
    assert axes.get_legend_handles_labels()[1] == ["interest, seen", "interest, unseen", "ht"]
    other = row(1, size=(5, 4))[1][0]
    plot_efficiencies(other, families, target=1e-4, **options)  # type: ignore[arg-type]
    assert texts(other) == ["fewer than 10 background events above"] * 2
    assert other.get_legend_handles_labels()[1] == []
    seen = row(1, size=(5, 4))[1][0]
    plot_efficiencies(seen, families[:1], target=1e-2, **options)  # type: ignore[arg-type]
    assert seen.get_legend_handles_labels()[1] == ["interest, seen", "ht"]


def test_scores_and_sculpting(axes: Axes) -> None:
    (distribution,) = score_distributions(EVENTS, ("interest",))
    plot_scores(axes, distribution, ["dilepton"], title="lepton")
    assert texts(axes) == ["background", "dilepton"]
    assert tuple(axes.patches[1].get_data().values) == distribution.families["dilepton"]  # type: ignore[attr-defined]
    found = sculpting(EVENTS)[0]
    other = row(1, size=(5, 4))[1][0]
    plot_sculpting(other, found)
    first = found.passing[0]
    assert texts(other)[1] == f"20 %: JS {first.divergence:.3f} (by chance {first.expected:.3f})"
    assert len(other.patches) == 1 + len(found.passing)
    last = row(1, size=(5, 4))[1][0]
    plot_sculpting(last, sculpting(make_events(20, 400))[0])
    assert texts(last) == ["fewer than 10 background events above", "all background"]


def test_correlations(axes: Axes) -> None:
    found = correlations(EVENTS)
    plot_correlations(axes, found, measure="matched")
    (one,) = [c for c in found if (c.score, c.observable, c.measure) == ("interest", "hardness", "matched")]
    assert f"{one.correlation.spearman:+.2f}" in texts(axes)
    assert f"dCor {one.correlation.distance:.2f}" in texts(axes)
    assert axes.images[0].get_array()[0, 1] == one.correlation.spearman  # type: ignore[index]
    constant = replace(one, correlation=Correlation(*(float("nan"),) * 3))
    other = row(1, size=(5, 4))[1][0]
    plot_correlations(other, [constant], measure="matched")
    assert texts(other) == ["undefined"]


def test_injections(axes: Axes) -> None:
    scans = injection_scans(EVENTS, ["interest"], n_draws=5)
    plot_injection(axes, scans, title="all")
    assert list(axes.lines[0].get_xdata()) == [3, 10, 30, 100, 300]
    assert list(axes.lines[0].get_ydata()) == [point.significance.median for point in scans[0].points]


def test_shifts(axes: Axes) -> None:
    shift = compare_shift("softer", EVENTS, make_events(6_000, 400, separation=1.0, seed=2), "interest")
    plot_shifts(axes, [shift], target=1e-2)
    family = shift.families[1]
    assert texts(axes)[2] == f"{family.shifted[1e-2].value / family.nominal[1e-2].value:.2f}"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["softer"]


def test_calibration(axes: Axes) -> None:
    check = check_calibration("interest", np.random.default_rng(1).random(2000), np.ones(2000))
    plot_calibration(axes, [check])
    shown = axes.containers[0].lines[0].get_ydata()
    assert shown[0] == pytest.approx(check.points[0].observed.value / 0.5)
    assert texts(axes) == ["interest"]
    other = row(1, size=(5, 4))[1][0]
    plot_calibration(other, [check_calibration("flow", np.ones(9), np.ones(9)), check])
    assert texts(other) == ["interest"]  # no p-value of the other is below one half
    last = row(1, size=(5, 4))[1][0]
    plot_calibration(last, [check_calibration("flow", np.ones(9), np.ones(9))])
    assert texts(last) == ["no background event has p ≤ 0.5"]


def test_files_are_the_same_every_time_and_no_setting_is_left(tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    for name in ("a", "b"):
        with plot_style():
            figure, panels = grid(3, columns=2)
            panels[2].plot([0, 1])
            assert [path.name for path in save(figure, tmp_path, name)] == [f"{name}.png", f"{name}.svg"]
    assert dict(mpl.rcParams) == before
    for suffix in ("png", "svg"):
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
