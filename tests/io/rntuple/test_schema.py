"""What a schema may not say; what is kept of it when fields are dropped, and what is added to it."""

import struct

import pytest

from hepfilter.errors import OutputError
from hepfilter.io.rntuple.format import Alias, Field, Reader, pack_string
from hepfilter.io.rntuple.format import Column as Physical
from hepfilter.io.rntuple.schema import Schema
from hepfilter.io.writing import Column
from tests.io.rntuples import make_ntuple, open_ntuple


@pytest.fixture
def nano(shared_data) -> Schema:
    return open_ntuple(shared_data / "nano_dy_rntuple.root").schema


def tops(schema):
    return [schema.fields[number].name for number in schema.tops]


def collection_of(schema, name):
    """The name of the collection that a counter counts."""
    return next(schema.paths[f.source] for f in schema.fields if f.name == name and f.source is not None)


def assert_sound(schema):
    """Numbers refer to what they should: each projected field and alias column to a field of the same last name."""
    schema.check()
    for number, field in enumerate(schema.fields):
        if field.source is not None and schema.fields[field.parent].name == field.name and field.name[:1] != "n":
            leaf = schema.fields[schema.fields[schema.children[number][0]].source]
            assert leaf.name == field.name
    for alias in schema.aliases:
        source = schema.fields[alias.field].source
        assert schema.columns[alias.column].field == source


def test_nothing_dropped_is_the_same_schema(nano):
    same = nano.without([])
    assert same == nano
    assert same.header("a", "b", "c") == nano.header("a", "b", "c")


def test_a_field_goes_with_its_subfields_and_columns(tmp_path):
    schema = open_ntuple(make_ntuple(tmp_path / "in.root")).schema
    less = schema.without(["deep", "x", "no such field"])
    assert less.paths == [path for path in schema.paths if path != "x" and not path.startswith("deep")]
    assert [key for key in schema.column_keys if key[0].split(".")[0] not in ("deep", "x")] == less.column_keys


def test_projections_that_stay_keep_their_sources(nano):
    muons = collection_of(nano, "nMuon")
    assert muons.startswith("_collection")
    everything = tops(nano)
    less = nano.without(set(everything) - {"run", "Muon_pt", "nMuon"})
    assert_sound(less)
    assert less.paths == ["run", muons, f"{muons}._0", f"{muons}._0.Muon_pt", "Muon_pt", "Muon_pt._0", "nMuon"]
    assert [name for name, *_ in less.column_keys] == ["run", muons, f"{muons}._0.Muon_pt"]
    assert nano.without([muons]) == nano


def test_data_go_with_the_last_projection_that_shows_them(nano):
    muons = collection_of(nano, "nMuon")
    shown = [name for name in tops(nano) if name.startswith("Muon_")]
    less = nano.without(shown[1:])
    assert_sound(less)
    assert [path for path in less.paths if path.startswith(muons)] == [muons, f"{muons}._0", f"{muons}._0.{shown[0]}"]
    less = nano.without(shown)
    assert_sound(less)
    assert [path for path in less.paths if path.startswith(muons)] == [muons, f"{muons}._0"]
    assert muons not in nano.without([*shown, "nMuon"]).paths


def test_added_columns_stand_behind_all_others(nano):
    more = nano.without(["run"]).with_columns([Column("score", "float32", "a score"), Column("ok", "bool")])
    assert_sound(more)
    first, second = more.fields[-2:]
    assert (first.name, first.type_name, first.description, second.type_name) == ("score", "float", "a score", "bool")
    assert [(c.kind, c.bits, c.field) for c in more.columns[-2:]] == [
        (0x18, 32, len(more.fields) - 2),
        (0x00, 1, len(more.fields) - 1),
    ]
    with pytest.raises(OutputError, match="column run cannot be added: there is a field of that name; drop it first"):
        nano.with_columns([Column("run", "float32")])


def test_differences_name_the_fields(nano, tmp_path):
    assert nano.differences(nano) == ""
    other = nano.without(["run", "event"])
    assert nano.differences(other) == "run, event" == other.differences(nano)
    changed = open_ntuple(make_ntuple(tmp_path / "in.root")).schema
    assert changed.differences(nano).endswith(f"and {len(set(changed.paths) | set(nano.paths)) - 5} more")


def test_the_header_says_what_was_read(nano):
    reader = Reader(nano.header("name", "what it is", "ROOT"))
    assert reader.flags() == 0
    assert [reader.string() for _ in range(3)] == ["name", "what it is", "ROOT"]
    assert [len(list(reader.records())) for _ in range(4)] == [2307, 1499, 783, 0]
    assert reader.rest == b""


def field(parent, role=0):
    return Field.parse(
        struct.pack("<IIIHH", 0, 0, parent, role, 0) + b"".join(map(pack_string, ("a", "float", "", "")))
    )


def column(kind, bits, field=0, representation=0):
    return Physical.parse(struct.pack("<HHIHH", kind, bits, field, 0, representation))


@pytest.mark.parametrize(
    ("fields", "columns", "aliases", "words"),
    [
        ([field(3)], [], [], "field a: its parent, source or role 0 is not known"),
        ([field(0, role=5)], [], [], "field a: its parent, source or role 5 is not known"),
        ([field(0)], [column(0x1E, 8)], [], "field a: a column of unknown type 30 with 8 bits"),
        ([field(0)], [column(0x0C, 31)], [], "field a: a column of unknown type 12 with 31 bits"),
        ([field(0)], [column(0x1C, 33)], [], "field a: a column of 33 bits"),
        ([], [column(0x0C, 32)], [], "no field: a column of unknown type 12"),
        ([field(0)], [column(0x0C, 32, representation=1)], [], "range"),
        ([field(0)], [], [Alias(b"", 0, 0)], "an alias column refers to nothing"),
        ([field(0), *(field(n) for n in range(200))], [], [], "field a: more than 100 fields above it"),
    ],
)
def test_a_schema_that_cannot_be_is_refused(fields, columns, aliases, words):
    Schema((field(0), field(0)), (column(0x0C, 32, 1),), (), ()).check()
    with pytest.raises((ValueError, IndexError), match=words):
        Schema(tuple(fields), tuple(columns), tuple(aliases), ()).check()
