"""Histograms of runs: as `hist.Hist`, and as pictures of all events beside the kept ones."""

from hist import Hist, rebin
from hist.storage import Weight
from matplotlib.axes import Axes
from mplhep import histplot

from hepfilter.skim.summary import Selected
from hepfilter.statistics.histograms import Histogram
from hepfilter.visual.style import colour

_EVERY = "#d5dbda"
_MOST_BINS = 50


def to_hist(histogram: Histogram, *, name: str = "", label: str = "") -> Hist[Weight]:
    """The same bins with sums of weights and variances; `name` and `label` are those of the axis.

    As in a `Histogram`, the first and the last bin have what lies beyond them: there are no flow bins.
    """
    made: Hist[Weight] = Hist.new.Var(histogram.edges, name=name, label=label, flow=False).Weight()
    view = made.view()
    view["value"], view["variance"] = histogram.weights, histogram.squares
    return made


def plot_selected(axes: Axes, selected: Selected, *, label: str = "", kept: str = "kept") -> Axes:
    """Events, by weight, of all that passed the cuts (filled) and of those that are kept (line)."""
    filled = selected.every.counts.nonzero()[0]
    first, last = (int(filled[0]), int(filled[-1]) + 1) if len(filled) else (0, len(selected.every.counts))
    joined = -(-(last - first) // _MOST_BINS)
    last = min(first + joined * -(-(last - first) // joined), len(selected.every.counts))
    for histogram, style in ((selected.every, {"histtype": "fill", "color": _EVERY, "label": "all"}),
                             (selected.kept, {"color": colour(0), "label": kept})):  # fmt: skip
        shown = to_hist(histogram)[first : last : rebin(joined)]
        histplot(shown, ax=axes, yerr=False, flow="none", **style)
    if len(filled):
        axes.set_xlim(selected.every.edges[first], selected.every.edges[last])
        axes.set_yscale("log")
    axes.set_xlabel(label, loc="right")
    axes.set_ylabel("events", loc="top")
    axes.legend()
    return axes
