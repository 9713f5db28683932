"""A menu decides: the same of every event, whatever surrounds it; and what it blinds is nowhere to be seen."""

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot

from hepfilter.cli.app import run
from hepfilter.config.menu import Menu
from hepfilter.errors import ConfigError, HepfilterError, UsageError
from hepfilter.io.sources import Source
from hepfilter.scoring.score import score_files
from hepfilter.skim.merging import merge
from hepfilter.skim.pipeline import skim
from hepfilter.skim.rates import lock_menu
from hepfilter.skim.recipe import Recipe
from hepfilter.trigger.hashing import event_hash
from hepfilter.trigger.lock import Trigger, read_trigger
from tests.io.copies import copy
from tests.nano import make_nano

EVENTS = 400


def menu(model: Path | str | None, **keys: Any) -> Menu:
    paths = {
        "anomaly": {"score": "interest", "fraction": "5%"},
        "muons": {"when": "nMuon >= 2", "score": "interest", "prescale": 1.5},
        "jets": {"when": "nJet >= 6", "score": "interest", "priority": 3},
        "busy": {"when": "nJet >= 5", "prescale": 4, "stream": "monitoring"},
        "off": {"when": "nMuon >= 1", "prescale": 0, "stream": "monitoring"},
    }
    known: dict[str, Any] = {"name": "m", "model": None if model is None else str(model), "paths": paths,
                             "control": {"probability": 0.05}}  # fmt: skip
    if "paths" not in keys:
        known["budget"] = {"fraction": "20%"}
    return Menu.model_validate(known | keys)


