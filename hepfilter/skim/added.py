"""The branches that a skim adds; those of an older skim are replaced."""

from collections.abc import Iterable, Sequence
from typing import Final

from hepfilter.io.writing import Column

PREFIX: Final = "HepFilter_"
INTEREST = Column("HepFilter_interest", "float32", "hepfilter: log-odds that the event is interesting")
PASSED = Column("HepFilter_passed", "bool", "hepfilter: the event passed the selection")
ENTRY = Column("HepFilter_entry", "int64", "hepfilter: the event's entry in the file that it comes from")

_TITLES: Final = {
    "interest": INTEREST.title,
    "pvalue": "hepfilter: background p-value of the log-odds",
    "combined": "hepfilter: background p-value of all scores together",
}


def score_column(name: str) -> Column:
    """The branch of one score of a model: ``interest``, ``pvalue``, ``combined``, or a head."""
    title = _TITLES.get(name, f"hepfilter: how unlike background the event is, by the model's head {name}")
    return Column(f"{PREFIX}{name}", "float32", title)


def added_columns(scores: Sequence[str]) -> list[Column]:
    """All branches that a skim adds, in their order, with these scores of a model."""
    return [*map(score_column, scores), PASSED, ENTRY]


def own_names(branches: Iterable[str]) -> tuple[str, ...]:
    """Those of the `branches` that some skim added."""
    return tuple(name for name in branches if name.startswith(PREFIX))
