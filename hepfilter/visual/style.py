"""How all plots look: mplhep's style, colours that the colour-blind can tell apart, and both PNG and SVG."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import mplhep
from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLOURS: Final = (
    "#3f90da", "#bd1f01", "#ffa90e", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd", "#94a4a2",
)  # fmt: skip
"""Ten colours for lines (M. A. Petroff, arXiv:2107.02270)."""
GREY: Final = "#94a4a2"
_DARK_GREY: Final = "#717581"
_TEXT: Final = 14.0
_OURS: Final[dict[Any, Any]] = {
    "font.size": _TEXT,
    "axes.labelsize": _TEXT,
    "axes.titlesize": _TEXT,
    "xtick.labelsize": _TEXT - 2,
    "ytick.labelsize": _TEXT - 2,
    "legend.fontsize": _TEXT - 3,
    "lines.linewidth": 1.8,
    "axes.linewidth": 1.0,
    "figure.dpi": 100,
    "savefig.dpi": 150,
    "savefig.bbox": "standard",
    "legend.frameon": True,
    "legend.framealpha": 0.8,
    "legend.edgecolor": "none",
    "svg.hashsalt": "hepfilter",
    "svg.fonttype": "path",
    "xtick.major.size": 6,
    "ytick.major.size": 6,
    "xtick.minor.size": 3,
    "ytick.minor.size": 3,
    "xtick.minor.visible": False,
    "ytick.minor.visible": False,
}


@contextmanager
def plot_style() -> Iterator[None]:
    """Everything that is drawn and saved inside looks like ours; no global setting is left changed."""
    with mpl.rc_context({**mplhep.style.CMS, **_OURS}):
        yield
        interactive = mpl.rcParams["interactive"]
    mpl.rcParams["interactive"] = interactive  # pyplot switches it on at a notebook's first figure, for all that follow


def use_plot_style() -> None:
    """All that is drawn from now on looks like ours: for notebooks, which draw when a cell is over."""
    mpl.rcParams.update({**mplhep.style.CMS, **_OURS})


def grid(count: int, *, columns: int = 4, size: tuple[float, float] = (3.6, 3.2)) -> tuple[Figure, list[Axes]]:
    """A figure of `count` ≥ 1 panels of `size` (inches) that share their axes; a new one, of no backend."""
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(size[0] * columns + 0.8, size[1] * rows + 0.8), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel().tolist()
    for unused in panels[count:]:
        unused.set_visible(False)
    for above in panels[max(0, count - columns) : count]:
        above.xaxis.set_tick_params(labelbottom=True)
    return figure, panels[:count]


def row(count: int, *, size: tuple[float, float], share: bool = True) -> tuple[Figure, list[Axes]]:
    """A figure of `count` panels of `size` (inches) beside one another, which may share their axes."""
    figure = Figure(figsize=(size[0] * count, size[1]), layout="constrained")
    return figure, figure.subplots(1, count, sharex=share, sharey=share, squeeze=False).ravel().tolist()


def colour(number: int) -> str:
    """The colour of the `number`-th line."""
    return COLOURS[number % len(COLOURS)]


def say_why_empty(axes: Axes, reason: str) -> None:
    """In the middle of a panel in which nothing can be drawn."""
    axes.text(0.5, 0.5, reason, transform=axes.transAxes, ha="center", va="center", fontsize=10, color=_DARK_GREY)


def say_in_line(axes: Axes, place: float, reason: str) -> None:
    """At the left end of the line at the height `place`, in which nothing can be drawn."""
    axes.text(0.01, place, reason, transform=axes.get_yaxis_transform(), va="center", fontsize=9, color=_DARK_GREY)


def shared_legend(figure: Figure, panels: Sequence[Axes], *, columns: int) -> None:
    """One legend below all panels, of what at least one of them shows."""
    shown = {label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    if shown:
        figure.legend(list(shown.values()), list(shown), loc="outside lower center", ncols=columns)


def save(figure: Figure, folder: Path, name: str) -> Sequence[Path]:
    """Write `name` as PNG and as SVG; the same figure gives the same bytes."""
    paths = [folder / f"{name}.{suffix}" for suffix in ("png", "svg")]
    for path, metadata in zip(paths, ({"Software": None}, {"Date": None}), strict=True):
        figure.savefig(path, metadata=metadata)
        figure.set_layout_engine("none")  # it is laid out now; again would take as long as drawing
    return paths
