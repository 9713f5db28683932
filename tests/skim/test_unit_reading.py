"""What is read of a unit of entries."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hepfilter.events.identity import pack_sections
from hepfilter.io.sources import Source
from hepfilter.skim.cuts import Cuts
from hepfilter.skim.file_reading import FileReader, Survey
from hepfilter.skim.findings import UnitRead
from hepfilter.skim.recipe import Recipe
from hepfilter.skim.score_sources import ChunkScores
from tests.nano import make_nano


def read(path: Path, recipe: Recipe, start: int, stop: int, scores: Any = None) -> UnitRead:
    reader = FileReader(Survey(recipe, identified=True), Cuts(recipe), scores)
    head = reader.head(Source(str(path)))
    (unit,) = reader.read(head.source, head.facts, [(start, stop)])
    assert isinstance(unit, UnitRead)
    return unit


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make_nano(tmp_path / "in.root", 200)


def test_sections_are_those_that_the_mask_leaves_whatever_the_other_cuts_do(source: Path, tmp_path: Path) -> None:
    everything = read(source, Recipe(where="nMuon >= 99"), 0, 200)
    assert len(everything.sections) > 1 and len(everything.chosen) == 0
    run, block = divmod(int(everything.sections[0]), 2**32)
    mask = tmp_path / "mask.json"
    mask.write_text(f'{{"{run}": [[{block}, {block}]]}}')
    masked = read(source, Recipe(where="nMuon >= 99", lumi_mask=str(mask)), 0, 200)
    assert masked.sections.tolist() == pack_sections(np.array([run]), np.array([block])).tolist()


def test_listed_events_are_found_the_first_of_the_list_too(source: Path, tmp_path: Path) -> None:
    who = read(source, Recipe(where="nMuon >= 0"), 0, 200).identity
    assert who is not None
    order = np.lexsort((who.event, who.luminosity_block, who.run))
    listed = tmp_path / "list.txt"
    words = [f"{who.run[n]}:{who.luminosity_block[n]}:{who.event[n]}" for n in (order[0], order[50], order[100])]
    listed.write_text("\n".join(words))
    unit = read(source, Recipe(events=str(listed)), 0, 200)
    assert unit.found.tolist() == [0, 1, 2]
    assert sorted(unit.chosen) == sorted(order[[0, 50, 100]])
    assert unit.flow.events == {"read": 200, "event list": 3}


def test_where_duplicates_are_to_go_all_events_are_told_with_the_cuts_that_they_passed(source: Path) -> None:
    recipe = Recipe(where="nMuon >= 1")
    plain, unit = read(source, recipe, 50, 150), read(source, replace(recipe, deduplicate=True), 50, 150)
    assert plain.everyone is None and unit.everyone is not None
    assert len(unit.everyone.identity) == len(unit.everyone.levels) == 100
    assert (np.flatnonzero(unit.everyone.levels == 1) + 50).tolist() == unit.chosen.tolist() == plain.chosen.tolist()


def test_only_what_is_left_is_scored_and_both_weights_and_objects_count_as_problems(tmp_path: Path) -> None:
    path = make_nano(tmp_path / "in.root", 200, plant={"genWeight": np.array([1, np.nan, 1], np.float32)})
    asked: list[tuple[int, int, int]] = []

    def score(start: int, stop: int, left: np.ndarray) -> ChunkScores:
        asked.append((start, stop, int(left.sum())))
        return ChunkScores({"interest": np.ones(left.sum(), np.float32)}, Counter({"odd": 3}), 2)

    of_file = SimpleNamespace(read=score, problems=None, absent=(), warnings=())
    source: Any = SimpleNamespace(of_file=lambda *_, **__: of_file, facts={"scores": ["interest"]})
    unit = read(path, Recipe(where="nMuon >= 1"), 0, 100, source)
    assert asked == [(0, 100, len(unit.chosen))]
    assert unit.problems == {"weight: non-finite": 1, "odd": 3} and unit.empty == 2
    assert unit.weights is not None and np.isfinite(unit.weights).all()
