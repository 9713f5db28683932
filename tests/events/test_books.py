"""The branches of who an event is and what it weighs."""

import numpy as np
import pytest

from hepfilter.config.schema import Schema
from hepfilter.errors import SchemaError
from hepfilter.events.books import Books, find_books
from hepfilter.events.expressions import Column
from hepfilter.events.identity import Identity

NANO = {"run": "run", "luminosity_block": "luminosityBlock", "event": "event"}


def schema(identity: dict[str, str] | None = None, weight: str | None = None) -> Schema:
    given = {"name": "s", "title": "s", "extends": "nanoaod", "identity": identity, "weight": weight}
    return Schema.model_validate(given)


@pytest.mark.parametrize(
    ("names", "identity", "weight"),
    [
        (["run", "luminosityBlock", "event", "genWeight"], ("run", "luminosityBlock", "event"), "genWeight"),
        (["event", "run", "luminosityBlock"], ("run", "luminosityBlock", "event"), None),
        (["run", "event", "genWeight"], None, "genWeight"),
        ([], None, None),
    ],
)
def test_the_branches_that_a_tree_has(names, identity, weight):
    assert find_books(schema(NANO, "genWeight"), names) == Books(identity, weight)


def test_what_a_schema_does_not_name():
    assert find_books(None, ["run", "event"]) == Books(None, None)
    assert find_books(schema(), ["run", "event"]) == Books(None, None)
    assert find_books(schema({"run": "run", "event": "event"}), ["run", "event"]).identity == ("run", "event")


def test_names_as_an_rntuple_spells_them():
    own = schema({"run": "Info.run", "event": "Info.event"}, "Info.weights")
    assert find_books(own, {"Info:run", "Info:event", "Info:weights"}) == Books(
        ("Info:run", "Info:event"), "Info:weights"
    )


def test_what_is_read():
    assert Books(("run", "event"), "w").branches == ("run", "event", "w")
    assert Books(None, "w").branches == ("w",)
    assert Books(None, None).branches == ()


@pytest.mark.parametrize("dtype", ["int32", "uint32", "int64", "uint64"])
def test_identities(dtype):
    run, block, event = (np.array(values, dtype) for values in ([1, 2**31 - 1], [3, 4], [5, 6]))
    columns = {"run": Column(run), "luminosityBlock": Column(block), "event": Column(event)}
    found = Books(("run", "luminosityBlock", "event"), None).read_identity(
        columns, file="a.root", first_entry=7, count=2
    )
    assert (found.run.tolist(), found.luminosity_block.tolist(), found.event.tolist()) == (
        [1, 2**31 - 1],
        [3, 4],
        [5, 6],
    )
    assert (found.run.dtype, found.luminosity_block.dtype, found.event.dtype) == ("uint32", "uint32", "uint64")
    found = Books(("run", "event"), None).read_identity(columns, file="a.root", first_entry=7, count=2)
    assert (found.run.tolist(), found.luminosity_block.tolist(), found.event.tolist()) == (
        [1, 2**31 - 1],
        [0, 0],
        [5, 6],
    )


def test_event_numbers_of_64_bits_are_exact():
    columns = {"run": Column(np.ones(1, np.uint32)), "event": Column(np.array([2**64 - 1], np.uint64))}
    found = Books(("run", "event"), None).read_identity(columns, file="a.root", first_entry=0, count=1)
    assert found.event.tolist() == [2**64 - 1]


def test_without_branches_it_is_the_entry_of_the_file():
    found = Books(None, None).read_identity({}, file="/folder/a.root", first_entry=7, count=2)
    wanted = Identity.from_entries("a.root", 7, 2)
    assert found.event.tolist() == wanted.event.tolist() == [7, 8]
    assert found.luminosity_block.tolist() == wanted.luminosity_block.tolist()


@pytest.mark.parametrize(
    ("column", "what"),
    [
        (Column(np.array([1.0, 2.0])), "float64"),
        (Column(np.array([True, False])), "bool"),
        (Column(np.arange(3), np.array([0, 1, 3])), "a list an event"),
    ],
)
def test_an_identity_that_is_no_integer_is_a_schema_error(column, what):
    columns = {"run": Column(np.ones(2, np.int32)), "event": column}
    with pytest.raises(SchemaError, match=rf"^branch event: holds {what}; an identity needs "):
        Books(("run", "event"), None).read_identity(columns, file="a.root", first_entry=0, count=2)


def test_weights_of_which_some_are_no_numbers():
    values = np.array([1.5, np.nan, -2.0, np.inf], np.float32)
    weights, faults = Books(None, "w").read_weight({"w": Column(values)})
    assert weights.dtype == np.float64
    assert weights.tolist() == [1.5, 0, -2, 0]
    assert faults == {"weight: non-finite": 2}
    assert Books(None, "w").read_weight({"w": Column(np.array([1, 2]))})[1] == {}


def test_of_a_list_of_weights_the_first_counts():
    values, offsets = np.array([1.0, 9.0, np.nan, 9.0, -3.0]), np.array([0, 2, 2, 4, 5])
    weights, faults = Books(None, "w").read_weight({"w": Column(values, offsets)})
    assert weights.tolist() == [1, 0, 0, -3]
    assert faults == {"weight: none in the list": 1, "weight: non-finite": 1}


def test_no_events_and_no_weights():
    for offsets in (None, np.array([0])):
        weights, faults = Books(None, "w").read_weight({"w": Column(np.array([], np.float32), offsets)})
        assert (weights.tolist(), faults) == ([], {})
    assert Books(None, None).read_weight({}) == (None, {})
