"""The checks of an output that do its skim's accounts again: sources, selection, cutflow."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hepfilter.io.copy_plan import Index
from hepfilter.io.histogram import stream_cutflow
from hepfilter.io.objects import read_cutflow
from hepfilter.io.own_branches import score_column
from hepfilter.io.own_records import basket_key_faults, listed_key_faults
from hepfilter.io.reading import OpenTree
from hepfilter.io.writing import Column
from hepfilter.skim.added import ENTRY, INTEREST, PASSED, added_columns
from hepfilter.skim.findings import SurveyedFile
from hepfilter.skim.parts import Part, histograms
from hepfilter.skim.proof.checks import Check, conclude, each
from hepfilter.skim.proof.evidence import Located
from hepfilter.skim.proof.objects import read_payload
from hepfilter.skim.proof.subject import Subject
from hepfilter.skim.provenance import CUTFLOW, CUTFLOW_TITLES, PROVENANCE, WEIGHTED
from hepfilter.skim.report import FileCount
from hepfilter.wording import counted

_CLOSE = 1e-9  # sums of the same weights in another order
DEDUPLICATED = "not seen before"


def check_provenance(parts: Sequence[Part], added: Sequence[str]) -> Check:
    """The output says where it comes from; one of another tool has neither provenance nor any branch of ours."""
    if parts:
        skims = {part.skim: len(part.inputs) for part in parts}
        what = f"{counted(len(skims), 'skim')}, {counted(sum(skims.values()), 'input')}"
        return conclude("provenance", what, ())
    if added:
        return conclude("provenance", "", [f"{PROVENANCE} is missing, though the file has {', '.join(sorted(added))}"])
    return conclude("provenance", "", (), [f"the file has no {PROVENANCE}; another tool made it"])


def check_sources(located: Sequence[Located]) -> Check:
    """The sources are there, and what they were when the skim was made."""
    found = sum(source is not None for one in located for source in one.sources)
    faults = [line for one in located for line in one.changed]
    doubts = [line for one in located for line in one.missing]
    total = sum(len(one.sources) for one in located)
    return conclude(
        "sources", f"{found} of {total} there; size, uuid and checksum of header, keys and trees", faults, doubts
    )


def check_file(subject: Subject) -> Check:
    """Every basket lies inside the file, none in another's place, and all keys are as a skim writes them.

    The pages of an RNTuple have checksums instead.
    """
    trees = [tree for tree in map(subject.opened, subject.file.table_names) if isinstance(tree, OpenTree)]
    stored = [branch.stored for tree in trees for top in tree.branches for branch in top.walk() if branch.stored]
    seeks = np.concatenate([np.empty(0, np.int64), *(one.seeks for one in stored)])
    ends = seeks + np.concatenate([np.empty(0, np.int64), *(one.sizes for one in stored)])
    order = np.argsort(seeks)
    end, faults = subject.file.directory.end, []
    outside = int(((seeks < 0) | (ends > end)).sum())
    overlapping = int((seeks[order][1:] < ends[order][:-1]).sum())
    faults += [f"outside the file's {end:,} bytes: {counted(outside, 'basket')}"] if outside else []
    faults += [f"in the place of others: {counted(overlapping, 'basket')}"] if overlapping else []
    what = f"{counted(len(seeks), 'basket')} in {end:,} bytes"
    if subject.own:
        keys = [line for tree in trees if not faults for line in basket_key_faults(subject.file, tree)]
        faults += keys + listed_key_faults(subject.file)
    elif subject.recorded:
        what += "; another tool wrote the file anew, and its keys are its own"
    return conclude("file", what, faults)


def check_selection(subject: Subject) -> Check:
    """The recorded recipe, applied to the sources again, picks exactly these events."""
    doubts = [doubt for evidence in subject.evidence for doubt in evidence.doubts]
    faults = [fault for evidence in subject.evidence for fault in evidence.faults]
    if not subject.recorded:
        return conclude("selection", "", (), ["what should be selected is not recorded"])
    passing = [kept for number, _ in subject.skims for kept in subject.evidence[number].kept if kept is not None]
    for number, (part, evidence) in enumerate(zip(subject.parts, subject.evidence, strict=True)):
        for index in range(len(part.inputs)):
            kept = evidence.kept[index]
            if kept is None:
                doubts.append(f"{subject.name(number, index)}: not there, its events cannot be chosen again")
                continue
            positions = subject.origins.of(number, index)
            faults += _selected(subject, number, index, subject.origins.entries[positions], kept)
    faults += _own_columns(subject)
    total, picked = subject.tree.num_entries, sum(map(len, passing))
    return conclude("selection", f"{counted(total, 'event')}, {picked:,} when the cuts are made again", faults, doubts)


def _selected(subject: Subject, number: int, index: int, found: Index, kept: Index) -> list[str]:
    """What differs between the events of an input that are in the output and those that pass again."""
    part, evidence, name = subject.parts[number], subject.evidence[number], subject.name(number, index)
    wrong = np.setdiff1d(found, kept)
    faults = each(wrong, lambda e: f"entry {e} of {name} is in the output, but does not pass the recorded selection")
    if evidence.doubts:
        return faults
    start, written = part.starts[index], sum(output.from_inputs[index] for output in part.outputs)
    if len(kept) != written:
        faults.append(f"{name}: events that pass: {len(kept):,}, recorded as written: {written:,}")
        missing = np.setdiff1d(kept, found) if len(part.outputs) == 1 else np.empty(0, np.int64)
    else:
        own = kept[start : start + part.counts[index]]
        missing = np.setdiff1d(own, found)
        strangers = np.setdiff1d(np.intersect1d(found, kept), own)
        faults += each(strangers, lambda entry: f"entry {entry} of {name} belongs to another output")
    return faults + each(missing, lambda entry: f"entry {entry} of {name} passes, but is not in the output")


def _own_columns(subject: Subject) -> list[str]:
    """What is wrong with the values of the branches that a skim adds."""
    wanted = {column.name for part in subject.parts for column in added_columns(part.scores, part.menu)}
    columns = subject.tree.values(sorted((wanted - {ENTRY.name}) & set(subject.own_branches)))
    faults = []
    for number, part in enumerate(subject.parts):
        if part.menu is None and PASSED.name in columns:
            own = np.flatnonzero(subject.origins.parts == number)
            failed = own[columns[PASSED.name].values[own] != 1]
            faults += each(failed, lambda position: f"entry {position}: {PASSED.name} is false")
        if INTEREST.name in columns:
            faults += _too_low(subject, number, columns[INTEREST.name].values)
        decided = added_columns(part.scores, part.menu)[:-1] if part.menu else map(score_column, part.scores)
        for column in (column for column in decided if column.name in columns):
            faults += _not_again(subject, number, column, columns[column.name].values)
    return faults


def _too_low(subject: Subject, number: int, scores: npt.NDArray[np.float32]) -> list[str]:
    """Scores below the recorded threshold."""
    threshold = subject.parts[number].facts.get("threshold")
    own = np.flatnonzero(subject.origins.parts == number)
    low = own[~(scores[own] >= np.float64(threshold))] if threshold is not None else own[:0]
    return each(low, lambda p: f"entry {p}: {INTEREST.name} {scores[p]} is below the threshold {threshold}")


def _not_again(subject: Subject, number: int, column: Column, values: npt.NDArray[Any]) -> list[str]:
    """Values of an added column that differ from those computed again, where they were."""
    whose = "the model's" if column in map(score_column, subject.parts[number].scores) else "the menu's"
    faults = list[str]()
    for index, again in enumerate(subject.evidence[number].added):
        if again is None or column not in again.values:
            continue
        positions = subject.origins.of(number, index)
        entries = subject.origins.entries[positions]
        positions = positions[np.isin(entries, again.entries)]
        computed = again.of(subject.origins.entries[positions])[column.name].astype(column.dtype)
        found = values[positions].astype(column.dtype)
        wrong = positions[_bits_of(found) != _bits_of(computed)]
        faults += each(wrong, lambda p: f"entry {p}: {column.name} {values[p]} is not {whose}")
    return faults


def _bits_of(values: npt.NDArray[Any]) -> npt.NDArray[np.integer[Any]]:
    """Each value's bits as a number."""
    return values.view(np.dtype(f"u{values.dtype.itemsize}"))


