import json
from pathlib import Path

import numpy as np
import uproot

from hepfilter.cli.app import run
from hepfilter.io.lhco import UNLABELLED, count_rows, create_table


def _table(path: Path) -> Path:
    rows = np.zeros((4, UNLABELLED + 1), dtype=np.float32)
    rows[:, :3] = [500.0, 0.3, 1.0]
    rows[:2, -1] = 1.0
    with create_table(path, labelled=True) as table:
        table.append(rows)
    return path


def test_there_and_back(tmp_path, capsys):
    source, root, again = _table(tmp_path / "a.h5"), tmp_path / "b.root", tmp_path / "c.hdf5"
    assert run(["convert", str(source), "-o", str(root)]) == 0
    assert run(["convert", str(root), "-o", str(again)]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{root}: 4 events\n{again}: 4 events\n"
    assert captured.err == ""
    assert run(["convert", str(root), "-o", str(again), "--force", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"output": str(again), "events": 4}
    assert count_rows(again) == 4
    with uproot.open({root: "Events"}) as tree:
        assert tree["HepFilterTruth_isSignal"].array().tolist() == [True, True, False, False]
        assert tree["AK10Jet_pt"].array().tolist() == [[500.0]] * 4


def test_what_cannot_be_converted_is_usage(tmp_path, capsys):
    source = str(_table(tmp_path / "a.h5"))
    for arguments, said in (
        ([source, "-o", str(tmp_path / "b.h5")], "from ROOT to HDF5"),
        (["a.root", "-o", str(tmp_path / "b.root")], "from HDF5 to ROOT"),
        ([source, source, "-o", str(tmp_path / "b.root")], "one HDF5 file at a time"),
    ):
        assert run(["convert", *arguments]) == 2
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


def test_an_output_that_exists_is_kept(tmp_path, capsys):
    source = str(_table(tmp_path / "a.h5"))
    (tmp_path / "b.root").write_text("mine")
    assert run(["convert", source, "-o", str(tmp_path / "b.root")]) == 1
    assert (tmp_path / "b.root").read_text() == "mine"
    assert run(["convert", source, "-o", str(tmp_path / "b.root"), "--force"]) == 0
    assert run(["convert", str(tmp_path / "none.h5"), "-o", str(tmp_path / "c.root")]) == 1
    assert "none.h5: cannot be read as HDF5" in capsys.readouterr().err
