"""Whether the fields and entries of an RNTuple are those of the RNTuples that they come from."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hepfilter.errors import SourceError
from hepfilter.io.comparison import Compared, EntryDifference, Index, Match
from hepfilter.io.ntuple import NTupleLayout, OpenNTuple
from hepfilter.io.rntuple.schema import Schema
from hepfilter.io.rntuple.selection import column_values
from hepfilter.io.tree_differences import EXCESS, MISSING, Difference
from hepfilter.io.treewriter import TreeWriter

if TYPE_CHECKING:
    from hepfilter.io.writing import Column

_MOST_LOCATED = 10


def compare_fields(
    source: OpenNTuple, layout: NTupleLayout, added: "Sequence[Column]", found: OpenNTuple
) -> list[Difference]:
    """How the fields of `found` differ from those of a source that the layout keeps, with the added ones behind."""
    return compare_schemas(source.ntuple.schema.without(layout.drop).with_columns(added), found.ntuple.schema)


def compare_schemas(expected: Schema, found: Schema) -> list[Difference]:
    """Names, order, descriptions, types and columns of all fields."""
    mine, theirs = expected.layouts, found.layouts
    differences = [Difference(path, MISSING, "") for path in mine if path not in theirs]
    differences += [Difference(path, EXCESS, "") for path in theirs if path not in mine]
    titles = [
        {schema.paths[number]: field.description for number, field in enumerate(schema.fields)}
        for schema in (expected, found)
    ]
    types = [
        {schema.paths[number]: field.type_name for number, field in enumerate(schema.fields)}
        for schema in (expected, found)
    ]
    for path in (path for path in mine if path in theirs):
        for aspect, (old, new) in (("description", titles), ("type", types)):
            if old[path] != new[path]:
                differences.append(Difference(path, aspect, f"is {new[path]!r}, not {old[path]!r}"))
        if mine[path] != theirs[path] and types[0][path] == types[1][path]:
            differences.append(Difference(path, "columns", "are others"))
    old_order, new_order = ([path for path in one if path in mine and path in theirs] for one in (mine, theirs))
    first = next((pair for pair in zip(old_order, new_order, strict=True) if pair[0] != pair[1]), None)
    return differences + ([Difference(first[1], "place", f"is that of {first[0]}")] if first else [])


def compare_ntuples(
    output: OpenNTuple, sources: Callable[[int], OpenNTuple], match: Match, fields: Sequence[str]
) -> Iterator[Compared]:
    """How entries of `output` differ from those that they come from in these top-level fields, in portions.

    A portion is of one source, which `sources` gives by its number, and rises there. Of the columns that differ in it
    the first few are told, each with its first entry alone. What cannot be read is told, and all else compared.
    """
    count = max(1, int(TreeWriter.CLUSTER_BYTES / max(output.entry_bytes[0], 1.0)))
    for start in range(0, len(match), count):
        window = match[start : start + count]
        breaks = np.flatnonzero((np.diff(window.sources) != 0) | (np.diff(window.entries) <= 0)) + 1
        for run in np.split(np.arange(len(window)), breaks):
            part = window[run]
            yield _compare_run(output, sources(int(part.sources[0])), part, fields)


def _compare_run(output: OpenNTuple, source: OpenNTuple, run: Match, fields: Sequence[str]) -> Compared:
    """Entries of one source in its order; what cannot be read is halved until it is a single field."""
    try:
        return Compared(len(run), tuple(_differences(output, source, run, fields)))
    except SourceError as error:
        if len(fields) == 1:
            return Compared(len(run), (), (str(error),))
    middle = len(fields) // 2
    halves = [_compare_run(output, source, run, part) for part in (fields[:middle], fields[middle:])]
    differences = tuple(one for half in halves for one in half.differences)
    return Compared(len(run), differences, tuple(fault for half in halves for fault in half.unreadable))


def _differences(
    output: OpenNTuple, source: OpenNTuple, run: Match, fields: Sequence[str]
) -> Iterator[EntryDifference]:
    old, new = _columns(source, fields, run.entries), _columns(output, fields, run.positions)
    differing = [column for column, items in old.items() if column in new and new[column] != items]
    for column in differing[:_MOST_LOCATED]:
        first, end = 0, len(run)  # the first entry that differs is in [first, end)
        while end - first > 1:
            middle = (first + end) // 2
            part = run[first:middle]
            same = _columns(source, fields, part.entries)[column] == _columns(output, fields, part.positions)[column]
            first, end = (middle, end) if same else (first, middle)
        yield EntryDifference(column, 1, int(run.positions[first]), int(run.sources[first]), int(run.entries[first]))


def _columns(ntuple: OpenNTuple, fields: Sequence[str], entries: Index) -> Mapping[str, bytes]:
    return dict(column_values(ntuple.ntuple, fields, entries.tolist()))
