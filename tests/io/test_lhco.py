import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from hepfilter.errors import OutputError, SourceError
from hepfilter.io.lhco import CANDIDATES, UNLABELLED, count_rows, create_table, is_hdf5, read_rows

pandas = pytest.importorskip("pandas")


def _rows(count: int, *, labelled: bool = True) -> np.ndarray:
    return np.random.default_rng(1).uniform(0, 100, (count, UNLABELLED + labelled)).astype(np.float32)


def test_what_is_written_is_read_back_in_pieces(tmp_path: Path) -> None:
    rows = _rows(11)
    with create_table(tmp_path / "a.h5", labelled=True) as table:
        table.append(rows[:7])
        table.append(rows[7:])
    pieces = list(read_rows(tmp_path / "a.h5", rows=4))
    assert [len(piece) for piece in pieces] == [4, 4, 3]
    assert np.array_equal(np.concatenate(pieces), rows)
    assert count_rows(tmp_path / "a.h5") == 11


@pytest.mark.parametrize("labelled", [True, False])
def test_pandas_reads_it_as_it_reads_the_olympic_files(tmp_path: Path, labelled: bool) -> None:
    rows = _rows(5, labelled=labelled)
    with create_table(tmp_path / "a.h5", labelled=labelled) as table:
        table.append(rows)
    frame = pandas.read_hdf(tmp_path / "a.h5")
    assert frame.shape == (5, 3 * CANDIDATES + labelled)
    assert np.array_equal(frame.to_numpy(), rows)
    assert frame.columns.tolist() == list(range(rows.shape[1]))
    # Pieces of a frame, as the notebooks of the Olympics read them.
    assert len(pandas.read_hdf(tmp_path / "a.h5", start=1, stop=3)) == 2


@pytest.mark.parametrize("compression", [None, "blosc", "zlib"])
def test_files_by_pandas_are_read(tmp_path: Path, compression: str | None) -> None:
    rows = _rows(6).astype(np.float64)
    options = {"complib": compression, "complevel": 5} if compression else {}
    pandas.DataFrame(rows).to_hdf(tmp_path / "a.h5", key="df", mode="w", **options)
    assert np.array_equal(np.concatenate(list(read_rows(tmp_path / "a.h5"))), rows.astype(np.float32))


def test_other_files_are_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("no HDF5")
    with h5py.File(tmp_path / "narrow.h5", "w") as file:
        file.create_dataset("jets", data=np.zeros((3, 14)))
    for name, said in (
        ("text.h5", "text.h5: cannot be read as HDF5"),
        ("none.h5", "none.h5: cannot be read as HDF5"),
        ("narrow.h5", r"narrow.h5: 0 tables of 2100 or 2101 columns .*; tables: jets \(3, 14\)"),
    ):
        with pytest.raises(SourceError, match=said) as caught:
            count_rows(tmp_path / name)
        assert "\n" not in str(caught.value)
        with pytest.raises(SourceError, match=said):
            list(read_rows(tmp_path / name))


def test_an_error_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="stop"), create_table(tmp_path / "a.h5", labelled=True) as table:
        table.append(_rows(2))
        raise ValueError("stop")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OutputError, match="cannot be written"), create_table(tmp_path / "no" / "a.h5", labelled=True):
        pass


def test_names_of_hdf5_files() -> None:
    assert [name for name in ("a.h5", "a.hdf5", "a.HDF5", "a.root", "h5") if is_hdf5(Path(name))] == [
        "a.h5",
        "a.hdf5",
        "a.HDF5",
    ]


def test_tables_without_numbers_or_in_other_files_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "text.h5", "w") as file:
        file.create_dataset("df", data=np.full((2, UNLABELLED), b"a"))
    with pytest.raises(SourceError, match=r"text.h5: 0 tables of 2100 or 2101 columns"):
        count_rows(tmp_path / "text.h5")
    (tmp_path / "secret").write_bytes(b"\0" * (2 * UNLABELLED * 4))
    with h5py.File(tmp_path / "outside.h5", "w") as file:
        places = [(str(tmp_path / "secret"), 0, 2 * UNLABELLED * 4)]
        file.create_dataset("df", (2, UNLABELLED), "f4", external=places)
    with pytest.raises(SourceError, match=r"outside.h5: the table df lies in other files"):
        count_rows(tmp_path / "outside.h5")


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    with create_table(tmp_path / "a.h5", labelled=True) as table:
        table.append(_rows(200))
    whole = (tmp_path / "a.h5").read_bytes()
    for begin in (600, len(whole) // 2):
        (tmp_path / "b.h5").write_bytes(whole[:begin] + b"\0" * 1500 + whole[begin + 1500 :])
        with pytest.raises(SourceError, match=r"b\.h5: (cannot be read as HDF5|\d tables)"):
            list(read_rows(tmp_path / "b.h5"))


def test_tables_by_way_of_other_files_or_of_no_known_type_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file.create_dataset("df", data=np.ones((2, UNLABELLED), dtype=np.float32))
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        layout = h5py.VirtualLayout((2, UNLABELLED), "f4")
        layout[:] = h5py.VirtualSource("other.h5", "df", (2, UNLABELLED))
        file.create_virtual_dataset("df", layout)
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["df"] = h5py.ExternalLink("other.h5", "df")
    with h5py.File(tmp_path / "time.h5", "w") as file:  # a type of HDF5 that numpy does not know
        h5py.h5d.create(file.id, b"df", h5py.h5t.UNIX_D32LE, h5py.h5s.create_simple((2, UNLABELLED)))
    assert count_rows(tmp_path / "other.h5") == 2
    for name, said in (
        ("virtual.h5", "the table df lies in other files"),
        ("link.h5", "0 tables of 2100 or 2101 columns"),
        ("time.h5", "(cannot be read as HDF5|0 tables)"),
    ):
        with pytest.raises(SourceError, match=rf"{name}: {said}"):
            list(read_rows(tmp_path / name))


def test_two_tables_of_the_right_width_are_one_too_many(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "two.h5", "w") as file:
        for name in ("a", "b/c"):
            file.create_dataset(name, data=np.ones((2, UNLABELLED), dtype=np.float32))
    with pytest.raises(SourceError, match=r"two\.h5: 2 tables of .*; tables: a \(2, 2100\), b/c \(2, 2100\)$"):
        count_rows(tmp_path / "two.h5")


FULL_DISK = """
import resource, sys
from pathlib import Path
import numpy as np
from hepfilter.errors import OutputError
from hepfilter.io.lhco import create_table
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
rows = np.random.default_rng(1).uniform(0, 100, (300, 2101)).astype("f4")
try:
    with create_table(Path(sys.argv[1]), labelled=True) as table:
        for _ in range(3):
            table.append(rows)
except OutputError as error:
    print(error)
"""


def test_a_full_disk_is_one_error_and_no_crash(tmp_path: Path) -> None:
    # In a process of its own: HDF5 ends the process where a write fails.
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "a.h5")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == f"{tmp_path / 'a.h5'}: cannot be written: No space left on device"
    assert list(tmp_path.iterdir()) == []
