"""The checks of an output's events and rows: their order and number, their bytes, the sums of the books."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hepfilter.io.comparison import Match
from hepfilter.io.reading import Table, open_file
from hepfilter.skim.proof.checks import Check, conclude, each
from hepfilter.skim.proof.comparing import Progress, compare_tree
from hepfilter.skim.proof.evidence import Evidence
from hepfilter.skim.proof.subject import Subject
from hepfilter.wording import counted

SAMPLE_SEED = 1
_SUMS = ("genEventSumw", "genEventCount")  # as they begin: of older files there is a suffix


def check_order(subject: Subject) -> Check:
    """The events rise in each input, none stands twice, and their numbers are those recorded."""
    faults = list(subject.origins.unknown)
    origins, total = subject.origins, subject.tree.num_entries
    for part in subject.parts:
        for number, file in enumerate(part.inputs):
            written = sum(output.from_inputs[number] for output in part.outputs)
            if written != file.passed:
                faults.append(f"{file.path}: events that passed: {file.passed:,}, recorded as written: {written:,}")
    recorded = sum(sum(part.counts) for part in subject.parts)
    if subject.recorded and recorded != total:
        faults.append(f"tree {subject.tree.name} holds {counted(total, 'event')}, its provenance says {recorded}")
    key = origins.parts * (1 << 20) + origins.inputs
    known = (origins.entries[1:] >= 0) & (origins.entries[:-1] >= 0)
    falls = (np.diff(key) < 0) | ((np.diff(key) == 0) & (np.diff(origins.entries) <= 0))

    def tell(position: int) -> str:
        entry, before = origins.entries[position], origins.entries[position - 1]
        name = subject.name(int(origins.parts[position]), int(origins.inputs[position]))
        what = "stands there twice" if entry == before else f"comes behind entry {before}"
        return f"entry {position} of {subject.tree.name}: entry {entry} of {name} {what}"

    return conclude("order", counted(total, "event"), faults + each(np.flatnonzero(known & falls) + 1, tell))


def check_content(subject: Subject, *, sample: int | None, workers: int, progress: Progress) -> Check:
    """Every kept event's bytes of every branch are the source's, or the fill where the source has no such branch."""
    faults, doubts, compared, branches = [], list(subject.origins.unknown), 0, 0
    sampled = _sampled(subject.tree.num_entries, sample)
    for number, evidence in enumerate(subject.evidence):
        layout = evidence.choice or evidence.layouts.get(evidence.tree)
        match = subject.origins.match(number)
        there = np.array([source is not None for source in evidence.sources])[match.sources]
        lost = int(len(match) - there.sum())
        doubts += [f"{counted(lost, 'event')} from sources that are missing"] if lost else []
        beyond = match[there & ~_inside(evidence, match)]
        faults += each(beyond.positions, lambda position: _no_entry(subject, position))
        if layout is None:
            doubts.append(f"the branches that tree {evidence.tree} should have are not known")
            continue
        match = match[there & _inside(evidence, match)]
        match = match[np.isin(match.positions, sampled)]
        result, count = compare_tree(subject, number, evidence.tree, layout, match, workers=workers, progress=progress)
        faults += result.faults
        doubts += result.doubts
        compared, branches = compared + result.entries, max(branches, count)
    if sample is not None and compared < subject.tree.num_entries:
        doubts.append(f"only a sample of {counted(compared, 'event')} was compared (seed {SAMPLE_SEED})")
    return conclude("content", f"{counted(compared, 'event')} × {counted(branches, 'branch')}", faults, doubts)


def _no_entry(subject: Subject, position: int) -> str:
    entry = subject.origins.entries[position]
    return f"entry {position} of {subject.tree.name}: its source has no entry {entry}"


def _inside(evidence: Evidence, match: Match) -> npt.NDArray[np.bool_]:
    """Which entries their sources have."""
    sizes = np.array([0 if file is None else file.num_entries for file in evidence.files])
    inside: npt.NDArray[np.bool_] = (match.entries >= 0) & (match.entries < sizes[match.sources])
    return inside


def _sampled(count: int, sample: int | None) -> npt.NDArray[np.int64]:
    """Which of `count` events are compared: all, or a sample that is the same every time."""
    if sample is None or sample >= count:
        return np.arange(count)
    return np.sort(np.random.default_rng(SAMPLE_SEED).choice(count, sample, replace=False))


def check_books(subject: Subject) -> Check:
    """The rows of all other trees are those of the sources, once for each, in their order; sums of weights balance."""
    faults: list[str] = []
    doubts: list[str] = []
    totals: list[str] = []
    names = dict.fromkeys(name for evidence in subject.evidence for name in evidence.layouts if name != evidence.tree)
    if any(not evidence.layouts for evidence in subject.evidence):
        doubts.append("not all sources are there")
        names = {}
    for name in names:
        if name in subject.file.table_names:
            _check_rows(subject, name, faults, doubts, totals)
        else:
            faults.append(f"tree {name} is missing")
    there = [name for name in names if name in subject.file.table_names]
    what = ", ".join(f"{counted(subject.opened(name).num_entries, 'row')} of {name}" for name in there)
    return conclude("books", "; ".join([what or "no other trees", *totals]), faults, doubts)


def _check_rows(subject: Subject, name: str, faults: list[str], doubts: list[str], totals: list[str]) -> None:
    """One other tree."""
    tree = subject.opened(name)
    position, sums = 0, dict[str, float]()
    for number, evidence in enumerate(subject.evidence):
        written = not subject.recorded or subject.parts[number].has_books
        if written and (None in evidence.files or not evidence.rows_known):
            doubts.append(f"tree {name}: which rows it should have is not known")
            return
        rows = evidence.rows(name) if written and name in evidence.layouts else []
        sources = np.repeat([source for source, _ in rows], [len(own) for _, own in rows]).astype(np.int64)
        entries = np.concatenate([np.empty(0, np.int64), *(own for _, own in rows)])
        match = Match(position + np.arange(len(entries)), sources, entries)
        position += len(entries)
        if name in evidence.layouts:
            match = match[match.positions < tree.num_entries]
            result, _ = compare_tree(
                subject, number, name, evidence.layouts[name], match, workers=1, progress=lambda *_: None
            )
            faults += result.faults
            doubts += result.doubts
            _add_sums(sums, evidence, name, rows)
    if position != tree.num_entries:
        faults.append(f"tree {name} has {counted(tree.num_entries, 'row')}, its sources give {position}")
    for branch, value in sums.items():
        own = _sum(tree, branch, np.arange(tree.num_entries))
        if own is None:
            continue
        totals.append(f"{name}.{branch} {own:.9g}")
        if not np.isclose(own, value, rtol=1e-12, atol=0, equal_nan=True):
            faults.append(f"tree {name}, branch {branch}: sum is {own!r}, that of its sources {value!r}")


def _add_sums(
    sums: dict[str, float], evidence: Evidence, name: str, rows: Sequence[tuple[int, npt.NDArray[np.int64]]]
) -> None:
    """Add what the sources' rows sum to in the branches that normalise."""
    for number, chosen in rows:
        source = evidence.sources[number]
        assert source is not None
        with open_file(source) as file:
            tree = file.table(name)
            for branch in (branch for branch in tree.branch_names if branch.startswith(_SUMS)):
                value = _sum(tree, branch, chosen)
                if value is not None:
                    sums[branch] = sums.get(branch, 0.0) + value


def _sum(tree: Table, branch: str, rows: npt.NDArray[np.int64]) -> float | None:
    """The sum of one number a row; None if the branch holds lists, or is not there."""
    if branch not in tree.branch_names:
        return None
    column = tree.values([branch])[branch]
    return None if column.offsets is not None else float(column.values[rows].sum())