def check_cutflow(subject: Subject) -> Check:
    """The histograms are the recorded cutflow, and that is what comes out when the cuts are counted again."""
    if not subject.recorded:
        return conclude("cutflow", "", (), ["no cutflow is recorded"])
    faults: list[str] = []
    doubts: list[str] = []
    recounted = 0
    for name, expected in zip((CUTFLOW, WEIGHTED), histograms(subject.parts), strict=True):
        faults += _histogram(subject, name, expected)
    for part, _ in subject.skims:
        evidence = subject.evidence[part]
        doubts += evidence.doubts
        for number, (file, surveyed) in enumerate(zip(subject.parts[part].inputs, evidence.files, strict=True)):
            if surveyed is not None:
                recounted += 1
                kept = evidence.kept[number] if not evidence.doubts else None
                faults += _recount(file, surveyed, kept)
                faults += _balance(file, surveyed.num_entries, subject.parts[part].quarantined(file.path))
    what = f"{counted(recounted, 'input')} counted again"
    bad = sum(len(subject.parts[part].bad) for part, _ in subject.skims)
    what += f"; quarantined, and not there: {counted(bad, 'piece')} of the input" if bad else ""
    return conclude("cutflow", what, faults, doubts)


def _histogram(subject: Subject, name: str, expected: Sequence[tuple[str, float]]) -> list[str]:
    """What is wrong with a histogram of the cutflow; in a file that is as we wrote it, each byte must be ours."""
    found = read_cutflow(subject.file, name)
    if found is None:
        return [f"{name} is missing"]
    if [label for label, _ in found] != [label for label, _ in expected]:
        return [f"{name} has the bins {', '.join(label for label, _ in found)}"]
    tolerance = 0.0 if subject.own else _CLOSE
    faults = [
        f"{name}: {label!r} is {value!r}, the provenance says {wanted!r}"
        for (label, value), (_, wanted) in zip(found, expected, strict=True)
        if not np.isclose(value, wanted, rtol=tolerance, atol=0)
    ]
    if subject.own and not faults:
        key, streamed = stream_cutflow(name, CUTFLOW_TITLES[name], found)
        entry = subject.file.entries[name]
        if (entry.key, read_payload(subject.file, entry.position)) != (key, streamed):
            faults.append(f"{name}: its bins are right, but not all else: title, axes, sums or styles were changed")
    return faults


