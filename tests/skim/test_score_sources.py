"""A skim from stored scores is, to the byte, the skim that ran the model; and what does not fit is refused."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot

from hepfilter.cli.app import run
from hepfilter.errors import CheckpointError, HepfilterError, SchemaError, SourceError, UsageError
from hepfilter.io.checksum import checksum
from hepfilter.io.score_file import read_scores
from hepfilter.scoring.score import score_files
from hepfilter.skim.pipeline import skim
from hepfilter.skim.recipe import Recipe
from tests.nano import make_nano

MODEL = "interest-objects"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scores")
    bad = np.array([np.nan, np.inf], np.float32)
    for number, entries in enumerate((130, 75, 1)):
        planted = {"Jet_pt": bad, "genWeight": bad} if number == 0 else {}
        make_nano(path / f"{number}.root", entries, seed=number, first_event=1000 * number, plant=planted)
    for suffix in ("parquet", "root"):
        score_files(sorted(path.glob("?.root")), path / f"scores.{suffix}", model=MODEL)
    return path


def content(path: Path) -> dict[str, Any]:
    """Every value of every tree, and the provenance."""
    with uproot.open(path) as file:
        trees = {name: file[name].arrays(library="np") for name in ("Events", "Runs", "LuminosityBlocks")}
        flat = {
            f"{tree}/{name}": [value.tobytes() if isinstance(value, np.ndarray) else value for value in values.tolist()]
            if values.dtype == object
            else values.tobytes()
            for tree, columns in trees.items()
            for name, values in columns.items()
        }
        return flat | {"facts": json.loads(str(file["HepFilter_provenance"]))}


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(keep=Fraction(1, 10)),
        Recipe(keep=Fraction(1), where="nMuon >= 1"),
        Recipe(threshold=5.0, deduplicate=True),
        Recipe(keep=Fraction(1, 9**9)),
    ],
)
def test_the_output_is_that_of_the_model(folder, tmp_path, recipe):
    inputs = sorted(folder.glob("?.root"))
    ran = skim(inputs, tmp_path / "ran.root", recipe)
    expected = content(tmp_path / "ran.root")
    assert ran.problems["weight: non-finite"] == 2  # not once by the cuts and once by the model
    for suffix in ("parquet", "root"):
        scores = str(folder / f"scores.{suffix}")
        stored = skim(inputs, tmp_path / "stored.root", replace(recipe, scores=scores, model=""), force=True)
        found = content(tmp_path / "stored.root")
        facts, others = found.pop("facts"), dict(expected)
        model_facts = others.pop("facts")
        assert found == others
        assert facts["files"] == {scores: checksum(scores)}
        assert facts["recipe"] == model_facts["recipe"] | {"scores": scores}
        assert "torch" not in facts["versions"] and "pyarrow" in facts["versions"]
        same = ("model_hash", "device_class", "threshold", "ties_dropped", "scores", "inputs", "problems", "warnings")
        assert {name: facts[name] for name in same} == {name: model_facts[name] for name in same}
        assert (stored.cutflow(), stored.problems, stored.model) == (ran.cutflow(), ran.problems, MODEL)


def test_order_and_chunks_leave_no_trace(folder, tmp_path, monkeypatch):
    scores, results = str(folder / "scores.parquet"), set()
    for unit, names in zip((1000, 64, 13, 1000, 7, 50), permutations("012"), strict=True):
        monkeypatch.setattr("hepfilter.skim.file_reading.UNIT_ENTRIES", unit)
        inputs = [folder / f"{name}.root" for name in names]
        skim(inputs, tmp_path / "o.root", Recipe(keep=Fraction(1, 7), scores=scores), force=True)
        with uproot.open({tmp_path / "o.root": "Events"}) as tree:
            columns = tree.arrays(["event", "HepFilter_interest", "HepFilter_rarity"], library="np")
        order = np.argsort(columns["event"])
        results.add(tuple(values[order].tobytes() for values in columns.values()))
    assert len(results) == 1
    skim(folder / "1.root", tmp_path / "part.root", Recipe(keep=Fraction(1), scores=scores))  # one of those scored
    stored = read_scores(scores).scores["interest"][130:205]
    with uproot.open({tmp_path / "part.root": "Events"}) as tree:
        assert tree["HepFilter_interest"].array(library="np").tobytes() == stored.tobytes()


def test_torch_stays_out_and_the_model_may_be_gone(folder, tmp_path, untrained_model):
    model = shutil.copy(untrained_model, tmp_path / "gone.safetensors")
    score_files(folder / "1.root", tmp_path / "s.parquet", model=str(model))
    Path(model).unlink()
    code = f"""
import sys
from hepfilter.cli.app import run
assert run(["skim", {str(folder / "1.root")!r}, "-o", "o.root", "--keep", "20%", "--scores", "s.parquet"]) == 0
loaded = [name for name in ("torch", "torch_geometric", "awkward") if name in sys.modules]
assert not loaded, loaded
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert f"model {model} (" in result.stdout and "15 events written" in result.stdout


