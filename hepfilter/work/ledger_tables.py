"""The tables of a ledger, and whether what lies there is that of a run: with these tables, of its files and recipe."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from hepfilter.config.strict_json import parse_json
from hepfilter.errors import visible
from hepfilter.io.text import one_line

NAME: Final = "ledger.sqlite"
IDENTITY: Final = "identity"
"""The key in the table `run` of all that a run's result depends on."""
_FORMAT: Final = 1
TABLES: Final = """
CREATE TABLE run (key TEXT PRIMARY KEY, value TEXT NOT NULL,
    CHECK (typeof(key) = 'text' AND typeof(value) = 'text'));
CREATE TABLE files (number INTEGER PRIMARY KEY, name TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL,
    reason TEXT NOT NULL, head BLOB,
    CHECK (typeof(name) = 'text' AND state IN ('waiting', 'done', 'bad') AND typeof(attempts) = 'integer'),
    CHECK (typeof(reason) = 'text' AND typeof(head) IN ('blob', 'null') AND (state != 'done' OR head NOT NULL)));
CREATE TABLE units (file INTEGER NOT NULL, start INTEGER NOT NULL, stop INTEGER NOT NULL, state TEXT NOT NULL,
    attempts INTEGER NOT NULL, reason TEXT NOT NULL, part TEXT, passed INTEGER, weight REAL,
    PRIMARY KEY (file, start),
    CHECK (typeof(file) = 'integer' AND typeof(start) = 'integer' AND typeof(stop) = 'integer'),
    CHECK (0 <= start AND start <= stop AND stop < 4611686018427387904),
    CHECK (state IN ('waiting', 'done', 'bad') AND typeof(attempts) = 'integer' AND typeof(reason) = 'text'),
    CHECK (typeof(part) IN ('text', 'null') AND (state != 'done' OR part NOT NULL)),
    CHECK (typeof(passed) IN ('integer', 'null') AND typeof(weight) IN ('real', 'null'))) WITHOUT ROWID;
"""
"""``quick_check`` looks at the constraints as well, so that they hold for what others wrote too."""

_SCHEMA: Final = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name"


def tables_fault(database: sqlite3.Connection, names: Sequence[str]) -> str:
    """What is wrong with a ledger of the files of these `names`, empty if nothing is; or sqlite3.Error."""
    with closing(sqlite3.connect(":memory:")) as sound:
        sound.executescript(TABLES)
        if database.execute(_SCHEMA).fetchall() != sound.execute(_SCHEMA).fetchall():
            return "its tables are others"
    checked = str(database.execute("PRAGMA quick_check").fetchone()[0])
    if checked != "ok":
        return " ".join(checked.split())[:200]
    if database.execute("SELECT number, name FROM files ORDER BY number").fetchall() != list(enumerate(names)):
        return "its files are others"
    first, last = database.execute("SELECT MIN(file), MAX(file) FROM units").fetchone()
    return "it has units of no file" if first is not None and not 0 <= first <= last < len(names) else ""


def ledger_fault(path: Path, identity: Mapping[str, Any], files: Sequence[str]) -> str:
    """Why the ledger at `path` is not that of this run; empty if it is."""
    if path.is_symlink() or not path.is_file():
        return f"its {NAME} is a link, or no file"
    try:
        # not read-only: what a crash left half written is taken back on opening
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True)) as database:
            (found,) = database.execute("SELECT value FROM run WHERE key = ?", (IDENTITY,)).fetchone()
            if not isinstance(found, str):
                raise TypeError("it does not say whose it is")
            different = _differences(parse_json(found), json.loads(identity_text(identity)))
            damage = "" if different else tables_fault(database, [*map(visible, files)])
    except (sqlite3.Error, TypeError, ValueError) as error:
        return f"its ledger is damaged: {one_line(error)}"
    if different:
        return f"holds an unfinished run with other {', '.join(different)}: finish that by its own command"
    return f"its ledger is damaged: {damage}" if damage else ""


def _differences(known: Any, asked: Mapping[str, Any]) -> list[str]:
    """The keys of two identities whose values differ; TypeError if `known` is none."""
    if not isinstance(known, dict):
        raise TypeError("it does not say whose it is")
    # as text, in which NaN is equal to itself
    return [key for key in {**known, **asked} if json.dumps(known.get(key)) != json.dumps(asked.get(key))]


def identity_text(identity: Mapping[str, Any]) -> str:
    """All that a run's result depends on, as it stands in its ledger."""
    return json.dumps({**identity, "format": _FORMAT}, sort_keys=True)
