"""Conversions between the two kinds of trees: which there are, what hinders them, and writing what they make."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from hepfilter.errors import OutputError, SourceError, UnreadableEventsError
from hepfilter.io.baskets import raw_entries
from hepfilter.io.checksum import FileFacts, open_unchanged
from hepfilter.io.container import RootFile
from hepfilter.io.copy_plan import Cluster, CopyPlan
from hepfilter.io.layout import Layout, TreeLayout, some
from hepfilter.io.ntuple import NTupleLayout, OpenNTuple
from hepfilter.io.reading import OpenFile
from hepfilter.io.rntuple.exported import Exported, export_fields, export_obstacles, list_counters
from hepfilter.io.rntuple.imported import Imported, counting_branches, import_branches, import_obstacle
from hepfilter.io.rntuple.plain import read_values
from hepfilter.io.rntuple.reading import NTuple, new_ntuple
from hepfilter.io.rntuple.writing import NTupleWriter
from hepfilter.io.sources import Source
from hepfilter.io.tree_values import TreeValues, refuse_miscounted
from hepfilter.io.treewriter import TreeWriter
from hepfilter.io.ttree import TreeHeader, copy_branches
from hepfilter.io.values import Values
from hepfilter.io.writing import Column, column_branch
from hepfilter.wording import counted

Format = Literal["rntuple", "ttree"]
FORMATS: tuple[Format, ...] = get_args(Format)
Conversion = Imported | Exported
Columns = Mapping[str, npt.NDArray[Any]]
_LONGEST = 40  # characters of a class name in a message
_NAMES = {"rntuple": "RNTuple", "ttree": "TTree"}


def is_other(layout: Layout, wanted: Format | None) -> bool:
    """Whether a tree of this layout is of another format than the one that is wanted."""
    return wanted == ("rntuple" if isinstance(layout, TreeLayout) else "ttree")


def obstacles(layout: Layout) -> dict[str, str]:
    """The branches or fields that the other format cannot hold, and what they are."""
    if isinstance(layout, NTupleLayout):
        return export_obstacles(layout.schema.without(layout.drop))
    counting = counting_branches(layout.branches)
    found = {branch.name: import_obstacle(branch, counting) for branch in layout.branches}
    return {name: why for name, why in found.items() if why is not None}


def tell_obstacles(name: str, found: Mapping[str, str], wanted: Format) -> str:
    """The obstacles of a tree in words, without what helps."""
    named = some([f"{branch} ({_shorten(why)})" for branch, why in found.items()])
    count = counted(len(found), "field" if wanted == "ttree" else "branch")
    return f"tree {name}: {count} cannot be held by {'an' if wanted == 'rntuple' else 'a'} {_NAMES[wanted]}: {named}"


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def convert(layout: Layout) -> Conversion:
    """What a tree without obstacles becomes in the other format."""
    if isinstance(layout, NTupleLayout):
        return export_fields(layout.schema.without(layout.drop))
    return import_branches(layout.branches)


def counted_columns(layout: Layout, wanted: Format | None) -> list[tuple[str, str | None]]:
    """(name, name of its counter) of each branch or field; the fields of a TTree to be have counters, too."""
    if isinstance(layout, NTupleLayout) and is_other(layout, wanted):
        counters = list_counters(layout.schema)
        return [(name, counters.get(name)) for name in layout.names]
    return layout.columns


def lost_of(layout: Layout) -> list[str]:
    """What a TTree has beside its branches that an RNTuple has not."""
    if isinstance(layout, NTupleLayout):
        return []
    weight = layout.header.settings.get("fWeight", 1.0)
    return ["aliases"] * bool(layout.header.aliases) + [f"weight {weight:g}"] * (weight != 1.0)


class ImportedTree:
    """The RNTuple that a plan's TTree becomes, written cluster by cluster."""

    def __init__(self, out: RootFile, plan: CopyPlan, columns: Sequence[Column] = ()) -> None:
        self._plan = plan
        self._imported = import_branches(plan.layout.branches)
        header = plan.layout.header
        self._writer = NTupleWriter(out, new_ntuple(header.name, header.title, self._imported.schema), columns)

    def write_cluster(self, cluster: Cluster, values: Mapping[str, Values], added: Columns | None = None) -> None:
        """Write a cluster from the values of all branches, and those of added columns."""
        refuse_miscounted(self._plan, cluster.pieces, values, self._imported.counters)
        items = (self._imported.items(number, values) for number in range(len(self._imported.schema.columns)))
        self._writer.append(cluster.count, items, added)

    def close(self) -> None:
        """Write the ntuple's footer."""
        self._writer.close()


