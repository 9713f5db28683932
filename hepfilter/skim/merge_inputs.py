"""What is merged: the parts and trees of several outputs, read one file at a time, and whether they go together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hepfilter.errors import OutputError, SourceError
from hepfilter.io.compression import Compression
from hepfilter.io.layout import Layout, LayoutGatherer
from hepfilter.io.ntuple import OpenNTuple
from hepfilter.io.reading import OpenTree, Table, open_file
from hepfilter.io.rntuple.comparison import compare_schemas
from hepfilter.io.sources import Source
from hepfilter.io.tree_differences import Difference, compare_branches, compare_headers
from hepfilter.skim.parts import Part, read_ancestors, read_parts
from hepfilter.skim.provenance import PROVENANCE

_MOST = 10


@dataclass(frozen=True)
class Given:
    """One of the outputs to be merged: `parts` are the skims that wrote it, `ancestors` those of its inputs before."""

    path: str
    uuid: str
    parts: tuple[Part, ...]
    ancestors: tuple[Part, ...]

    @property
    def lineage(self) -> tuple[Part, ...]:
        """All skims that its events went through."""
        return *self.parts, *self.ancestors


def read_given(output: Source) -> Given:
    """What an output says of itself. SourceError if it is none of a skim, or lacks its tree."""
    with open_file(output) as file:
        parts = read_parts(file)
        if not parts:
            raise SourceError(f"{file.path}: has no {PROVENANCE}: it is no output of hepfilter skim; use hadd for it")
        if output.tree not in (None, parts[0].tree):
            raise SourceError(f"{file.path}: its events are in tree {parts[0].tree}, not in {output.tree}")
        file.table(parts[0].tree)
        return Given(output.path, file.uuid, parts, read_ancestors(file))


def flat(parts: Sequence[Sequence[Part]]) -> list[Part]:
    """The parts of all outputs."""
    return [part for own in parts for part in own]


def refuse_doubles(given: Sequence[Given]) -> None:
    """OutputError if the same events, or the books of the same input, would stand in the output twice."""
    known_outputs: dict[tuple[str, int], str] = {}
    inputs: dict[tuple[str, str], tuple[set[str], str]] = {}
    for one in given:
        for part in one.parts:
            known = known_outputs.setdefault((part.skim, part.output), one.path)
            if known != one.path:
                raise OutputError(f"{one.path}: holds the same events as {known}; give every output once")
    _refuse_descendants(given)
    for one in given:
        for part, source in ((skim, source) for skim in one.lineage for source in skim.inputs):
            skims, where = inputs.setdefault((source.uuid, source.checksum), (set(), one.path))
            if where == one.path:
                skims.add(part.skim)
            elif part.skim not in skims:
                what = f"{one.path} and {where} are two skims of {source.path}"
                raise OutputError(f"{what}: its events and its books (Runs, cutflow) would count twice; leave one out")
    paths = [str(Path(one.path).resolve()) for one in given]
    twice = next((path for path in paths if paths.count(path) > 1), None)
    if twice is not None:
        raise OutputError(f"{twice}: is given twice; give every output once")


def _refuse_descendants(given: Sequence[Given]) -> None:
    """OutputError if an output is a skim of another one, or of what that was merged into."""
    for one in given:
        origins = {source.uuid for part in one.lineage for source in part.inputs}
        before = {(part.skim, part.output) for part in one.ancestors}
        for other in given:
            if other.uuid in origins or any((part.skim, part.output) in before for part in other.parts):
                what = f"{one.path} is a skim of {other.path}: its events would count twice"
                raise OutputError(f"{what}; leave one of them out")


def common_tree(outputs: Sequence[Source], parts: Sequence[Sequence[Part]]) -> str:
    """The name of the events' tree. OutputError if trees or models differ."""
    first, wanted = outputs[0].path, parts[0][0]
    for output, own in zip(outputs, parts, strict=True):
        for part in own:
            if part.tree != wanted.tree:
                raise OutputError(
                    f"{output.path}: its events are in tree {part.tree}, those of {first} in {wanted.tree}"
                )
            if part.model_hash != wanted.model_hash:
                models = [(h or "none")[:12] for h in (part.model_hash, wanted.model_hash)]
                raise OutputError(
                    f"{output.path}: scored by model {models[0]}, {first} by {models[1]}; scores of different models"
                    " do not compare, skim anew with one"
                )
            if part.calibration_hash != wanted.calibration_hash:
                hashes = [(h or "none")[:12] for h in (part.calibration_hash, wanted.calibration_hash)]
                raise OutputError(
                    f"{output.path}: p-values by calibration {hashes[0]}, {first} by {hashes[1]}; they do not compare,"
                    " skim anew with one"
                )
    return wanted.tree


