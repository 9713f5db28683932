"""Lists of events, in and out."""

from pathlib import Path

import numpy as np
import pytest

from hepfilter.errors import ConfigError, OutputError, SourceError
from hepfilter.io.event_list import EventList, MissingEvents, read_event_list, write_event_list

TOP = 2**64 - 1


def listed(folder: Path, text: str) -> EventList:
    (folder / "ids.txt").write_text(text)
    return read_event_list(folder / "ids.txt")


def contains(events: EventList, *rows: tuple[int, int, int]) -> list[bool]:
    run, block, event = zip(*rows, strict=True)
    return events.contains(np.array(run), np.array(block), np.array(event, np.uint64)).tolist()


def test_the_ways_of_writing(tmp_path):
    text = f"# mine\n\n1:2:3\n 4 5\t6  # why\n7,8, 9\r\n10 : 11 : {TOP}\n  # end\n12: 13 ,14\n1:2:3"
    events = listed(tmp_path, text)
    assert len(events) == 5
    assert contains(events, (1, 2, 3), (4, 5, 6), (7, 8, 9), (10, 11, TOP), (12, 13, 14)) == [True] * 5
    assert contains(events, (3, 2, 1), (4, 5, 7), (10, 11, TOP - 1), (0, 0, 0)) == [False] * 4


def test_all_64_bits_count(tmp_path):
    events = listed(tmp_path, f"1:1:{2**53}\n1:1:{2**63}\n")
    assert contains(events, (1, 1, 2**53), (1, 1, 2**53 + 1), (1, 1, 2**63)) == [True, False, True]
    signed = events.contains(np.array([1]), np.array([1]), np.array([-(2**63)]))  # a Long64_t branch shows it so
    assert signed.tolist() == [True]


def test_against_a_set(tmp_path):
    rng = np.random.default_rng(3)
    rows = {tuple(row) for row in rng.integers(0, [4, 50, 300], (4_000, 3)).tolist()}
    events = listed(tmp_path, "\n".join(f"{r}:{b}:{e}" for r, b, e in rows))
    asked = [tuple(row) for row in rng.integers(0, [5, 50, 300], (20_000, 3)).tolist()]
    assert contains(events, *asked) == [row in rows for row in asked]


def test_what_was_never_seen(tmp_path):
    events = listed(tmp_path, "\n".join(f"{run}:2:{event}" for run in (11, 9) for event in (10, 7, 8)))
    seen = np.zeros(len(events), bool)
    found = events.find(np.array([9, 9, 5]), np.array([2, 2, 2]), np.array([8, 8, 8]))
    assert found[0] == found[1] >= 0 and found[2] == -1
    seen[found[found >= 0]] = True
    assert events.missing(seen) == MissingEvents(5, ("9:2:7", "9:2:10", "11:2:7"))
    assert events.missing(seen, first=1).first == ("9:2:7",)
    assert events.missing(np.ones(len(events), bool)) == MissingEvents(0, ())


def test_an_empty_list(tmp_path):
    events = listed(tmp_path, "# nothing\n")
    assert len(events) == 0
    assert contains(events, (1, 2, 3)) == [False]
    assert events.missing(np.zeros(0, bool)) == MissingEvents(0, ())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1:2", "'1:2' is no event; write run:luminosityBlock:event in plain integers"),
        ("1:2:3:4", "'1:2:3:4' is no event"),
        ("1:2:-3", "is no event"),
        ("1:2:3.0", "is no event"),
        ("1:2:0x1", "is no event"),
        ("run,luminosityBlock,event", "is no event"),
        ("1::2:3", "is no event"),
        ("1:2:٣", "is no event"),
        (f"1:2:{TOP + 1}", "a number is too large"),
        ("4294967296:2:3", "a number is too large"),
        ("1:4294967296:3", "a number is too large"),
        ("1:2:" + "9" * 5000, "a number is too large"),
    ],
)
def test_lines_that_are_no_event(tmp_path, line, message):
    with pytest.raises(ConfigError, match=message) as raised:
        listed(tmp_path, f"# head\n1:2:3\n{line}\n")
    assert str(raised.value).startswith(f"{tmp_path}/ids.txt: line 3: ")
    assert len(str(raised.value)) < 300 + len(str(tmp_path))


def test_a_list_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_event_list(tmp_path / "lost.txt")
    with pytest.raises(ConfigError, match=r"^/dev/zero: is no plain file"):
        read_event_list("/dev/zero")
    with (tmp_path / "sparse.txt").open("wb") as stream:
        stream.truncate(10**11)
    with pytest.raises(ConfigError, match=r"sparse\.txt: has more than 1,000 MB"):
        read_event_list(tmp_path / "sparse.txt")


def test_written_as_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("hepfilter.io.event_list._LINES_AT_ONCE", 2)
    run, block = np.array([3, 1, 2**32 - 1], np.uint32), np.array([1, 2, 3], np.uint32)
    event = np.array([5, TOP, 0], np.uint64)
    write_event_list(tmp_path / "out.txt", run, block, event)
    assert (tmp_path / "out.txt").read_text() == (f"# run:luminosityBlock:event\n3:1:5\n1:2:{TOP}\n4294967295:3:0\n")
    assert read_event_list(tmp_path / "out.txt").contains(run, block, event).all()
    none = np.zeros(0, np.uint32)
    write_event_list(tmp_path / "none.txt", none, none, none)
    assert len(read_event_list(tmp_path / "none.txt")) == 0


def test_what_exists_is_replaced_only_by_force(tmp_path):
    one = np.array([1])
    (tmp_path / "out.txt").write_text("mine")
    with pytest.raises(OutputError, match="exists; give another name"):
        write_event_list(tmp_path / "out.txt", one, one, one)
    assert (tmp_path / "out.txt").read_text() == "mine"
    write_event_list(tmp_path / "out.txt", one, one, one, force=True)
    assert (tmp_path / "out.txt").read_text().endswith("1:1:1\n")


def test_nothing_is_left_of_what_fails(tmp_path, monkeypatch):
    one = np.array([1])
    with pytest.raises(OutputError, match="there is no folder"):
        write_event_list(tmp_path / "no" / "out.txt", one, one, one)
    with pytest.raises(SourceError, match="run -1"):
        write_event_list(tmp_path / "out.txt", np.array([-1]), one, one)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match=r"out\.txt: cannot be written: No space left on device; nothing is left"):
        write_event_list(tmp_path / "out.txt", one, one, one)
    assert list(tmp_path.iterdir()) == []
