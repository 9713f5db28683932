"""The ledger: what was entered is there again, whatever ended the run that entered it."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from hepfilter.errors import OutputError
from hepfilter.work.ledger import Ledger, ledger_folder, open_ledger
from hepfilter.work.ledger_rows import BadUnit, UnitBooks

FILES = ["a.root", "b.root", "c.root"]


@contextmanager
def opened(folder: Path, *, anew: bool = False, **identity: object) -> Iterator[Ledger]:
    with open_ledger(folder / "out.root", identity, FILES, anew=anew) as ledger:
        yield ledger


def test_what_was_entered_is_there_again(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        assert not ledger.has_read
        ledger.plan(0, b"head of a", [(0, 10), (10, 25)])
        ledger.plan(1, b"head of b", [(0, 7)])
        ledger.finish(0, "p", [UnitBooks(0, 10, 3, 9.5)])
        ledger.refuse(0, [(10, 25)], "a basket is damaged")
        ledger.refuse(2, None, "no such file")
        ledger.note("outputs", ["out.root"])
    with opened(tmp_path) as ledger:
        assert ledger.has_read
        assert list(ledger.heads()) == [(0, b"head of a"), (1, b"head of b")]
        assert ledger.finished() == {(0, "p"): [0]}
        assert ledger.units(0) == [(0, 10)]
        assert ledger.bad() == [
            BadUnit(0, 10, 25, 1, "a basket is damaged", whole=False),
            BadUnit(2, None, None, 1, "no such file", whole=True),
        ]
        totals = ledger.totals()
        assert (totals.planned, totals.read, totals.bad, totals.weight) == (32, 10, 15, 9.5)
        assert ledger.noted("outputs") == ["out.root"] and ledger.noted("more") is None


def test_what_is_bad_is_tried_again_and_what_a_part_held_read_again(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        ledger.plan(0, b"", [(0, 10), (10, 20)])
        ledger.finish(0, "p", [UnitBooks(0, 10, 3, None)])
        ledger.refuse(0, [(10, 20)], "damaged")
        ledger.refuse(1, None, "gone")
        ledger.retry()
        assert ledger.bad() == [] and ledger.totals().bad == 0
        ledger.forget("p")
        assert ledger.finished() == {} and ledger.totals().read == 0


def test_a_whole_file_that_turns_bad_takes_its_units_along(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        ledger.plan(1, b"head", [(0, 10), (10, 20)])
        ledger.finish(1, "p", [UnitBooks(0, 10, 3, None)])
        ledger.refuse(1, None, "changed")
        assert list(ledger.heads()) == [] and ledger.finished() == {}
        assert ledger.bad() == [BadUnit(1, 0, 20, 2, "changed", whole=True)]
        assert ledger.totals().bad == 20


def test_another_run_is_refused_unless_it_may_begin_anew(tmp_path: Path) -> None:
    with opened(tmp_path, where="nMuon > 1", keep=None) as ledger:
        ledger.plan(0, b"head", [(0, 10)])
        ledger.parts.write("p", b"content")
    refused = pytest.raises(OutputError, match="with other where: finish that by its own command; --force begins anew")
    with refused, opened(tmp_path, where="nMuon > 2", keep=None):
        pass
    with opened(tmp_path, where="nMuon > 1", keep=None, anew=True) as ledger:
        assert list(ledger.heads())  # its own run goes on
    with opened(tmp_path, where="nMuon > 2", keep=None, anew=True) as ledger:
        assert not list(ledger.heads()) and "p" not in ledger.parts


def test_removed_it_leaves_nothing_but_what_others_put_there(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        ledger.parts.write("p", b"content")
        ledger.remove()
    assert list(tmp_path.iterdir()) == []
    with opened(tmp_path) as ledger:
        (ledger.folder / "precious").write_text("")
        ledger.remove()
    assert [path.name for path in ledger_folder(tmp_path / "out.root").iterdir()] == ["precious"]


HOLDER = """
import sys, time
from pathlib import Path
from hepfilter.work.ledger import open_ledger
with open_ledger(Path(sys.argv[1]), {}, ["a.root", "b.root", "c.root"], anew=False) as ledger:
    ledger.plan(0, b"head", [(0, 10)])
    ledger.commit()
    ledger.plan(1, b"head", [(0, 10)])
    print("ready", flush=True)
    time.sleep(60)
