"""The recipe: what contradicts itself is refused, and facts lead back to it."""

import json
from fractions import Fraction

import pytest

from hepfilter.errors import UsageError
from hepfilter.skim.recipe import Recipe, parse_fills, parse_size


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"keep": Fraction(1, 2), "threshold": 1.0}, "--keep and --threshold"),
        ({"branches": "f.txt", "keep_branches": ("a",)}, "--branches: a file of rules stands alone"),
        ({"split_events": 3, "split_bytes": 4}, "--split-events and --split-size"),
        ({"split_events": 0}, "at least one event"),
        ({"split_bytes": -5}, "at least one event"),
        ({"layout": "mixed"}, "--layout mixed: known are strict, union, intersection"),
        ({"fills": {"a": 1.0}}, "--layout union"),
        ({"compression": "ZIP:3"}, "compression 'ZIP:3'"),
        ({"threshold": float("nan")}, "--threshold nan: give a number"),
    ],
)
def test_what_contradicts_itself_is_refused(options, said):
    with pytest.raises(UsageError, match=said):
        Recipe(**options)


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(),
        Recipe(where="nMuon > 1", keep_branches=("Muon_*", "nMuon"), deduplicate=True),
        Recipe(keep=Fraction(1, 300), model="mine.safetensors", schema="pfnano", compression="LZ4:4"),
        Recipe(threshold=-1.5, layout="union", fills={"a": -1.0}, split_events=7),
        Recipe(lumi_mask="golden.json", events="ids.txt", drop_branches=("HLT_*",), split_bytes=10**9),
    ],
)
def test_the_facts_lead_back_to_the_recipe(recipe):
    assert Recipe.from_facts(json.loads(json.dumps(recipe.facts()))) == recipe


def test_the_facts_name_only_what_was_asked_for():
    assert Recipe(where="x > 1").facts() == {"where": "x > 1", "layout": "strict"}
    assert Recipe(threshold=0.0).facts()["threshold"] == 0.0


def test_fills_go_to_the_tree_that_they_name():
    recipe = Recipe(layout="union", fills={"rho": 1.0, "Runs/genEventCount": 2.0})
    assert (recipe.fills_of(""), recipe.fills_of("Runs/")) == ({"rho": 1.0}, {"genEventCount": 2.0})
    assert recipe.fills_of("Events/") == {}


def test_the_files_that_decide_are_named():
    recipe = Recipe(dataset_masks={"a": "a.json", "b": "b.json"}, events="ids.txt", branches="rules.txt")
    assert recipe.files == ("a.json", "b.json", "ids.txt", "rules.txt")
    assert Recipe(lumi_mask="golden.json").files == ("golden.json",)


def test_something_must_be_asked_for():
    assert not Recipe().selects
    for recipe in (Recipe(where="x"), Recipe(deduplicate=True), Recipe(drop_branches=("a",)), Recipe(split_events=3)):
        assert recipe.selects


@pytest.mark.parametrize(("text", "size"), [("2GB", 2 * 10**9), ("500 MB", 5 * 10**8), ("1.5k", 1500)])
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "77", "2 XB", "-3MB", "1e9", "2GiB"])
def test_sizes_that_are_none(text):
    with pytest.raises(UsageError, match="give a size such as 2GB"):
        parse_size(text)


def test_fills():
    assert parse_fills(["a=1", " b = -2.5"]) == {"a": 1.0, "b": -2.5}
    for text in ("a", "=1", "a=", "a=b"):
        with pytest.raises(UsageError, match="give NAME=VALUE"):
            parse_fills([text])
