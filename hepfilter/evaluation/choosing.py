"""Where single events stand in files: those of an identity, and those of the highest score."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hepfilter.errors import SourceError, UsageError
from hepfilter.events.identity import Identity
from hepfilter.io.events import FoundTree, find_tree
from hepfilter.io.own_branches import PREFIX, own_names
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source
from hepfilter.scoring.scorer import Scorer
from hepfilter.work.units import cut_units

_UNIT_ENTRIES: Final = 20_000

RunLumiEvent = tuple[int, int, int]
Place = tuple[int, int]
"""The number of a file, and an entry of it."""


def find_identities(
    sources: Sequence[Source], wanted: Sequence[RunLumiEvent], *, schema: str | None = None
) -> list[Place]:
    """Where each of the wanted events stands; of several with one identity the first.

    SourceError for one that is not there, naming the nearest, and for a file that does not say who its events are.
    """
    places: dict[RunLumiEvent, Place] = {}
    near: dict[RunLumiEvent, list[tuple[RunLumiEvent, RunLumiEvent, int, str]]] = {one: [] for one in wanted}
    for number, source in enumerate(sources):
        with open_file(source) as file:
            identity = _identities(find_tree(file, tree=source.tree, schema=schema))
        for one in wanted if len(identity) else ():
            distance, found, entry = _nearest(identity, one)
            near[one].append((distance, found, entry, source.path))
            if not any(distance):
                places.setdefault(one, (number, entry))
    for one in wanted:
        if one not in places:
            what = f"no event {_text(one)} in {', '.join(source.path for source in sources)}"
            if not near[one]:
                raise SourceError(f"{what}: it holds no event")
            _, found, entry, path = min(near[one])
            raise SourceError(f"{what}; nearest: {_text(found)}, entry {entry} of {path}")
    return [places[one] for one in wanted]


def find_highest(
    sources: Sequence[Source],
    top: int,
    scorer: Scorer | None,
    *,
    schema: str | None = None,
    hidden: Mapping[str, NDArray[np.bool_]],
) -> list[Place]:
    """Where the `top` events of highest interest stand, the highest first; of equals the first.

    A skim holds the interest of its events; those of other files are scored. UsageError if there is no scorer then.
    Entries that are `hidden`, by path of their file, are passed over.
    """
    ranked: list[tuple[float, int, int]] = []
    for number, source in enumerate(sources):
        with open_file(source) as file:
            scores = _interest(find_tree(file, tree=source.tree, schema=schema), scorer)
        best = np.argsort(-scores, kind="stable")
        if source.path in hidden:
            best = best[~hidden[source.path][best]]
        best = best[:top]
        ranked = sorted(ranked + [(-float(scores[entry]), number, int(entry)) for entry in best])[:top]
    return [(number, entry) for _, number, entry in ranked]


def _identities(found: FoundTree) -> Identity:
    """Who the events of a tree are."""
    events = found.bind(hidden=own_names(found.tree.branch_names))
    books, tree = events.binding.books, events.tree
    if books.identity is None:
        raise SourceError(f"{tree.path}: tree {tree.name} does not say run and event of its events; give an entry")
    columns = tree.values(books.identity)
    return books.read_identity(columns, file=tree.path, first_entry=0, count=tree.num_entries)


def _nearest(identity: Identity, wanted: RunLumiEvent) -> tuple[RunLumiEvent, RunLumiEvent, int]:
    """(how far it is in run, luminosity block and event, who it is, its entry); the first of equals."""
    columns = [column.astype(np.uint64) for column in (identity.run, identity.luminosity_block, identity.event)]
    goals = [np.uint64(goal) for goal in wanted]
    away = [np.where(column > goal, column - goal, goal - column) for column, goal in zip(columns, goals, strict=True)]
    entry = int(np.lexsort(away[::-1])[0])

    def at(parts: list[NDArray[np.uint64]]) -> RunLumiEvent:
        return int(parts[0][entry]), int(parts[1][entry]), int(parts[2][entry])

    return at(away), at(columns), entry


def _interest(found: FoundTree, scorer: Scorer | None) -> NDArray[np.float32]:
    """The interest of all events of a tree: [B]."""
    tree, stored = found.tree, f"{PREFIX}interest"
    if stored in tree.branch_names:
        values: NDArray[np.float32] = tree.values([stored])[stored].values
        return values
    if scorer is None:
        raise UsageError(f"{tree.path}: holds no scores to rank its events by; give a model")
    events = found.bind(hidden=own_names(tree.branch_names), wanted=scorer.collections)
    units = cut_units(0, tree.cluster_edges(events.binding.branches), target=_UNIT_ENTRIES)
    parts = [scorer.score(events.read(unit.start, unit.stop).record) for unit in units]
    return np.concatenate([np.empty(0, np.float32), *parts])


def _text(identity: RunLumiEvent) -> str:
    return ":".join(map(str, identity))
