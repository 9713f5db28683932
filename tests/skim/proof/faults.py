"""Faulty copies of outputs: what a verification must find."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hepfilter.io.baskets import Entries, LayoutPool
from hepfilter.io.container import RootFile
from hepfilter.io.directory import Entry
from hepfilter.io.histogram import write_cutflow
from hepfilter.io.layout import LayoutMerger
from hepfilter.io.objects import read_string
from hepfilter.io.reading import OpenTree, open_file
from hepfilter.io.sources import Source
from hepfilter.io.streamers import streamers
from hepfilter.io.treewriter import TreeWriter
from hepfilter.io.ttree import Branch, TreeHeader
from hepfilter.io.writing import Column, column_branch, write_string

PROVENANCE, CUTFLOW = "HepFilter_provenance", "HepFilter_cutflow"
Edit = Callable[[list[Branch]], object]
Reorder = Callable[[list[Entry]], list[Entry]]


def rewrite(
    path: Path,
    out: Path,
    *,
    order: Mapping[str, Sequence[int]] | None = None,
    edit: Edit | None = None,
    flip: tuple[str, int] | None = None,
    values: Mapping[str, Callable[[np.ndarray], Any]] | None = None,
    without: Sequence[str] = (),
    provenance: Callable[[dict[str, Any]], object] | None = None,
    cutflow: Sequence[tuple[str, float]] | None = None,
    extra_tree: str | None = None,
    descriptions: Callable[[bytes], bytes] | None = None,
    reorder: Reorder | None = None,
    tree: str = "Events",
) -> Path:
    """Write `path` again with a fault.

    `order` gives the entries of trees by name; `edit` changes the branches' descriptions, or their number; `flip` turns
    a bit of (branch, entry); `values` changes the numbers of flat branches; `without` leaves objects or branches out;
    `provenance` changes the recorded facts; `cutflow` is written instead of what is there; `extra_tree` names a tree
    more; `descriptions` changes the StreamerInfo; `reorder` the objects that the file lists.
    """
    with open_file(Source(str(path))) as file, RootFile(out, compression=file.compression) as new:
        record = streamers(file)
        stored = record.stored if descriptions is None else descriptions(record.payload())
        new.set_streamers(record.key, stored, record.size)
        listed = [entry for cycles in file.cycles.values() for entry in cycles]
        for name, entry in ((entry.key.name, entry) for entry in (reorder(listed) if reorder else listed)):
            if name in without:
                continue
            if name in file.tree_names:
                changes = (edit, flip, values or {}) if name == tree else (None, None, {})
                _write_tree(new, file.tree(name).without(without), (order or {}).get(name), *changes)
            elif entry == file.entries.get(PROVENANCE) and provenance is not None:
                facts = json.loads(read_string(file, name))
                provenance(facts)
                write_string(new, name, json.dumps(facts))
            elif entry == file.entries.get(CUTFLOW) and cutflow is not None:
                write_cutflow(new, name, "", cutflow)
            else:
                record = file.record(entry.position)
                new.add_stored(record.key, record.stored, record.size)
        if extra_tree is not None:
            TreeWriter(new, TreeHeader(extra_tree, ""), [column_branch(Column("x", "int32"), {})]).close()
    return out


def _write_tree(
    new: RootFile,
    tree: OpenTree,
    order: Sequence[int] | None,
    edit: Edit | None,
    flip: tuple[str, int] | None,
    values: Mapping[str, Callable[[np.ndarray], Any]],
) -> None:
    merger = LayoutMerger("strict")
    merger.add(tree)
    layout = merger.result()
    branches = layout.fresh_branches()
    if edit is not None:
        edit(branches)
    order = range(tree.num_entries) if order is None else order
    with TreeWriter(new, layout.header, branches) as writer:
        for index, branch in enumerate(branch for top in branches for branch in top.walk()):
            read = tree.by_name.get(branch.name, tree.branches[0])
            for entry in order:
                writer.append(index, _entry(tree, read, entry, flip, values.get(branch.name)))
        writer.count_entries(len(order))


def _entry(
    tree: OpenTree, branch: Branch, entry: int, flip: tuple[str, int] | None, change: Callable[[np.ndarray], Any] | None
) -> Entries:
    """One entry of a branch, with its fault."""
    reader = tree.reader(branch, LayoutPool())
    number = int(np.searchsorted(reader.edges, entry, side="right")) - 1
    entries = reader.read(number)
    low = entry - int(reader.edges[number])
    one = entries.slice(low, low + 1)
    if change is not None:
        whole = tree.values([branch.name])[branch.name].values.copy()
        change(whole)
        own = whole[entry : entry + 1]
        return Entries(own.astype(own.dtype.newbyteorder(">")).view(np.uint8), 1)
    if flip == (branch.name, entry):
        data = one.data.copy()
        data[0] ^= 1
        return Entries(data, 1, one.layout, one.origins)
    return one


def without(name: str, cycle: int) -> Reorder:
    """All objects but a cycle of a name."""
    return lambda listed: [entry for entry in listed if (entry.key.name, entry.cycle) != (name, cycle)]


def only(name: str, order: Sequence[int]) -> Reorder:
    """The cycles of a name in another order, or more or fewer of them."""

    def reorder(listed: list[Entry]) -> list[Entry]:
        own = {entry.cycle: entry for entry in listed if entry.key.name == name}
        return [entry for entry in listed if entry.key.name != name] + [own[cycle] for cycle in order]

    return reorder


def flip_stored_byte(path: Path, branch: str, *, back: int = 5, tree: str = "Events") -> None:
    """Turn bits in the last bytes of a branch's first basket, as it lies in the file."""
    with open_file(Source(str(path))) as file:
        stored = file.tree(tree).by_name[branch].stored
        end = int(stored.seeks[0] + stored.sizes[0])
    data = bytearray(path.read_bytes())
    data[end - back] ^= 0x55
    path.write_bytes(data)
