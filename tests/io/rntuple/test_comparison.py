"""Comparing RNTuples: fields, and the items of their columns."""

from pathlib import Path

import numpy as np
import pytest

from hepfilter.io.bytesource import open_local
from hepfilter.io.comparison import Compared, EntryDifference, Match
from hepfilter.io.ntuple import NTupleLayout, OpenNTuple
from hepfilter.io.rntuple.comparison import compare_fields, compare_ntuples, compare_schemas
from hepfilter.io.treewriter import TreeWriter
from hepfilter.io.writing import Column
from tests.io.rntuples import make_ntuple, open_ntuple, skim_ntuple

FIELDS = ["id", "x", "flag", "small", "xs", "text", "deep"]


def opened(path: Path) -> OpenNTuple:
    with open_local(path) as source:
        return OpenNTuple(str(path), "Events", open_ntuple(path), source)


def matched(entries: np.ndarray, sources: np.ndarray | None = None) -> Match:
    return Match(np.arange(len(entries)), np.zeros(len(entries), int) if sources is None else sources, entries)


def run(output: Path, sources: list[Path], match: Match, fields: list[str] = FIELDS) -> list[Compared]:
    tables = [opened(path) for path in sources]
    return list(compare_ntuples(opened(output), tables.__getitem__, match, fields))


def differences(*arguments) -> list[EntryDifference]:
    return [difference for one in run(*arguments) for difference in one.differences]


@pytest.mark.parametrize("cluster_bytes", [1, 2000, 64_000_000])
def test_a_copy_does_not_differ(tmp_path, monkeypatch, cluster_bytes):
    sources = [make_ntuple(tmp_path / "a.root", (30, 40)), make_ntuple(tmp_path / "b.root", (50,), first=100)]
    kept = [np.arange(70) % 3 == 0, np.arange(50) % 2 == 0]
    skim_ntuple(list(zip(map(open_ntuple, sources), kept, strict=True)), None, tmp_path / "out.root")
    monkeypatch.setattr(TreeWriter, "CLUSTER_BYTES", cluster_bytes)
    entries = np.concatenate([np.flatnonzero(mask) for mask in kept])
    match = matched(entries, np.repeat([0, 1], [int(mask.sum()) for mask in kept]))
    assert sum(one.entries for one in run(tmp_path / "out.root", sources, match)) == len(entries)
    assert differences(tmp_path / "out.root", sources, match) == []


def test_each_column_that_differs_is_told_with_its_first_entry(tmp_path):
    source = make_ntuple(tmp_path / "a.root", (30, 40))
    skim_ntuple(open_ntuple(source), np.ones(70, bool), tmp_path / "out.root")
    numbers = np.arange(70)
    wrong = numbers.copy()
    wrong[40] = 42  # the run ends where entries do not rise: behind 42 comes 41
    found = {one.branch: one for one in differences(tmp_path / "out.root", [source], matched(wrong))}
    assert found["id (Int64)"].position == 40 and found["id (Int64)"].entry == 42
    columns = {name.split()[0].split(".")[0] for name in found}
    assert columns == {"id", "x", "flag", "small", "xs", "text", "deep"}
    assert run(tmp_path / "out.root", [source], matched(wrong), ["id"])[0].entries == 41


def test_swapped_and_doubled_events_are_compared_where_they_are(tmp_path):
    source = make_ntuple(tmp_path / "a.root", (20,))
    skim_ntuple(open_ntuple(source), np.ones(20, bool), tmp_path / "out.root")
    order = np.array([0, 2, 1, *range(3, 20)])
    assert {one.position for one in differences(tmp_path / "out.root", [source], matched(order))} == {1, 2}
    assert differences(tmp_path / "out.root", [source], Match(order, np.zeros(20, int), order)[:1]) == []


def test_what_cannot_be_read_is_told_by_its_field_and_all_else_compared(tmp_path):
    source = make_ntuple(tmp_path / "a.root", (20,))
    skim_ntuple(open_ntuple(source), np.ones(20, bool), tmp_path / "out.root", compression="none")
    data = bytearray((tmp_path / "out.root").read_bytes())
    data[data.index(b"event 0event 1") + 3] ^= 1
    (tmp_path / "out.root").write_bytes(data)
    faults = [fault for one in run(tmp_path / "out.root", [source], matched(np.arange(20))) for fault in one.unreadable]
    assert len(faults) == 1
    assert f"{tmp_path / 'out.root'}: ntuple Events, field text" in faults[0] and "checksum" in faults[0]
    assert differences(tmp_path / "out.root", [source], matched(np.arange(20))) == []


def test_fields_are_those_kept_and_added(tmp_path):
    source = make_ntuple(tmp_path / "a.root", (5,))
    added = [Column("ok", "bool", "a title")]
    values = [{"ok": np.ones(5, bool)}]
    skim_ntuple(open_ntuple(source), np.ones(5, bool), tmp_path / "o.root", added=added, drop=("xs",), extra=values)
    table = opened(source)
    layout = NTupleLayout(table.branch_names, table.ntuple.schema, frozenset({"xs"}))
    assert compare_fields(table, layout, added, opened(tmp_path / "o.root")) == []
    whole = NTupleLayout(table.branch_names, table.ntuple.schema)
    lines = [str(d) for d in compare_fields(table, whole, [], opened(tmp_path / "o.root"))]
    assert lines[0].startswith("branch xs: is missing") and lines[-1] == "branch ok: is in excess"
    other = [Column("ok", "int8", "another title")]
    found = [str(d) for d in compare_fields(table, layout, other, opened(tmp_path / "o.root"))]
    assert found == [
        "branch ok: description is 'a title', not 'another title'",
        "branch ok: type is 'bool', not 'std::int8_t'",
    ]


def test_the_order_of_fields_counts(tmp_path):
    schema = open_ntuple(make_ntuple(tmp_path / "a.root", (5,))).schema.without(["xs", "text", "deep"])
    columns = [Column("a", "int8"), Column("b", "int8")]
    found = compare_schemas(schema.with_columns(columns), schema.with_columns(columns[::-1]))
    assert [str(difference) for difference in found] == ["branch b: place is that of a"]
