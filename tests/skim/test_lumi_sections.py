"""Luminosity sections of a file, from its events and its books."""

import json
from pathlib import Path

import numpy as np
import pytest

from hepfilter.events.identity import pack_sections
from hepfilter.events.schemas import load_schema
from hepfilter.io.lumi_mask import load_lumi_mask
from hepfilter.io.reading import open_file
from hepfilter.io.sources import Source, expand_inputs
from hepfilter.io.writing import Column, create_root
from hepfilter.skim.first_pass import first_pass
from hepfilter.skim.lumi_sections import masked_rows, stated_sections
from hepfilter.skim.recipe import Recipe
from hepfilter.trigger.lock import read_trigger

RUNS = np.array([5, 5, 5, 9, 9], np.uint32)
BLOCKS = np.array([1, 2, 7, 1, 2**32 - 1], np.uint32)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Events in three sections, books of five, and a tree that a schema does not know."""
    rows = [Column("run", "uint32"), Column("luminosityBlock", "uint32")]
    events = [*rows, Column("event", "uint64"), Column("MET_pt", "float32"), Column("nMuon", "int32")]
    with create_root(tmp_path / "f.root") as out:
        with out.new_tree("Events", events) as tree:
            tree.extend({"run": RUNS[[0, 0, 1, 3]], "luminosityBlock": BLOCKS[[0, 0, 1, 3]], "event": np.arange(4),
                         "MET_pt": np.array([1, 99, 99, 99]), "nMuon": np.zeros(4)})  # fmt: skip
        with out.new_tree("LuminosityBlocks", rows) as tree:
            tree.extend({"run": RUNS, "luminosityBlock": BLOCKS})
        with out.new_tree("Runs", rows[:1]) as tree:
            tree.extend({"run": np.array([5, 9])})
        with out.new_tree("Other", rows) as tree:
            tree.extend({"run": np.array([77]), "luminosityBlock": np.array([77])})
    return tmp_path / "f.root"


def mask(folder: Path, certified: dict[str, list[list[int]]]) -> str:
    path = folder / "golden.json"
    path.write_text(json.dumps(certified))
    return str(path)


def test_one_number_a_section() -> None:
    packed = pack_sections(RUNS, BLOCKS)
    assert packed.dtype == np.uint64 and packed.tolist() == [
        5 << 32 | 1, 5 << 32 | 2, 5 << 32 | 7, 9 << 32 | 1, 9 << 32 | 0xFFFFFFFF
    ]  # fmt: skip


def test_the_books_tell_of_sections_without_events(file: Path, tmp_path: Path) -> None:
    golden = load_lumi_mask(mask(tmp_path, {"5": [[2, 9]]}))
    schema = load_schema("nanoaod")
    with open_file(Source(str(file))) as opened:
        main = opened.table("Events")
        assert stated_sections(opened, main, schema, None).tolist() == pack_sections(RUNS, BLOCKS).tolist()
        assert stated_sections(opened, main, schema, golden).tolist() == pack_sections(RUNS[1:3], BLOCKS[1:3]).tolist()
        assert stated_sections(opened, main, None, None).tolist() == []
        rows = masked_rows(opened, main, schema, golden)
        assert {name: kept.tolist() for name, kept in rows.items()} == {"LuminosityBlocks": [1, 2], "Runs": [0]}


@pytest.mark.parametrize(
    ("where", "certified", "expected"),
    [
        (None, None, [0, 1, 2, 3, 4]),
        ("MET_pt > 1000", None, [0, 1, 2, 3, 4]),  # a cut changes no livetime
        (None, {"5": [[1, 1]], "9": [[1, 1]]}, [0, 3]),
        (None, {"77": [[77, 77]]}, []),
    ],
)
def test_what_a_skim_counts_its_livetime_by(
    file: Path, tmp_path: Path, where: str | None, certified: dict[str, list[list[int]]] | None, expected: list[int]
) -> None:
    (tmp_path / "m.yaml").write_text("name: m\nmodel: null\npaths: {x: {when: MET_pt > 5}}\n")
    recipe = Recipe(
        where=where,
        trigger=read_trigger(tmp_path / "m.yaml"),
        lumi_mask=None if certified is None else mask(tmp_path, certified),
        schema="nanoaod",
    )
    read = first_pass(expand_inputs([str(file)]), recipe, progress=lambda *_: None)
    assert read.files[0].sections.tolist() == pack_sections(RUNS, BLOCKS)[expected].tolist()
