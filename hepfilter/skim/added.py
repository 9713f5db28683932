"""The branches that a skim adds; those of an older skim are replaced."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hepfilter.config.menu import Menu
from hepfilter.io.own_branches import PREFIX, score_column
from hepfilter.io.writing import Column

INTEREST = score_column("interest")
PASSED = Column("HepFilter_passed", "bool", "hepfilter: the event passed the selection")
ENTRY = Column("HepFilter_entry", "int64", "hepfilter: the event's entry in the file that it comes from")
PROBABILITY = Column("HepFilter_probability", "float32", "hepfilter: probability with which such an event is kept")
WEIGHT = Column("HepFilter_weight", "float32", "hepfilter: 1 / probability; sums with it are those of all events")

Values = Mapping[Column, npt.NDArray[Any]]


def bit_column(name: str) -> Column:
    """The branch of one bit of a menu, as `Menu.bits` names them."""
    if name.startswith("stream_"):
        title = f"hepfilter: the event is in the stream {name.removeprefix('stream_')}"
    elif name.endswith("_raw"):
        title = f"hepfilter: the event passes {name.removesuffix('_raw')} before its prescale"
    else:
        title = f"hepfilter: the event passes {name} after its prescale"
    return Column(f"{PREFIX}{name}", "bool", title)


def added_columns(scores: Sequence[str], menu: Menu | None = None) -> list[Column]:
    """All branches that a skim adds, in their order, with these scores of a model and the bits of a menu."""
    bits = [] if menu is None else [*map(bit_column, menu.bits), PROBABILITY, WEIGHT]
    return [*map(score_column, scores), *bits, PASSED, ENTRY]


@dataclass(frozen=True)
class AddedValues:
    """The values of the added columns for the kept events of one input: [B] each, `entries` [B] rising."""

    entries: npt.NDArray[np.int64]
    values: Values

    @property
    def columns(self) -> list[Column]:
        """The columns that there are values for."""
        return list(self.values)

    def of(self, entries: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[Any]]:
        """By the name of its column, the values for some of the entries."""
        places = np.searchsorted(self.entries, entries)
        return {column.name: values[places] for column, values in self.values.items()}
