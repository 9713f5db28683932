"""A file of a skim: clusters of the events' tree with added columns, all other trees, all other objects."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hepfilter.errors import OutputError, SourceError
from hepfilter.io.baskets import raw_entries
from hepfilter.io.compression import Compression
from hepfilter.io.container import PackedBasket, RootFile
from hepfilter.io.converting import Chosen, ImportedTree, export_ntuple, import_tree
from hepfilter.io.copy_plan import CopyPlan
from hepfilter.io.copying import cluster_baskets
from hepfilter.io.directory import Record
from hepfilter.io.histogram import write_cutflow
from hepfilter.io.layout import TreeLayout
from hepfilter.io.ntuple import NTupleLayout
from hepfilter.io.publishing import Publication
from hepfilter.io.reading import NTUPLE, TREE, OpenFile, open_file
from hepfilter.io.rntuple.writing import NTupleWriter
from hepfilter.io.sources import Source
from hepfilter.io.streamers import described_classes, streamers
from hepfilter.io.treewriter import TreeWriter, pack_basket
from hepfilter.io.ttree import Leaf
from hepfilter.io.writing import Column, column_branch, write_string
from hepfilter.wording import counted

# Classes whose objects point to other places in their file, so that their own bytes are not all of them.
_POINTING = ("TDirectory", "RNTuple", "TNtuple", "TChain", "TBranch")
_SUMMED = ("TH1", "TH2", "TH3", "THn", "TProfile")

Columns = Mapping[str, npt.NDArray[Any]]


def is_pointing(kind: str) -> bool:
    """Whether objects of a class point to other places of their file, so that they are not copied."""
    return any(word in kind for word in _POINTING)


def is_histogram(kind: str) -> bool:
    """Whether objects of a class are summed where outputs are."""
    return kind.startswith(_SUMMED)


def refuse_unlike(partial: Path, path: Path, tree: str, events: int) -> None:
    """Read back what will be the output `path`; OutputError unless its tree has so many events, and it is whole."""
    try:
        with open_file(Source(str(partial))) as file:
            found, end, size = file.table(tree).num_entries, file.directory.end, partial.stat().st_size
    except SourceError as error:
        raise OutputError(f"{path}: what was written cannot be read back: {error}") from error
    if (found, end) != (events, size):
        what = f"{counted(events, 'event')} and {counted(size, 'byte')} were written, {found:,} and {end:,} read back"
        raise OutputError(f"{path}: {what}; nothing is left behind")


class EventsOutput:
    """The events' tree of an output, written cluster by cluster, with added columns behind its branches."""

    def __init__(self, out: RootFile, layout: TreeLayout, added: Sequence[Column]) -> None:
        self._out = out
        leaves: dict[str, Leaf] = {}
        self._added = [(column.name, column_branch(column, leaves)) for column in added]
        own = layout.fresh_branches()
        self._first_added = sum(1 for top in own for _ in top.walk())
        self._writer = TreeWriter(out, layout.header, [*own, *(branch for _, branch in self._added)])

    def write_cluster(self, count: int, baskets: Iterable[tuple[int, PackedBasket]], columns: Columns) -> None:
        """Write a cluster of `count` events: the baskets of all branches by index, and the values of added columns."""
        self._writer.write_cluster(count, baskets)
        added = []
        for index, (name, branch) in enumerate(self._added, start=self._first_added):
            entries = raw_entries(columns[name])
            if entries.count != count:
                has = f"{counted(entries.count, 'value')} for {counted(count, 'event')}"
                raise OutputError(f"{self._out.path}: column {name} has {has}")
            added.append((index, pack_basket([entries], branch, self._writer.tree_name, self._out.compression)))
        self._writer.add_to_cluster(added)

    def close(self) -> None:
        """Write the tree itself."""
        self._writer.close()


