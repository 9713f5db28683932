"""The events of outputs that may be shown, as flat columns: what a menu blinds is left out while they are read."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hepfilter.config.files import is_file
from hepfilter.config.menu import CONTROL_STREAM, Menu
from hepfilter.config.schema import COLLECTIONS
from hepfilter.errors import CheckpointError, SchemaError, SourceError, UsageError
from hepfilter.events.books import find_books
from hepfilter.events.hardest import flat_objects, hardest
from hepfilter.events.identity import Identity
from hepfilter.events.spectra import read_spectra
from hepfilter.io.events import FoundTree, find_tree
from hepfilter.io.own_branches import own_names, score_column
from hepfilter.io.reading import Table, open_file
from hepfilter.models.metadata import read_metadata
from hepfilter.skim.added import bit_column
from hepfilter.skim.conditions import bind_conditions, blind_conditions, blinded
from hepfilter.skim.cut_fills import CutFills
from hepfilter.skim.parts import Part
from hepfilter.skim.proof.subject import recorded_origins
from hepfilter.skim.recipe import Recipe
from hepfilter.skim.reporting.outputs import ReadOutput
from hepfilter.trigger.events import TriggerEvents
from hepfilter.trigger.prescales import control_probability
from hepfilter.work.units import cut_units

Mask = NDArray[np.bool_]
Values = NDArray[np.float64]
Progress = Callable[[str, int, int], None]

LEADING_PT: Final = "leading_pt"
_UNIT_ENTRIES: Final = 20_000


@dataclass(frozen=True)
class ShownEvents:
    """Kept events that may be shown, all arrays [n]: `output` is the number of their file, `entry` that in it.

    weights: of the generator, 1 for data.    scores, raw, passed: by name of the score and of the path, raw before
    prescales.    control: which are in the control stream, with the probability `control_probability`.
    observables: GeV, by the names of `events.spectra.SPECTRA` and `leading_pt`; empty where objects were not read, and
    `fault` says why if that was not for want of a need.
    """

    output: NDArray[np.int64]
    entry: NDArray[np.int64]
    run: NDArray[np.int64]
    luminosity_block: NDArray[np.int64]
    event: NDArray[np.uint64]
    identified: Mask
    weights: Values
    scores: Mapping[str, NDArray[np.float32]]
    raw: Mapping[str, Mask]
    passed: Mapping[str, Mask]
    control: Mask
    control_probability: Values
    observables: Mapping[str, Values]
    fault: str = ""

    def __len__(self) -> int:
        return len(self.entry)

    def __getitem__(self, chosen: Mask | NDArray[np.int64]) -> "ShownEvents":
        """Some of them."""
        picked: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                picked[field.name] = value[chosen]
            elif isinstance(value, Mapping):
                picked[field.name] = {name: column[chosen] for name, column in value.items()}
        return replace(self, **picked)

    @classmethod
    def join(cls, pieces: "Sequence[ShownEvents]") -> "ShownEvents":
        """One after the other, with the columns that all have."""
        joined: dict[str, Any] = {"fault": next((piece.fault for piece in pieces if piece.fault), "")}
        for field in fields(cls):
            values = [getattr(piece, field.name) for piece in pieces]
            if isinstance(values[0], np.ndarray):
                joined[field.name] = np.concatenate(values)
            elif isinstance(values[0], Mapping):
                names = [name for name in values[0] if all(name in value for value in values)]
                joined[field.name] = {name: np.concatenate([value[name] for value in values]) for name in names}
        return cls(**joined)


def read_shown(
    output: ReadOutput, number: int, *, objects: bool, progress: Progress
) -> Iterator[tuple[Part, ShownEvents]]:
    """The events of each part of an output, the file of that `number`; with their `objects` if these are asked for.

    SourceError if a basket is damaged.
    """
    with open_file(output.source) as file:
        tree = file.table(output.parts[0].tree)
        found = _found(file, output.parts[0])
        columns = _columns(tree, found, output.parts[0], number)
        observables, fault = ({}, "") if not objects else _observables(tree, found, output, progress)
        columns = replace(columns, observables=observables, fault=fault)
        of_part = recorded_origins(tree, output.parts).parts if len(output.parts) > 1 else None
        for place, part in enumerate(output.parts):
            own = columns if of_part is None else columns[of_part == place]
            entries = None if of_part is None else np.flatnonzero(of_part == place)
            yield part, own[_may_be_shown(tree, part, own, entries)]


def shown_paths(part: Part) -> tuple[str, ...]:
    """The paths of the menu that are not blind, or all of them where that was lifted."""
    if part.menu is None:
        return ()
    return tuple(name for name, path in part.menu.paths.items() if unblinded(part) or not path.blind)


def unblinded(part: Part) -> bool:
    """Whether what the menu blinds was shown when the skim was made."""
    return bool(part.facts.get("unblinded", False))


def _found(file: Any, part: Part) -> FoundTree | None:
    """The events' tree and its schema; None where a schema file of the skim is not there."""
    given = part.recipe.schema
    schema = given if given is None or is_file(given) else part.inputs[0].schema or None
    try:
        return find_tree(file, tree=part.tree, schema=schema)
    except (SourceError, SchemaError):
        return None