def recipe(model: Path | str | None, *, cuts: dict[str, Any] | None = None, **keys: Any) -> Recipe:
    return Recipe(trigger=Trigger(menu(model, **keys)), **(cuts or {}))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Events of very different weights, in one file."""
    weights = (30 ** np.random.default_rng(5).random(EVENTS)).astype(np.float32)
    folder = tmp_path_factory.mktemp("deciding")
    return make_nano(folder / "whole.root", EVENTS, basket=EVENTS, plant={"genWeight": weights})


def columns(*paths: Path) -> dict[str, np.ndarray]:
    """What a skim says of its events, by branch, in the order of the outputs."""
    parts = []
    for path in paths:
        with uproot.open({path: "Events"}) as tree:
            names = ["event", "nMuon", "nJet", "genWeight", *tree.keys(filter_name="HepFilter_*")]
            parts.append(tree.arrays(names, library="np"))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def decisions(*paths: Path) -> dict[int, bytes]:
    """By event, all bits, probability, weight and scores, byte by byte."""
    found = columns(*paths)
    names = sorted(name for name in found if name.startswith("HepFilter_") and name != "HepFilter_entry")
    rows = {int(event): b"".join(found[name][i].tobytes() for name in names) for i, event in enumerate(found["event"])}
    assert len(rows) == len(found["event"])
    return rows


def split(source: Path, folder: Path, seed: int) -> list[Path]:
    """The events of a file in several, in another order of files."""
    rng = np.random.default_rng(seed)
    owner = rng.integers(0, rng.integers(2, 6), EVENTS)
    parts = [folder / f"{seed}_{number}.root" for number in rng.permutation(np.unique(owner))]
    for part in parts:
        copy([source], part, [owner == int(part.stem.partition("_")[2])])
    return parts


def test_ten_orders_splittings_and_worker_counts_decide_alike(
    source: Path, tmp_path: Path, untrained_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hepfilter.io.copy_plan._BYTES_PER_WORKER", 1.0)  # so that workers really start
    asked, results, thresholds = recipe(untrained_model), list[dict[int, bytes]](), set()
    variants = [(None, 1000, 1, None), (None, 37, 3, None), (None, 1000, 1, 25)]
    variants += [(seed, unit, 2 if seed == 4 else 1, 40 if seed % 2 else None)
                 for seed, unit in zip(range(1, 8), (1000, 64, 13, 1000, 7, 50, 29), strict=True)]  # fmt: skip
    for number, (seed, unit, workers, size) in enumerate(variants):
        monkeypatch.setattr("hepfilter.skim.file_reading.UNIT_ENTRIES", unit)
        inputs = [source] if seed is None else split(source, tmp_path, seed)
        one = Recipe(trigger=asked.trigger, split_events=size)
        report = skim(inputs, tmp_path / f"out{number}.root", one, workers=workers)
        results.append(decisions(*(Path(output.path) for output in report.outputs)))
        assert len(results[-1]) == report.written
        with uproot.open(report.outputs[0].path) as file:
            facts = json.loads(str(file["HepFilter_provenance"]))["recipe"]["trigger"]
        thresholds.add(json.dumps(facts["thresholds"]))
    assert len(results) == 10 and 100 < len(results[0]) < EVENTS
    assert all(result == results[0] for result in results)
    assert len(thresholds) == 1  # to the last bit, though weights were summed in other orders


def test_bits_are_what_the_menu_says(source: Path, tmp_path: Path) -> None:
    paths = {
        "muons": {"when": "nMuon >= 2"},
        "busy": {"when": "nJet >= 5", "prescale": 4, "stream": "monitoring"},
        "off": {"when": "nMuon >= 1", "prescale": 0, "stream": "monitoring"},
    }
    skim(source, tmp_path / "o.root", recipe(None, paths=paths, seed=3))
    found = columns(tmp_path / "o.root")
    with uproot.open({source: "Events"}) as tree:
        whole = tree.arrays(["run", "luminosityBlock", "event", "nMuon", "nJet"], library="np")
    who = (whole["run"], whole["luminosityBlock"], whole["event"])
    muons, busy = whole["nMuon"] >= 2, whole["nJet"] >= 5
    kept_busy = busy & (event_hash(*who, seed=3, purpose="prescale", path="busy") < 0.25)
    control = event_hash(*who, seed=3, purpose="control", path="") < 0.05
    kept = muons | kept_busy | control
    assert found["event"].tolist() == whole["event"][kept].tolist()
    expected = {
        "muons": muons, "muons_raw": muons, "busy": kept_busy, "busy_raw": busy, "off": muons & False,
        "off_raw": whole["nMuon"] >= 1, "stream_physics": muons, "stream_monitoring": kept_busy,
        "stream_control": control, "passed": muons | kept_busy,
    }  # fmt: skip
    for name, bits in expected.items():
        assert found[f"HepFilter_{name}"].dtype == bool
        assert np.array_equal(found[f"HepFilter_{name}"], bits[kept]), name
    p = 1 - 0.95 * np.where(busy, 0.75, 1.0) * ~muons
    assert found["HepFilter_probability"].tobytes() == p[kept].astype(np.float32).tobytes()
    assert found["HepFilter_weight"].tobytes() == (1 / p[kept]).astype(np.float32).tobytes()
    assert not {"HepFilter_interest"} & set(found)  # no model decided


def test_an_rntuple_and_stored_scores_hold_the_same(source: Path, tmp_path: Path, untrained_model: Path) -> None:
    score_files(source, tmp_path / "s.parquet", model=str(untrained_model))
    asked = recipe(untrained_model)
    skim(source, tmp_path / "ran.root", asked)
    stored = {"scores": str(tmp_path / "s.parquet")}
    skim(source, tmp_path / "stored.root", recipe(untrained_model, cuts=stored))
    skim(source, tmp_path / "nt.root", recipe(untrained_model, cuts={"format": "rntuple"}))
    ran, again = decisions(tmp_path / "ran.root"), decisions(tmp_path / "stored.root")
    assert ran == again
    with uproot.open({tmp_path / "nt.root": "Events"}) as ntuple:
        expected = columns(tmp_path / "ran.root")
        for name in expected:
            assert np.array_equal(ntuple[name].array(library="np"), expected[name]), name


def test_a_menu_decides_of_what_the_cuts_leave(source: Path, tmp_path: Path, untrained_model: Path) -> None:
    paths = {"anomaly": {"score": "interest", "fraction": "10%"}}
    asked = recipe(untrained_model, cuts={"where": "nJet >= 5"}, paths=paths, control=None)
    report = skim(source, tmp_path / "o.root", asked)
    assert [step.name for step in report.cutflow()] == ["read", "where", "menu"]
    total = report.cutflow()[1].weight
    assert total is not None and report.cutflow()[2].weight is not None
    assert 0.05 * total < report.cutflow()[2].weight <= 0.1 * total
    assert columns(tmp_path / "o.root")["nJet"].min() >= 5


def test_nothing_left_gives_the_full_schema(source: Path, tmp_path: Path, untrained_model: Path) -> None:
    stated = {"x": {"score": "interest", "threshold": 0.0}, "y": {"when": "nMuon > 1", "prescale": 3}}
    asked = recipe(untrained_model, cuts={"where": "nMuon > 99"}, paths=stated)
    report = skim(source, tmp_path / "o.root", asked)
    assert (report.written, report.predicted) == (0, None)
    names = {f"HepFilter_{name}" for name in (*menu(untrained_model, paths=stated).bits, "interest", "probability",
                                               "weight", "passed", "entry")}  # fmt: skip
    assert names <= set(columns(tmp_path / "o.root"))
    with pytest.raises(UsageError, match="there are no events outside the blind regions; thresholds need a sample"):
        skim(source, tmp_path / "p.root", recipe(untrained_model, cuts={"where": "nMuon > 99"}))


def test_negative_weights_have_rates_that_add_up(tmp_path: Path, untrained_model: Path) -> None:
    path = make_nano(tmp_path / "nlo.root", 200, plant={"genWeight": np.full(30, -0.5, np.float32)})
    paths = {"x": {"score": "interest", "fraction": "50%"}, "y": {"when": "nMuon >= 2", "prescale": 2}}
    report = skim(path, tmp_path / "o.root", recipe(untrained_model, paths=paths))
    weight, found = columns(path)["genWeight"], columns(tmp_path / "o.root")
    assert report.rates is not None and report.predicted is not None
    for number, name in enumerate(("x", "y")):
        kept = float(found["genWeight"][found[f"HepFilter_{name}"]].sum() / weight.sum())
        assert report.rates.prescaled.value[number] == pytest.approx(kept, rel=1e-6)
    assert 0.45 < report.rates.prescaled.value[0] <= 0.5
    assert report.predicted.predictions["x"].value == pytest.approx(report.rates.prescaled.value[0])
    assert run(["verify", str(tmp_path / "o.root"), "--workers", "1"]) == 0


def test_without_identity_the_file_and_entry_decide(tmp_path: Path) -> None:
    path = make_nano(tmp_path / "a.root", 80, drop=("event",))
    report = skim(path, tmp_path / "o.root", recipe(None, paths={"x": {"when": "nJet >= 4", "prescale": 2}}))
    assert 0 < report.written < 80
    assert any("events are identified by file name and entry" in note for note in report.warnings)


BLIND: dict[str, Any] = {
    "paths": {
        "open": {"when": "nMuon >= 2"},
        "secret": {"when": "nJet >= 6", "blind": True},
    },
    "blind": "MET_pt > 60",
    "control": None,
}


def blind_counts(source: Path) -> tuple[int, int, int]:
    """Events outside the region, those there that the open path takes, and those that the blind one takes."""
    with uproot.open({source: "Events"}) as tree:
        found = tree.arrays(["MET_pt", "nMuon", "nJet"], library="np")
    outside = found["MET_pt"] <= 60
    return int(outside.sum()), int((outside & (found["nMuon"] >= 2)).sum()), int((found["nJet"] >= 6).sum())


def test_what_is_blind_is_written_and_not_shown(tmp_path: Path) -> None:
    source = make_nano(tmp_path / "a.root", EVENTS)
    outside, of_open, of_secret = blind_counts(source)
    report = skim(source, tmp_path / "o.root", recipe(None, **BLIND))
    found = columns(tmp_path / "o.root")
    assert np.count_nonzero(found["HepFilter_secret"]) == of_secret  # all are written
    table, predicted = report.rates, report.predicted
    assert table is not None and predicted is not None
    assert (table.events, table.paths, table.blinded, table.blind_regions) == (EVENTS, ("open",), ("secret",), True)
    assert table.raw.value.tolist() == [pytest.approx(of_open / outside)]
    assert float(table.union.value) == float(table.written.value) == pytest.approx(of_open / outside)
    assert set(predicted.predictions) == {"open"}
    assert predicted.union is not None and predicted.union.value == pytest.approx(of_open / outside)
    shown = skim(source, tmp_path / "u.root", recipe(None, **BLIND), unblind=True)
    assert shown.rates is not None and shown.predicted is not None
    assert (shown.rates.events, shown.rates.paths, shown.rates.blinded) == (EVENTS, ("open", "secret"), ())
    assert set(shown.predicted.predictions) == {"open", "secret"}
    assert decisions(tmp_path / "u.root") == decisions(tmp_path / "o.root")
    for name, unblinded in (("o", False), ("u", True)):
        with uproot.open(tmp_path / f"{name}.root") as file:
            facts = json.loads(str(file["HepFilter_provenance"]))
        assert facts["unblinded"] is unblinded
        assert not {"rates", "predicted", "predictions"} & set(facts)


def test_no_output_tells_of_what_is_blind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = make_nano(tmp_path / "a.root", EVENTS)
    (tmp_path / "m.json").write_text(json.dumps(menu(None, **BLIND).model_dump(mode="json")))
    (tmp_path / "m.json").rename(tmp_path / "m.yaml")
    asked = [str(source), "-o", str(tmp_path / "o.root"), "--menu", str(tmp_path / "m.yaml"), "--force"]
    share = 100 * blind_counts(source)[2] / EVENTS
    assert run(["skim", *asked]) == 0
    shown = capsys.readouterr().out
    assert "blinded: secret" in shown and "events in blind regions are written, and not counted here" in shown
    assert "│ secret" not in shown and "│ open" in shown
    assert run(["skim", *asked, "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert plain["rates"]["paths"] == ["open"] and list(plain["predicted"]["predictions"]) == ["open"]
    assert run(["skim", *asked, "--unblind"]) == 0
    assert f"{share:.3g} [" in capsys.readouterr().out
    assert run(["skim", *asked[:3], "--where", "1", "--unblind", "--force"]) == 2
    assert "--unblind: shows what a menu blinds" in capsys.readouterr().err


def test_a_menu_without_scores_needs_no_torch(tmp_path: Path) -> None:
    make_nano(tmp_path / "a.root", 100)
    (tmp_path / "m.yaml").write_text("name: m\nmodel: null\npaths: {x: {when: nMuon > 1, prescale: 2}}\n")
    code = """
