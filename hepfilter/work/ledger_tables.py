"""The tables of a ledger, and whether a database that lies there has just these, with values as they are written."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from typing import Final

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