def test_an_output_can_be_verified_merged_and_skimmed_again(folder, tmp_path, capsys):
    scores = str(folder / "scores.parquet")
    for number in (0, 1):
        output = str(tmp_path / f"o{number}.root")
        assert run(["skim", str(folder / f"{number}.root"), "-o", output, "--keep", "50%", "--scores", scores]) == 0
        assert run(["verify", output, "--workers", "1"]) == 0
        assert run(["verify", output, "--workers", "1", "--rescore", "--device", "cpu"]) == 0
    assert run(["merge", *(str(tmp_path / f"o{n}.root") for n in (0, 1)), "-o", str(tmp_path / "m.root")]) == 0
    capsys.readouterr()
    assert run(["skim", str(tmp_path / "o0.root"), "-o", str(tmp_path / "again.root"), "--keep", "1%",
                "--scores", scores]) == 1  # fmt: skip
    assert "o0.root: tree Events has no scores in" in capsys.readouterr().err


def refusals(folder: Path, work: Path, model: Path) -> list[tuple[Path, dict[str, Any], type[HepfilterError], str]]:
    inputs = folder / "1.root"
    shutil.copy(folder / "0.root", work / "0.root")  # a copy elsewhere is the file that was scored
    make_nano(work / "new.root", 20, seed=9)
    shutil.copy(inputs, work / "1.root")
    score_files(work / "1.root", work / "own.parquet", model=MODEL)
    make_nano(work / "1.root", 75, seed=11)  # another file under its old name
    schema = work / "mine.yaml"
    schema.write_text("name: mine\ntitle: mine\nextends: nanoaod\ncollections:\n  electron: null\n")
    (work / "broken.parquet").write_bytes((folder / "scores.parquet").read_bytes()[:-9])
    return [
        (inputs, {"model": str(model)}, UsageError, r"scores\.parquet: its scores are of model \w{12}, .*is \w{12}"),
        (inputs, {"model": "no-such"}, CheckpointError, "no-such: no such file and no model"),
        (work / "new.root", {}, SourceError, r"new\.root: tree Events has no scores in .*scores\.parquet"),
        (work / "1.root", {"scores": str(work / "own.parquet")}, SourceError, r"1\.root: changed since .*own\.parquet"),
        (inputs, {"schema": str(schema)}, SchemaError, r"1\.root: was scored by the schema nanoaod .*read by mine;"),
        (inputs, {"scores": str(work / "broken.parquet")}, SourceError, r"broken\.parquet: cannot be read"),
        (inputs, {"scores": str(work / "none.parquet")}, SourceError, r"none\.parquet: cannot be read: No such"),
    ]


def test_what_does_not_fit_is_refused_in_one_line(folder, tmp_path, untrained_model, subtests):
    scores = str(folder / "scores.parquet")
    for source, options, error, said in refusals(folder, tmp_path, untrained_model):
        with subtests.test(said):
            with pytest.raises(error, match=said) as caught:
                recipe = Recipe(keep=Fraction(1, 2), **({"scores": scores} | options))
                skim(source, tmp_path / "o.root", recipe)
            assert "\n" not in str(caught.value) and not (tmp_path / "o.root").exists()
    with pytest.raises(UsageError, match="decides nothing without --keep, --threshold or a --menu with scores"):
        Recipe(where="1", scores=scores)
    with pytest.raises(UsageError, match="decides what is kept; give another name"):
        skim(folder / "1.root", Path(scores), Recipe(keep=Fraction(1), scores=scores), force=True)
    model = Path(shutil.copy(untrained_model, tmp_path))
    with pytest.raises(UsageError, match="decides what is kept; give another name"):
        skim(folder / "1.root", model, Recipe(keep=Fraction(1), model=str(model)), force=True)
    fits = Recipe(keep=Fraction(1, 2), scores=scores, model=MODEL)
    assert skim([tmp_path / "0.root", folder / "1.root"], tmp_path / "o.root", fits).read == 205


def test_scores_of_another_calibration_are_refused(folder, tmp_path, monkeypatch):
    calibrated = tmp_path / "calibrated.safetensors"
    background = make_nano(tmp_path / "b.root", 120, seed=12)
    assert run(["calibrate", MODEL, str(background), "-o", str(calibrated), "--trained-on",
                "--device", "cpu"]) == 0  # fmt: skip
    recipe = Recipe(keep=Fraction(1, 2), scores=str(folder / "scores.parquet"), model=str(calibrated))
    with pytest.raises(UsageError, match=r"its scores are of calibration \w{12}, .*calibrated\.safetensors is \w{12}"):
        skim(folder / "1.root", tmp_path / "o.root", recipe)
    score_files(folder / "1.root", tmp_path / "s.parquet", model=str(calibrated))
    for name, one in (("ran", Recipe(keep=Fraction(1, 5), model=str(calibrated))),
                      ("stored", Recipe(keep=Fraction(1, 5), scores=str(tmp_path / "s.parquet"),
                                        model=str(calibrated)))):  # fmt: skip
        skim(folder / "1.root", tmp_path / f"{name}.root", one)
    ran, stored = (content(tmp_path / f"{name}.root") for name in ("ran", "stored"))
    assert "Events/HepFilter_combined" in ran
    for name in ("calibration_hash", "extrapolated_below", "scores"):
        assert stored["facts"][name] == ran["facts"][name]
    assert all(stored[name] == ran[name] for name in ran if name != "facts")
