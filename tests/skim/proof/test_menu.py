"""The proof of what a menu decided: it is decided again, and each changed bit is named."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot

from hepfilter.config.menu import Menu
from hepfilter.io.sources import Source
from hepfilter.scoring.score import score_files
from hepfilter.skim.merging import merge
from hepfilter.skim.pipeline import skim
from hepfilter.skim.recipe import Recipe
from hepfilter.trigger.lock import Trigger
from tests.nano import make_nano
from tests.skim.proof.faults import rewrite
from tests.skim.proof.test_verification import assert_proven, findings, statuses, verify

PLAIN: dict[str, Any] = {
    "muons": {"when": "nMuon >= 2"},
    "busy": {"when": "nJet >= 5", "prescale": 4, "stream": "monitoring"},
    "secret": {"when": "MET_pt > 60", "blind": True},
}
SCORED: dict[str, Any] = {
    "anomaly": {"score": "interest", "fraction": "20%"},
    "busy": {"when": "nJet >= 5", "score": "interest", "fraction": "30%", "prescale": 2},
}


def recipe(paths: dict[str, Any], model: Path | None = None, **cuts: Any) -> Recipe:
    name = None if model is None else str(model)
    menu = Menu.model_validate({"name": "m", "model": name, "paths": paths, "control": {"probability": 0.1}})
    return Recipe(trigger=Trigger(menu), **cuts)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("menus")
    return [make_nano(folder / "a.root", 90), make_nano(folder / "b.root", 60, seed=2, first_event=1_000)]


@pytest.fixture(scope="module")
def output(sources: list[Path]) -> Path:
    """A skim by a menu without scores, whose decisions can be made again without a model."""
    path = sources[0].with_name("out.root")
    skim(sources, path, recipe(PLAIN, where="nJet >= 1"))
    return path


def test_an_untouched_output_is_proven(output: Path, sources: list[Path], tmp_path: Path) -> None:
    assert_proven(verify([str(output)]))
    report = skim(sources, tmp_path / "s.root", recipe(PLAIN, split_events=30, format="rntuple"))
    assert len(report.outputs) > 2
    found = verify([one.path for one in report.outputs])
    assert found.passed
    merge([Source(one.path) for one in report.outputs], tmp_path / "m.root")
    assert_proven(verify([str(tmp_path / "m.root")]))
    skim(sources, tmp_path / "e.root", recipe(PLAIN, where="nJet > 99"))
    assert_proven(verify([str(tmp_path / "e.root")]))


def flip(entry: int) -> Callable[[np.ndarray], object]:
    def change(values: np.ndarray) -> None:
        values[entry] = ~values[entry] if values.dtype == bool else np.nextafter(values[entry], np.float32(2))

    return change


@pytest.mark.parametrize(
    "name",
    ["muons", "muons_raw", "busy", "busy_raw", "secret", "stream_monitoring", "stream_control", "passed",
     "probability", "weight"],
)  # fmt: skip
def test_a_changed_decision_is_found(output: Path, tmp_path: Path, name: str) -> None:
    """One bit of one event; of a probability or weight the last one."""
    branch = f"HepFilter_{name}"
    report = verify([str(rewrite(output, tmp_path / "f.root", values={branch: flip(7)}))])
    failed = [check for check, status in statuses(report).items() if status == "failed"]
    assert failed == ["selection"]
    assert f"entry 7: {branch} " in findings(report, "selection")
    assert "is not the menu's" in findings(report, "selection")


def facts(change: Callable[[dict[str, Any]], object]) -> Callable[[dict[str, Any]], object]:
    """A change of the recorded menu that has the right hash."""

    def apply(provenance: dict[str, Any]) -> None:
        trigger = provenance["recipe"]["trigger"]
        change(trigger["menu"])
        trigger["menu_hash"] = Trigger(Menu.model_validate(trigger["menu"])).menu_hash

    return apply


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda menu: menu.update(seed=2), r"entry \d+: HepFilter_probability|passes, but is not in|does not pass"),
        (lambda menu: menu["paths"]["busy"].update(prescale=5.0), r"entry \d+: HepFilter_busy True is not the menu's"),
        (lambda menu: menu["paths"]["muons"].update(when="nMuon >= 1"), "passes, but is not in the output|events that"),
        (lambda menu: menu["paths"]["muons"].update(when="nMuons >= 1"), "cannot be applied: .*nMuons"),
    ],
    ids=["seed", "prescale", "condition", "a branch that is not there"],
)
def test_another_menu_is_found(output: Path, tmp_path: Path, change: Any, said: str) -> None:
    report = verify([str(rewrite(output, tmp_path / "f.root", provenance=facts(change)))])
    assert not report.passed and statuses(report)["selection"] == "failed"
    assert re.search(said, findings(report, "selection"))


def test_a_recorded_menu_that_is_none_fails(output: Path, tmp_path: Path) -> None:
    """Its hash tells that it was changed; without thresholds it has none to decide by."""

    def edit(provenance: dict[str, Any]) -> None:
        provenance["recipe"]["trigger"]["menu"]["seed"] = 5

    report = verify([str(rewrite(output, tmp_path / "f.root", provenance=edit))])
    assert statuses(report) == {"provenance": "failed"}
    assert "its menu is another than its hash says" in findings(report, "provenance")


def test_decisions_by_scores_need_the_model_again(sources: list[Path], tmp_path: Path, untrained_model: Path) -> None:
    out = tmp_path / "o.root"
    skim(sources, out, recipe(SCORED, untrained_model))
    quick = verify([str(out)])
    assert quick.passed and statuses(quick)["selection"] == "not proven"
    assert_proven(verify([str(out)], rescore=True, device="cpu"))
    for name in ("anomaly", "probability"):
        faulty = rewrite(out, tmp_path / f"{name}.root", values={f"HepFilter_{name}": flip(3)})
        report = verify([str(faulty)], rescore=True, device="cpu")
        assert f"entry 3: HepFilter_{name} " in findings(report, "selection") and not report.passed

    def lower(provenance: dict[str, Any]) -> None:
        thresholds = provenance["recipe"]["trigger"]["thresholds"]
        thresholds["anomaly"] = thresholds["anomaly"] - 0.5

    report = verify([str(rewrite(out, tmp_path / "t.root", provenance=lower))], rescore=True, device="cpu")
    assert statuses(report)["selection"] == "failed"


def test_stored_scores_are_proven_by_the_model(sources: list[Path], tmp_path: Path, untrained_model: Path) -> None:
    score_files(sources, tmp_path / "s.parquet", model=str(untrained_model))
    skim(sources, tmp_path / "o.root", recipe(SCORED, untrained_model, scores=str(tmp_path / "s.parquet")))
    assert_proven(verify([str(tmp_path / "o.root")], rescore=True, device="cpu"))


def test_events_without_identity_are_decided_again(tmp_path: Path) -> None:
    source = make_nano(tmp_path / "a.root", 80, drop=("event",))
    skim(source, tmp_path / "o.root", recipe(PLAIN))
    assert_proven(verify([str(tmp_path / "o.root")]))


def test_without_one_source_the_rest_is_proven(sources: list[Path], output: Path, tmp_path: Path) -> None:
    """A menu whose thresholds are known decides of each event alone."""
    report = verify([str(output)], sources=[Source(str(sources[1]))])
    assert report.passed and statuses(report)["selection"] == "not proven"
    faulty = rewrite(output, tmp_path / "f.root", values={"HepFilter_busy_raw": flip(-1)})
    report = verify([str(faulty)], sources=[Source(str(sources[1]))])
    assert "HepFilter_busy_raw" in findings(report, "selection") and not report.passed


def test_the_recorded_menu_has_its_thresholds(sources: list[Path], tmp_path: Path, untrained_model: Path) -> None:
    skim(sources, tmp_path / "o.root", recipe(SCORED, untrained_model))
    with uproot.open(tmp_path / "o.root") as file:
        recorded = json.loads(str(file["HepFilter_provenance"]))
    trigger = recorded["recipe"]["trigger"]
    assert set(trigger["thresholds"]) == {"anomaly", "busy"} and trigger["frozen"] is None
    assert recorded["unblinded"] is False
