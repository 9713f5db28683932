"""Selection expressions over the events of a file: the cut `where`, and what the paths of a menu ask for."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from hepfilter.errors import UsageError
from hepfilter.events.expressions import Column, Expression, parse_expression
from hepfilter.io.layout import Fill
from hepfilter.io.reading import Table
from hepfilter.skim.cut_fills import CutFills, fill_column

Mask = npt.NDArray[np.bool_]

_BLIND: Final = "blind region {}"


def blind_conditions(regions: Sequence[str]) -> dict[str, str]:
    """The blind regions of a menu as named expressions; no path has such a name."""
    return {_BLIND.format(number): text for number, text in enumerate(regions)}


def blinded(conditions: Mapping[str, Mask], count: int) -> Mask:
    """Which of `count` events lie in a blind region."""
    blind = np.zeros(count, bool)
    for name, fulfilled in conditions.items():
        if name.startswith(_BLIND.format("")):
            blind |= fulfilled
    return blind


@dataclass(frozen=True)
class Conditions:
    """Named expressions for the events of one file.

    `spelled` maps the names that expressions use to the file's; `fills` tells what stands for those that the file
    lacks, and `counters` are the branches that those need.
    """

    expressions: Mapping[str, Expression]
    spelled: Mapping[str, str]
    fills: Mapping[str, Fill]
    counters: tuple[str, ...]

    @property
    def branches(self) -> tuple[str, ...]:
        """The branches that the expressions need."""
        names = dict.fromkeys(name for expression in self.expressions.values() for name in expression.branches)
        return *(self.spelled[name] for name in names if name not in self.fills), *self.counters

    def passes(self, columns: Mapping[str, Column], count: int) -> dict[str, Mask]:
        """By the name of each expression which of `count` events pass it; `columns` holds `branches`."""
        return {name: self._passes(expression, columns, count) for name, expression in self.expressions.items()}

    def _passes(self, expression: Expression, columns: Mapping[str, Column], count: int) -> Mask:
        wanted = {
            name: fill_column(self.fills[name], columns, count) if name in self.fills else columns[self.spelled[name]]
            for name in expression.branches
        }
        return expression.passes(wanted, count)


def bind_conditions(texts: Mapping[str, str], tree: Table, fills: CutFills) -> Conditions:
    """The expressions `texts` over the branches of `tree`; UsageError names file and expression if one fails."""
    # a colon, as in the names of Athena's RNTuples, is none in an expression: a dot stands for it, as in schemas
    spelled = {name.replace(":", "."): name for name in tree.branch_names}
    spelled |= {name: name for name in tree.branch_names if ":" not in name}  # which a colon does not displace
    expressions = {name: _parse(text, spelled, fills, f"{tree.path}: {name}") for name, text in texts.items()}
    used = dict.fromkeys(name for expression in expressions.values() for name in expression.branches)
    filled = {name: fills.fill(name, tree.path) for name in used if name not in spelled}
    counters = [fill.counter for fill in filled.values() if fill.counter in tree.branch_names]
    return Conditions(expressions, spelled, filled, tuple(filter(None, counters)))


def _parse(text: str, names: Collection[str], fills: CutFills, where: str) -> Expression:
    """The expression over these branches or, if it does not fit, those of all inputs of a union."""
    try:
        return parse_expression(text, names)
    except UsageError as error:
        more = fills.names
        if not set(more) - set(names):
            if fills.fault is not None:
                raise fills.fault from error
            raise UsageError(f"{where}: {error}") from error
    try:
        return parse_expression(text, dict.fromkeys([*names, *more]))
    except UsageError as error:
        if fills.fault is not None:
            raise fills.fault from error
        raise UsageError(f"{where}: {error}") from error
