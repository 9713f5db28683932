"""The checks of an output that do its skim's accounts again: sources, selection, cutflow, objects."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hepfilter.errors import SourceError
from hepfilter.io.compression import UNPACK_FAULTS
from hepfilter.io.copying import Index
from hepfilter.io.objects import read_cutflow
from hepfilter.io.output import is_histogram, is_pointing
from hepfilter.io.reading import NTUPLE, TREE, OpenFile, OpenTree, open_file
from hepfilter.io.streamers import described_classes
from hepfilter.io.text import one_line
from hepfilter.skim.added import INTEREST, PASSED
from hepfilter.skim.parts import Part, histograms
from hepfilter.skim.proof.checks import Check, conclude, each
from hepfilter.skim.proof.evidence import Located
from hepfilter.skim.proof.subject import Subject
from hepfilter.skim.provenance import CUTFLOW, PROVENANCE, WEIGHTED
from hepfilter.skim.report import FileCount
from hepfilter.skim.survey import SurveyedFile

_CLOSE = 1e-9  # sums of the same weights in another order
DEDUPLICATED = "not seen before"
OWN_OBJECTS = (PROVENANCE, CUTFLOW, WEIGHTED)


def check_provenance(parts: Sequence[Part], added: Sequence[str]) -> Check:
    """The output says where it comes from; one of another tool has neither provenance nor any branch of ours."""
    if parts:
        skims = {part.skim: len(part.inputs) for part in parts}
        what = (
            f"{len(skims)} skim{'s' * (len(skims) > 1)}, {sum(skims.values())} input{'s' * (sum(skims.values()) > 1)}"
        )
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
    """Every basket lies inside the file, none in another's place; the pages of an RNTuple have checksums instead."""
    trees = [tree for tree in map(subject.opened, subject.file.table_names) if isinstance(tree, OpenTree)]
    stored = [branch.stored for tree in trees for top in tree.branches for branch in top.walk() if branch.stored]
    seeks = np.concatenate([np.empty(0, np.int64), *(one.seeks for one in stored)])
    ends = seeks + np.concatenate([np.empty(0, np.int64), *(one.sizes for one in stored)])
    order = np.argsort(seeks)
    end, faults = subject.file.directory.end, []
    outside = int(((seeks < 0) | (ends > end)).sum())
    overlapping = int((seeks[order][1:] < ends[order][:-1]).sum())
    faults += [f"{outside} baskets lie outside the file's {end:,} bytes"] if outside else []
    faults += [f"{overlapping} baskets lie where others do"] if overlapping else []
    return conclude("file", f"{len(seeks):,} baskets in {end:,} bytes", faults)


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
    return conclude("selection", f"{total:,} events, {picked:,} pass when the cuts are made again", faults, doubts)


def _selected(subject: Subject, number: int, index: int, found: Index, kept: Index) -> list[str]:
    """What differs between the events of an input that are in the output and those that pass again."""
    part, evidence, name = subject.parts[number], subject.evidence[number], subject.name(number, index)
    wrong = np.setdiff1d(found, kept)
    faults = each(wrong, lambda e: f"entry {e} of {name} is in the output, but does not pass the recorded selection")
    if evidence.doubts:
        return faults
    start, written = part.starts[index], sum(output.from_inputs[index] for output in part.outputs)
    if len(kept) != written:
        faults.append(f"{name}: {len(kept)} events pass, {written} are recorded as written")
        missing = np.setdiff1d(kept, found) if len(part.outputs) == 1 else np.empty(0, np.int64)
    else:
        own = kept[start : start + part.counts[index]]
        missing = np.setdiff1d(own, found)
        strangers = np.setdiff1d(np.intersect1d(found, kept), own)
        faults += each(strangers, lambda entry: f"entry {entry} of {name} belongs to another output")
    return faults + each(missing, lambda entry: f"entry {entry} of {name} passes, but is not in the output")


def _own_columns(subject: Subject) -> list[str]:
    """What is wrong with the values of the branches that a skim adds."""
    columns = subject.tree.values([name for name in (PASSED.name, INTEREST.name) if name in subject.own_branches])
    faults = []
    if PASSED.name in columns:
        failed = np.flatnonzero(columns[PASSED.name].values != 1)
        faults += each(failed, lambda position: f"entry {position}: {PASSED.name} is false")
    if INTEREST.name in columns:
        scores = columns[INTEREST.name].values
        for number in range(len(subject.parts)):
            faults += _scores(subject, number, scores)
    return faults


def _scores(subject: Subject, number: int, scores: npt.NDArray[np.float32]) -> list[str]:
    """Scores below the recorded threshold, and those that differ from the ones computed again."""
    part, evidence = subject.parts[number], subject.evidence[number]
    threshold = part.facts.get("threshold")
    own = np.flatnonzero(subject.origins.parts == number)
    low = own[~(scores[own] >= np.float64(threshold))] if threshold is not None else own[:0]
    faults = each(low, lambda p: f"entry {p}: {INTEREST.name} {scores[p]} is below the threshold {threshold}")
    for index, (kept, again) in enumerate(zip(evidence.kept, evidence.scores, strict=True)):
        if kept is None or again is None:
            continue
        positions = subject.origins.of(number, index)
        entries = subject.origins.entries[positions]
        places = np.minimum(np.searchsorted(kept, entries), max(len(kept) - 1, 0))
        known = kept[places] == entries if len(kept) else np.zeros(len(entries), bool)
        wrong = positions[known][scores[positions[known]].view(np.uint32) != again[places[known]].view(np.uint32)]
        faults += each(wrong, lambda p: f"entry {p}: {INTEREST.name} {scores[p]} is not the model's")
    return faults


