"""The ledger of a run: the state of every file and every unit, in a folder beside the output.

The folder ``OUTPUT.ledger`` holds ``ledger.sqlite``, the parts that wait for the output to be made of them, and a lock.
One process writes. What is entered is on disk within a second; what was done and not entered is done again.
"""

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import xxhash

from hepfilter.config.files import remove
from hepfilter.config.strict_json import parse_json
from hepfilter.errors import OutputError, visible
from hepfilter.work.ledger_rows import BadUnit, Range, Totals, UnitBooks
from hepfilter.work.ledger_tables import IDENTITY, NAME, TABLES, identity_text, ledger_fault
from hepfilter.work.parts import PartStore
from hepfilter.work.run_lock import LOCK, locked_folder

_COMMIT_SECONDS: Final = 0.5
_SEAL: Final = 16
WAITING, DONE, BAD = "waiting", "done", "bad"


class Ledger:
    """The ledger in an open folder; with `anew` what is no longer as it says may begin again."""

    def __init__(self, folder: Path, database: sqlite3.Connection, *, anew: bool) -> None:
        self.folder = folder
        self.anew = anew
        self.parts = PartStore(folder)
        self._database = database
        self._committed = time.monotonic()

    @property
    def has_read(self) -> bool:
        """Whether anything was read."""
        return bool(self._one("SELECT EXISTS (SELECT 1 FROM units WHERE state = ?)", DONE))

    def plan(self, file: int, head: bytes, units: Sequence[Range]) -> None:
        """Enter a file that was opened: what was found, and its units."""
        rows = [(file, start, stop, WAITING) for start, stop in units]
        self._enter(
            ("DELETE FROM units WHERE file = ?", [(file,)]),
            ("INSERT INTO units VALUES (?, ?, ?, ?, 0, '', NULL, NULL, NULL)", rows),
            (
                "UPDATE files SET state = ?, attempts = attempts + 1, reason = '', head = ? WHERE number = ?",
                [(DONE, _sealed(head), file)],
            ),
        )

    def finish(self, file: int, part: str, units: Sequence[UnitBooks]) -> None:
        """Enter units that were read, and the part that holds what was found."""
        rows = [(DONE, part, unit.passed, unit.weight, file, unit.start) for unit in units]
        what = "state = ?, attempts = attempts + 1, reason = '', part = ?, passed = ?, weight = ?"
        self._enter((f"UPDATE units SET {what} WHERE file = ? AND start = ?", rows))

    def refuse(self, file: int, units: Sequence[Range] | None, reason: str) -> None:
        """Enter units that cannot be read, None for a whole file."""
        bad = "state = ?, attempts = attempts + 1, reason = ?"
        if units is None:
            self._enter(
                (f"UPDATE files SET {bad}, head = NULL WHERE number = ?", [(BAD, reason, file)]),
                (f"UPDATE units SET {bad}, part = NULL WHERE file = ?", [(BAD, reason, file)]),
            )
            return
        rows = [(BAD, reason, file, start) for start, _ in units]
        self._enter((f"UPDATE units SET {bad}, part = NULL WHERE file = ? AND start = ?", rows))

    def renew(self, file: int) -> None:
        """A file is another than it was: it is to be opened and read again."""
        self._enter(
            ("DELETE FROM units WHERE file = ?", [(file,)]),
            ("UPDATE files SET state = ?, head = NULL WHERE number = ?", [(WAITING, file)]),
        )
        self.commit()  # before parts of the other file take the place of its own

    def forget(self, part: str) -> None:
        """What a part held is to be read again."""
        self._enter(("UPDATE units SET state = ?, part = NULL WHERE part = ?", [(WAITING, part)]))

    def retry(self) -> None:
        """What could not be read is to be tried again."""
        self._enter(
            ("UPDATE files SET state = ? WHERE state = ?", [(WAITING, BAD)]),
            ("UPDATE units SET state = ? WHERE state = ?", [(WAITING, BAD)]),
        )

    def heads(self) -> Iterator[tuple[int, bytes]]:
        """(number, what was found) of each file that was opened. OutputError if that is damaged, unless `anew`."""
        for number, sealed in self._all("SELECT number, head FROM files WHERE state = ? ORDER BY number", DONE):
            head = sealed[:-_SEAL]
            if _sealed(head) != sealed:
                if self.anew:
                    self.renew(number)
                    continue
                raise OutputError(f"{self.folder}: is damaged: what is known of file {number}; --force begins anew")
            yield number, head

    def finished(self) -> dict[tuple[int, str], list[int]]:
        """The starts of all units that were read, by (file, part)."""
        found: dict[tuple[int, str], list[int]] = {}
        for file, start, part in self._all("SELECT file, start, part FROM units WHERE state = ?", DONE):
            found.setdefault((file, part), []).append(start)
        return found

    def bad(self) -> list[BadUnit]:
        """All that cannot be read, in the order of the inputs."""
        files = self._all(
            "SELECT number, MIN(start), MAX(stop), files.attempts, files.reason, 1 FROM files "
            "LEFT JOIN units ON file = number WHERE files.state = ? GROUP BY number",
            BAD,
        )
        units = self._all(
            "SELECT file, start, stop, units.attempts, units.reason, 0 FROM units JOIN files ON file = number "
            "WHERE units.state = ? AND files.state != ?",
            BAD, BAD,
        )  # fmt: skip
        found = [
            BadUnit(file, start, stop, tries, why, bool(all_)) for file, start, stop, tries, why, all_ in files + units
        ]
        return sorted(found, key=lambda unit: (unit.file, unit.start or 0))

    def units(self, file: int) -> list[Range]:
        """The units of a file that were read."""
        return self._all("SELECT start, stop FROM units WHERE file = ? AND state = ? ORDER BY start", file, DONE)

    def totals(self) -> Totals:
        """The entries of all units, and their weights."""
        counted = dict(self._all("SELECT state, SUM(stop - start) FROM units GROUP BY state"))
        (weights,) = self._all("SELECT TOTAL(weight), TOTAL(ABS(weight)) FROM units WHERE state = ?", DONE)
        return Totals(sum(counted.values()), counted.get(DONE, 0), counted.get(BAD, 0), *weights)

    def note(self, key: str, value: Any) -> None:
        """Remember a fact of the run (JSON data); on disk when this returns."""
        self._enter(("INSERT OR REPLACE INTO run VALUES (?, ?)", [(key, json.dumps(value))]))
        self.commit()

    def noted(self, key: str) -> Any:
        """A fact that was noted, None if it was not."""
        found = self._all("SELECT value FROM run WHERE key = ?", key)
        with self._told():
            return parse_json(found[0][0]) if found else None

    def commit(self) -> None:
        """See to it that all that was entered is on disk."""
        with self._told():
            self._database.commit()
        self._committed = time.monotonic()

    def remove(self) -> None:
        """The run is over: remove the folder; what else somebody put there stays."""
        self._database.close()
        _remove(self.folder)

    def _enter(self, *changes: tuple[str, Sequence[tuple[Any, ...]]]) -> None:
        """Make changes, each a statement with its rows: all of them or none, whatever comes in between."""
        with self._told():
            if not self._database.in_transaction:  # else the end of the savepoint would be a commit
                self._database.execute("BEGIN")
            self._database.execute("SAVEPOINT entry")
            try:
                for sql, rows in changes:
                    self._database.executemany(sql, rows)
            except BaseException:
                with suppress(sqlite3.Error):  # a full disk has taken back more already
                    self._database.execute("ROLLBACK TO entry")
                raise
            self._database.execute("RELEASE entry")
        if time.monotonic() - self._committed > _COMMIT_SECONDS:
            self.commit()

    def _all(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._told():
            return self._database.execute(sql, values).fetchall()

    def _one(self, sql: str, *values: Any) -> Any:
        return self._all(sql, *values)[0][0]

    @contextmanager
    def _told(self) -> Iterator[None]:
        """A fault of the database as OutputError."""
        try:
            yield
        except sqlite3.OperationalError as error:
            what = f"{self.folder / NAME}: cannot be written: {error}"
            raise OutputError(f"{what}; when that is mended the same command goes on") from error
        except (sqlite3.Error, ValueError) as error:
            raise OutputError(f"{self.folder}: is damaged: {error}; --force begins anew") from error


def ledger_folder(output: Path) -> Path:
    """Where the ledger of the run that makes `output` lies."""
    return output.with_name(f"{output.name}.ledger")


@contextmanager
def open_ledger(output: Path, identity: Mapping[str, Any], files: Sequence[str], *, anew: bool) -> Iterator[Ledger]:
    """The ledger of the run that makes `output` of these files, as an earlier run left it or new.

    `identity` (JSON data) is all that the run's result depends on. OutputError if the ledger there is another run's, or
    damaged, unless `anew` lets it begin again then; or if another process uses it.
    """
    folder = ledger_folder(output)
    with locked_folder(folder, output=output):
        fault = "" if _is_blank(folder / NAME) else ledger_fault(folder / NAME, identity, files)
        if fault and not anew:
            raise OutputError(f"{folder}: {fault}; --force begins anew")
        if fault or _is_blank(folder / NAME):
            for path in (*folder.glob(f"{NAME}*"), *folder.glob("*.part")):
                remove(path)
        with closing(_connect(folder, identity, files)) as database:
            ledger = Ledger(folder, database, anew=anew)
            ledger.parts.clean()
            try:
                yield ledger
            finally:
                with suppress(sqlite3.Error):
                    database.commit()


@contextmanager
def look_at_ledger(
    output: Path, identity: Mapping[str, Any], files: Sequence[str], *, anew: bool
) -> Iterator[Ledger | None]:
    """The ledger that `open_ledger` would go on with, None where it would begin a new one; errors as there.

    Nothing is changed by this, and nobody else may use it meanwhile.
    """
    folder = ledger_folder(output)
    if not folder.is_dir() or _is_blank(folder / NAME):
        yield None
        return
    with locked_folder(folder, output=output):
        fault = ledger_fault(folder / NAME, identity, files)
        if fault and not anew:
            raise OutputError(f"{folder}: {fault}; --force begins anew")
        if fault:
            yield None
            return
        with closing(_connect(folder, identity, files)) as database:
            yield Ledger(folder, database, anew=anew)


def _is_blank(path: Path) -> bool:
    """Whether there is no ledger yet: no file, or one that a crash left before anything stood in it."""
    return not path.is_symlink() and (not path.exists() or (path.is_file() and not path.stat().st_size))


def _connect(folder: Path, identity: Mapping[str, Any], files: Sequence[str]) -> sqlite3.Connection:
    """The database; a new one lists the files."""
    there = (folder / NAME).exists()
    try:
        database = sqlite3.connect(folder / NAME)
        database.execute("PRAGMA synchronous = FULL")
        if not there:
            database.execute("BEGIN")  # all of it appears at once
            for statement in TABLES.split(";"):
                database.execute(statement)
            database.execute("INSERT INTO run VALUES (?, ?)", (IDENTITY, identity_text(identity)))
            rows = ((number, visible(name), WAITING) for number, name in enumerate(files))
            database.executemany("INSERT INTO files VALUES (?, ?, ?, 0, '', NULL)", rows)
            database.commit()
    except sqlite3.Error as error:
        if not there:
            _remove(folder)
        raise OutputError(f"{folder}: the ledger cannot be made: {error}") from error
    return database


def _remove(folder: Path) -> None:
    """Remove a ledger's folder; what else somebody put there stays."""
    for path in folder.glob(f"{NAME}*"):  # first: without it the run is over, whatever else is left
        path.unlink(missing_ok=True)
    PartStore(folder).remove()
    (folder / LOCK).unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


def _sealed(data: bytes) -> bytes:
    """With a checksum at the end: the database itself notices no change in a value."""
    return data + xxhash.xxh3_128(data).digest()
