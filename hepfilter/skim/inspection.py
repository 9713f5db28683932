"""What is in a ROOT file, and what hepfilter can do with it: containers that the command line prints."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import awkward as ak

from hepfilter.errors import SchemaError, SourceError
from hepfilter.io.events import EventTree, find_events
from hepfilter.io.reading import OpenFile, open_file
from hepfilter.io.sources import Source
from hepfilter.shown import Shown

TREE_CLASSES = ("TTree", "TNtuple", "RNTuple")


@dataclass(frozen=True)
class TreeSummary:
    """A TTree or RNTuple of the file: its entries, and its branches or top-level fields.

    Both are None for kinds that are not read, such as a TNtuple or an RNTuple of a ROOT before 6.34.
    """

    name: str
    kind: str
    entries: int | None
    branches: int | None


@dataclass(frozen=True)
class CollectionSummary:
    """A collection that the tree has: the branches that are read, optional ones that it lacks, and mean multiplicities.

    `in_file` and `in_record` are objects per event before and after cleaning, None if no event was read.
    """

    name: str
    branches: tuple[str, ...]
    missing: tuple[str, ...]
    in_file: float | None
    in_record: float | None


@dataclass(frozen=True)
class Inspection(Shown):
    """What was found in a file.

    `tree` and `schema` are None where the events cannot be read, and `reason` says why. `identity` names the branches,
    None where (file name, entry) serves. `events_read` events were looked at, from the first; `problems` counts what
    was treated by rule in them. `absent` are the collections that are empty in every event.
    """

    path: str
    trees: tuple[TreeSummary, ...]
    reason: str | None
    tree: str | None = None
    schema: str | None = None
    title: str | None = None
    entries: int = 0
    identity: tuple[str, ...] | None = None
    weight: str | None = None
    bookkeeping: tuple[str, ...] = ()
    collections: tuple[CollectionSummary, ...] = ()
    absent: tuple[str, ...] = ()
    events_read: int = 0
    problems: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelFit:
    """Whether a model can score a file: if it has any of the `used` collections; `empty` are those that it lacks.

    `scores` is what the model says of every event, by name; `calibration` the hash of what its p-values come from, None
    where it has none.
    """

    model: str
    can_score: bool
    used: tuple[str, ...]
    empty: tuple[str, ...]
    scores: tuple[str, ...] = ("interest",)
    calibration: str | None = None


def inspect_file(source: Source, *, schema: str | None = None, sample: int = 1000) -> Inspection:
    """Look at a file and at its first `sample` events.

    A file without a tree or without a fitting schema is a result as well, with the reason in it. SourceError if the
    file cannot be opened, ConfigError if `schema` is none.
    """
    with open_file(source) as file:
        trees = _summarise_trees(file)
        try:
            found = find_events(file, tree=source.tree, schema=schema)
            return _inspect_events(source, file, found, trees=trees, sample=sample)
        except (SourceError, SchemaError) as error:
            return Inspection(source.path, trees, reason=str(error))


def fit_model(
    inspection: Inspection,
    model: str,
    used: Sequence[str],
    *,
    scores: Sequence[str] = ("interest",),
    calibration: str | None = None,
) -> ModelFit:
    """Whether a model that makes nodes of the `used` collections can score what was inspected."""
    found = {collection.name for collection in inspection.collections}
    empty = tuple(name for name in used if name not in found)
    return ModelFit(model, len(empty) < len(used), tuple(used), empty, tuple(scores), calibration)


def _summarise_trees(file: OpenFile) -> tuple[TreeSummary, ...]:
    """The trees at the top level, in the file's order."""
    summaries = []
    for name, kind in file.class_names.items():
        short = kind.removeprefix("ROOT::")
        if name in file.table_names:
            table = file.table(name)
            summaries.append(TreeSummary(name, short, table.num_entries, len(table.branch_names)))
        elif any(word in kind for word in TREE_CLASSES):
            summaries.append(TreeSummary(name, short, None, None))
    return tuple(summaries)


def _inspect_events(
    source: Source, file: OpenFile, found: EventTree, *, trees: tuple[TreeSummary, ...], sample: int
) -> Inspection:
    """What the schema makes of the tree, and of its first events."""
    binding, schema = found.binding, found.binding.schema
    events = found.read(0, min(sample, found.tree.num_entries))
    in_record = {name: float(ak.sum(ak.num(events.record[name], axis=1))) for name in binding.found}
    collections = tuple(
        CollectionSummary(
            name,
            bound.branches,
            tuple(bound.missing.values()),
            in_file=events.objects_read[name] / len(events) if len(events) else None,
            in_record=in_record[name] / len(events) if len(events) else None,
        )
        for name, bound in binding.collections.items()
    )
    return Inspection(
        source.path,
        trees,
        reason=None,
        tree=found.tree.name,
        schema=schema.name,
        title=schema.title,
        entries=found.tree.num_entries,
        identity=binding.books.identity,
        weight=binding.books.weight,
        bookkeeping=tuple(name for name in schema.bookkeeping if name in file.table_names),
        collections=collections,
        absent=binding.absent,
        events_read=len(events),
        problems=events.problems,
        warnings=binding.warnings,
    )