def _columns(tree: Table, found: FoundTree | None, part: Part, number: int) -> ShownEvents:
    """All events of an output, blind ones too, without their objects."""
    count = tree.num_entries
    there = set(tree.branch_names)
    paths = [] if part.menu is None else list(part.menu.paths)
    scores = {name: score_column(name).name for name in part.scores}
    bits = {name: bit_column(name).name for name in (*paths, *(f"{path}_raw" for path in paths))}
    control = bit_column(f"stream_{CONTROL_STREAM}").name
    books = find_books(None if found is None else found.schema, tree.branch_names)
    wanted = {*scores.values(), *bits.values(), control} & there
    read = tree.values([*wanted, *books.branches])
    who = books.read_identity(read, file=tree.path, first_entry=0, count=count)
    weights, _ = books.read_weight(read)
    values = {name: read[branch].values for name, branch in (scores | bits).items() if branch in there}
    of_control = read[control].values.astype(bool) if control in there else np.zeros(count, bool)
    own_scores = {name: values[name].astype(np.float32) for name in scores if name in values}
    return ShownEvents(
        output=np.full(count, number),
        entry=np.arange(count),
        run=who.run.astype(np.int64),
        luminosity_block=who.luminosity_block.astype(np.int64),
        event=who.event.astype(np.uint64),
        identified=np.full(count, books.identity is not None),
        weights=np.ones(count) if weights is None else weights,
        scores=own_scores,
        raw={path: values[f"{path}_raw"].astype(bool) for path in paths if f"{path}_raw" in values},
        passed={path: values[path].astype(bool) for path in paths if path in values},
        control=of_control,
        control_probability=_control_probability(part.menu, who, own_scores),
        observables={},
    )


def _control_probability(menu: Menu | None, who: Identity, scores: Mapping[str, NDArray[np.float32]]) -> Values:
    """[n] the probability with which an event like this enters the control stream; 0 where that is not known."""
    count = len(who)
    control = None if menu is None else menu.control
    if control is None or (control.score is not None and control.score not in scores):
        return np.zeros(count)
    events = TriggerEvents(
        run=who.run,
        luminosity_block=who.luminosity_block,
        event=who.event,
        weights=np.ones(count),
        hertz=None,
        scores=scores,
        when={},
        blind=np.zeros(count, bool),
    )
    return control_probability(events, control)


def _may_be_shown(tree: Table, part: Part, events: ShownEvents, entries: NDArray[np.int64] | None) -> Mask:
    """[n] which events of a part lie in no blind region and were taken by a path that is not blind, or for control.

    None of them if the branches that tell of a blind region are not in the output.
    """
    count = len(events)
    if part.menu is None or unblinded(part):
        return np.ones(count, bool)
    taken = events.control.copy()
    for path in shown_paths(part):
        taken |= events.passed.get(path, np.zeros(count, bool))
    if not part.menu.blind:
        return taken
    try:
        conditions = bind_conditions(blind_conditions(part.menu.blind), tree, CutFills(Recipe(), ()))
        passes = conditions.passes(tree.values(conditions.branches), tree.num_entries)
    except (UsageError, SourceError):
        return np.zeros(count, bool)
    blind = blinded(passes, tree.num_entries)
    return taken & ~(blind if entries is None else blind[entries])


def _observables(
    tree: Table, found: FoundTree | None, output: ReadOutput, progress: Progress
) -> tuple[dict[str, Values], str]:
    """(the observables of all events of an output, why there are none)."""
    if found is None:
        return {}, f"{tree.path}: no schema fits its events"
    try:
        events = found.bind(hidden=own_names(tree.branch_names), wanted=_collections(output.parts[0]))
        pieces = []
        for unit in cut_units(0, events.tree.cluster_edges(events.binding.branches), target=_UNIT_ENTRIES):
            record = events.read(unit.start, unit.stop).record
            there = [name for name in ("jet", "met") if name in events.binding.found]
            leading = hardest(flat_objects(record["jet"]), 1).pt[:, 0] if "jet" in there else None
            pieces.append(read_spectra(record, there) | ({} if leading is None else {LEADING_PT: leading}))
            progress("reading the kept events", unit.stop, tree.num_entries)
    except SchemaError as error:
        return {}, str(error)
    names = pieces[0] if pieces else ()
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in names}, ""


def _collections(part: Part) -> tuple[str, ...]:
    """Those that the model looks at, as which objects are cleaned of others depends on them; all if it is not here."""
    try:
        metadata = read_metadata(part.recipe.model) if part.recipe.needs_scores else None
    except CheckpointError:
        return tuple(COLLECTIONS)
    same = metadata is not None and metadata.model_hash == part.model_hash
    return tuple(metadata.definition.graph.collections) if metadata is not None and same else tuple(COLLECTIONS)
