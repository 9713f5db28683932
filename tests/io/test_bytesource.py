"""Bytes by position."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hepfilter.errors import SourceError
from hepfilter.io import bytesource
from hepfilter.io.bytesource import ByteSource, open_local

DATA = os.urandom(300)
RANGES = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 60)), max_size=20)


def counted(spans: list[tuple[int, int]]) -> ByteSource:
    """DATA, with a list of all spans that are asked for."""

    def fetch(start: int, stop: int) -> bytes:
        spans.append((start, stop))
        return DATA[start:stop]

    return ByteSource(fetch, lambda asked: [fetch(*span) for span in asked], len(DATA))


@given(RANGES, st.integers(0, 40), st.integers(1, 200))
def test_ranges_that_are_read_together_give_the_same_bytes(ranges, gap, longest):
    spans: list[tuple[int, int]] = []
    source = counted(spans)
    asked = [(start, start + length) for start, length in ranges]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bytesource, "_GAP", gap)
        patch.setattr(bytesource, "_LONGEST", longest)
        blocks = source.many(asked)
    assert [bytes(block) for block in blocks] == [DATA[start:stop] for start, stop in asked]
    assert source.read == sum(stop - start for start, stop in spans)
    assert len(spans) <= len(asked)
    longest_asked = max((stop - start for start, stop in asked), default=0)
    assert all(0 < stop - start <= max(longest, longest_asked) for start, stop in spans)


def test_neighbours_are_one_read_and_far_ones_two():
    spans: list[tuple[int, int]] = []
    source = counted(spans)
    source.many([(100, 110), (0, 10), (10, 20), (105, 120)])
    assert spans == [(0, 120)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bytesource, "_GAP", 10)
        source.many([(100, 110), (0, 10), (10, 20), (105, 120)])
    assert spans[1:] == [(0, 20), (100, 120)]
    assert source.read == 120 + 40


def test_nothing_is_asked_for_empty_ranges():
    """A basket inside the tree's own record has none; a server would refuse such a request."""
    spans: list[tuple[int, int]] = []
    assert [bytes(block) for block in counted(spans).many([(0, 0), (7, 7), (250, 252), (9, 3)])] == [
        b"",
        b"",
        DATA[250:252],
        b"",
    ]
    assert spans == [(250, 252)]
    assert counted(spans).many([]) == []


def test_a_local_file_and_what_lies_beyond_its_end(tmp_path: Path):
    path = tmp_path / "a"
    path.write_bytes(DATA)
    with open_local(path) as source:
        assert source(10, 20) == DATA[10:20]
        assert source(290, 10**12) == DATA[290:]  # no buffer of that size
        assert source(400, 500) == b""
        assert [bytes(block) for block in source.many([(295, 305), (900, 901), (0, 1)])] == [DATA[295:], b"", DATA[:1]]


def test_a_read_that_the_system_refuses_is_told(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(bytes(100))

    def fail(*_):
        raise OSError(5, "Input/output error")

    with open_local(tmp_path / "a") as source:
        monkeypatch.setattr("os.pread", fail)
        with pytest.raises(SourceError, match=r"a: the bytes 10 to 19 cannot be read: Input/output error"):
            source(10, 20)
    with pytest.raises(SourceError, match="cannot be read: No such file"), open_local(tmp_path / "b"):
        pass


def test_a_file_that_changes_while_it_is_open_is_told(tmp_path):
    path = tmp_path / "a"
    changes = {
        "cut short": lambda: os.truncate(path, 50),
        "written to": lambda: path.write_bytes(DATA[::-1]),
        "longer": lambda: path.open("ab").write(b"x"),
    }
    for change in changes.values():
        path.write_bytes(DATA)
        os.utime(path, (1e9, 1e9))
        said = pytest.raises(SourceError, match=r"a: changed while it was read; start again when nothing writes to it$")
        with said, open_local(path) as source:  # which is told again at the end
            assert source(0, 10) == DATA[:10]
            change()
            with pytest.raises(SourceError, match=r"a: changed while it was read"):
                source(10, 20)


def test_a_file_that_is_replaced_while_it_is_open_is_told_at_the_end(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(DATA)
    said = pytest.raises(SourceError, match=r"a: changed while it was read")
    with said, open_local(path) as source:
        (tmp_path / "b").write_bytes(DATA)
        (tmp_path / "b").replace(path)
        assert source(10, 20) == DATA[10:20]  # of the file that was opened
    with open_local(path) as source:
        path.unlink()
        assert source(10, 20) == DATA[10:20]


def test_another_fault_is_not_hidden_by_a_change(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(DATA)
    with pytest.raises(KeyError), open_local(path):
        path.write_bytes(b"")
        raise KeyError
