"""The ledger of a skim: what identifies it, what is quarantined, what is left of it at the end."""

import errno
import glob
import hashlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from hepfilter import __version__
from hepfilter.config.files import remove
from hepfilter.errors import (
    DifferentInputsError,
    HepfilterError,
    OutputError,
    SourceError,
    UnreadableEventsError,
    UsageError,
    WorkerError,
    visible,
)
from hepfilter.io.checksum import checksum
from hepfilter.io.publishing import Publication, remove_unfinished, unfinished
from hepfilter.io.sources import Inputs, Source, in_list
from hepfilter.models.metadata import read_metadata
from hepfilter.skim import file_reading
from hepfilter.skim.cluster_copy import COPIES
from hepfilter.skim.findings import BadInput
from hepfilter.skim.recipe import Recipe
from hepfilter.skim.report import SkimReport
from hepfilter.wording import counted
from hepfilter.work.ledger import Ledger, look_at_ledger, open_ledger

_BEGUN: Final = "begun"
_OUTPUTS: Final = "outputs"
_FINISHED: Final = "finished"
_RETRIES: Final = "# what could not be read; the same command with --resume tries it again, and completes the output"


class Journal:
    """The `ledger` of a skim of `sources`; `outputs` are the files that earlier attempts of it may have left.

    `resumed` are the events that are not read again. What was quarantined is to be tried again.
    """

    def __init__(self, ledger: Ledger, output: Path, sources: Sequence[Source]) -> None:
        self.ledger = ledger
        self.outputs = self._noted(_OUTPUTS)
        self.resumed = ledger.totals().read
        self._sources = sources
        self._retries = retry_list(output)
        for path in (*self._noted(_BEGUN), self._retries):
            remove_unfinished(path.parent, glob.escape(path.name))
        ledger.retry()

    def begin(self, paths: Sequence[Path]) -> None:
        """Remember which files are written from now on, under names of what is unfinished."""
        self._add(_BEGUN, paths)

    def publish(self, paths: Sequence[Path]) -> None:
        """Remember which files may appear from now on: they are this run's."""
        self.outputs = self._add(_OUTPUTS, paths)

    def keep(self, paths: Sequence[Path]) -> None:
        """These files are there: remove what earlier attempts left beside them."""
        kept = [place(path) for path in paths]
        for path in self.outputs:
            if path not in kept:
                remove(path)
        self.ledger.note(_OUTPUTS, [str(path) for path in kept])

    @contextmanager
    def located(self, numbers: Sequence[int]) -> Iterator[None]:
        """Let a fault in the `with` block name the input by its number; it names its place among these numbers."""
        try:
            yield
        except UnreadableEventsError as fault:
            fault.source = numbers[fault.source]
            raise

    def quarantine(self, fault: UnreadableEventsError) -> None:
        """Enter what cannot be fetched: the units of these entries, or a whole file. The fault, if that is nothing new.

        Others than that fault's events stay as they were read.
        """
        known = self.ledger.units(fault.source)
        units = [unit for unit in known if unit[0] <= fault.last and fault.first < unit[1]]
        if not units and not fault.whole:
            raise fault
        self.ledger.refuse(fault.source, None if fault.whole else units, str(fault))

    def list_retries(self, bad: Sequence[BadInput], publication: Publication) -> None:
        """Write the list of quarantined inputs beside the output."""
        if not bad:
            return
        if not self._may_replace_retries():
            what = "is none of hepfilter's lists, and has the name of one; move it"
            raise OutputError(f"{self._retries}: {what}") from FileExistsError(errno.EEXIST, "exists")
        partial = unfinished(self._retries)
        try:
            partial.write_text(_retry_text(bad, self._sources), encoding="utf-8")
        except OSError as error:
            remove(partial)
            raise OutputError(f"{self._retries}: cannot be written: {error.strerror}") from error
        publication.add(partial, self._retries)

    def close(self, report: SkimReport) -> None:
        """The run is over: the ledger stays only where inputs are quarantined."""
        if report.bad:
            self.ledger.note(_FINISHED, True)
            self.ledger.parts.remove(f"{COPIES}*")
            return
        if self._may_replace_retries():
            remove(self._retries)
        self.ledger.remove()

    def _noted(self, key: str) -> tuple[Path, ...]:
        return tuple(Path(name) for name in self.ledger.noted(key) or [])

    def _add(self, key: str, paths: Sequence[Path]) -> tuple[Path, ...]:
        """Note these paths beside those that are noted; all of them."""
        noted = tuple(dict.fromkeys((*self._noted(key), *map(place, paths))))
        self.ledger.note(key, [str(path) for path in noted])
        return noted

    def _may_replace_retries(self) -> bool:
        """Whether a list of retries that lies there was written by a run, or none does."""
        try:
            with self._retries.open("rb") as stream:
                return stream.readline().rstrip() == _RETRIES.encode()
        except FileNotFoundError:
            return True
        except OSError:
            return False