"""


def test_one_run_at_a_time_and_a_killed_one_leaves_no_lock(tmp_path: Path) -> None:
    output = tmp_path / "out.root"
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(output)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "ready\n"
        with pytest.raises(OutputError, match=r"out\.root: another run is making it"), opened(tmp_path):
            pass
        os.kill(other.pid, signal.SIGKILL)
    with opened(tmp_path) as ledger:
        assert [file for file, _ in ledger.heads()] == [0]  # the second was not yet on disk


def test_so_it_is_within_one_process(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        for _ in range(2):  # the refused one has not given up the lock
            with pytest.raises(OutputError, match=r"out\.root: another run is making it"), opened(tmp_path):
                pass
        ledger.note("a", 1)
    with opened(tmp_path) as ledger:
        assert ledger.noted("a") == 1


def test_a_part_that_is_not_whole_is_not_there(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        ledger.parts.write("p", b"some", b" content")
        assert ledger.parts.read("p") == b"some content"
        path = ledger.folder / "p.part"
        data = bytearray(path.read_bytes())
        data[2] ^= 1
        path.write_bytes(data)
        assert ledger.parts.read("p") is None
        (ledger.folder / ".q.part.0123abcd.part").write_bytes(b"half")
    with opened(tmp_path) as ledger:
        assert [path.name for path in ledger.folder.glob("*.part")] == ["p.part"]


def test_a_full_disk_is_one_line_and_leaves_the_ledger_intact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with opened(tmp_path) as ledger:
        ledger.plan(0, b"head", [(0, 10)])
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(OutputError, match=r"p\.part: cannot be written: No space left on device; when that"):
                ledger.parts.write("p", b"content")
        assert not list(ledger.folder.glob("*.part"))
    with opened(tmp_path) as ledger:
        assert list(ledger.heads())


def test_identity_is_compared_as_it_is_stored(tmp_path: Path) -> None:
    """Tuples and lists are the same in JSON."""
    with opened(tmp_path, branches=("a", "b")) as ledger:
        ledger.plan(0, b"", [])
    with opened(tmp_path, branches=json.loads('["a", "b"]')) as ledger:
        assert list(ledger.heads())


def test_what_a_crash_left_before_anything_stood_in_it_is_no_ledger(tmp_path: Path) -> None:
    folder = ledger_folder(tmp_path / "out.root")
    folder.mkdir()
    (folder / "ledger.sqlite").touch()
    (folder / "p.part").write_bytes(b"of a run that is over")
    with opened(tmp_path) as ledger:
        assert not list(ledger.heads()) and "p" not in ledger.parts
        ledger.plan(0, b"", [])


def test_an_entry_is_whole_or_not_there(tmp_path: Path) -> None:
    """Were a file entered without its units, what is found of them would go nowhere."""
    with opened(tmp_path) as ledger:
        ledger.plan(0, b"head", [(0, 10)])
        with pytest.raises(OutputError, match="is damaged"):
            ledger.plan(1, b"head", [(0, 10), (0, 10)])  # which the table refuses
        ledger.finish(0, "p", [UnitBooks(0, 10, 3, None)])
    with opened(tmp_path) as ledger:
        assert [file for file, _ in ledger.heads()] == [0] and ledger.totals().planned == 10


def test_a_ledger_that_does_not_say_whose_it_is_is_damaged(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        ledger.plan(0, b"", [(0, 10)])
    with closing(sqlite3.connect(ledger_folder(tmp_path / "out.root") / "ledger.sqlite")) as database:
        database.executescript(
            "CREATE TABLE other AS SELECT key, NULL AS value FROM run; DROP TABLE run; ALTER TABLE other RENAME TO run"
        )
    with pytest.raises(OutputError, match="its ledger is damaged: it does not say whose it is"), opened(tmp_path):
        pass
