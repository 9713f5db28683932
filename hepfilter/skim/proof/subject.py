"""An output under proof: its tree, its parts, and where each of its events says that it comes from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from hepfilter.errors import SchemaError
from hepfilter.events.books import Books
from hepfilter.events.identity import Identity
from hepfilter.io.comparison import Match
from hepfilter.io.identity_set import Identities, find_sorted, pack_identities, sort_identities
from hepfilter.io.own_branches import own_names
from hepfilter.io.own_records import is_own
from hepfilter.io.reading import OpenFile, Table
from hepfilter.io.sources import Source
from hepfilter.skim.cuts import Cuts
from hepfilter.skim.file_reading import FileReader, Survey
from hepfilter.skim.findings import SurveyedFile
from hepfilter.skim.parts import Part
from hepfilter.skim.proof.checks import each
from hepfilter.skim.proof.evidence import Evidence
from hepfilter.skim.recipe import Recipe
from hepfilter.skim.survey import Surveyor

Index = npt.NDArray[np.int64]
ENTRY = "HepFilter_entry"


@dataclass(frozen=True)
class Origins:
    """Where each event of an output comes from, one item an event: part, input of the part, entry there.

    Unknown ones are −1; `unknown` says which those are, in words.
    """

    parts: Index
    inputs: Index
    entries: Index
    unknown: tuple[str, ...] = ()

    def of(self, part: int, number: int) -> Index:
        """The events of the output (as entries there) that come from an input of a part."""
        return np.flatnonzero((self.parts == part) & (self.inputs == number))

    def match(self, part: int) -> Match:
        """The events of a part that have a known origin."""
        positions = np.flatnonzero((self.parts == part) & (self.entries >= 0))
        return Match(positions, self.inputs[positions], self.entries[positions])


@dataclass(frozen=True)
class Subject:
    """An open output with its parts and what their skims give when they are done again.

    `recorded` is False for a file of another tool: it has one part without a recipe, and its events are matched by
    identity.
    """

    source: Source
    file: OpenFile
    tree: Table
    evidence: tuple[Evidence, ...]
    origins: Origins
    parts: tuple[Part, ...] = ()
    _trees: dict[str, Table] = field(default_factory=dict)

    def opened(self, name: str) -> Table:
        """A tree of the output, parsed once."""
        if name == self.tree.name:
            return self.tree
        if name not in self._trees:
            self._trees[name] = self.file.table(name)
        return self._trees[name]

    @property
    def sources(self) -> list[Source | None]:
        """The sources of all parts."""
        return [source for evidence in self.evidence for source in evidence.sources]

    @property
    def recorded(self) -> bool:
        """Whether the output says where its events come from."""
        return bool(self.parts)

    @cached_property
    def own(self) -> bool:
        """Whether the output lies there as it was written: no other tool, such as hadd, wrote its file anew."""
        return self.recorded and is_own(self.file)

    def name(self, part: int, number: int) -> str:
        """The path of an input."""
        source = self.evidence[part].sources[number]
        return source.path if source is not None else self.parts[part].inputs[number].path

    @cached_property
    def skims(self) -> list[tuple[int, bool]]:
        """(a part, whether the books are in the output) of each skim; a merged file may have several parts of one."""
        if not self.recorded:
            return [(0, True)]
        books = {part.skim for part in self.parts if part.has_books}
        firsts: dict[str, int] = {}
        for number, part in enumerate(self.parts):
            firsts.setdefault(part.skim, number)
        return [(number, skim in books) for skim, number in firsts.items()]

    @cached_property
    def own_branches(self) -> frozenset[str]:
        """The branches that a skim adds, of those that are there."""
        return frozenset(own_names(self.tree.branch_names))


def tells_of(fault: str, sources: Iterable[Source | None]) -> bool:
    """Whether an error tells of one of the sources, and not of the output."""
    addresses = (address for source in sources if source is not None for address in (source.path, *source.replicas))
    return fault.startswith(tuple(f"{address}: " for address in addresses))


def recorded_origins(tree: Table, parts: Sequence[Part]) -> Origins:
    """The origins that HepFilter_entry and the numbers of the provenance tell."""
    if ENTRY not in tree.branch_names:
        unknown = np.full(tree.num_entries, -1)
        return Origins(unknown, unknown, unknown, (f"branch {ENTRY} is missing: no event says where it comes from",))
    entries = tree.values([ENTRY])[ENTRY].values.astype(np.int64)
    keys = [(p, i, count) for p, part in enumerate(parts) for i, count in enumerate(part.counts) if count]
    lengths = _portions(entries, [count for _, _, count in keys])
    if lengths is None:
        unknown = np.full(len(entries), -1)
        return Origins(unknown, unknown, unknown, ("the numbers do not tell which events come from which input",))
    part, number = (np.repeat([key[column] for key in keys], lengths).astype(np.int64) for column in (0, 1))
    return Origins(part, number, entries)


def _portions(entries: Index, counts: Sequence[int]) -> list[int] | None:
    """How many events each input has: as recorded; if that does not add up, by where the entries begin anew."""
    if sum(counts) == len(entries):
        return list(counts)
    borders = np.flatnonzero(np.diff(entries) < 0) + 1 if len(counts) > 1 else np.empty(0, np.int64)
    lengths = np.diff([0, *borders.tolist(), len(entries)]).tolist()
    return lengths if len(lengths) == len(counts) else None


def matched_origins(tree: Table, sources: Sequence[Source]) -> tuple[Origins, list[SurveyedFile], Surveyor]:
    """The origins found by run, luminosityBlock and event, and the sources surveyed.

    SchemaError if the sources or the output have no such branches, SourceError if one of them cannot be read.
    """
    cuts = Cuts(Recipe())
    surveyor, reader = Surveyor(Recipe(), cuts), FileReader(Survey(Recipe(), identified=True, listed=True), cuts, None)
    files = [surveyor.survey(reader, one) for one in sources]
    names = surveyor.identity_branches
    if not names:
        raise SchemaError(f"{sources[0].path}: has no run, luminosityBlock and event to find events by")
    lacking = [name for name in names if name not in tree.branch_names]
    if lacking:
        raise SchemaError(f"{tree.path}: tree {tree.name} has no branch {lacking[0]!r} to find its events by")
    columns = tree.values(names)
    who = Books(names, None).read_identity(columns, file=tree.path, first_entry=0, count=tree.num_entries)
    own, known = _identities(who), [_identities(file.identity) for file in files]
    joined = Identities(np.concatenate([one.keys for one in known]), np.concatenate([one.blocks for one in known]))
    numbers = np.repeat(np.arange(len(files)), [len(one) for one in known])
    entries = np.concatenate([np.arange(len(one)) for one in known])
    order = sort_identities(joined)
    places = find_sorted(joined[order], own)
    found = np.where(places >= 0, order[places], 0)
    inputs, chosen = (np.where(places >= 0, column[found], -1) for column in (numbers, entries))
    lost = each(
        np.flatnonzero(places < 0), lambda entry: f"entry {entry}: its run, luminosityBlock and event are in no source"
    )
    return Origins(np.zeros(len(places), np.int64), inputs, chosen, tuple(lost)), files, surveyor


def _identities(who: Identity | None) -> Identities:
    assert who is not None
    return pack_identities(who.run, who.luminosity_block, who.event)