class SkimOutput:
    """One output; the file appears under its name when the `with` block ends without an error.

    `skipped` names what could not be copied, as "name (class)".
    """

    def __init__(self, path: Path, *, compression: Compression | None, publication: Publication | None = None) -> None:
        self.skipped: list[str] = []
        self._out = RootFile(path, compression=compression, publication=publication)
        self._objects: set[tuple[str, bytes]] = set()
        self._classes: frozenset[tuple[str, int]] | None = None

    def __enter__(self) -> "SkimOutput":
        self._out.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: Any) -> None:
        self._out.__exit__(kind, value, trace)

    @contextmanager
    def new_events(self, layout: TreeLayout, added: Sequence[Column]) -> Iterator[EventsOutput]:
        """The events' tree, as a TTree; `added` are the columns that come behind its branches."""
        events = EventsOutput(self._out, layout, added)
        yield events
        events.close()

    def copy_ntuple(
        self,
        name: str,
        layout: NTupleLayout,
        chosen: Sequence[Chosen],
        columns: Sequence[Column] = (),
    ) -> int:
        """Copy the chosen entries of an RNTuple of each source, with the values of added columns.

        The number of bytes that were read of the sources.
        """
        writer: NTupleWriter | None = None
        read = 0
        for part in chosen:
            with part.open(name) as (file, table):
                if writer is None:
                    writer = NTupleWriter(self._out, table.ntuple, columns, drop=layout.drop)
                kept = np.zeros(table.num_entries, bool)
                kept[part.entries] = True
                writer.copy(table.ntuple, kept, part.added, number=part.number)
                read += file.source.read
        if writer is not None:
            writer.close()
        return read

    @contextmanager
    def imported_events(self, plan: CopyPlan, added: Sequence[Column]) -> Iterator[ImportedTree]:
        """The events' tree, as the RNTuple that the plan's TTree becomes; `added` are columns behind its fields."""
        events = ImportedTree(self._out, plan, added)
        yield events
        events.close()

    def import_tree(self, plan: CopyPlan) -> None:
        """Write the RNTuple that another TTree, whole, becomes."""
        import_tree(self._out, plan)

    def export_ntuple(
        self, name: str, layout: NTupleLayout, chosen: Sequence[Chosen], columns: Sequence[Column] = ()
    ) -> int:
        """Write the TTree that chosen entries of an RNTuple become; how many bytes were read of the sources."""
        return export_ntuple(self._out, name, layout, chosen, columns)

    def copy_tree(self, plan: CopyPlan) -> None:
        """Copy another tree, whole, as its plan says."""
        header = plan.layout.header
        with TreeWriter(self._out, header, plan.layout.fresh_branches()) as writer:
            total = sum(1 for _ in plan.branches)
            for cluster, copied in zip(plan.clusters, cluster_baskets(plan, (0, total)), strict=True):
                writer.write_cluster(cluster.count, copied.baskets)

    def copy_objects(self, source: OpenFile, *, histograms: bool = True, leave: Collection[str] = ()) -> None:
        """Copy all cycles of what is neither tree nor folder; `skipped` tells what cannot be.

        What is the same everywhere stands once, but histograms as often as sources have them: whoever sums the cycles
        must get the sum of the sources. Without `histograms` there are none: whoever adds the outputs up would count
        them twice. Of those named in `leave` the newest cycle is left out. OutputError if the source describes classes
        that the first did not.
        """
        self._copy_streamers(source)
        for name, cycles in source.cycles.items():
            for entry in cycles[:-1] if name in leave else cycles:
                kind, what = entry.key.class_name, f"{source.path}: {name} ({entry.key.class_name})"
                if kind in (TREE, NTUPLE):
                    continue
                if is_pointing(kind):
                    self.skipped += [what] if what not in self.skipped else []
                elif histograms or not is_histogram(kind):
                    self._copy_object(source.record(entry.position))

    def _copy_object(self, record: Record) -> None:
        """Copy one, unless it is no histogram and stands there already."""
        known = record.key.name, record.stored
        if is_histogram(record.key.class_name) or known not in self._objects:
            self._objects.add(known)
            self._out.add_stored(record.key, record.stored, record.size)

    def _copy_streamers(self, source: OpenFile) -> None:
        """The class descriptions of the first source serve; a later one may not need others."""
        known = described_classes(source)
        if self._classes is None:
            self._classes = known
            record = streamers(source)
            if record is not None:
                self._out.set_streamers(record.key, record.stored, record.size)
        elif not known <= self._classes:
            more = ", ".join(sorted(f"{name} {version}" for name, version in known - self._classes)[:5])
            raise OutputError(f"{source.path}: describes classes that the first input does not: {more}; skim it apart")

    def write_string(self, name: str, text: str) -> None:
        """Write `text` as a TObjString."""
        write_string(self._out, name, text)

    def write_cutflow(self, name: str, title: str, steps: Sequence[tuple[str, float]]) -> None:
        """Write (label, content) of each step as a TH1D."""
        write_cutflow(self._out, name, title, steps)
