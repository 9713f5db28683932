"""What a cut sees in the branches that an input of a union lacks: just what the output will hold there."""

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from hepfilter.errors import SourceError, UsageError
from hepfilter.events.expressions import Column
from hepfilter.io.events import find_tree
from hepfilter.io.layout import Fill, LayoutGatherer, TreeLayout
from hepfilter.io.own_branches import own_names
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source
from hepfilter.skim.recipe import Recipe


class CutFills:
    """The fills of a union's events' tree. All inputs are opened for them, but not before one is asked for.

    `fault` is why the first of those that do not open does not: it may have what all others lack.
    """

    def __init__(self, recipe: Recipe, sources: Sequence[Source]) -> None:
        self._recipe = recipe
        self._sources = sources
        self.fault: SourceError | None = None

    @cached_property
    def _layout(self) -> TreeLayout | None:
        """The tree of all inputs, None where there is no union, or one of RNTuples."""
        if self._recipe.layout != "union" or not self._sources:
            return None
        gatherer = LayoutGatherer("union", self._recipe.fills_of(""))
        for source in self._sources:
            try:
                with open_file(source) as file:
                    found = find_tree(file, tree=source.tree, schema=self._recipe.schema)
                    gatherer.add(found.tree.without(own_names(found.tree.branch_names)))
            except SourceError as error:  # which the input itself will tell
                self.fault = self.fault or error
        layout = gatherer.result(final=False)
        return layout if isinstance(layout, TreeLayout) else None

    @property
    def names(self) -> tuple[str, ...]:
        """The branches that any input has."""
        return () if self._layout is None else tuple(branch.name for branch in self._layout.branches)

    def fill(self, name: str, path: str) -> Fill:
        """The fill of a branch that the input `path` lacks; UsageError if it has none."""
        assert self._layout is not None
        if name not in self._layout.fills:
            if self.fault is not None:
                raise self.fault
            what = f"{path}: has no branch {name}, which --where needs and other inputs have"
            raise UsageError(f"{what}; say what stands there with --fill {name}=VALUE, or skim the inputs apart")
        return self._layout.fills[name]


def fill_column(fill: Fill, columns: Mapping[str, Column], count: int) -> Column:
    """The values of `count` events: one each, or as many as the counter among `columns` says; none without it."""
    if fill.counter is None:
        return Column(np.full(count, fill.value, fill.dtype))
    known = columns.get(fill.counter)
    counts = np.zeros(count, np.int64) if known is None else known.values.astype(np.int64)
    return Column(np.full(int(counts.sum()), fill.value, fill.dtype), np.append(0, np.cumsum(counts)))
