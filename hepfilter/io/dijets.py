"""Fat jets with substructure, read from files: for searches in the mass of two of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from hepfilter.errors import SourceError, UsageError, nearest
from hepfilter.events.books import Books, find_books
from hepfilter.events.columns import as_column
from hepfilter.events.dijet import DijetEvents, dijet_events
from hepfilter.events.schemas import load_schema
from hepfilter.io.checksum import refuse_copy
from hepfilter.io.events import IS_SIGNAL, TRUTH_LABEL, find_tree
from hepfilter.io.reading import Table, open_file
from hepfilter.io.sources import Source

FAT_JETS: Final = "AK10Jet"
"""The jets of R = 1.0 that `hepfilter simulate` writes."""
_FIELDS: Final = ("pt", "eta", "phi", "mass", "tau1", "tau2")
_CONVENTION: Final = "nanoaod"
"""The schema that names the weight where none fits the file: fat jets have its names anyway."""
_COLUMNS: Final = ("mass", "features", "chosen")
_ENTRIES: Final = 50_000
MOST_UNEQUAL: Final = 2.0
"""The factor between generator weights up to which a sample can stand for data, whose events count alike."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class DijetSample:
    """Events of files.

    events: those with two fat jets; `chosen` covers all entries of all files, in their order.
    labels: truth labels of the chosen events, int32 [B]; None if a file has none.    is_signal: [B] bool, marked as
    signal in the file.    weights: [B] generator weights, 1 in a file without.    is_simulated: a file has weights or
    marks.
    """

    events: DijetEvents
    labels: NDArray[np.int32] | None
    is_signal: NDArray[np.bool_]
    weights: NDArray[np.float64]
    is_simulated: bool

    def refuse_unequal_weights(self) -> None:
        """UsageError if the generator weights of background are not what data could have: about equal, and positive.

        Those of signal may be others: how much of it there is is nothing that data say.
        """
        background = self.weights[~self.is_signal]
        if len(background) == 0 or 0 < background.max() <= MOST_UNEQUAL * background.min():
            return
        raise UsageError(
            f"generator weights of background range from {background.min():.3g} to {background.max():.3g}, and a "
            "search counts events alike, as data; give equal weights, as `hepfilter simulate --set lhco` makes"
        )


def read_dijets(
    sources: Sequence[Source], *, jets: str = FAT_JETS, progress: Progress = lambda *_: None
) -> DijetSample:
    """The dijet features of all events that have two fat jets of the collection `jets`.

    SourceError if a file lacks one of its branches (pt, eta, phi, mass, tau1, tau2), is a copy of another, or if no
    event has two such jets.
    """
    parts: list[DijetSample] = []
    seen: dict[tuple[str, str], str] = {}
    for number, source in enumerate(sources):
        with open_file(source) as file:
            found = find_tree(file, tree=source.tree)
            tree = found.tree
            refuse_copy(file, tree.name, seen)
            books = find_books(found.schema or load_schema(_CONVENTION), tree.branch_names)
            names = _branches(tree, jets, books)
            for start in range(0, tree.num_entries, _ENTRIES):
                stop = min(start + _ENTRIES, tree.num_entries)
                parts.append(_chunk(tree.arrays(names, start, stop), jets, books))
                progress(f"reading file {number + 1}", stop, tree.num_entries)
    if sum(len(part.events.mass) for part in parts) == 0:
        raise SourceError(f"{sources[0].path}: no event has two jets of the collection {jets}; name another one")
    columns = [np.concatenate([getattr(part.events, name) for part in parts]) for name in _COLUMNS]
    known = [part.labels for part in parts if part.labels is not None]
    return DijetSample(
        events=DijetEvents(*columns),
        labels=np.concatenate(known) if len(known) == len(parts) else None,
        is_signal=np.concatenate([part.is_signal for part in parts]),
        weights=np.concatenate([part.weights for part in parts]),
        is_simulated=any(part.is_simulated for part in parts),
    )


def _chunk(arrays: Mapping[str, ak.Array], jets: str, books: Books) -> DijetSample:
    """The events of some entries of a file."""
    events = dijet_events(ak.zip({field: arrays[f"{jets}_{field}"] for field in _FIELDS}))
    labels, marks = (
        None if name not in arrays else np.asarray(ak.to_numpy(arrays[name]))[events.chosen]
        for name in (TRUTH_LABEL, IS_SIGNAL)
    )
    weights, _ = books.read_weight({name: as_column(arrays[name], name) for name in (books.weight,) if name})
    return DijetSample(
        events=events,
        labels=None if labels is None else labels.astype(np.int32),
        is_signal=np.zeros(len(events.mass), np.bool_) if marks is None else marks.astype(np.bool_),
        weights=np.ones(len(events.mass)) if weights is None else weights[events.chosen],
        is_simulated=marks is not None or weights is not None,
    )


def _branches(tree: Table, jets: str, books: Books) -> list[str]:
    """The branches to read; SourceError names the first that the tree lacks."""
    there = set(tree.branch_names)
    names = [f"{jets}_{field}" for field in _FIELDS]
    for name in names:
        if name not in there:
            close = nearest(name, sorted(there))
            raise SourceError(f"{tree.path}: tree {tree.name} has no branch {name}, which a dijet search needs{close}")
    return [*names, *({TRUTH_LABEL, IS_SIGNAL} & there), *([books.weight] if books.weight else [])]
