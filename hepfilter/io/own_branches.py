"""The branches that hepfilter adds to events, by their prefix, and those of scores."""

from collections.abc import Iterable
from typing import Final

from hepfilter.io.writing import Column

PREFIX: Final = "HepFilter_"

_TITLES: Final = {
    "interest": "hepfilter: log-odds that the event is interesting",
    "pvalue": "hepfilter: background p-value of the log-odds",
    "combined": "hepfilter: background p-value of its scores together",
}


def score_column(name: str) -> Column:
    """The branch of one score of a model: ``interest``, ``pvalue``, ``combined``, or a head."""
    title = _TITLES.get(name, f"hepfilter: score of the model's head {name}")
    return Column(f"{PREFIX}{name}", "float32", title)


def own_names(branches: Iterable[str]) -> tuple[str, ...]:
    """Those of the `branches` that hepfilter added."""
    return tuple(name for name in branches if name.startswith(PREFIX))