def _balance(file: FileCount, entries: int, quarantined: Sequence[tuple[int, int]]) -> list[str]:
    """What is wrong with the entries of an input: all must have been read, or quarantined."""
    missing = sum(stop - start for start, stop in quarantined)
    if entries == file.entries == file.read + missing:
        return []
    what = f"{file.read:,} were read and {missing:,} quarantined, of {file.entries:,} recorded"
    return [f"{file.path}: the books do not balance: events: {what}, {entries:,} are there"]


def _recount(file: FileCount, surveyed: SurveyedFile, kept: Index | None) -> list[str]:
    """The steps of an input that come out otherwise; without `kept`, as far as they can be counted again."""
    events, weights = dict(surveyed.flow.events), dict(surveyed.flow.weights)
    decided = next((step.name for step in file.cutflow if step.name in ("score", "menu")), None)
    if kept is not None and decided is not None:
        events[decided] = len(kept)
        if surveyed.weights is not None:
            weights[decided] = float(surveyed.weights[np.isin(surveyed.chosen, kept)].sum())
    faults = []
    for step in file.cutflow:
        if kept is None and (step.name not in events or step.name == DEDUPLICATED):
            break
        again, weight = events.get(step.name), weights.get(step.name)
        if again != step.events:
            faults.append(f"{file.path}: events after {step.name!r} are recorded as {step.events}, there are {again}")
        if (weight is None) != (step.weight is None) or not np.isclose(
            weight or 0.0, step.weight or 0.0, rtol=_CLOSE, atol=0
        ):
            faults.append(
                f"{file.path}: weights after {step.name!r} are recorded as {step.weight}, they sum to {weight}"
            )
    return faults
