"""Single events as they are shown: objects, what the model made of them, and what a skim said; plain data."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from hepfilter.config.graph import PARTICLE_CLASSES
from hepfilter.config.schema import COLLECTIONS
from hepfilter.errors import SourceError, UsageError
from hepfilter.evaluation.choosing import RunLumiEvent, find_highest, find_identities
from hepfilter.evaluation.explaining import Explanation, explain
from hepfilter.graphs.features import particle_classes
from hepfilter.io.events import EventTree, find_tree
from hepfilter.io.own_branches import PREFIX, own_names
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source, expand_sources
from hepfilter.scoring.scorer import Scorer
from hepfilter.wording import counted

if TYPE_CHECKING:
    import awkward as ak

    from hepfilter.events.record import Events

_RADII: Final = {"jet": 0.4, "fatjet": 0.8}
_RADII_OF: Final[Mapping[str, Mapping[str, float]]] = {"physlite": {"jet": 0.4, "fatjet": 1.0}}
"""By schema, where they are others than those that CMS uses since 2015, and our simulation."""
_NO_SCORES: Final = ("probability", "weight")
_NO_PATHS: Final = ("passed",)


@dataclass(frozen=True)
class DisplayedObject:
    """One object of the event; GeV and radians.

    number: 1 for the hardest of its collection.
    kind: its collection, or of a particle what it is: one of `PARTICLE_CLASSES`, or ``particle`` if the file is silent.
    charge, btag, pdg_id: None where the file has none.
    carried: what the score loses without it (`evaluation.explaining`); None where the model does not look at it.
    """

    collection: str
    number: int
    kind: str
    pt: float
    eta: float
    phi: float
    mass: float
    charge: float | None = None
    btag: float | None = None
    pdg_id: int | None = None
    carried: float | None = None

    @property
    def name(self) -> str:
        """``muon 1``, ``MET``."""
        return "MET" if self.collection == "met" else f"{self.collection} {self.number}"


@dataclass(frozen=True)
class DisplayedEdge:
    """An edge of the event's graph between the objects at two places of `DisplayedEvent.objects`, the first lower.

    carried: what the score loses when it is cut.
    """

    first: int
    second: int
    carried: float


@dataclass(frozen=True)
class DisplayedEvent:
    """One event.

    identity: run, luminosity block, event; None where the file has none.
    radii: of the jets, by collection.
    objects: by collection in the order of the record, the hardest first.    edges: none without a model.
    scores: by name, those that the file holds, else those of the model; empty where there are neither.
    paths, streams: of a menu, those that the event passes after prescales; empty where the file is no skim by a menu.
    model: the name of the model that explains, and `score` the interest that it gives; None where there is none.
    """

    file: str
    entry: int
    schema: str
    identity: RunLumiEvent | None
    radii: Mapping[str, float]
    objects: tuple[DisplayedObject, ...]
    edges: tuple[DisplayedEdge, ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)
    paths: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()
    model: str | None = None
    score: float | None = None

    @property
    def name(self) -> str:
        """``1:2:3``, or ``entry 4`` where the file names no event."""
        return f"entry {self.entry}" if self.identity is None else ":".join(map(str, self.identity))


def read_displayed(
    inputs: str | Path | Sequence[str | Path],
    *,
    entries: Sequence[int] = (),
    identities: Sequence[RunLumiEvent] = (),
    top: int = 0,
    model: str | None = "interest-objects",
    schema: str | None = None,
    device: str = "auto",
    hidden: Mapping[str, NDArray[np.bool_]] | None = None,
) -> tuple[DisplayedEvent, ...]:
    """Some events of `inputs` (what `expand_inputs` takes), in the order asked for.

    One of: their `entries` in a single file; their `identities`; the `top` of highest interest, which the files hold if
    a skim wrote them, else `model` says. Without `model` nothing is explained. `hidden` says of files, by path, which
    of their entries may not be shown (`skim.displaying`). The errors of reading, schemas and checkpoints; SourceError
    for an event that is not there, or hidden, UsageError for options that do not go together.
    """
    if (len(entries) > 0) + (len(identities) > 0) + (top > 0) != 1:
        raise UsageError("say which events: by entry, by run:lumi:event, or how many from the top")
    given = [inputs] if isinstance(inputs, str | Path) else inputs
    sources = expand_sources([str(one) for one in given])
    if entries and len(sources) > 1:
        raise UsageError(f"an entry is one of a single file, not of {counted(len(sources), 'file')}; name the file")
    scorer = None if model is None else Scorer(model, device=device)
    hidden = hidden or {}
    if entries:
        chosen = [(0, entry) for entry in entries]
    elif identities:
        chosen = find_identities(sources, identities, schema=schema)
    else:
        chosen = find_highest(sources, top, scorer, schema=schema, hidden=hidden)
    by_source: dict[int, list[int]] = defaultdict(list)
    for number, entry in chosen:
        by_source[number].append(entry)
    found: dict[tuple[int, int], DisplayedEvent] = {}
    for number, wanted in by_source.items():
        path = sources[number].path
        _refuse_hidden(path, wanted, hidden.get(path))
        shown = _read_file(sources[number], wanted, scorer, schema=schema)
        found |= {(number, entry): event for entry, event in zip(wanted, shown, strict=True)}
    return tuple(found[place] for place in chosen)


def _refuse_hidden(path: str, entries: Iterable[int], hidden: NDArray[np.bool_] | None) -> None:
    """SourceError if one of the entries is hidden; of those that are not there `_read_file` tells."""
    for entry in entries:
        if hidden is not None and 0 <= entry < len(hidden) and hidden[entry]:
            raise SourceError(f"{path}: entry {entry} is blinded by the menu of the skim that wrote it")


def _read_file(
    source: Source, entries: Iterable[int], scorer: Scorer | None, *, schema: str | None
) -> list[DisplayedEvent]:
    """The events at some entries of one file."""
    shown = []
    with open_file(source) as file:
        found = find_tree(file, tree=source.tree, schema=schema)
        own = own_names(found.tree.branch_names)
        events = found.bind(hidden=own)
        for entry in entries:
            if not 0 <= entry < found.tree.num_entries:
                there = counted(found.tree.num_entries, "entry")
                there += f", the last is {found.tree.num_entries - 1}" if found.tree.num_entries else ""
                raise SourceError(f"{source.path}: no entry {entry}; tree {found.tree.name} has {there}")
            values = found.tree.values(own, entry, entry + 1)
            said = {
                name.removeprefix(PREFIX): column.values[0] for name, column in values.items() if column.offsets is None
            }
            shown.append(_displayed(source.path, entry, events, said, scorer))
    return shown


def _displayed(
    path: str, entry: int, events: EventTree, said: Mapping[str, Any], scorer: Scorer | None
) -> DisplayedEvent:
    """The event at an entry; `said` is what a skim added to it, by name without prefix."""
    read = events.read(entry, entry + 1)
    objects = _objects(read.record)
    scores = {name: float(value) for name, value in said.items() if _is(value, "f") and name not in _NO_SCORES}
    bits = [name for name, value in said.items() if _is(value, "b") and value and name not in _NO_PATHS]
    edges: tuple[DisplayedEdge, ...] = ()
    score = None
    if scorer is not None:
        explanation = explain(scorer, read.record)[0]
        objects, edges = _explained(objects, explanation, scorer.collections)
        score = explanation.score
        scores = scores or {name: float(values[0]) for name, values in scorer.score_heads(read.record).items()}
    schema = events.binding.schema.name
    return DisplayedEvent(
        path,
        entry,
        schema,
        identity=None if events.binding.books.identity is None else _identity(read),
        radii=_RADII_OF.get(schema, _RADII),
        objects=tuple(objects),
        edges=edges,
        scores=scores,
        paths=tuple(name for name in bits if not name.endswith("_raw") and not name.startswith("stream_")),
        streams=tuple(name.removeprefix("stream_") for name in bits if name.startswith("stream_")),
        model=None if scorer is None else scorer.metadata.name,
        score=score,
    )


def _is(value: Any, kind: str) -> bool:
    return bool(np.asarray(value).dtype.kind == kind)


def _identity(read: "Events") -> RunLumiEvent:
    identity = read.identity
    return int(identity.run[0]), int(identity.luminosity_block[0]), int(identity.event[0])


def _objects(record: "ak.Array") -> list[DisplayedObject]:
    """All objects of a record of one event."""
    objects = []
    for collection in COLLECTIONS:
        own = record[collection][0]
        columns = {field: own[field].to_numpy() for field in own.fields}
        kinds = _kinds(columns) if collection == "particle" else [collection] * len(own)
        for place, kind in enumerate(kinds):
            values = {field: column[place].item() for field, column in columns.items()}
            objects.append(DisplayedObject(collection, place + 1, kind, **values))
    return objects


def _kinds(columns: Mapping[str, NDArray[Any]]) -> list[str]:
    """What each particle is, as far as the file says."""
    nothing = np.zeros(len(columns["pt"]))
    classes = particle_classes(columns.get("pdg_id", nothing), columns.get("charge", nothing))
    kinds = np.full(len(nothing), "particle", dtype=object)
    for name, is_one in zip(PARTICLE_CLASSES, classes, strict=True):
        kinds[is_one] = name
    return list(kinds)


def _explained(
    objects: Sequence[DisplayedObject], explanation: Explanation, collections: Sequence[str]
) -> tuple[list[DisplayedObject], tuple[DisplayedEdge, ...]]:
    """The objects with what they carry, and the edges between them."""
    nodes, shown, places = explanation.nodes, list(objects), []
    # Nodes are the objects of a collection that the model takes, in their order.
    waiting = {name: iter([n for n, one in enumerate(objects) if one.collection == name]) for name in collections}
    for node, carried in enumerate(explanation.carried.tolist()):
        own = (float(nodes.pt[node]), float(nodes.eta[node]), float(nodes.phi[node]))
        left = waiting[collections[nodes.collection[node]]]
        place = next(n for n in left if (objects[n].pt, objects[n].eta, objects[n].phi) == own)
        shown[place] = replace(objects[place], carried=carried)
        places.append(place)
    edges = []
    for ends, carried in zip(explanation.edges.T.tolist(), explanation.carried_by_edges.tolist(), strict=True):
        first, second = sorted(places[node] for node in ends)
        edges.append(DisplayedEdge(first, second, carried))
    return shown, tuple(edges)
