"""`hepfilter calibrate`, and what skims, proofs and merges make of a calibrated model with heads."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot

from hepfilter.cli.app import run
from hepfilter.cli.skim import print_report
from hepfilter.cli.terminal import stdout
from hepfilter.config.model import ConditionalHead
from hepfilter.io.writing import Column, create_root
from hepfilter.models.architectures import build_network
from hepfilter.models.checkpoint import load, save
from hepfilter.models.conditional import Conditional
from hepfilter.models.metadata import read_metadata
from hepfilter.scoring.scorer import Scorer
from hepfilter.skim.report import CutflowStep, FileCount, OutputCount, SkimReport
from hepfilter.statistics.conditional import LEVELS, ConditionalQuantiles
from tests.graph_records import random_record
from tests.nano import make_nano
from tests.scoring.test_calibration import save_with_heads
from tests.training.simulated import write_sample

BACKGROUND = ["--background", "qcd@200", "--background", "ttbar"]
BRANCHES = [f"HepFilter_{name}" for name in ("interest", "density", "centres", "pvalue", "combined", "passed", "entry")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("calibrate")
    write_sample(path / "s.root", events_each=400)
    write_sample(path / "t.root", events_each=100, seed=6)
    save_with_heads(path / "raw.safetensors")
    assert run(["calibrate", *map(str, (path / "raw.safetensors", path / "s.root")), *BACKGROUND, "-o",
                str(path / "m.safetensors"), "--device", "cpu"]) == 0  # fmt: skip
    return path


def run_in(folder: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.chdir(folder)
    return run([*arguments, "--device", "cpu"] if arguments[0] != "merge" else list(arguments))


def report_of(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(capsys.readouterr().out)
    return data


def test_report(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "again.safetensors"
    assert run_in(folder, monkeypatch, "calibrate", "raw.safetensors", "s.root", *BACKGROUND, "-o", str(output)) == 0
    shown = capsys.readouterr().out
    for expected in ("interest", "density", "centres", "combined", "800 background events", "no background: 800"):
        assert expected in shown
    assert output.read_bytes() == (folder / "m.safetensors").read_bytes()
    again = ["calibrate", "raw.safetensors", "s.root", *BACKGROUND, "-o", str(output), "--force", "--json"]
    assert run_in(folder, monkeypatch, *again) == 0
    report = report_of(capsys)
    assert report["model_hash"] == read_metadata(folder / "raw.safetensors").model_hash
    assert report["calibration_hash"] == read_metadata(output).calibration["hash"]  # type: ignore[index]
    assert [score["name"] for score in report["scores"]] == ["interest", "density", "centres", "combined"]
    assert all(0.01 < score["pvalue"] < 0.02 for score in report["scores"])  # 10 of 800
    assert report["left_out"] == 0


def test_a_conditional_head_changes_no_combination(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known = load(folder / "raw.safetensors").network
    heads = (*known.definition.heads, ConditionalHead(name="contrast", knots=4))
    built = build_network(known.definition.model_copy(update={"heads": heads}))
    built.load_state_dict(known.state_dict(), strict=False)
    contrast = built.heads["contrast"]
    assert isinstance(contrast, Conditional)
    contrast.settle(ConditionalQuantiles(np.array([5.0]), 0.2 * LEVELS[None] - 0.5))
    save(built, tmp_path / "more.safetensors", provenance={})
    model = str(tmp_path / "more.safetensors")
    assert run_in(folder, monkeypatch, "calibrate", model, "s.root", *BACKGROUND) == 0
    assert "contrast" in capsys.readouterr().out
    record = random_record(300)
    without, found = (Scorer(path, device="cpu").score_heads(record) for path in (folder / "m.safetensors", model))
    assert len(np.unique(found["contrast"])) > 50
    assert found["combined"].tolist() == without["combined"].tolist()


def test_scores_that_are_stored(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same p-values as from the events themselves; what the options cannot mean is told in one line."""
    model, scores = str(folder / "raw.safetensors"), str(tmp_path / "s.parquet")
    assert (
        run_in(
            tmp_path, monkeypatch, "skim", str(folder / "s.root"), "--where", "HepFilterTruth_label < 2", "-o", "b.root"
        )
        == 0
    )
    assert run_in(tmp_path, monkeypatch, "score", "b.root", "--model", model, "-o", scores) == 0
    capsys.readouterr()
    assert run_in(tmp_path, monkeypatch, "calibrate", model, "--scores", scores, "-o", "n.safetensors", "--json") == 0
    report = report_of(capsys)
    assert (report["events"], report["left_out"], report["not_background"]) == (800, 0, 0)
    wanted, found = (read_metadata(path).calibration for path in (folder / "m.safetensors", tmp_path / "n.safetensors"))
    assert wanted is not None and found is not None
    assert found["tables"] == wanted["tables"] and found["combined"] == wanted["combined"]
    for arguments, message in (
        ([model], "DATA or --scores"),
        ([model, "b.root", "--scores", scores], "DATA or --scores"),
        ([model, "--scores", scores, "--background", "qcd@200"], "all of its events are background"),
        (["interest-objects", "--scores", scores, "-o", "x.safetensors"], "its scores are of model"),
    ):
        assert run_in(tmp_path, monkeypatch, "calibrate", *arguments) == 2
        told = capsys.readouterr().err
        assert message in told and told.count("\n") == 1


