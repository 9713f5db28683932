"""Histograms of runs as those of `hist`, and the pictures of skims and menus."""

import numpy as np
from matplotlib.figure import Figure

import hepfilter
from hepfilter.skim.summary import Selected
from hepfilter.statistics.histograms import Histogram
from hepfilter.visual.histograms import plot_selected, to_hist
from hepfilter.visual.rates import plot_cutflow, plot_rates
from hepfilter.visual.style import plot_style
from tests.nano import make_nano

EDGES = np.array([0.0, 1.0, 2.0, 4.0])


def test_a_hist_has_the_same_bins_sums_and_errors():
    made = to_hist(
        Histogram.of(np.array([-5.0, 0.5, 1.5, 9.0]), EDGES, np.array([1.0, 2, 3, 4])), name="x", label="x [GeV]"
    )
    np.testing.assert_array_equal(made.axes[0].edges, EDGES)
    np.testing.assert_array_equal(made.values(), [3, 3, 4])
    np.testing.assert_array_equal(made.variances(), [5, 9, 16])
    assert (made.axes[0].name, made.axes[0].label) == ("x", "x [GeV]")
    assert made.values(flow=True).shape == (3,)  # nothing is counted twice


def axes():
    return Figure().subplots()


def test_all_and_kept_are_drawn_where_there_are_events():
    every, kept = (Histogram.of(np.array(values), EDGES) for values in ([1.2, 1.4, 3.0], [3.0]))
    with plot_style():
        drawn = plot_selected(axes(), Selected(every, kept), label="score", kept="top")
    assert drawn.get_xlim() == (1.0, 4.0)
    assert [text.get_text() for text in drawn.get_legend().get_texts()] == ["all", "top"]
    empty = Histogram.of(np.array([]), EDGES)
    assert plot_selected(axes(), Selected(empty, empty)).get_xlabel() == ""


def test_a_cutflow_names_steps_and_counts(tmp_path):
    report = hepfilter.skim(make_nano(tmp_path / "in.root", 200), tmp_path / "o.root", where="nJet > 5")
    drawn = plot_cutflow(axes(), report.cutflow())
    assert [label.get_text() for label in drawn.get_yticklabels()] == ["read", "where"]
    share = report.written / 200
    assert [text.get_text() for text in drawn.texts] == ["200", f"{report.written} ({share:.2%})"]
    assert [bar.get_width() for bar in drawn.patches] == [200, report.written]


def test_rates_are_drawn_with_their_intervals(tmp_path):
    menu = tmp_path / "m.yaml"
    menu.write_text('name: m\npaths:\n  many: {when: "nJet > 5"}\n  muon: {when: "nMuon > 0", prescale: 3}\n')
    table = hepfilter.skim(make_nano(tmp_path / "in.root", 200), tmp_path / "o.root", menu=menu).rates
    drawn = plot_rates(axes(), table)
    assert [label.get_text() for label in drawn.get_yticklabels()] == ["many", "muon"]
    scale = 1.0 if table.of == "Hz" else 100.0
    points = {one.get_label(): one.lines[0].get_xdata() for one in drawn.containers}
    np.testing.assert_allclose(points["raw"], scale * table.raw.value)
    np.testing.assert_allclose(points["pure"], scale * table.pure.value)
    assert points["after prescale"][1] < points["raw"][1]