def import_tree(out: RootFile, plan: CopyPlan) -> None:
    """Write the RNTuple that a whole TTree becomes."""
    tree = ImportedTree(out, plan)
    with TreeValues(plan) as reader:
        for cluster in plan.clusters:
            tree.write_cluster(cluster, reader.read(cluster.pieces))
    tree.close()


@dataclass(frozen=True)
class Chosen:
    """Entries (int64, rising) of an ntuple of a source, and the values of added columns.

    `number` is that of the input, for errors; `facts` are those that the source had, where they are known.
    """

    source: Source
    entries: npt.NDArray[np.int64]
    added: Columns = field(default_factory=dict)
    number: int = 0
    facts: FileFacts | None = None

    def none(self) -> "Chosen":
        """None of the entries; the ntuple is still described."""
        return replace(self, entries=self.entries[:0])

    @contextmanager
    def open(self, name: str) -> Iterator[tuple[OpenFile, OpenNTuple]]:
        """The file and the ntuple; UnreadableEventsError if it cannot be read, or is not what it was."""
        first, last = (int(self.entries[0]), int(self.entries[-1])) if len(self.entries) else (0, -1)
        located = UnreadableEventsError.locate(self.number, first, last, whole=True)
        with located, open_unchanged(self.source, self.facts) as file:
            table = file.table(name)
            assert isinstance(table, OpenNTuple)
            yield file, table


def exported_header(table: OpenNTuple) -> TreeHeader:
    """The header of the TTree that an RNTuple becomes; its title is the description."""
    return TreeHeader(table.name, table.ntuple.description or table.name)


def export_ntuple(
    out: RootFile, name: str, layout: NTupleLayout, chosen: Sequence[Chosen], columns: Sequence[Column] = ()
) -> int:
    """Write the TTree that chosen entries of an RNTuple become; how many bytes were read of the sources."""
    exported = export_fields(layout.schema.without(layout.drop))
    branches = list(copy_branches(exported.branches))
    taken = [column.name for column in columns if column.name in exported.forms]
    if taken:
        raise OutputError(f"column {taken[0]} cannot be added: there is a branch of that name; drop it first")
    own = [column_branch(column, {}) for column in columns]
    writer, read = None, 0
    for part in chosen:
        with part.open(name) as (file, table):
            if writer is None:
                writer = TreeWriter(out, exported_header(table), [*branches, *own])
            step = max(1, int(TreeWriter.CLUSTER_BYTES / max(table.entry_bytes[0], 1.0)))
            for start in range(0, len(part.entries), step):
                entries = part.entries[start : start + step]
                values = _read(table.ntuple, list(exported.forms), entries, part.number)
                for index, branch in enumerate(branches):
                    writer.append(index, exported.entries(branch, values[branch.name], len(entries)))
                for index, column in enumerate(columns, start=len(branches)):
                    writer.append(index, raw_entries(part.added[column.name][start : start + step]))
                writer.count_entries(len(entries))
            read += file.source.read
    if writer is not None:
        writer.close()
    return read


def _read(ntuple: NTuple, names: Sequence[str], entries: npt.NDArray[np.int64], number: int) -> dict[str, Values]:
    """The values of entries of input `number`; UnreadableEventsError tells the first cluster that cannot be read."""
    try:
        return read_values(ntuple, names, entries)
    except SourceError:
        for cluster in ntuple.clusters:
            low, high = np.searchsorted(entries, (cluster.first, cluster.first + cluster.entries))
            with UnreadableEventsError.locate(number, cluster.first, cluster.first + cluster.entries - 1):
                read_values(ntuple, names, entries[low:high])
        raise
