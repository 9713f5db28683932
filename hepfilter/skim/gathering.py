"""The first pass at work: files and units as tasks, what was found of each, and the ledger that remembers it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Literal, get_args

from hepfilter.errors import (
    DifferentInputsError,
    HepfilterError,
    SchemaError,
    SourceError,
    UnreadableEventsError,
    UsageError,
    WorkerError,
)
from hepfilter.io.checksum import file_facts
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source
from hepfilter.skim.file_reading import UnitOutcome, file_stamp, survey_file, survey_units
from hepfilter.skim.findings import BadInput, FileHead, UnitRead
from hepfilter.skim.packing import pack_head, pack_units, unpack_head, unpack_units
from hepfilter.work.ledger import Ledger
from hepfilter.work.ledger_rows import Range, UnitBooks
from hepfilter.work.tasks import Executor, Task, run_tasks

OnBadFile = Literal["stop", "quarantine"]
ON_BAD_FILE: Final[tuple[OnBadFile, ...]] = get_args(OnBadFile)
_STRETCH: Final = 8
"""Units that a worker reads at a time, so that a file is not opened anew for each."""
BAD_INPUT: Final = (SourceError, SchemaError, WorkerError)
"""What an input may be quarantined for; anything else is wrong for all."""
EntryProgress = Callable[[int, int], None]
ScoreFacts = dict[str, Any] | None


class Gathering:
    """What was found in the inputs so far.

    `take` is called with the head of each file that can be opened, in the order of the inputs, as soon
    as no earlier one is awaited. With a `ledger` all is entered there, and what it has is not read again.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        take: Callable[[FileHead], None],
        *,
        ledger: Ledger | None,
        on_bad_file: OnBadFile,
        progress: EntryProgress,
    ) -> None:
        refuse_unknown(on_bad_file)
        self._sources, self._take, self._ledger = sources, take, ledger
        self._quarantines = on_bad_file == "quarantine"
        self._progress = progress
        self.heads: dict[int, FileHead] = {}
        self._units: dict[int, dict[int, UnitRead]] = {}
        self._bad: dict[tuple[int, int | None], BadInput] = {}
        self._next = 0
        self._planned = self._over = 0
        self._slots, self._stretch = 1, _STRETCH
        if ledger is not None:
            self._recall(ledger)

    def run(self, executor: Executor) -> None:
        """Read all that is not known yet. The first bad input ends it, unless it is to be quarantined."""
        self._advance()
        few = len(self._sources) < 4 * executor.slots
        self._slots, self._stretch = executor.slots, 1 if few and executor.slots > 1 else _STRETCH
        run_tasks(executor, self._tasks(), finished=self._finished, failed=self._failed)
        if self._ledger is not None:
            self._ledger.commit()
        if not self.heads:
            raise SourceError(f"no input can be read; the first: {self.bad[0].reason}")

    @property
    def bad(self) -> tuple[BadInput, ...]:
        """What is quarantined, in the order of the inputs."""
        return tuple(self._bad[key] for key in sorted(self._bad, key=lambda key: (key[0], key[1] or 0)))

    def units(self, file: int) -> list[UnitRead]:
        """The units of a file that could be read, in order; then they are forgotten here."""
        found = self._units.pop(file, {})
        return [found[start] for start in sorted(found)]

    def _tasks(self) -> Iterator[Task]:
        """What is to be done, in the order of the inputs."""
        for file, source in enumerate(self._sources):
            if file in self.heads:
                yield from self._stretches(file, self._missing(file))
            elif (file, None) not in self._bad:
                yield Task(survey_file, (source, self._stretch), key=(file, None))

    def _missing(self, file: int) -> list[Range]:
        known = self._units.get(file, {})
        return [unit for unit in self.heads[file].units if unit[0] not in known and (file, unit[0]) not in self._bad]

    def _stretches(self, file: int, units: Sequence[Range]) -> Iterator[Task]:
        """Tasks for these units of a file: as many at a time as leave something for each worker."""
        head = self.heads[file]
        size = max(1, min(_STRETCH, -(-len(units) // (2 * self._slots))))
        for first in range(0, len(units), size):
            part = units[first : first + size]
            yield Task(survey_units, (head.source, head.facts, part), key=(file, part))

    def _finished(self, task: Task, value: tuple[FileHead | ScoreFacts, list[UnitOutcome]]) -> Iterable[Task]:
        file, asked = task.key
        found, outcomes = value
        if isinstance(found, FileHead):
            self._plan(file, found)
            self._enter(file, found.units[: len(outcomes)], outcomes)
            return list(self._stretches(file, self._missing(file)))
        if found != self.heads[file].score_facts:
            raise other_scores(found, self.heads[file].score_facts)
        self._enter(file, asked, outcomes)
        return ()

    def _failed(self, task: Task, error: HepfilterError) -> Iterable[Task]:
        """A file that cannot be opened, or units of one; where a worker died of several each is tried alone."""
        file, asked = task.key
        if not isinstance(error, BAD_INPUT):
            raise error
        if isinstance(error, WorkerError):
            if again := self._one_by_one(task):
                return again
            error = SourceError(f"{self._sources[file].path}: {error}")
        self._refuse(file, asked, error)
        return ()

    def _one_by_one(self, task: Task) -> list[Task]:
        """A task of several units as one for each, the head of the file alone first; nothing if it is of one only."""
        file, asked = task.key
        if asked is None:
            source, count = task.arguments
            return [Task(survey_file, (source, 0), key=task.key)] if count else []
        head = self.heads[file]
        units = asked if len(asked) > 1 else []
        return [Task(survey_units, (head.source, head.facts, [unit]), key=(file, [unit])) for unit in units]

    def _plan(self, file: int, head: FileHead) -> None:
        self.heads[file] = head
        self._planned += head.num_entries
        if self._ledger is not None:
            self._ledger.plan(file, pack_head(head), head.units)
        self._advance()

    def _enter(self, file: int, asked: Sequence[Range], outcomes: Sequence[UnitOutcome]) -> None:
        """Take in what was read, and what could not be."""
        read = [outcome for outcome in outcomes if isinstance(outcome, UnitRead)]
        if read and self._ledger is not None:
            part = f"{file:06}-{read[0].start:012}-{read[-1].stop:012}"
            self._ledger.parts.write(part, pack_units(read))
            self._ledger.finish(file, part, [_books(unit) for unit in read])
        self._units.setdefault(file, {}).update({unit.start: unit for unit in read})
        self._over += sum(unit.stop - unit.start for unit in read)
        for unit, outcome in zip(asked, outcomes, strict=True):
            if not isinstance(outcome, UnitRead):
                self._refuse(file, [unit], outcome)
        self._progress(self._over, self._expected())

    def _expected(self) -> int:
        """The entries of all inputs, where those that were not opened have as many as the others."""
        closed = sum(start is None for _, start in self._bad)
        waiting = len(self._sources) - len(self.heads) - closed
        return self._planned + self._planned * max(0, waiting) // max(1, len(self.heads))

    def _refuse(self, file: int, units: Sequence[Range] | None, error: HepfilterError) -> None:
        """Quarantine a file, or units of it; or raise the error."""
        if self._ledger is not None:
            self._ledger.refuse(file, units, str(error))
        if not self._quarantines:
            raise error
        source = self._sources[file]
        for start, stop in [(None, None)] if units is None else units:
            self._bad[file, start] = BadInput(source.path, source.dataset, start, stop, str(error))
        self._advance()

    def _advance(self) -> None:
        """Hand on the heads of files that none before is awaited of; the layouts' part of them is needed no more."""
        while self._next in self.heads or (self._next, None) in self._bad:
            if self._next in self.heads:
                head = self.heads[self._next]
                self._take_over(head)
                self.heads[self._next] = replace(head, shapes={}, classes=frozenset())
            self._next += 1

    def _take_over(self, head: FileHead) -> None:
        """Hand on a head. UnreadableEventsError of the whole file if it was opened before, and cannot be any more."""
        try:
            self._take(head)
        except DifferentInputsError:
            raise
        except SourceError as error:
            raise UnreadableEventsError(str(error), self._next, 0, head.num_entries - 1, whole=True) from error

    def _recall(self, ledger: Ledger) -> None:
        """Take up what the ledger has. SourceError if an input is not what it was; errors of `take`."""
        for unit in ledger.bad():
            source = self._sources[unit.file]
            key = unit.file, None if unit.whole else unit.start
            self._bad[key] = BadInput(source.path, source.dataset, unit.start, unit.stop, unit.reason)
        for file, data in ledger.heads():
            head = unpack_head(data)
            if _has_changed(head):
                if not ledger.anew:
                    what = "is not what it was when this run began; --force reads it again, or give another output"
                    raise SourceError(f"{head.source.path}: {what}")
                ledger.renew(file)
                continue
            self.heads[file] = head
            self._planned += head.num_entries
            self._advance()
        for (file, part), starts in ledger.finished().items():
            held = ledger.parts.read(part)
            units = [] if held is None else [unit for unit in unpack_units(held) if unit.start in starts]
            if len(units) != len(starts):
                ledger.forget(part)
                continue
            self._units.setdefault(file, {}).update({unit.start: unit for unit in units})
            self._over += sum(unit.stop - unit.start for unit in units)


def refuse_unknown(on_bad_file: str) -> None:
    """UsageError for a word that says nothing of bad files."""
    if on_bad_file not in ON_BAD_FILE:
        raise UsageError(f"--on-bad-file {on_bad_file}: known are {', '.join(ON_BAD_FILE)}")


def other_scores(found: Mapping[str, Any] | None, before: Mapping[str, Any] | None) -> WorkerError:
    """The error where not all scores of a run, or of the attempts at one, come from the same."""
    what = f"workers differ in what gives scores: {found}, before {before}"
    return WorkerError(f"{what}; let all run on one kind of device, the same as before")


def _books(unit: UnitRead) -> UnitBooks:
    return UnitBooks(unit.start, unit.stop, len(unit.chosen), unit.flow.weights.get("read"))


def _has_changed(head: FileHead) -> bool:
    """Whether a local file is not what it was when the ledger's run began.

    Remote ones, and one that is not there now or no longer opens, are looked at when their events are fetched.
    """
    stamp = file_stamp(head.source.path)
    if stamp is None or stamp == head.stamp:
        return False
    try:
        with open_file(head.source) as file:
            return file_facts(file) != head.facts
    except SourceError:
        return False
