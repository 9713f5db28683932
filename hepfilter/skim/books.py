"""The books of a skim: events and weights in and out of each input, and what a reader of the report should know."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from hepfilter.errors import OutputError
from hepfilter.skim.cuts import Cuts
from hepfilter.skim.deciding import Verdict
from hepfilter.skim.drifting import check_drift
from hepfilter.skim.findings import SurveyedFile
from hepfilter.skim.first_pass import FirstPass
from hepfilter.skim.outputs import KeptEvents
from hepfilter.skim.report import CutflowStep, FileCount, SkimReport, add_cutflows
from hepfilter.skim.summarising import summarise
from hepfilter.wording import counted
from hepfilter.work.ledger import Ledger


def make_books(kept: Sequence[KeptEvents], verdict: Verdict | None, read: FirstPass) -> SkimReport:
    """Events and weights in and out of each file, and what decided; TriggerError as `check_drift`."""
    problems: Counter[str] = Counter()
    for part in kept:
        problems.update(part.file.problems)
    trigger = None if verdict is None else verdict.trigger
    windows = () if trigger is None else check_drift(read.files, trigger)
    drifted = tuple(window.note for window in windows if window.note)
    return SkimReport(
        files=tuple(_count(part, step=None if verdict is None else verdict.step) for part in kept),
        threshold=None if verdict is None else verdict.threshold,
        ties_dropped=0 if verdict is None else verdict.ties_dropped,
        rates=None if verdict is None else verdict.rates,
        predicted=None if verdict is None else verdict.resolution,
        unblinded=verdict is not None and verdict.unblinded,
        bytes_read=sum(part.file.bytes_read for part in kept),
        payload_bytes=round(sum(part.file.entry_bytes[1] * part.file.num_entries for part in kept)),
        problems=dict(sorted(problems.items())),
        warnings=_warnings(read.files, read.cuts) + drifted,
        catalogue={name: dataset.facts() for name, dataset in read.datasets.items()},
        menu="" if trigger is None else trigger.menu.name,
        bad=read.bad,
        summary=summarise(
            kept, verdict, read.datasets, names=() if read.score_facts is None else read.score_facts["scores"]
        ),
        **({} if read.score_facts is None else {**read.score_facts, "scores": tuple(read.score_facts["scores"])}),
    )


def _count(part: KeptEvents, *, step: str | None) -> FileCount:
    file, flow = part.file, part.file.flow
    steps = [CutflowStep(name, events, flow.weights.get(name)) for name, events in flow.events.items()]
    if step is not None:
        weight = None if file.weights is None else float(file.weights[part.kept].sum())
        steps.append(CutflowStep(step, len(part.entries), weight))
    facts = file.facts
    return FileCount(
        path=file.source.path,
        dataset=file.source.dataset,
        schema=file.schema,
        tree=file.tree,
        uuid=facts.uuid,
        size=facts.size,
        checksum=facts.checksum,
        entries=file.num_entries,
        cutflow=tuple(steps),
        absent=file.absent,
    )


def _warnings(files: Sequence[SurveyedFile], cuts: Cuts) -> tuple[str, ...]:
    """What a reader of the report should know, each once, with the number of files that it holds for."""
    notes: Counter[str] = Counter()
    for file in files:
        notes.update(file.warnings)
        if file.absent:
            lacking = ", ".join(file.absent)
            notes[f"no {lacking} in the file: scores compare its events with one another, not with other files"] += 1
    texts = [note if len(files) == 1 else f"{note} ({count} of {len(files)} files)" for note, count in notes.items()]
    empty = sum(file.empty for file in files)
    if empty:
        texts.append(f"{counted(empty, 'event')} without any object that the model looks at: all get the same score")
    missing = cuts.missing_events()
    if missing is not None:
        more = ", …" if missing.count > len(missing.first) else ""
        texts.append(f"listed and in no input: {missing.count:,}, namely {', '.join(missing.first)}{more}")
    flow = add_cutflows([[CutflowStep(n, e, None) for n, e in file.flow.events.items()] for file in files])
    texts += [f"no event is left after the cut {b.name!r}" for a, b in pairwise(flow) if a.events and not b.events]
    texts += _common_origins(files)
    identified = [file.ties for file in files if file.identity is not None]
    if identified:
        repeated = sum(map(len, identified)) - len(np.unique(np.concatenate(identified)))
        if repeated:
            text = f"{counted(repeated, 'event')} with run, luminosityBlock and event of another one: counted twice?"
            texts.append(f"{text} --deduplicate keeps the first of each")
    return tuple(texts)


def _common_origins(files: Sequence[SurveyedFile]) -> list[str]:
    """Skims of the same input among the inputs, whose books count twice; the parts of one split skim aside."""
    seen: dict[str, tuple[str, str]] = {}
    pairs: dict[str, str] = {}
    for file in files:
        for outputs, origins in file.made_from:
            for origin in origins:
                first, path = seen.setdefault(origin, (outputs, file.source.path))
                if first != outputs:
                    pairs.setdefault(file.source.path, path)
    if not pairs:
        return []
    first, other = next(iter(pairs.items()))
    more = f" (and {counted(len(pairs) - 1, 'other file')} likewise)" if len(pairs) > 1 else ""
    return [f"{first} and {other} are skims of the same input: its books count twice{more}"]


def check_books(ledger: Ledger, report: SkimReport) -> None:
    """OutputError unless the ledger's units are all read or bad, and the report's events and weights are theirs."""
    totals = ledger.totals()
    if totals.planned != totals.read + totals.bad or totals.read != report.read:
        what = f"{totals.planned:,} planned, {totals.read:,} read, {totals.bad:,} quarantined, {report.read:,} reported"
        raise OutputError(f"{ledger.folder}: the books do not balance: events {what}; please report this")
    flow = report.cutflow()
    weight = flow[0].weight if flow else None
    if weight is not None and not np.isclose(totals.weight, weight, rtol=0, atol=1e-9 * totals.size):
        what = f"the weights of all units sum to {totals.weight!r}, those reported to {weight!r}"
        raise OutputError(f"{ledger.folder}: the books do not balance: {what}; please report this")
