"""`score_files` and `hepfilter score`: the scores of all events, as the model gives them to a skim."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import uproot

from hepfilter.cli.app import run
from hepfilter.config.datasets import Dataset, DatasetFile
from hepfilter.errors import DifferentInputsError, OutputError, SourceError, UsageError
from hepfilter.events.schemas import load_schema
from hepfilter.io.checksum import file_facts
from hepfilter.io.reading import open_file
from hepfilter.io.score_file import read_scores
from hepfilter.io.sources import Source
from hepfilter.models.metadata import read_metadata
from hepfilter.scoring.score import score_files
from hepfilter.skim.pipeline import skim
from hepfilter.skim.recipe import Recipe
from tests.nano import make_nano

MODEL = "interest-objects"
NAMES = ("interest", "rarity", "scarcity", "contrast", "pvalue", "combined")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("inputs")
    bad = np.array([np.nan, np.inf, -5], np.float32)
    return [
        make_nano(folder / "1.root", 120, seed=1, plant={"Jet_pt": bad, "genWeight": bad[:2]}),
        make_nano(folder / "2.root", 90, seed=2, first_event=1000, drop=("genWeight", "Photon_eta", "Photon_phi",
                                                                          "Photon_pt", "Photon_mass")),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def scored(inputs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("scored") / "s.parquet"
    score_files(inputs, output, model=MODEL)
    return output


def test_all_events_are_there_with_the_scores_of_a_skim(inputs, scored, tmp_path):
    skim(inputs, tmp_path / "o.root", Recipe(keep=Fraction(1), model=MODEL, layout="intersection"))
    found = read_scores(scored)
    assert found.facts.entries == 210 and [file.entries for file in found.facts.files] == [120, 90]
    assert found.identity is not None and found.weights is not None
    with uproot.open({tmp_path / "o.root": "Events"}) as tree:
        assert np.array_equal(found.identity.event, tree["event"].array(library="np"))
        assert np.array_equal(found.identity.luminosity_block, tree["luminosityBlock"].array(library="np"))
        for name in NAMES:
            assert found.scores[name].tobytes() == tree[f"HepFilter_{name}"].array(library="np").tobytes()
    assert found.weights.tolist() == [0, 0] + [0.5] * 118 + [1.0] * 90


def test_it_says_what_the_scores_depend_on(inputs, scored):
    facts = read_scores(scored).facts
    metadata = read_metadata(MODEL)
    assert (facts.model, facts.model_hash, facts.names) == (MODEL, metadata.model_hash, NAMES)
    assert metadata.calibration is not None
    assert facts.device_class and facts.calibration_hash == metadata.calibration["hash"]
    for path, file in zip(inputs, facts.files, strict=True):
        with open_file(Source(str(path))) as opened:
            one = file_facts(opened)
        assert (file.uuid, file.size, file.checksum) == (one.uuid, one.size, one.checksum)
        assert (file.path, file.tree, file.schema_name) == (str(path), "Events", "nanoaod")
        assert file.schema_checksum == load_schema("nanoaod").checksum
    assert [file.weighted for file in facts.files] == [True, False]
    assert facts.files[0].problems["weight: non-finite"] == 2 and any("jet" in key for key in facts.files[0].problems)
    assert not facts.files[1].problems and facts.files[1].absent == ("photon",)


def test_chunks_and_formats_leave_no_trace(inputs, scored, tmp_path, monkeypatch):
    monkeypatch.setattr("hepfilter.scoring.score._UNIT_ENTRIES", 17)
    score_files(inputs, tmp_path / "s.root", model=MODEL)
    one, other = read_scores(scored), read_scores(tmp_path / "s.root")
    assert one.facts == other.facts
    assert all(one.scores[name].tobytes() == other.scores[name].tobytes() for name in one.scores)
    assert one.has_objects.tobytes() == other.has_objects.tobytes()


def test_events_without_objects_are_marked(tmp_path, untrained_model):
    drop = [f"{name}_{field}" for name in ("Jet", "Electron", "Photon") for field in ("pt", "eta", "phi", "mass")]
    source = make_nano(tmp_path / "in.root", 60, drop=(*drop, "MET_pt", "MET_phi"))
    score_files(source, tmp_path / "s.parquet", model=str(untrained_model))
    with uproot.open({source: "Events"}) as tree:
        muons = [sum((pt > 0) & (abs(eta) < 99)) for pt, eta in zip(*tree.arrays(["Muon_pt", "Muon_eta"], library="np",
                                                                                 how=tuple), strict=True)]  # fmt: skip
    there = read_scores(tmp_path / "s.parquet").has_objects
    assert 0 < there.sum() < 60 and not there[np.array(muons) == 0].any()


def test_what_an_older_skim_added_is_not_seen(tmp_path, inputs, untrained_model):
    skim(inputs[0], tmp_path / "o.root", Recipe(keep=Fraction(1, 2), model=str(untrained_model)))
    schema = tmp_path / "mine.yaml"
    schema.write_text("name: mine\ntitle: mine\nextends: nanoaod\nweight: HepFilter_entry\n")
    options = {"model": str(untrained_model), "schema": str(schema)}
    report = score_files(tmp_path / "o.root", tmp_path / "s.parquet", **options)
    assert not report.facts.files[0].weighted and report.facts.files[0].schema_name == "mine"
    weights = read_scores(tmp_path / "s.parquet").weights
    assert weights is not None and set(weights.tolist()) == {1.0}


def test_a_catalogue_names_datasets_and_cross_sections(tmp_path, inputs, untrained_model):
    catalogue = tmp_path / "c.yaml"
    catalogue.write_text(f"datasets:\n  tt:\n    kind: mc\n    cross_section: 2.5\n    files: [{inputs[0]}]\n")
    report = score_files(f"{catalogue}:tt", tmp_path / "s.parquet", model=str(untrained_model))
    assert report.facts.datasets == {"tt": {"kind": "mc", "cross_section": 2.5, "luminosity": None}}
    assert report.facts.files[0].dataset == "tt"
    assert set(pq.read_table(tmp_path / "s.parquet")["dataset"].to_pylist()) == {"tt"}
    assert Dataset(files=(DatasetFile(addresses=("a",)),)).facts()["kind"] is None


def test_faults_are_one_line_and_leave_nothing(tmp_path, inputs, untrained_model):
    (tmp_path / "half.root").write_bytes(inputs[0].read_bytes()[:20_000])
    (tmp_path / "copy.root").write_bytes(inputs[0].read_bytes())
    (tmp_path / "there.parquet").write_text("precious")
    before = sorted(tmp_path.iterdir())
    for given, output, error, said in [
        ([inputs[0], tmp_path / "half.root"], "s.parquet", SourceError, "half.root: is cut short"),
        ([inputs[0], tmp_path / "copy.root"], "s.parquet", DifferentInputsError, "copy.root: is a copy of .*1.root"),
        ([inputs[0]], "there.parquet", OutputError, "exists; give another name"),
        ([inputs[0]], "s.csv", UsageError, "scores are written as"),
        ([tmp_path / "copy.root"], "copy.root", UsageError, "is one of the inputs"),
    ]:
        with pytest.raises(error, match=said) as caught:
            score_files(given, tmp_path / output, model=str(untrained_model))
        assert "\n" not in str(caught.value) and sorted(tmp_path.iterdir()) == before
    score_files(inputs, tmp_path / "there.parquet", model=str(untrained_model), force=True)
    assert read_scores(tmp_path / "there.parquet").facts.entries == 210


def test_the_command_reports(tmp_path, inputs, capsys):
    arguments = ["score", *map(str, inputs), "-o", str(tmp_path / "s.parquet"), "--device", "cpu"]
    assert run(arguments) == 0
    shown = capsys.readouterr().out
    for expected in ("210 events of 2 files", ", ".join(NAMES), "treated by rule: weight: non-finite: 2",
                     "no photon in the file", "210 events scored in"):  # fmt: skip
        assert expected in shown
    assert run([*arguments, "--force", "--json"]) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert report["events"] == 210 and report["size"] == (tmp_path / "s.parquet").stat().st_size
    assert report["names"] == list(NAMES) and len(report["files"]) == 2
    assert run(arguments) == 1
    assert capsys.readouterr().err.startswith(f"hepfilter: {tmp_path / 's.parquet'}: exists")
