"""Fat jets with substructure, read from files: for searches in the mass of two of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from hepfilter.errors import SourceError, nearest
from hepfilter.events.dijet import DijetEvents, dijet_events
from hepfilter.io.events import TRUTH_LABEL, find_tree
from hepfilter.io.reading import Table, open_file
from hepfilter.io.sources import Source

FAT_JETS: Final = "AK10Jet"
"""The jets of R = 1.0 that `hepfilter simulate` writes."""
_FIELDS: Final = ("pt", "eta", "phi", "mass", "tau1", "tau2")
_ENTRIES: Final = 50_000

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class DijetSample:
    """Events of files.

    events: those with two fat jets; `chosen` covers all entries of all files, in their order.
    labels: truth labels of the chosen events, int32 [B]; None if a file has none.
    """

    events: DijetEvents
    labels: NDArray[np.int32] | None


def read_dijets(
    sources: Sequence[Source], *, jets: str = FAT_JETS, progress: Progress = lambda *_: None
) -> DijetSample:
    """The dijet features of all events that have two fat jets of the collection `jets`.

    SourceError if a file lacks one of its branches (pt, eta, phi, mass, tau1, tau2) or no event has two such jets.
    """
    parts: list[DijetEvents] = []
    labels: list[NDArray[np.int32] | None] = []
    for number, source in enumerate(sources):
        with open_file(source) as file:
            tree = find_tree(file, tree=source.tree).tree
            names = _branches(tree, jets)
            for start in range(0, tree.num_entries, _ENTRIES):
                stop = min(start + _ENTRIES, tree.num_entries)
                arrays = tree.arrays(names, start, stop)
                part = dijet_events(ak.zip({field: arrays[f"{jets}_{field}"] for field in _FIELDS}))
                parts.append(part)
                truth = arrays.get(TRUTH_LABEL)
                labels.append(None if truth is None else np.asarray(ak.to_numpy(truth), np.int32)[part.chosen])
                progress(f"reading file {number + 1}", stop, tree.num_entries)
    if sum(len(part.mass) for part in parts) == 0:
        raise SourceError(f"{sources[0].path}: no event has two jets of the collection {jets}; name another one")
    columns = (np.concatenate([getattr(part, name) for part in parts]) for name in ("mass", "features", "chosen"))
    known = [part for part in labels if part is not None]
    return DijetSample(DijetEvents(*columns), np.concatenate(known) if len(known) == len(parts) else None)


def _branches(tree: Table, jets: str) -> list[str]:
    """The branches to read; SourceError names the first that the tree lacks."""
    there = set(tree.branch_names)
    names = [f"{jets}_{field}" for field in _FIELDS]
    for name in names:
        if name not in there:
            close = nearest(name, sorted(there))
            raise SourceError(f"{tree.path}: tree {tree.name} has no branch {name}, which a dijet search needs{close}")
    return [*names, *({TRUTH_LABEL} & there)]
