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
from hepfilter.skim.parts import Part, read_parts
from hepfilter.skim.provenance import PROVENANCE

_MOST = 10


def read_own_parts(output: Source) -> tuple[Part, ...]:
    """The parts of an output. SourceError if it is none of a skim, or lacks its tree."""
    with open_file(output) as file:
        parts = read_parts(file)
        if not parts:
            raise SourceError(f"{file.path}: has no {PROVENANCE}: it is no output of hepfilter skim; use hadd for it")
        if output.tree not in (None, parts[0].tree):
            raise SourceError(f"{file.path}: its events are in tree {parts[0].tree}, not in {output.tree}")
        file.table(parts[0].tree)
    return parts


def flat(parts: Sequence[Sequence[Part]]) -> list[Part]:
    """The parts of all outputs."""
    return [part for own in parts for part in own]


def refuse_doubles(outputs: Sequence[Source], parts: Sequence[Sequence[Part]]) -> None:
    """OutputError if the same events, or the books of the same input, would stand in the output twice."""
    known_outputs: dict[tuple[str, int], str] = {}
    inputs: dict[tuple[str, str], tuple[str, str]] = {}
    for path, own in zip((output.path for output in outputs), parts, strict=True):
        for part in own:
            known = known_outputs.setdefault((part.skim, part.output), path)
            if known != path:
                raise OutputError(f"{path}: holds the same events as {known}; give every output once")
            for source in part.inputs:
                skim, where = inputs.setdefault((source.uuid, source.checksum), (part.skim, path))
                if skim != part.skim:
                    what = f"{path} and {where} are two skims of {source.path}"
                    raise OutputError(
                        f"{what}: its events and its books (Runs, cutflow) would count twice; leave one out"
                    )
    paths = [str(Path(output.path).resolve()) for output in outputs]
    twice = next((path for path in paths if paths.count(path) > 1), None)
    if twice is not None:
        raise OutputError(f"{twice}: is given twice; give every output once")


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
