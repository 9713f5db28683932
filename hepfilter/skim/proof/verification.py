"""The proof that outputs hold just what their provenance says: the recorded skim is done again, and compared."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from hepfilter.config.files import exists
from hepfilter.errors import OutputError, SchemaError, SourceError, UsageError
from hepfilter.io.events import find_tree
from hepfilter.io.own_branches import own_names
from hepfilter.io.reading import OpenFile, Table, open_file
from hepfilter.io.sources import Source
from hepfilter.skim.parts import Part, read_parts
from hepfilter.skim.proof.accounts import (
    check_cutflow,
    check_file,
    check_provenance,
    check_selection,
    check_sources,
)
from hepfilter.skim.proof.checks import Check, OutputProof, VerificationReport, conclude
from hepfilter.skim.proof.content import check_books, check_content, check_order
from hepfilter.skim.proof.evidence import Evidence, Located, gather, load_scorer, locate
from hepfilter.skim.proof.objects import check_objects
from hepfilter.skim.proof.schema import check_schema
from hepfilter.skim.proof.subject import Origins, Subject, matched_origins, recorded_origins, tells_of

Progress = Callable[[str, int, int], None]
"""Called as (stage, done, in all)."""


def verify(
    outputs: Sequence[Source],
    *,
    sources: Sequence[Source] = (),
    sample: int | None = None,
    rescore: bool = False,
    device: str = "auto",
    workers: int = 1,
    progress: Progress = lambda *_: None,
) -> VerificationReport:
    """Prove outputs of skims, whole or split or merged, against their sources.

    `sources` are looked at instead of the paths in the provenance; they are told apart by checksum, then by name, then
    by order. `sample` compares only so many events of each output, the same every time. `rescore` runs the model
    again, which needs torch. An output without provenance is compared with `sources` by run, luminosityBlock and event.
    What cannot be proven is no failure; the report says so. An output that cannot be read fails; SourceError only if
    there is no such file.
    """
    if sample is not None and sample < 1:
        raise UsageError("--sample: give a positive number of events")
    started = time.perf_counter()
    run = _Run(tuple(sources), sample, rescore, device, workers, progress)
    for output in outputs:
        _refuse_missing(output)
    proofs = tuple(run.prove(output) for output in outputs)
    return VerificationReport(proofs, time.perf_counter() - started)


def _refuse_missing(output: Source) -> None:
    """SourceError if an output is not there; whether a remote one is shows when it is opened."""
    addresses = (output.path, *output.replicas)
    if not any("://" in address or exists(address) for address in addresses):
        raise SourceError(f"{output.path}: no such file; give the path of a skim's output")


@dataclass(frozen=True)
class _Run:
    """One verification; skims of several outputs are done again only once."""

    given: tuple[Source, ...]
    sample: int | None
    rescore: bool
    device: str
    workers: int
    progress: Progress
    _known: dict[str, tuple[Located, Evidence]] = field(default_factory=dict)

    def prove(self, output: Source) -> OutputProof:
        """All checks of one output; one without a file, provenance or tree to be read has no others."""
        try:
            with open_file(output) as file:
                return OutputProof(output.path, tuple(self._checks(output, file)))
        except SourceError as error:
            return OutputProof(output.path, (conclude("file", "", [str(error)]),))

    def _checks(self, output: Source, file: OpenFile) -> list[Check]:
        try:
            parts = read_parts(file)
        except SourceError as error:
            return [conclude("provenance", "", [str(error)])]
        tree = _events(output, file, parts)
        checks = [check_provenance(parts, sorted(own_names(tree.branch_names)))]
        if parts:
            return checks + self._prove_skim(output, file, tree, parts)
        if self.given:
            return checks + self._prove_foreign(output, file, tree)
        return [*checks, conclude("sources", "", (), ["no source is known; give them with --source"])]

    def _prove_skim(self, output: Source, file: OpenFile, tree: Table, parts: Sequence[Part]) -> list[Check]:
        found = [self._again(part) for part in parts]
        evidence = tuple(evidence for _, evidence in found)
        located = [self._known[skim][0] for skim in dict.fromkeys(part.skim for part in parts)]
        try:
            origins = recorded_origins(tree, parts)
        except SourceError as error:
            unknown = np.full(tree.num_entries, -1)
            origins = Origins(unknown, unknown, unknown, (str(error),))
        return [check_sources(located), *self._compare(Subject(output, file, tree, evidence, origins, tuple(parts)))]

    def _compare(self, subject: Subject) -> list[Check]:
        content = partial(check_content, sample=self.sample, workers=self.workers, progress=self.progress)
        checks: dict[str, Callable[[Subject], Check]] = {
            "schema": check_schema,
            "order": check_order,
            "content": content,
            "file": check_file,
            "selection": check_selection,
            "books": check_books,
            "cutflow": check_cutflow,
            "objects": check_objects,
        }
        return [_guarded(name, check, subject) for name, check in checks.items()]

    def _again(self, part: Part) -> tuple[Located, Evidence]:
        """The sources of a part's skim, and the skim done again."""
        if part.skim not in self._known:
            located = locate(part, self.given)
            scorer, doubts = None, list[str]()
            if part.recipe.needs_scores and self.rescore:
                scorer, doubts = load_scorer(part, self.device)
            elif part.recipe.needs_scores:
                doubts = ["scores are not computed again without --rescore; all other cuts were made again"]
            self._known[part.skim] = located, gather(part, located.sources, scorer, doubts, self.progress)
        return self._known[part.skim]

    def _prove_foreign(self, output: Source, file: OpenFile, tree: Table) -> list[Check]:
        """A file of another tool against the given sources, its events found by their identity."""
        try:
            origins, files, surveyor = matched_origins(tree, self.given)
            layouts, _ = surveyor.layouts()
        except (SourceError, SchemaError, OutputError) as error:
            if isinstance(error, SourceError) and not tells_of(str(error), self.given):
                raise
            return [conclude("sources", "", (), [str(error)])]
        evidence = Evidence(
            tree=tree.name,
            sources=self.given,
            files=tuple(files),
            kept=tuple(file.chosen for file in files),
            added=(None,) * len(files),
            doubts=(),
            faults=(),
            layouts=layouts,
            choice=None,
            layout_doubts=(),
            rows_known=True,
        )
        checks = [conclude("sources", f"{len(files)} given", ())]
        return checks + self._compare(Subject(output, file, tree, (evidence,), origins))


def _events(output: Source, file: OpenFile, parts: Sequence[Part]) -> Table:
    """The tree of an output's events. SourceError if it is not there, or is not the one that was asked for."""
    if not parts:
        return find_tree(file, tree=output.tree).tree
    if output.tree not in (None, parts[0].tree):
        raise SourceError(f"{file.path}: its events are in tree {parts[0].tree}, not in {output.tree}")
    return file.table(parts[0].tree)


def _guarded(name: str, check: Callable[[Subject], Check], subject: Subject) -> Check:
    """What a check finds; it fails where the output cannot be read, and proves nothing where a source cannot."""
    try:
        return check(subject)
    except SourceError as error:
        told = [str(error)]
        return conclude(name, "", (), told) if tells_of(told[0], subject.sources) else conclude(name, "", told)
