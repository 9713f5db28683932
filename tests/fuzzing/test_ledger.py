"""Ledgers by chance: what a crash, a bad disk or somebody else left beside an output is used whole, or told."""

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hepfilter.errors import OutputError
from hepfilter.work.ledger import ledger_folder, open_ledger
from hepfilter.work.ledger_rows import UnitBooks
from hepfilter.work.parts import PartStore
from tests.fuzzing.harness import NAMES, SCALARS, damaged, examples, survives

IDENTITY = {"where": "n > 1", "inputs": "abc", "files": {"a.txt": "1"}}
FILES = ["a.root", "b.root", "c.root"]
COLUMNS = {
    "run": ("key", "value"),
    "files": ("number", "name", "state", "attempts", "reason", "head"),
    "units": ("file", "start", "stop", "state", "attempts", "reason", "part", "passed", "weight"),
}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a ledger in the middle of a run."""
    output = tmp_path_factory.mktemp("ledger") / "out.root"
    with open_ledger(output, IDENTITY, FILES, anew=False) as ledger:
        ledger.plan(0, b"head", [(0, 10), (10, 20)])
        ledger.plan(1, b"head", [(0, 10)])
        ledger.parts.write("0-0", b"content")
        ledger.finish(0, "0-0", [UnitBooks(0, 10, 3, 2.5)])
        ledger.refuse(1, [(0, 10)], "a reason")
        ledger.refuse(2, None, "another")
        ledger.note("outputs", ["out.root"])
    return ledger_folder(output)


def copy(template: Path, folder: Path) -> Path:
    """The output that a copy of the ledger belongs to."""
    output = folder / "out.root"
    shutil.rmtree(ledger_folder(output), ignore_errors=True)
    shutil.copytree(template, ledger_folder(output))
    return output


def used(output: Path) -> None:
    """All that a run that goes on asks of a ledger."""
    with open_ledger(output, IDENTITY, FILES, anew=False) as ledger:
        ledger.noted("outputs")
        assert isinstance(ledger.has_read, bool)
        ledger.totals()
        for unit in ledger.bad():
            assert FILES[unit.file] and (unit.start is None or unit.start + 1)
        ledger.retry()
        for file, head in ledger.heads():
            assert FILES[file] and head[:1] is not None
        for (file, part), starts in ledger.finished().items():
            assert FILES[file] and sum(starts) >= 0
            if ledger.parts.read(part) is None:
                ledger.forget(part)
        for number in range(len(FILES)):
            assert all(stop - start for start, stop in ledger.units(number))
        ledger.plan(2, b"head", [(0, 5)])
        ledger.finish(2, "2-0", [UnitBooks(0, 5, 1, None)])


def test_it_goes_on_where_it_is_sound(template: Path, tmp_path: Path) -> None:
    assert survives(lambda: used(copy(template, tmp_path))) is None


@examples(80)
@given(data=st.data())
def test_damaged_databases(template: Path, tmp_path: Path, data: st.DataObject) -> None:
    output = copy(template, tmp_path)
    path = ledger_folder(output) / "ledger.sqlite"
    raw = path.read_bytes()
    page = data.draw(st.integers(0, len(raw) // 4096 - 1)) * 4096
    end = data.draw(st.sampled_from((200, 4096)))
    path.write_bytes(raw[:page] + data.draw(damaged(raw[page : page + end])) + raw[page + end :])
    survives(lambda: used(output))


@examples(120)
@given(data=st.data())
def test_values_of_any_kind(template: Path, tmp_path: Path, data: st.DataObject) -> None:
    output = copy(template, tmp_path)
    table = data.draw(st.sampled_from(sorted(COLUMNS)))
    column = data.draw(st.sampled_from(COLUMNS[table]))
    value = data.draw(SCALARS | st.binary(max_size=20) | st.sampled_from(["done", "bad", "[" * 2000, "../../x", "[]"]))
    with closing(sqlite3.connect(ledger_folder(output) / "ledger.sqlite")) as database:
        try:
            database.execute(f"UPDATE OR REPLACE {table} SET {column} = ?", (value,))
        except (sqlite3.Error, OverflowError, UnicodeEncodeError):
            return  # the tables themselves refuse it
        database.commit()
    survives(lambda: used(output))


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE units",
        "DROP TABLE files",
        "DELETE FROM run",
        "ALTER TABLE units ADD COLUMN more TEXT",
        "DROP TABLE units; CREATE TABLE units (file, start, stop, state, attempts, reason, part, passed, weight)",
        "DROP TABLE units; CREATE VIEW units AS SELECT * FROM files",
        "CREATE TRIGGER t AFTER UPDATE ON files BEGIN DELETE FROM units; END",
        "UPDATE run SET value = '[]' WHERE key = 'identity'",
        "UPDATE run SET value = '5' WHERE key = 'identity'",
        "UPDATE units SET start = 'x' WHERE state = 'done'",
        "UPDATE units SET stop = 'x'",
        "UPDATE files SET number = 10000000 WHERE number = 2",
        "UPDATE files SET head = NULL",
    ],
)
def test_another_schema_or_content_is_told(sql: str, template: Path, tmp_path: Path) -> None:
    output = copy(template, tmp_path)
    with closing(sqlite3.connect(ledger_folder(output) / "ledger.sqlite")) as database:
        try:
            database.executescript(sql)
        except sqlite3.IntegrityError:
            return  # the tables themselves refuse it
    message = survives(lambda: used(output))
    assert message is not None and "--force begins anew" in message


def test_an_identity_of_any_depth(template: Path, tmp_path: Path) -> None:
    for depth in (99, 985, 990, 100_000):
        output = copy(template, tmp_path)
        with closing(sqlite3.connect(ledger_folder(output) / "ledger.sqlite")) as database:
            database.execute("UPDATE run SET value = ?", ("[" * depth + "]" * depth,))
            database.commit()
        assert survives(lambda output=output: used(output)) is not None


def test_a_run_killed_while_it_wrote_goes_on(template: Path, tmp_path: Path) -> None:
    output = copy(template, tmp_path)
    writer = (
        "import os, sqlite3, sys\n"
        "database = sqlite3.connect(sys.argv[1])\n"
        "database.execute('PRAGMA cache_size = 2')\n"
        "rows = [('x' * 3000, f'k{number}') for number in range(200)]\n"
        "database.executemany('INSERT INTO run VALUES (?2, ?1)', rows)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    path = ledger_folder(output) / "ledger.sqlite"
    assert subprocess.run([sys.executable, "-c", writer, path], check=False).returncode == -9
    assert path.with_name("ledger.sqlite-journal").stat().st_size > 0  # what it changed is to be taken back
    assert survives(lambda: used(output)) is None


def test_a_byte_flipped_in_a_value_is_noticed(template: Path, tmp_path: Path) -> None:
    output = copy(template, tmp_path)
    path = ledger_folder(output) / "ledger.sqlite"
    raw = path.read_bytes()
    assert raw.count(b"head") >= 2
    at = raw.rindex(b"head")
    path.write_bytes(raw[:at] + b"hebd" + raw[at + 4 :])
    message = survives(lambda: used(output))
    assert message is not None and "is damaged: what is known of file" in message


def test_names_and_facts_of_any_kind_are_entered(tmp_path: Path) -> None:
    identity, files = {"fills": {"x": float("nan")}}, ["in\udcff.root", "\x1b[2J.root"]
    for _ in range(2):  # the second goes on with what the first left
        with open_ledger(tmp_path / "out.root", identity, files, anew=False) as ledger:
            ledger.plan(0, b"head", [(0, 1)])


def test_links_are_not_followed(template: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(template, elsewhere)
    output = tmp_path / "out.root"
    ledger_folder(output).symlink_to(elsewhere)
    message = survives(lambda: used(output))
    assert message is not None and "is a link" in message
    ledger_folder(output).unlink()
    ledger_folder(output).mkdir()
    (ledger_folder(output) / "ledger.sqlite").symlink_to(elsewhere / "ledger.sqlite")
    message = survives(lambda: used(output))
    assert message is not None and "is a link" in message
    ledger_folder(output).joinpath("ledger.sqlite").unlink()
    (ledger_folder(output) / "ledger.sqlite").mkdir()
    assert survives(lambda: used(output)) is not None


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    output = tmp_path / "out.root"
    ledger_folder(output).write_text("mine")
    assert survives(lambda: used(output)) is not None
    assert ledger_folder(output).read_text() == "mine"


@examples(60)
@given(name=NAMES)
def test_names_of_parts_stay_in_the_folder(tmp_path: Path, name: str) -> None:
    store = PartStore(tmp_path / "parts")
    store.folder.mkdir(exist_ok=True)
    if survives(lambda: store.write(name, b"x")) is None:
        assert (store.folder / f"{name}.part").parent == store.folder and store.read(name) == b"x"
    assert [path.name for path in tmp_path.iterdir()] == ["parts"]


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "a/b", "", ".", "..", "a\0b", "a" * 300, "\x1b[2J", "*"])
def test_names_that_no_part_has(name: str, tmp_path: Path) -> None:
    store = PartStore(tmp_path)
    for action in (lambda: store.write(name, b"x"), lambda: store.read(name), lambda: name in store):
        with pytest.raises(OutputError, match="is no name of a part"):
            action()
    assert list(tmp_path.iterdir()) == []
