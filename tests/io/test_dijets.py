"""Fat jets read from files."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from hepfilter.errors import DifferentInputsError, SourceError
from hepfilter.io.dijets import read_dijets
from hepfilter.io.sources import Source
from tests.fat_jets import write_fat_jets


def test_files_come_one_after_the_other(tmp_path: Path) -> None:
    paths = [write_fat_jets(tmp_path / f"{n}.root", 40 + n, 10, seed=n, n_lonely=7) for n in range(2)]
    both = read_dijets([Source(str(path)) for path in paths])
    each = [read_dijets([Source(str(path))]) for path in paths]
    assert both.labels is not None
    assert np.array_equal(both.labels, np.concatenate([part.labels for part in each if part.labels is not None]))
    assert np.array_equal(both.events.features, np.concatenate([part.events.features for part in each]))
    assert len(both.events.chosen) == 101
    assert np.flatnonzero(~both.events.chosen).tolist() == [*range(7), *range(50, 57)]
    assert len(both.events.mass) == len(both.labels) == 101 - 14
    heavy = both.events.mass[both.labels == 100]
    assert len(heavy) > 10 and np.all(np.abs(heavy - 3500) < 500)


def test_what_is_lacking_is_named(tmp_path: Path) -> None:
    path = write_fat_jets(tmp_path / "a.root", 5, 1)
    with pytest.raises(SourceError, match=r"a\.root: tree Events has no branch AKJet_pt.*nearest: AK10Jet_pt"):
        read_dijets([Source(str(path))], jets="AKJet")
    lonely = write_fat_jets(tmp_path / "b.root", 5, 1, n_lonely=6)
    with pytest.raises(SourceError, match=r"b\.root: no event has two jets of the collection AK10Jet"):
        read_dijets([Source(str(lonely))])
    assert read_dijets([Source(str(write_fat_jets(tmp_path / "c.root", 5, 1, truth=False)))]).labels is None


def test_a_copy_of_a_file_does_not_count_twice(tmp_path: Path) -> None:
    paths = [write_fat_jets(tmp_path / f"{n}.root", 20, 2, seed=n) for n in range(2)]
    copy = shutil.copy(paths[0], tmp_path / "copy.root")
    with pytest.raises(DifferentInputsError, match=r"copy\.root: is a copy of .*0\.root, its events would count twice"):
        read_dijets([Source(str(path)) for path in (*paths, copy)])