def test_events_of_the_training_are_left_out(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    split = {"training": 0.5, "validation": 0.1, "seed": 1}
    save(
        load(folder / "raw.safetensors").network, tmp_path / "t.safetensors", provenance={"training": {"split": split}}
    )
    arguments = ["calibrate", str(tmp_path / "t.safetensors"), "s.root", *BACKGROUND, "--json"]
    assert run_in(folder, monkeypatch, *arguments) == 0  # into the model itself
    report = report_of(capsys)
    assert report["events"] + report["left_out"] == 800
    assert 420 < report["left_out"] < 540
    assert read_metadata(tmp_path / "t.safetensors").calibration is not None
    assert run_in(folder, monkeypatch, *arguments, "--trained-on", "--force") == 0
    assert report_of(capsys)["events"] == 800


def test_files_without_truth_are_all_background(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_sample(tmp_path / "data.root", events_each=100, truth=False)
    arguments = ["calibrate", "raw.safetensors", str(data), "-o", str(tmp_path / "m.safetensors"), "--json"]
    assert run_in(folder, monkeypatch, *arguments) == 0
    assert report_of(capsys)["events"] == 400


def test_signals_are_known_by_their_mark(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    n_events, rng = 600, np.random.default_rng(1)
    columns = [Column(name, "uint32") for name in ("run", "luminosityBlock")] + [Column("event", "uint64")]
    columns += [Column("HepFilterTruth_label", "int32"), Column("HepFilterTruth_isSignal", "bool")]
    columns += [Column("MET_pt", "float32"), Column("MET_phi", "float32"), Column("genWeight", "float32")]
    columns += [Column(f"Jet_{name}", "float32", counter="nJet") for name in ("pt", "eta", "phi", "mass")]
    arrays: dict[str, Any] = {column.name: np.arange(n_events) for column in columns[:3]}
    arrays |= {"HepFilterTruth_label": np.zeros(n_events), "HepFilterTruth_isSignal": np.arange(n_events) % 3 == 0}
    arrays |= {"MET_pt": rng.exponential(50, n_events), "MET_phi": np.zeros(n_events), "genWeight": np.ones(n_events)}
    ones = np.ones(n_events, np.int64)
    arrays |= {f"Jet_{name}": (rng.exponential(50, n_events) + 40, ones) for name in ("pt", "mass")}
    arrays |= {f"Jet_{name}": (rng.normal(size=n_events), ones) for name in ("eta", "phi")}
    with create_root(tmp_path / "marked.root") as out, out.new_tree("Events", columns) as tree:
        tree.extend(arrays)
    arguments = ["calibrate", "raw.safetensors", str(tmp_path / "marked.root"), "-o", str(tmp_path / "m.safetensors")]
    assert run_in(folder, monkeypatch, *arguments, "--json") == 0
    report = report_of(capsys)
    assert (report["events"], report["not_background"]) == (400, 200)


def test_weights_that_the_file_of_scores_tells_to_be_faulty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It has 0 for them; from the events themselves they are refused too."""
    model = save_with_heads(tmp_path / "m.safetensors")
    bad = np.array([np.nan, np.inf], np.float32)
    make_nano(tmp_path / "good.root", 150)
    make_nano(tmp_path / "bad.root", 150, seed=1, first_event=1000, plant={"genWeight": bad})
    assert run_in(tmp_path, monkeypatch, "score", "good.root", "bad.root", "--model", str(model), "-o", "s.root") == 0
    capsys.readouterr()
    for arguments, where in (
        (["--scores", "s.root"], "s.root: events of bad.root"),
        (["bad.root"], "bad.root: tree E"),
    ):
        assert run_in(tmp_path, monkeypatch, "calibrate", str(model), *arguments, "-o", "n.safetensors") == 1
        told = capsys.readouterr().err
        assert f"{where}" in told and "weight: non-finite, in 2 events" in told and told.count("\n") == 1
    monkeypatch.setattr("hepfilter.graphs.reading._HEAVIEST", 0.1)
    assert run_in(tmp_path, monkeypatch, "calibrate", str(model), "--scores", "s.root", "-o", "n.safetensors") == 1
    assert (
        "s.root: events of good.root: 150 events with generator weights such as 0.5; scale" in capsys.readouterr().err
    )
    assert run_in(tmp_path, monkeypatch, "calibrate", str(model), "good.root", "-o", "n.safetensors") == 1
    assert "good.root: tree Events: 150 events with generator weights such as 0.5; scale" in capsys.readouterr().err


@pytest.mark.parametrize("split", ["half", 7, {"seed": "x"}, {"training": 0.9, "validation": 0.5}])
def test_a_provenance_that_tells_no_split_is_one_line(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], split: object
) -> None:
    network = load(folder / "raw.safetensors").network
    save(network, tmp_path / "t.safetensors", provenance={"training": {"split": split}})
    arguments = ["calibrate", str(tmp_path / "t.safetensors"), "s.root", *BACKGROUND]
    assert run_in(folder, monkeypatch, *arguments) == 1
    told = capsys.readouterr().err
    assert "t.safetensors: provenance: " in told and "training.split" in told and told.count("\n") == 1
    assert run_in(folder, monkeypatch, *arguments, "--trained-on") == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["raw.safetensors", "s.root"], 1, "--background CARD"),
        (
            ["raw.safetensors", "s.root", "copy.root", *BACKGROUND, "-o", "n.safetensors"],
            1,
            "copy.root: is a copy of s",
        ),
        (["raw.safetensors", "s.root", "--background", "no_card"], 1, "no_card"),
        (["raw.safetensors", "s.root", "--background", "zjets"], 1, "0 effective background events; at least 100"),
        (["interest-objects", "s.root", *BACKGROUND], 2, "ships with the package"),
        (["m.safetensors", "s.root", *BACKGROUND], 2, "is calibrated already; --force"),
        (["raw.safetensors", "s.root", *BACKGROUND, "-o", "m.safetensors"], 1, "--force"),
        (["raw.safetensors", "negative.root", *BACKGROUND, "-o", "n.safetensors"], 1, "add up to less than 0"),
        (["raw.safetensors", "s.root", *BACKGROUND, "-o", "n.pt"], 2, "n.pt: is no name for a model"),
    ],
)
def test_faults_are_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    arguments: list[str], code: int, message: str,
) -> None:  # fmt: skip
    if "copy.root" in arguments:
        shutil.copy(folder / "s.root", folder / "copy.root")
    if "negative.root" in arguments:
        write_sample(folder / "negative.root", events_each=60, weight_sign=-1.0)
    before = {path: path.read_bytes() for path in folder.glob("*.safetensors")}
    assert run_in(folder, monkeypatch, "calibrate", *arguments) == code
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1
    assert {path: path.read_bytes() for path in folder.glob("*.safetensors")} == before


def test_inspect_says_whether_a_model_is_calibrated(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    assert run(["inspect", "t.root", "--model", "raw.safetensors", "--model", "m.safetensors"]) == 0
    shown = capsys.readouterr().out
    known = read_metadata(folder / "m.safetensors").calibration["hash"][:12]  # type: ignore[index]
    assert "gives interest, density, centres; not calibrated" in shown
    assert f"gives interest, density, centres, pvalue, combined; calibration {known}" in shown


def test_a_skim_holds_all_scores_and_is_proven(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, data in (("a", "s"), ("b", "t")):
        output = str(tmp_path / f"{name}.root")
        assert run_in(
            folder, monkeypatch, "skim", f"{data}.root", "-o", output, "--keep", "20%", "--model", "m.safetensors"
        ) == 0  # fmt: skip
        assert "combined (calibration" in capsys.readouterr().out
    with uproot.open({tmp_path / "b.root": "Events"}) as tree, uproot.open({folder / "t.root": "Events"}) as source:
        assert [key for key in tree.keys(recursive=False) if key.startswith("HepFilter_")] == BRANCHES
        assert len(tree.keys()) == len(source.keys()) + len(BRANCHES)
        found = tree.arrays(BRANCHES, library="np")
    assert len(found["HepFilter_entry"]) == 80
    from hepfilter.io.events import find_events
    from hepfilter.io.reading import open_file
    from hepfilter.io.sources import Source

    with open_file(Source(str(folder / "t.root"))) as file:
        record = find_events(file).read(0, 400).record
    wanted = Scorer(folder / "m.safetensors", device="cpu").score_heads(record)
    for name, values in wanted.items():
        assert found[f"HepFilter_{name}"].tobytes() == values[found["HepFilter_entry"]].tobytes(), name
    assert run_in(folder, monkeypatch, "verify", str(tmp_path / "b.root"), "--rescore") == 0
    assert "not proven" not in capsys.readouterr().out
    merged = str(tmp_path / "ab.root")
    assert run_in(folder, monkeypatch, "merge", str(tmp_path / "a.root"), str(tmp_path / "b.root"), "-o", merged) == 0
    assert run_in(folder, monkeypatch, "verify", merged, "--rescore") == 0
    assert "not proven" not in capsys.readouterr().out
    again = str(tmp_path / "again.root")
    assert run_in(folder, monkeypatch, "skim", str(tmp_path / "b.root"), "-o", again, "--where", "nJet >= 0") == 0
    with uproot.open({again: "Events"}) as tree:  # what the older skim added is replaced
        assert [key for key in tree.keys(recursive=False) if key.startswith("HepFilter_")] == BRANCHES[-2:]


def test_a_wrong_pvalue_and_another_calibration_are_noticed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "m.safetensors"
    shutil.copy(folder / "m.safetensors", model)
    outputs = [str(tmp_path / f"{name}.root") for name in "ab"]
    skim = ["--where", "nJet >= 0", "--threshold", "-30", "--compression", "none", "--model", str(model)]
    assert run_in(folder, monkeypatch, "skim", "t.root", "-o", outputs[0], *skim) == 0
    raw = bytearray(Path(outputs[0]).read_bytes())
    with uproot.open({outputs[0]: "Events"}) as tree:
        values = tree["HepFilter_combined"].array(library="np")[:3]
    assert raw.count(values.astype(">f4").tobytes()) == 1
    raw[raw.index(values.astype(">f4").tobytes()) + 3] ^= 16
    (tmp_path / "wrong.root").write_bytes(raw)
    assert run_in(folder, monkeypatch, "verify", str(tmp_path / "wrong.root"), "--rescore") == 4
    assert "entry 0: HepFilter_combined" in capsys.readouterr().out
    assert run_in(
        folder, monkeypatch, "calibrate", str(model), "t.root", *BACKGROUND, "--force"
    ) == 0  # fmt: skip
    assert run_in(folder, monkeypatch, "skim", "s.root", "-o", outputs[1], *skim) == 0
    capsys.readouterr()
    assert run_in(folder, monkeypatch, "verify", outputs[0], "--rescore") == 0
    assert "has another calibration now" in capsys.readouterr().out
    assert run_in(folder, monkeypatch, "merge", *outputs, "-o", str(tmp_path / "ab.root")) == 1
    assert "p-values by calibration" in capsys.readouterr().err


def test_outputs_from_before_there_were_heads_have_the_interest_alone() -> None:
    from fractions import Fraction

    from hepfilter.skim.parts import Part
    from hepfilter.skim.recipe import Recipe

    scored, by_hand = Recipe(keep=Fraction(1, 100)), Recipe(where="nJet > 2")
    assert [Part({}, recipe, (), (), 0).scores for recipe in (scored, by_hand)] == [("interest",), ()]
    later = Part({"scores": ["interest", "density"], "calibration_hash": "abc"}, scored, (), (), 0)
    assert (later.scores, later.calibration_hash) == (("interest", "density"), "abc")


@pytest.mark.parametrize("menu", ["", "my-menu"])
def test_a_skim_says_where_p_values_are_extrapolated_with_a_menu_too(
    menu: str, capsys: pytest.CaptureFixture[str]
) -> None:
    count = FileCount("a.root", None, "", "Events", "", 1, "", 9, (CutflowStep("read", 9, None),))
    report = SkimReport(
        (count,), outputs=(OutputCount("out.root", 0, (0,)),), model="m", model_hash="1" * 32, menu=menu
    )
    report = replace(report, calibration_hash="2" * 32, extrapolated_below={"combined": 0.0123})
    print_report(report, stdout())
    assert "combined (calibration 222222222222): extrapolated below 0.0123" in capsys.readouterr().out
