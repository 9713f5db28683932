"""Named expressions over the events of a file."""

from pathlib import Path

import numpy as np
import pytest
import uproot

from hepfilter.errors import UsageError
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source
from hepfilter.skim.conditions import bind_conditions
from hepfilter.skim.cut_fills import CutFills
from hepfilter.skim.recipe import Recipe
from tests.nano import make_nano


def test_each_expression_has_its_events(tmp_path: Path) -> None:
    path = make_nano(tmp_path / "a.root", 120)
    texts = {"muons": "nMuon >= 2", "hard": "Any(Jet_pt > 150)", "both": "nMuon >= 2 && MET_pt > 40", "all": "1"}
    with open_file(Source(str(path))) as file:
        tree = file.table("Events")
        conditions = bind_conditions(texts, tree, CutFills(Recipe(), [Source(str(path))]))
        assert set(conditions.branches) == {"nMuon", "Jet_pt", "MET_pt"}  # each is read once
        found = conditions.passes(tree.values(conditions.branches, 30, 90), 60)
    with uproot.open({path: "Events"}) as events:
        muons, met = (events[name].array(library="np")[30:90] for name in ("nMuon", "MET_pt"))
        hard = np.array([(pt > 150).any() for pt in events["Jet_pt"].array(library="np")[30:90]])
    expected = {"muons": muons >= 2, "hard": hard, "both": (muons >= 2) & (met > 40), "all": np.ones(60, bool)}
    assert list(found) == list(texts)
    for name, passed in expected.items():
        assert np.array_equal(found[name], passed), name


def test_none_reads_nothing(tmp_path: Path) -> None:
    path = make_nano(tmp_path / "a.root", 5)
    with open_file(Source(str(path))) as file:
        conditions = bind_conditions({}, file.table("Events"), CutFills(Recipe(), []))
    assert (conditions.branches, conditions.passes({}, 5)) == ((), {})


def test_the_file_and_the_expression_that_do_not_fit_are_named(tmp_path: Path) -> None:
    path = make_nano(tmp_path / "a.root", 5)
    with open_file(Source(str(path))) as file, pytest.raises(UsageError, match=r"a\.root: y: .*nMuons.*nMuon"):
        bind_conditions({"x": "nMuon > 1", "y": "nMuons > 1"}, file.table("Events"), CutFills(Recipe(), []))


def test_what_an_input_of_a_union_lacks_is_filled(tmp_path: Path) -> None:
    whole, bare = make_nano(tmp_path / "a.root", 20), make_nano(tmp_path / "b.root", 20, drop=("MET_pt",))
    sources = [Source(str(whole)), Source(str(bare))]
    fills = CutFills(Recipe(layout="union", fills={"MET_pt": 55.0}), sources)
    with open_file(sources[1]) as file:
        conditions = bind_conditions({"low": "MET_pt < 50", "high": "MET_pt > 50"}, file.table("Events"), fills)
        found = conditions.passes(file.table("Events").values(conditions.branches), 20)
    assert found["high"].all() and not found["low"].any()