import sys
from hepfilter.cli.app import run
for command in (["skim", "a.root", "-o", "o.root", "--menu", "m.yaml"], ["rates", "show", "m.yaml", "a.root"],
                ["rates", "lock", "m.yaml", "a.root", "-o", "m.lock"], ["rates", "diff", "m.lock", "m.yaml", "a.root"],
                ["skim", "a.root", "-o", "p.root", "--menu", "m.lock"], ["verify", "p.root", "--workers", "1"]):
    assert run(command) == 0, command
loaded = [name for name in ("torch", "torch_geometric", "awkward", "pandas") if name in sys.modules]
assert not loaded, loaded
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_the_model_of_stored_scores_is_the_menus(source: Path, tmp_path: Path, untrained_model: Path) -> None:
    score_files(source, tmp_path / "s.parquet", model=str(untrained_model))
    stored = {"scores": str(tmp_path / "s.parquet")}
    stated = {"x": {"score": "interest", "threshold": 0.0}}
    with pytest.raises(UsageError, match=r"scores are of .*untrained.*, the menu m is for interest-objects; give --m"):
        skim(source, tmp_path / "o.root", recipe("interest-objects", cuts=stored, paths=stated))
    given = stored | {"model": str(untrained_model)}
    assert skim(source, tmp_path / "o.root", recipe("interest-objects", cuts=given, paths=stated)).read == EVENTS
    with pytest.raises(ConfigError, match=r"untrained\.safetensors has no score 'density'"):
        skim(source, tmp_path / "p.root", recipe(untrained_model, paths={"x": {"score": "density", "threshold": 0.0}}))


