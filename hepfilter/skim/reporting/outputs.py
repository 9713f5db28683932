"""Which files a report is of: those given, and the others of a split output that lie beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hepfilter.config.files import is_file, is_folder
from hepfilter.errors import SourceError
from hepfilter.io.checksum import file_facts
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source, expand_sources
from hepfilter.skim.parts import Part, read_parts
from hepfilter.skim.provenance import PROVENANCE
from hepfilter.skim.reporting.containers import OutputFacts


@dataclass(frozen=True)
class ReadOutput:
    """An output, what it is, and whose events it holds."""

    source: Source
    facts: OutputFacts
    parts: tuple[Part, ...]


def read_output(source: Source) -> ReadOutput:
    """SourceError if it is no output of a skim."""
    with open_file(source) as file:
        parts = read_parts(file)
        if not parts:
            raise SourceError(f"{file.path}: has no {PROVENANCE}: it is no output of hepfilter skim or merge")
        facts = file_facts(file)
        events = file.table(parts[0].tree).num_entries
        return ReadOutput(
            Source(source.path), OutputFacts(source.path, events, facts.size, facts.uuid, facts.checksum), parts
        )


def expand_outputs(texts: Sequence[str]) -> list[Source]:
    """The files that `texts` mean, as `expand_sources` has them; of a folder those that are outputs, if any is."""
    found: list[Source] = []
    for text in texts:
        sources = expand_sources([text])
        outputs = [source for source in sources if _is_output(source)] if is_folder(text) else []
        found += outputs or sources
    return found


def _is_output(source: Source) -> bool:
    with open_file(source) as file:
        return PROVENANCE in file.class_names


def read_outputs(sources: Sequence[Source]) -> tuple[list[ReadOutput], list[str]]:
    """The outputs given and those of the same skims that lie beside them; and the paths of those that do not.

    SourceError if two hold the same events, as a merged output and one of its parts do.
    """
    found = [read_output(source) for source in sources]
    known: dict[tuple[str, int], str] = {}
    for one in found:
        for part in one.parts:
            before = known.setdefault((part.skim, part.output), one.source.path)
            if before != one.source.path:
                raise SourceError(f"{one.source.path}: holds the same events as {before}; give one of them")
    missing: dict[str, None] = {}
    for one in list(found):
        for part in one.parts if len(one.parts) == 1 else ():
            for number, other in enumerate(part.outputs):
                if (part.skim, number) in known:
                    continue
                known[part.skim, number] = other.path
                beside = _beside(one.source.path, other.path, part.skim, number)
                if beside is None:
                    missing[other.path] = None
                else:
                    found.append(beside)
    return found, list(missing)


def _beside(given: str, other: str, skim: str, number: int) -> ReadOutput | None:
    """The output of that name in the same folder, if it is that part of the skim."""
    path = Path(given).parent / Path(other).name
    if "://" in given or not is_file(path):
        return None
    try:
        found = read_output(Source(str(path)))
    except SourceError:
        return None
    return found if any((part.skim, part.output) == (skim, number) for part in found.parts) else None


def skims(outputs: Sequence[ReadOutput]) -> list[Part]:
    """A part of each skim, that with its books where it is there."""
    firsts: dict[str, Part] = {}
    for part in (part for one in outputs for part in one.parts):
        if part.skim not in firsts or (part.has_books and not firsts[part.skim].has_books):
            firsts[part.skim] = part
    return list(firsts.values())
