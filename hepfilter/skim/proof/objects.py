"""The check of all that is no tree: texts, histograms and other objects, and the descriptions of their classes."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hepfilter.errors import SourceError
from hepfilter.io.compression import UNPACK_FAULTS
from hepfilter.io.directory import Entry
from hepfilter.io.output import is_histogram, is_pointing
from hepfilter.io.own_records import is_as_old_as_file
from hepfilter.io.reading import NTUPLE, TREE, OpenFile, open_file
from hepfilter.io.streamers import described_classes, streamers
from hepfilter.io.text import one_line
from hepfilter.skim.proof.checks import Check, conclude
from hepfilter.skim.proof.subject import Subject
from hepfilter.skim.provenance import CUTFLOW, PROVENANCE, WEIGHTED
from hepfilter.wording import counted

OWN_OBJECTS = (PROVENANCE, CUTFLOW, WEIGHTED)


@dataclass(frozen=True)
class _Object:
    """An object of a file that is copied, packed as `stored` and unpacked."""

    path: str
    name: str
    kind: str
    stored: bytes
    payload: bytes


def check_objects(subject: Subject) -> Check:
    """All objects of the sources that can be copied are there byte by byte, and none else; so are their classes."""
    stored: dict[str, list[_Object]] = {}
    own = OWN_OBJECTS if subject.recorded else ()
    cycles = {name: all_[:-1] if name in own else all_ for name, all_ in subject.file.cycles.items()}
    for one in _objects(subject.file, cycles):
        stored.setdefault(one.name, []).append(one)
    expected, faults, doubts = _expected(subject)
    for name, wanted in expected.items():
        faults += _differences(name, wanted, stored.get(name, []), in_order=subject.own and not doubts)
    for name, found in stored.items() if not doubts else ():
        if len(found) > len(expected.get(name, ())):
            faults.append(f"object {name} is there {counted(len(found), 'time')}, not {len(expected.get(name, ()))}")
    return conclude("objects", f"{counted(sum(map(len, stored.values())), 'object')} beside trees", faults, doubts)


def _expected(subject: Subject) -> tuple[dict[str, list[_Object]], list[str], list[str]]:
    """(the objects that the sources give, by name, what is wrong with the classes, which sources are missing)."""
    expected: dict[str, list[_Object]] = {}
    seen: set[tuple[str, bytes]] = set()
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
                if number == index == 0 and not lacking:
                    faults += _description_faults(subject, file)
                # another tool copies the newest cycles at best, packs anew, and adds up what it will
                cycles = {name: all_ if subject.recorded else all_[-1:] for name, all_ in file.cycles.items()}
                for one in _objects(file, cycles) if not evidence.is_copy(index) else ():
                    counted = is_histogram(one.kind)
                    known = one.name, one.stored if subject.recorded else one.payload
                    if (first or not counted) and ((counted and subject.recorded) or known not in seen):
                        seen.add(known)
                        expected.setdefault(one.name, []).append(one)
    return expected, faults, doubts


def _description_faults(subject: Subject, source: OpenFile) -> list[str]:
    """Whether the descriptions of classes are, byte by byte, those of the first source, unless ROOT wrote them anew."""
    at = subject.file.directory.info
    if not subject.own or (at and not is_as_old_as_file(subject.file, at)):
        return []
    pair = (streamers(source), streamers(subject.file))
    wanted, found = (None if record is None else (record.key, record.payload()) for record in pair)
    return [] if wanted == found else [f"the descriptions of classes (StreamerInfo) are not those of {source.path}"]


def _differences(name: str, wanted: Sequence[_Object], found: Sequence[_Object], *, in_order: bool) -> list[str]:
    """Which objects of a name are lost, or whether their cycles stand in another order."""
    left = Counter(one.payload for one in found)
    lost = []
    for one in wanted:
        if left[one.payload]:
            left[one.payload] -= 1
        else:
            lost.append(f"object {name} of {one.path} is missing or changed")
    swapped = in_order and not lost and [one.payload for one in wanted] != [one.payload for one in found][: len(wanted)]
    return [f"the cycles of object {name} are not in the order of the sources"] if swapped else lost


def _objects(file: OpenFile, cycles: Mapping[str, Sequence[Entry]]) -> Iterator[_Object]:
    """Those of the given cycles that are copied: what is neither tree nor folder."""
    for name, entries in cycles.items():
        for entry in entries:
            kind = entry.key.class_name
            if kind not in (TREE, NTUPLE) and not is_pointing(kind):
                record = file.record(entry.position)
                yield _Object(file.path, name, kind, record.stored, read_payload(file, entry.position))


def read_payload(file: OpenFile, position: int) -> bytes:
    """An object's bytes, unpacked. SourceError if they are damaged."""
    record = file.record(position)
    try:
        return record.payload()
    except UNPACK_FAULTS as error:
        raise SourceError(f"{file.path}: object {record.key.name} cannot be read: {one_line(error)}") from error