@contextmanager
def open_journal(
    output: Path, inputs: Inputs, recipe: Recipe, *, identified: bool, anew: bool, resume: bool
) -> Iterator[Journal]:
    """The journal of a skim. OutputError as `open_ledger`; UsageError if there is nothing to resume.

    It stays after an error that may pass, which has a note on that then, and after a signal, if anything was done.
    """
    identity = _identity(inputs, recipe, identified=identified)
    files = [source.path for source in inputs.sources]
    with open_ledger(output, identity, files, anew=anew) as ledger:
        if resume and not _can_resume(ledger):
            ledger.remove()
            raise _nothing_to_resume(output)
        _refuse_finished(ledger, output, again=resume or anew)
        try:
            yield Journal(ledger, output, inputs.sources)
        except BaseException as error:
            if not (ledger.noted(_FINISHED) or (ledger.has_read and _may_pass(error))):
                ledger.remove()
            elif isinstance(error, HepfilterError):
                past = ", with --on-bad-file quarantine also past such input" if isinstance(error, SourceError) else ""
                error.add_note(f"{ledger.folder} holds what was done; the same command goes on from there{past}")
            raise


@dataclass(frozen=True)
class EarlierRun:
    """What an unfinished run left: the `folder` of its ledger, the events `read`, the files it may have written."""

    folder: Path
    read: int
    outputs: tuple[Path, ...]


def find_earlier_run(
    output: Path, inputs: Inputs, recipe: Recipe, *, identified: bool, anew: bool, resume: bool
) -> EarlierRun | None:
    """The run that the same skim would go on with, None if there is none; errors as `open_journal`, nothing changes."""
    identity = _identity(inputs, recipe, identified=identified)
    files = [source.path for source in inputs.sources]
    with look_at_ledger(output, identity, files, anew=anew) as ledger:
        if ledger is None or not _can_resume(ledger):
            if resume:
                raise _nothing_to_resume(output)
            return None
        _refuse_finished(ledger, output, again=resume or anew)
        outputs = tuple(Path(name) for name in ledger.noted(_OUTPUTS) or [])
        return EarlierRun(ledger.folder, ledger.totals().read, outputs)


def _can_resume(ledger: Ledger) -> bool:
    return bool(ledger.has_read or ledger.noted(_FINISHED))


def _nothing_to_resume(output: Path) -> UsageError:
    return UsageError(f"{output}: there is no run to resume; leave --resume out")


def _refuse_finished(ledger: Ledger, output: Path, *, again: bool) -> None:
    """OutputError if the run is over, with inputs in quarantine, unless these are to be tried `again`."""
    if ledger.noted(_FINISHED) and not again:
        bad = counted(len(ledger.bad()), "input")
        raise OutputError(f"{output}: is there, with {bad} quarantined; --resume tries those again")


def place(path: Path) -> Path:
    """Where a file lies, or would, whatever the current folder is then; a link is not followed."""
    return path.parent.resolve() / path.name


def retry_list(output: Path) -> Path:
    """Where the inputs are listed that could not be read."""
    return output.with_name(f"{output.name}.retry.txt")


def _may_pass(error: BaseException) -> bool:
    """Whether the same command may do what it did not do now."""
    if not isinstance(error, HepfilterError):
        return True
    if isinstance(error, OutputError):
        return isinstance(error.__cause__, OSError | sqlite3.Error | SourceError)
    return isinstance(error, SourceError | WorkerError) and not isinstance(error, DifferentInputsError)


def _identity(inputs: Inputs, recipe: Recipe, *, identified: bool) -> dict[str, Any]:
    """All that the result of a skim depends on, as JSON data."""
    sources = json.dumps([asdict(source) for source in inputs.sources])
    facts: dict[str, Any] = json.loads(json.dumps(recipe.facts()))
    if recipe.needs_scores and recipe.scores is None:
        metadata = read_metadata(recipe.model)
        facts |= {"model_hash": metadata.model_hash, "calibration": (metadata.calibration or {}).get("hash")}
    return {
        **facts,
        "version": __version__,
        "inputs": hashlib.blake2b(sources.encode(), digest_size=16).hexdigest(),
        "catalogue": {name: dataset.facts() for name, dataset in inputs.datasets.items()},
        "files": {path: checksum(path) for path in recipe.files if Path(path).is_file()},
        "unit": file_reading.UNIT_ENTRIES,
        "identified": identified,
    }


def _retry_text(bad: Sequence[BadInput], sources: Sequence[Source]) -> str:
    """A list of inputs, as ``@LIST`` takes it, each with what is amiss behind it."""
    lines = [_RETRIES]
    named = {source.path: in_list(source) for source in sources}
    for one in bad:
        what = "" if one.start is None or one.stop is None else f"entries {one.start} to {one.stop - 1}: "
        name = named[one.path] or f"# no list can name it: {visible(one.path)}"
        lines.append(f"{name}  # {what}{one.reason}")
    return "\n".join(lines) + "\n"
