"""What units hold becomes what their file holds."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hepfilter.events.identity import Identity
from hepfilter.io.sources import Source
from hepfilter.skim.cuts import UNIQUE, WHERE, Cuts
from hepfilter.skim.file_reading import FileReader, Survey
from hepfilter.skim.findings import Everyone, FileHead, Flow, UnitRead
from hepfilter.skim.joining import join
from hepfilter.skim.recipe import Recipe
from hepfilter.trigger.drift import ProblemCounts
from tests.nano import make_nano

RECIPE = Recipe(where="nMuon >= 1")


@pytest.fixture
def found(tmp_path: Path) -> tuple[FileHead, list[UnitRead]]:
    """A file of 500 events, and its units of 200 at most."""
    reader = FileReader(Survey(RECIPE, identified=True, unit_entries=200), Cuts(RECIPE), None)
    head = reader.head(Source(str(make_nano(tmp_path / "in.root", 500))))
    units = [unit for unit in reader.read(head.source, head.facts, head.units) if isinstance(unit, UnitRead)]
    assert len(units) == 3
    return head, units


def test_numbers_are_sums_and_arrays_stand_in_the_order_of_units(found: tuple[FileHead, list[UnitRead]]) -> None:
    head, units = found
    units = [replace(unit, empty=number, bytes_read=10**number) for number, unit in enumerate(units, start=1)]
    file = join(replace(head, head_bytes=7), units, Cuts(RECIPE))
    assert (file.empty, file.bytes_read) == (6, 1117)
    assert file.chosen.tolist() == [entry for unit in units for entry in unit.chosen] == sorted(file.chosen)
    assert file.identity is not None and len(file.identity) == len(file.chosen)
    assert file.flow.events == {"read": 500, WHERE: len(file.chosen)}
    assert file.flow.weights["read"] == pytest.approx(sum(unit.flow.weights["read"] for unit in units))


def test_a_file_without_units_has_its_cutflow_and_the_sections_of_its_books(
    found: tuple[FileHead, list[UnitRead]],
) -> None:
    head = replace(found[0], stated=np.array([5, 9], np.uint64))
    file = join(head, [], Cuts(RECIPE))
    assert file.flow == Flow({"read": 0, WHERE: 0}, {"read": 0.0, WHERE: 0.0})
    assert file.sections.tolist() == [5, 9]
    assert len(file.chosen) == len(file.identity or ()) == 0
    assert file.weights is not None and file.weights.dtype == np.float64


def test_problems_fall_on_those_that_passed_unit_by_unit_as_far_as_that_is_known(
    found: tuple[FileHead, list[UnitRead]],
) -> None:
    head, units = found
    units = [replace(unit, problems={"odd": 60}) for unit in units]
    passed = [len(unit.chosen) for unit in units]
    sizes = [unit.stop - unit.start for unit in units]
    file = join(head, units, Cuts(RECIPE))
    assert file.problems == Counter(odd=180)
    assert file.problem_counts == tuple(
        ProblemCounts(count, {"odd": round(60 * count / size)}) for count, size in zip(passed, sizes, strict=True)
    )
    units = [replace(unit, problems={}) for unit in units]
    file = join(replace(head, head_problems={"odd": 100}), units, Cuts(RECIPE))
    assert file.problem_counts == (ProblemCounts(sum(passed), {"odd": round(100 * sum(passed) / 500)}),)


def test_what_came_before_goes_from_all_that_is_known_of_the_chosen(found: tuple[FileHead, list[UnitRead]]) -> None:
    head, (unit, *_) = found
    who = Identity(np.ones(4, np.uint32), np.ones(4, np.uint32), np.array([7, 8, 7, 9], np.uint64))
    weights = np.array([1.0, 2.0, 4.0, 8.0])
    chosen = np.array([1, 2, 3])
    unit = replace(
        unit,
        start=0,
        stop=4,
        chosen=chosen,
        weights=weights[chosen],
        scores={"interest": np.array([0.1, 0.2, 0.3], np.float32)},
        conditions={},
        identity=who[np.array([False, True, True, True])],
        flow=Flow({"read": 4, WHERE: 3}, {"read": 15.0, WHERE: 14.0}),
        everyone=Everyone(who, weights, np.array([0, 1, 1, 1], np.uint8)),
    )
    cuts = Cuts(replace(RECIPE, deduplicate=True))
    head = replace(head, steps=("read", UNIQUE, WHERE), score_facts={"scores": ["interest"]})
    file = join(head, [unit], cuts)
    # the first of the two events 7 does not pass, and the second has come before
    assert file.chosen.tolist() == [1, 3] and file.scores is not None
    assert file.scores["interest"].tolist() == np.array([0.1, 0.3], np.float32).tolist()
    assert file.weights is not None and file.weights.tolist() == [2.0, 8.0]
    assert file.flow == Flow({"read": 4, UNIQUE: 3, WHERE: 2}, {"read": 15.0, UNIQUE: 11.0, WHERE: 10.0})
    again = join(head, [unit], cuts)
    assert again.flow.events == {"read": 4, UNIQUE: 0, WHERE: 0} and len(again.chosen) == 0
