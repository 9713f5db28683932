"""The shape of a tree: what decides the layout of an output, without the tree."""

from pathlib import Path

import numpy as np
import pytest

from hepfilter.io.layout import LayoutGatherer
from hepfilter.io.reading import OpenTree, open_file
from hepfilter.io.shapes import TableShape, shape_of, widen
from hepfilter.io.sources import Source
from hepfilter.io.writing import Column, create_root

COLUMNS = [Column("x", "float32"), Column("y", "int32", counter="n")]


def write(path: Path, columns: list[Column], most: int) -> Path:
    with create_root(path) as out, out.new_tree("Events", columns) as tree:
        values = {
            column.name: (np.arange(most), np.array([0, most])) if column.counter else np.arange(2)
            for column in columns
        }
        tree.extend(values)
    return path


def opened(path: Path) -> OpenTree:
    with open_file(Source(str(path))) as file:
        return file.tree("Events")


def most(layout: object) -> float:
    """The largest count that the layout's counter states."""
    return next(branch for branch in layout.branches if branch.name == "n").leaves[0].maximum  # type: ignore[attr-defined]


def test_trees_of_one_shape_differ_in_their_widths_alone(tmp_path: Path) -> None:
    first, second = (shape_of(opened(write(tmp_path / f"{n}.root", COLUMNS, n))) for n in (3, 5))
    assert first.digest == second.digest and first.widths != second.widths
    assert set(first.widths.values()) >= {3} and set(second.widths.values()) >= {5}


@pytest.mark.parametrize(
    "columns",
    [
        [Column("x", "float64"), COLUMNS[1]],
        [Column("z", "float32"), COLUMNS[1]],
        [COLUMNS[1], COLUMNS[0]],
        [*COLUMNS, Column("more", "bool")],
    ],
)
def test_another_type_name_order_or_number_of_branches_is_another_shape(columns, tmp_path: Path) -> None:
    known = shape_of(opened(write(tmp_path / "a.root", COLUMNS, 3))).digest
    assert shape_of(opened(write(tmp_path / "b.root", columns, 3))).digest != known


def test_what_is_hidden_belongs_to_no_shape(tmp_path: Path) -> None:
    plain = opened(write(tmp_path / "a.root", COLUMNS, 3))
    more = opened(write(tmp_path / "b.root", [*COLUMNS, Column("ours", "bool")], 3))
    assert shape_of(more.without(["ours"])) == shape_of(plain)


def test_a_tree_widens_to_what_another_of_its_shape_states(tmp_path: Path) -> None:
    small, large = (opened(write(tmp_path / f"{n}.root", COLUMNS, n)) for n in (3, 5))
    widen(small, shape_of(large).widths)
    assert shape_of(small) == shape_of(large)
    widen(large, {})
    assert shape_of(large).widths == shape_of(small).widths


@pytest.mark.parametrize("order", [(3, 5, 4), (5, 3, 4)])
def test_the_layout_by_shapes_is_that_of_the_trees(order: tuple[int, ...], tmp_path: Path) -> None:
    trees = [opened(write(tmp_path / f"{n}.root", COLUMNS, n)) for n in order]
    shapes = [shape_of(tree) for tree in trees]
    gatherer = LayoutGatherer("strict")
    assert not gatherer.add_shape(shapes[0])
    gatherer.add(trees[0], shapes[0])
    assert all(gatherer.add_shape(shape) for shape in shapes[1:])
    assert most(gatherer.result()) == 5
    assert not gatherer.add_shape(TableShape("another", {}))
