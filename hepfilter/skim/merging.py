"""Several outputs of skims as one file: nothing is summed twice, the order is kept, and the whole can be verified."""

import json
import platform
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hepfilter import __version__
from hepfilter.errors import UsageError
from hepfilter.io.converting import Chosen
from hepfilter.io.copy_plan import Cluster, CopyPlan, Piece, plan_clusters
from hepfilter.io.copying import ClusterBaskets
from hepfilter.io.layout import TreeLayout
from hepfilter.io.output import SkimOutput, is_histogram
from hepfilter.io.publishing import Publication, refuse_output
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source, refuse_inputs
from hepfilter.shown import Shown
from hepfilter.skim.cluster_copy import BASKETS, ClusterCopy, copying_job, useful_execution
from hepfilter.skim.merge_inputs import (
    Tables,
    common_tree,
    differing_menus,
    flat,
    missing_parts,
    read_given,
    read_tables,
    refuse_doubles,
)
from hepfilter.skim.parts import Part, histograms
from hepfilter.skim.provenance import CUTFLOW, FORMAT, PROVENANCE, WEIGHTED, write_cutflows
from hepfilter.skim.report import CutflowStep, add_cutflows
from hepfilter.work.execution import Execution, open_executor

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class MergedPart:
    """One of the merged outputs and its events."""

    path: str
    events: int


@dataclass(frozen=True)
class MergeReport(Shown):
    """What was merged; `notes` say what a user may not expect."""

    path: str
    tree: str
    parts: tuple[MergedPart, ...]
    cutflow: tuple[CutflowStep, ...]
    notes: tuple[str, ...]
    seconds: float = 0.0

    @property
    def events(self) -> int:
        """Events of all parts."""
        return sum(part.events for part in self.parts)


def merge(
    outputs: Sequence[Source],
    path: Path | str,
    *,
    workers: int = 1,
    command: Sequence[str] = (),
    force: bool = False,
    progress: Progress = lambda *_: None,
) -> MergeReport:
    """Write the events and rows of several skims' `outputs`, in the order given, to one file; bytes stay as they are.

    OutputError if they differ in trees, branches or model (the differences are listed), or if something would count
    twice: an output given twice, or two skims of the same input; SourceError if one cannot be read, or is none of a
    skim. Split parts of one skim belong together; those that are not given are named in the report's notes. What
    exists is replaced only with `force`. One output is open at a time.
    """
    started = time.perf_counter()
    path = Path(path)
    if len(outputs) < 2:
        raise UsageError("merge takes at least two outputs")
    refuse_inputs([path], outputs)
    refuse_output(path, force=force)
    given = [read_given(output) for output in outputs]
    refuse_doubles(given)
    parts = [one.parts for one in given]
    tree = common_tree(outputs, parts)
    merger = _Merger(tuple(replace(output, tree=None) for output in outputs), parts, tree, read_tables(outputs), path)
    notes = missing_parts(parts) + differing_menus(parts)
    notes += merger.write(workers=workers, command=command, progress=progress)
    counts = zip(outputs, merger.tables.all[tree].counts, strict=True)
    flow = add_cutflows([part.cutflow() for part in flat(parts) if part.has_books])
    return MergeReport(
        path=str(path),
        tree=tree,
        parts=tuple(MergedPart(output.path, count) for output, count in counts),
        cutflow=tuple(flow),
        notes=tuple(notes),
        seconds=time.perf_counter() - started,
    )


@dataclass(frozen=True)
class _Merger:
    """Writes the merged file."""

    sources: tuple[Source, ...]
    parts: Sequence[Sequence[Part]]
    tree: str
    tables: Tables
    path: Path

    def write(self, *, workers: int, command: Sequence[str], progress: Progress) -> list[str]:
        """Copy all trees, then all objects, then what is said of the whole; what a user may not expect."""
        layout = self.tables.all[self.tree].layout()
        with ExitStack() as stack:
            publication = stack.enter_context(Publication())
            plan = self._plan(self.tree, layout) if isinstance(layout, TreeLayout) else None
            out = stack.enter_context(
                SkimOutput(self.path, compression=self.tables.compression, publication=publication)
            )
            if plan is None:
                self._copy_table(out, self.tree)
            else:
                self._copy_events(out, plan, workers, progress)
            side_by_side = self._copy_objects(out)
            for name in self.tables.all:
                if name != self.tree:
                    self._copy_table(out, name)
            out.write_string(PROVENANCE, json.dumps(self._provenance(command)))
            write_cutflows(out, *histograms(flat(self.parts)))
            return [f"not copied: {name}" for name in out.skipped] + side_by_side

    def _copy_events(self, out: SkimOutput, plan: CopyPlan, workers: int, progress: Progress) -> None:
        """Write the events' tree."""
        total, done = sum(cluster.count for cluster in plan.clusters), 0
        stored = [own for _, own in self.tables.all[self.tree].entry_bytes]
        execution = useful_execution(Execution(workers), self._payload())
        with (
            out.new_events(plan.layout, ()) as events,
            open_executor(execution, copying_job(plan, BASKETS)) as executor,
        ):

            def write(cluster: Cluster, copied: Sequence[ClusterBaskets]) -> None:
                nonlocal done
                events.write_cluster(cluster.count, [basket for group in copied for basket in group.baskets], {})
                progress("merging", done := done + cluster.count, total)

            ClusterCopy(plan, BASKETS, stored, executor).run(0, write)

    def _copy_table(self, out: SkimOutput, name: str) -> None:
        """Copy a tree or RNTuple in this process."""
        layout = self.tables.all[name].layout()
        if isinstance(layout, TreeLayout):
            out.copy_tree(self._plan(name, layout))
        else:
            counts = self.tables.all[name].counts
            chosen = [Chosen(source, np.arange(count)) for source, count in zip(self.sources, counts, strict=True)]
            out.copy_ntuple(name, layout, chosen)

    def _copy_objects(self, out: SkimOutput) -> list[str]:
        """Copy all objects; what to say of histograms that several have: they stand as cycles of one name."""
        own, outputs = (PROVENANCE, CUTFLOW, WEIGHTED), Counter[str]()
        for source in self.sources:
            with open_file(source) as file:
                out.copy_objects(file, leave=own)
                outputs.update(n for n, kind in file.class_names.items() if is_histogram(kind) and n not in own)
        shared = ", ".join(name for name, count in outputs.items() if count > 1)
        what = "each stands as a cycle of the name, in the order of the outputs, and they are not added up"
        return [f"histograms that are in several outputs: {what}: {shared}"] if shared else []

    def _plan(self, name: str, layout: TreeLayout) -> CopyPlan:
        """All entries of a TTree of all outputs."""
        table = self.tables.all[name]
        pieces = [
            (0, Piece(number, np.arange(count)), unpacked)
            for number, (count, (unpacked, _)) in enumerate(zip(table.counts, table.entry_bytes, strict=True))
        ]
        return CopyPlan(self.sources, name, layout, plan_clusters(pieces), self.tables.compression)

    def _payload(self) -> float:
        """The bytes of all events, as they are compressed."""
        table = self.tables.all[self.tree]
        return sum(count * stored for count, (_, stored) in zip(table.counts, table.entry_bytes, strict=True))

    def _provenance(self, command: Sequence[str]) -> dict[str, object]:
        """What the merged file says of itself: the provenance of each part, as it was."""
        return {
            "format": FORMAT,
            "hepfilter": __version__,
            "versions": {"python": platform.python_version(), "numpy": np.__version__},
            "command": list(command),
            "parts": [part.facts for part in flat(self.parts)],
        }