def check_cutflow(subject: Subject) -> Check:
    """The histograms are the recorded cutflow, and that is what comes out when the cuts are counted again."""
    if not subject.recorded:
        return conclude("cutflow", "", (), ["no cutflow is recorded"])
    faults: list[str] = []
    doubts: list[str] = []
    recounted = 0
    for name, expected in zip((CUTFLOW, WEIGHTED), histograms(subject.parts), strict=True):
        found = read_cutflow(subject.file, name)
        if found is None:
            faults.append(f"{name} is missing")
        elif [label for label, _ in found] != [label for label, _ in expected]:
            faults.append(f"{name} has the bins {', '.join(label for label, _ in found)}")
        else:
            pairs = zip(found, expected, strict=True)
            faults += [
                f"{name}: {label!r} is {value!r}, the provenance says {wanted!r}"
                for (label, value), (_, wanted) in pairs
                if not np.isclose(value, wanted, rtol=_CLOSE, atol=0)
            ]
    for part, _ in subject.skims:
        evidence = subject.evidence[part]
        doubts += evidence.doubts
        for number, (file, surveyed) in enumerate(zip(subject.parts[part].inputs, evidence.files, strict=True)):
            if surveyed is not None:
                recounted += 1
                kept = evidence.kept[number] if not evidence.doubts else None
                faults += _recount(file, surveyed, kept)
    return conclude("cutflow", f"{recounted} input{'s' * (recounted != 1)} counted again", faults, doubts)


def _recount(file: FileCount, surveyed: SurveyedFile, kept: Index | None) -> list[str]:
    """The steps of an input that come out otherwise; without `kept`, as far as they can be counted again."""
    events, weights = dict(surveyed.flow.events), dict(surveyed.flow.weights)
    if kept is not None and surveyed.scores is not None:
        events["score"] = len(kept)
        if surveyed.weights is not None:
            weights["score"] = float(surveyed.weights[np.isin(surveyed.chosen, kept)].sum())
    faults = []
    for step in file.cutflow:
        if kept is None and (step.name not in events or step.name == DEDUPLICATED):
            break
        again, weight = events.get(step.name), weights.get(step.name)
        if again != step.events:
            faults.append(f"{file.path}: {step.events} events after {step.name!r} are recorded, there are {again}")
        if (weight is None) != (step.weight is None) or not np.isclose(
            weight or 0.0, step.weight or 0.0, rtol=_CLOSE, atol=0
        ):
            faults.append(
                f"{file.path}: weights after {step.name!r} are recorded as {step.weight}, they sum to {weight}"
            )
    return faults


def check_objects(subject: Subject) -> Check:
    """All objects of the sources that can be copied are there byte by byte, and none else; so are their classes."""
    stored = _objects(subject.file)
    expected: dict[str, dict[bytes, str]] = {}
    faults, doubts = [], []
    classes = described_classes(subject.file)
    for number, first in subject.skims:
        evidence = subject.evidence[number]
        for index, source in enumerate(evidence.sources):
            if source is None:
                doubts.append(f"{subject.name(number, index)}: not there, its objects are not known")
                continue
            with open_file(source) as file:
                lacking = sorted(described_classes(file) - classes)
                faults += [f"class {name} {v} of {file.path} is not described" for name, v in lacking]
                for name, payloads in _objects(file).items() if not evidence.is_copy(index) else ():
                    if first or not is_histogram(file.class_names[name]):
                        expected.setdefault(name, {}).setdefault(payloads[0], file.path)
    for name, wanted in expected.items():
        lost = [path for payload, path in wanted.items() if payload not in stored.get(name, ())]
        faults += [f"object {name} of {path} is missing or changed" for path in lost]
    for name, payloads in stored.items() if not doubts else ():
        if len(payloads) > len(expected.get(name, ())):
            faults.append(f"object {name} is there {len(payloads)} times, not {len(expected.get(name, ()))}")
    return conclude("objects", f"{sum(map(len, stored.values()))} objects beside trees", faults, doubts)


def _objects(file: OpenFile) -> dict[str, list[bytes]]:
    """The payloads, newest cycle first, of all objects that are copied, by name; those of a skim are no such."""
    found: dict[str, list[bytes]] = {}
    for entry in sorted(file.directory.cycles, key=lambda entry: -entry.cycle):
        kind = entry.key.class_name
        if kind not in (TREE, NTUPLE) and not is_pointing(kind) and entry.key.name not in OWN_OBJECTS:
            found.setdefault(entry.key.name, []).append(_payload(file, entry.position))
    return found


def _payload(file: OpenFile, position: int) -> bytes:
    record = file.record(position)
    try:
        return record.payload()
    except UNPACK_FAULTS as error:
        raise SourceError(f"{file.path}: object {record.key.name} cannot be read: {one_line(error)}") from error
