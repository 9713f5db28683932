"""Findings go into the ledger and come back, value by value."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hepfilter.errors import OutputError
from hepfilter.io.sources import Source
from hepfilter.skim.cuts import Cuts
from hepfilter.skim.file_reading import FileReader, Survey
from hepfilter.skim.findings import FileHead, UnitRead
from hepfilter.skim.packing import pack_head, pack_units, unpack_head, unpack_units
from hepfilter.skim.recipe import Recipe
from tests.nano import make_nano


def same(one: Any, other: Any) -> bool:
    """Equal in type and value, through all containers."""
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and one.dtype == other.dtype and np.array_equal(one, other, equal_nan=True)
    if hasattr(one, "__dataclass_fields__"):
        return type(one) is type(other) and all(same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    return bool(one == other) and type(one) is type(other)


def found(path: Path, recipe: Recipe) -> tuple[FileHead, list[UnitRead]]:
    source = Source(str(make_nano(path, 500)), dataset="d", replicas=("root://elsewhere//in.root",))
    reader = FileReader(Survey(recipe, {"c": "nJet > 3"}, identified=True, unit_entries=200), Cuts(recipe), None)
    head = reader.head(source)
    units = reader.read(head.source, head.facts, head.units)
    return head, [unit for unit in units if isinstance(unit, UnitRead)]


def golden(path: Path) -> str:
    path.write_text('{"1": [[1, 9999999]]}')
    return str(path)


@pytest.mark.parametrize("deduplicate", [False, True])
def test_what_was_found_comes_back(deduplicate: bool, tmp_path: Path) -> None:
    recipe = Recipe(where="nMuon >= 1", deduplicate=deduplicate, lumi_mask=golden(tmp_path / "golden.json"))
    head, units = found(tmp_path / "in.root", recipe)
    assert len(units) == 3 and len(head.rows) == 2
    units[1] = replace(units[1], scores={"interest": np.linspace(0, 1, len(units[1].chosen), dtype=np.float32)})
    units[2] = replace(units[2], problems={"pt: not finite": 3})
    assert same(unpack_head(pack_head(head)), head)
    back = unpack_units(pack_units(units))
    assert len(back) == 3 and all(map(same, back, units))
    assert (units[0].everyone is None) is not deduplicate


def test_no_units_and_odd_names_come_back(tmp_path: Path) -> None:
    head, _ = found(tmp_path / "in.root", Recipe(where="nMuon >= 1"))
    odd = replace(head, others={"a/b": 1, "ünï": 2}, rows={"a/b": np.arange(3)}, warnings=("\udcab", "x\ny"))
    assert same(unpack_head(pack_head(odd)), odd)
    assert unpack_units(pack_units([])) == []


def test_damaged_bytes_are_one_line(tmp_path: Path) -> None:
    head, units = found(tmp_path / "in.root", Recipe(where="nMuon >= 1"))
    for data, unpack in ((pack_head(head), unpack_head), (pack_units(units), unpack_units)):
        for cut in (0, 4, 50, len(data) - 3):
            with pytest.raises(OutputError, match="the ledger holds what cannot be read"):
                unpack(data[:cut])