@dataclass
class MergedTable:
    """A TTree or RNTuple of all outputs; of each output the entries, and the bytes of one (unpacked, stored)."""

    gatherer: LayoutGatherer
    counts: list[int]
    entry_bytes: list[tuple[float, float]]

    def layout(self) -> Layout:
        """The layout that all have."""
        layout = self.gatherer.result()
        layout.refuse_obstacles()
        return layout


@dataclass(frozen=True)
class Tables:
    """What the outputs hold: `all` by name, and the compression of the first output."""

    all: Mapping[str, MergedTable]
    compression: Compression | None


def read_tables(outputs: Sequence[Source]) -> Tables:
    """The trees of all outputs. OutputError, with all differences, if one differs from the first."""
    first: dict[str, Table] = {}
    found: dict[str, MergedTable] = {}
    compression = None
    for number, output in enumerate(outputs):
        with open_file(output) as file:
            tables = {name: file.table(name) for name in file.table_names}
            if number == 0:
                first, compression = tables, file.compression
                found = {name: MergedTable(LayoutGatherer("strict"), [], []) for name in tables}
            elif differences := _differences(first, tables):
                more = f" and {len(differences) - _MOST} more" if len(differences) > _MOST else ""
                listed = "; ".join(differences[:_MOST]) + more
                raise OutputError(
                    f"{file.path} differs from {outputs[0].path}: {listed}; skim them together, with --layout union"
                )
            for name, table in tables.items():
                found[name].gatherer.add(table)
                found[name].counts.append(table.num_entries)
                found[name].entry_bytes.append(table.entry_bytes)
    return Tables(found, compression)


def _differences(first: Mapping[str, Table], other: Mapping[str, Table]) -> list[str]:
    """How the trees of two outputs differ."""
    found = [f"tree {name} is missing" for name in first if name not in other]
    found += [f"tree {name} is in excess" for name in other if name not in first]
    for name, old in first.items():
        new = other.get(name)
        if isinstance(old, OpenTree) and isinstance(new, OpenTree):
            differences = compare_headers(old.metadata.header, new.metadata.header)
            differences += compare_branches(old.branches, new.branches)
        elif isinstance(old, OpenNTuple) and isinstance(new, OpenNTuple):
            differences = compare_schemas(old.ntuple.schema, new.ntuple.schema)
        else:
            differences = [Difference("", "kind", "is another: TTree and RNTuple")] if new is not None else []
        found += [f"tree {name}, {difference}" for difference in differences]
    return found


def differing_menus(parts: Sequence[Sequence[Part]]) -> list[str]:
    """What to say if menus of one part are not those of another: weights stay right, but bits may not compare."""
    menus = [part.menu for part in flat(parts)]
    if all(menu == menus[0] for menu in menus):
        return []
    return ["decided by menus that differ: a bit may mean another thing in another part; weights hold for all"]


def missing_parts(parts: Sequence[Sequence[Part]]) -> list[str]:
    """The parts of split skims that are not given."""
    given: dict[str, dict[int, Part]] = {}
    for part in flat(parts):
        given.setdefault(part.skim, {})[part.output] = part
    notes = []
    for own in given.values():
        outputs = next(iter(own.values())).outputs
        missing = [output.path for number, output in enumerate(outputs) if number not in own]
        if missing:
            books = "" if 0 in own else "; Runs, other trees and the cutflow of that skim stand in its first part"
            notes.append(f"parts of a split skim are not here: {', '.join(missing)}{books}")
    return notes