def refusals(folder: Path, lock: Path, other: Path) -> list[tuple[dict[str, Any], type[HepfilterError], str]]:
    (folder / "mine.yaml").write_text("name: mine\ntitle: mine\nextends: nanoaod\ncollections:\n  electron: null\n")
    (folder / "edited.lock").write_text(lock.read_text().replace('"prescale": 1.5', '"prescale": 1.0'))
    return [
        ({"model": str(other)}, UsageError, r"the lock of m: its model hash is \w+, here it is \w+; make it anew"),
        ({"schema": str(folder / "mine.yaml")}, UsageError, "the schema mine is not one of its schemas"),
        ({"keep": Fraction(1, 2)}, UsageError, "--menu decides by itself"),
        ({"threshold": 0.0}, UsageError, "--menu decides by itself"),
        ({"trigger": folder / "edited.lock"}, ConfigError, r"edited\.lock: is no lock, or was changed"),
    ]


def test_a_lock_holds_for_what_it_was_made_for(
    source: Path, tmp_path: Path, untrained_model: Path, subtests: Any
) -> None:
    lock = tmp_path / "m.lock"
    asked = recipe("interest-objects", cuts={"model": str(untrained_model)})
    lock_menu([str(source)], asked, lock, progress=lambda *_: None)
    assert read_trigger(lock).menu.model == str(untrained_model)  # it names the model that it needs
    report = skim(source, tmp_path / "o.root", Recipe(trigger=read_trigger(lock)))
    assert report.predicted is None and report.warnings == ()
    plain = skim(source, tmp_path / "p.root", recipe(untrained_model))
    assert plain.predicted is not None
    assert decisions(tmp_path / "o.root") == decisions(tmp_path / "p.root")
    half = make_nano(tmp_path / "half.root", 50, seed=8, first_event=5_000)
    skim(half, tmp_path / "q.root", Recipe(trigger=read_trigger(lock)))
    with uproot.open(tmp_path / "q.root") as file:
        facts = json.loads(str(file["HepFilter_provenance"]))["recipe"]["trigger"]
    assert facts == json.loads(json.dumps(read_trigger(lock).plain()))  # other events change no threshold
    for given, error, said in refusals(tmp_path, lock, Path("interest-objects")):
        with subtests.test(said), pytest.raises(error, match=said):
            options = {"trigger": lock} | given
            skim(source, tmp_path / "r.root", Recipe(**(options | {"trigger": read_trigger(options["trigger"])})))
    assert not (tmp_path / "r.root").exists()


