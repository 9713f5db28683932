"""Copying entries of trees by mask, with the pieces that a skim is made of."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from hepfilter.io.compression import Compression
from hepfilter.io.copy_plan import CopyPlan, Piece, plan_clusters
from hepfilter.io.copying import cluster_baskets
from hepfilter.io.layout import LayoutMerger, Policy
from hepfilter.io.output import SkimOutput
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source
from hepfilter.io.writing import Column


def copy(
    sources: Sequence[Path],
    out: Path,
    kept: Sequence[np.ndarray],
    tree: str = "Events",
    *,
    added: Sequence[Column] = (),
    compression: Compression | None = None,
    policy: Policy = "strict",
    fills: Mapping[str, float] | None = None,
) -> list[str]:
    """Copy the entries where the masks are true, with their numbers in the added columns; what was not copied."""
    mergers: dict[str, LayoutMerger] = {}
    pieces: dict[str, list[tuple[int, Piece, float]]] = {}
    for number, (path, mask) in enumerate(zip(sources, kept, strict=True)):
        with open_file(Source(str(path))) as file:
            for name in file.tree_names:
                opened = file.tree(name).without(column.name for column in added)
                mergers.setdefault(name, LayoutMerger(policy, fills if name == tree else None)).add(opened)
                entries = np.flatnonzero(mask) if name == tree else np.arange(opened.num_entries)
                size = sum(branch.source_bytes[0] for top in opened.branches for branch in top.walk())
                pieces.setdefault(name, []).append((0, Piece(number, entries), size / max(opened.num_entries, 1)))
    inputs = tuple(Source(str(path)) for path in sources)
    layouts = {name: merger.result() for name, merger in mergers.items()}
    for layout in layouts.values():
        layout.refuse_obstacles()
    plans = {
        name: CopyPlan(inputs, name, layout, plan_clusters(pieces[name]), compression)
        for name, layout in layouts.items()
    }
    plan = plans.pop(tree)
    with SkimOutput(out, compression=compression) as output:
        with output.new_events(plan.layout, added) as events:
            for cluster, copied in zip(plan.clusters, cluster_baskets(plan, (0, len(plan.branches))), strict=True):
                numbers = np.concatenate([piece.entries for piece in cluster.pieces])
                columns = {column.name: numbers.astype(column.dtype) for column in added}
                events.write_cluster(cluster.count, copied.baskets, columns)
        for source in inputs:
            with open_file(source) as file:
                output.copy_objects(file)
        for other in plans.values():
            output.copy_tree(other)
    return output.skipped
