"""RNTuples as TTrees: one counter a collection, titles, types; vectors as ROOT streams them."""

import awkward as ak
import numpy as np
import pytest
import uproot

from hepfilter.errors import OutputError
from hepfilter.io.branch_values import branch_form, decode_values
from hepfilter.io.reading import open_file
from hepfilter.io.rntuple.exported import export_fields, export_obstacles, list_counters
from hepfilter.io.rntuple.format import Field
from hepfilter.io.rntuple.imported import import_branches
from hepfilter.io.rntuple.schema import Schema
from hepfilter.io.sources import Source
from hepfilter.io.tree_differences import compare_branches
from hepfilter.io.values import Form, Values
from hepfilter.io.writing import Column, column_branch
from hepfilter.skim.pipeline import skim
from hepfilter.skim.recipe import Recipe
from tests.io.rntuples import make_ntuple, open_ntuple


def test_branches_are_those_that_the_fields_were_made_of(shared_data):
    """But for titles, which ROOT's importer left out; the counters were unsigned there, too."""
    with open_file(Source(str(shared_data / "nano_dy.root"))) as file:
        branches = {branch.name: branch for branch in file.tree("Events").branches}
    exported = export_fields(open_ntuple(shared_data / "nano_dy_rntuple.root").schema)
    made = [branch.name for branch in exported.branches]
    assert sorted(made) == sorted(branches)
    for name, counter in exported.counters.items():
        assert made.index(counter) < made.index(name)
    found = compare_branches([branches[name] for name in made], exported.branches)
    assert {one.aspect for one in found} == {"title"}
    assert {branch.title for branch in exported.branches if branch.name in ("Muon_pt", "nMuon")} == {
        "Muon_pt/F",
        "nMuon/i",
    }
    titled = export_fields(import_branches(list(branches.values())).schema)
    found = compare_branches([branches[name] for name in made], titled.branches)
    assert found and all(one.aspect == "title" and branches[one.branch].title == "" for one in found)


def test_what_no_branch_can_hold_is_told(tmp_path, shared_data):
    assert export_obstacles(open_ntuple(make_ntuple(tmp_path / "in.root")).schema) == {
        "text": "std::string",
        "deep": "std::vector<std::vector<std::int64_t>>",
    }
    schema = open_ntuple(shared_data / "nano_dy_rntuple.root").schema
    assert export_obstacles(schema) == {}
    collection = next(number for number in schema.tops if schema.fields[number].name == "_collection11")
    shown = {name for name in schema.paths if name.startswith("_collection11._0.")}
    projections = [number for number, item in enumerate(schema.fields) if item.source is not None]
    one = next(n for n in projections if schema.paths[schema.fields[n].source] in shown)
    fields = list(schema.fields)
    fields[one] = Field.new(fields[one].parent, "_0", "float", source=collection)
    unshown = Schema(tuple(fields), schema.columns, schema.aliases, ())
    assert export_obstacles(unshown)["_collection11"] == "an untyped record"


def test_lists_without_a_size_of_their_own_become_vectors(tmp_path):
    schema = open_ntuple(make_ntuple(tmp_path / "in.root")).schema.without(["text", "deep"])
    assert list_counters(schema) == {}
    exported = export_fields(schema)
    vector = next(branch for branch in exported.branches if branch.name == "xs")
    assert vector.element.class_name == "vector<float>" and exported.forms["xs"] == Form("float32", 1)
    values = Values(np.array([1, 2, 3], np.float32), (np.array([2, 0, 1]),))
    entries = exported.entries(vector, values, 3)
    # as ROOT writes a vector of two
    assert bytes(entries.slice(0, 1).data).hex() == "4000000e000a000000023f80000040000000"
    again = decode_values(vector, branch_form(vector), [entries])
    assert len(values.different(again, 3)) == 0


def test_counters_know_their_maximum_and_their_limit():
    lists = Column("x", "float32", "", "n")
    leaves = {}
    counter, _ = (column_branch(column, leaves) for column in (Column("n", "uint32"), lists))
    made = export_fields(import_branches([counter, column_branch(lists, leaves)]).schema)
    assert [branch.name for branch in made.branches] == ["n", "x"] and made.counters == {"x": "n"}
    made.entries(made.branches[0], Values(np.array([3, 7, 0], np.uint32)), 3)
    made.entries(made.branches[0], Values(np.array([5], np.uint32)), 1)
    assert made.branches[0].leaves[0].maximum == 7 and made.branches[0].leaves[0].is_range
    assert made.branches[1].leaves[0].count is made.branches[0].leaves[0]
    with pytest.raises(OutputError, match="branch n: counts 2147483648 elements"):
        made.entries(made.branches[0], Values(np.array([2**31], np.uint64)), 1)


def test_uproot_reads_the_tree_as_it_reads_the_ntuple(tmp_path):
    source = make_ntuple(tmp_path / "in.root", (40, 30))
    recipe = Recipe(format="ttree", where="id % 3 == 1", drop_branches=("text", "deep"))
    skim(f"{source}:Events", tmp_path / "out.root", recipe)
    with uproot.open({source: "Events"}) as old, uproot.open({tmp_path / "out.root": "Events"}) as new:
        kept = np.arange(70) % 3 == 1
        for name in ("id", "x", "flag", "small", "xs"):
            assert ak.array_equal(old[name].array()[kept], new[name].array())
        assert new["xs"].typename == "std::vector<float>"
        assert new["HepFilter_entry"].array().to_list() == np.flatnonzero(kept).tolist()