def test_what_a_recipe_says_of_itself_is_the_recipe(tmp_path: Path, source: Path, untrained_model: Path) -> None:
    lock = tmp_path / "m.lock"
    lock_menu([str(source)], recipe(untrained_model), lock, progress=lambda *_: None)
    for known in (
        recipe(untrained_model),
        recipe(None, **BLIND),
        recipe("interest-objects", cuts={"model": "mine.safetensors", "where": "nMuon > 0", "split_events": 5}),
        recipe("interest-objects", cuts={"scores": "s.parquet"}, luminosity=2e34, blind=["a > 1", "b < 2"]),
        Recipe(trigger=read_trigger("discovery")),
        Recipe(trigger=read_trigger(lock), deduplicate=True),
    ):
        assert Recipe.from_facts(json.loads(json.dumps(known.facts()))) == known


def test_merging_says_that_menus_differ(tmp_path: Path) -> None:
    outputs = []
    for number, asked in enumerate(("nMuon >= 1", "nMuon >= 1", "nMuon >= 2")):
        path = make_nano(tmp_path / f"{number}.root", 40, seed=number, first_event=100 * number)
        outputs.append(tmp_path / f"o{number}.root")
        skim(path, outputs[-1], recipe(None, paths={"x": {"when": asked}}))
    same, other = (merge([Source(str(one)) for one in given], tmp_path / f"m{len(given)}.root").notes
                   for given in (outputs[:2], outputs))  # fmt: skip
    assert not any("menus" in note for note in same)
    assert any("decided by menus that differ" in note for note in other)
